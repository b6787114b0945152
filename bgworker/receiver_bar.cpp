#include "receiver_bar.hpp"

#include <csignal>

namespace pgaf::receiver_bar {
namespace {

constexpr int kUnknown = -1;

struct Shared {
    pg_atomic_uint32 is_down;
};

Shared *shared = nullptr;
WalReceiverFunctionsType functions;
const WalReceiverFunctionsType *originals = nullptr;
/// Who received when it was lowered; 0: it has ended. A worker that is new does not know.
int receiver_then = kUnknown;

/// Logical replication speaks through the same functions.
void RefuseUnsafe() {
    if (MyBackendType != B_WAL_RECEIVER) return;
    pg_memory_barrier();  // after it made itself known
    if (!IsDown()) return;
    ereport(ERROR, (errcode(ERRCODE_CANNOT_CONNECT_NOW), errmsg("this standby receives no WAL"),
                    errdetail("Its keeper has sealed it for an election."),
                    errhint("pg_autoctl show state tells what the group waits for.")));
}

// PostgreSQL's macros of these names do not take a name in parentheses.

bool OnStart(WalReceiverConn *connection, const WalRcvStreamOptions *options) {
    RefuseUnsafe();
    return (originals->walrcv_startstreaming)(connection, options);
}

int OnReceive(WalReceiverConn *connection, char **buffer, pgsocket *wait_on) {
    RefuseUnsafe();
    return (originals->walrcv_receive)(connection, buffer, wait_on);
}

void OnSend(WalReceiverConn *connection, const char *buffer, int size) {
    RefuseUnsafe();
    (originals->walrcv_send)(connection, buffer, size);
}

int ReceiverPid() {
    SpinLockAcquire(&WalRcv->mutex);
    const int pid = WalRcv->pid;
    SpinLockRelease(&WalRcv->mutex);
    return pid;
}

}  // namespace

void InstallUnsafe() {
    load_file("libpqwalreceiver", false);
    if (WalReceiverFunctions == nullptr)
        elog(FATAL, "libpqwalreceiver didn't initialize correctly");
    originals = WalReceiverFunctions;
    functions = *originals;
    functions.walrcv_startstreaming = OnStart;
    functions.walrcv_receive = OnReceive;
    functions.walrcv_send = OnSend;
    WalReceiverFunctions = &functions;
}

void RequestSharedMemory() { RequestAddinShmemSpace(sizeof(Shared)); }

void CreateSharedMemory() {
    bool found = false;
    LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
    shared = static_cast<Shared *>(
        ShmemInitStruct("pgautofailover_keeper receiver bar", sizeof(Shared), &found));
    if (!found) pg_atomic_init_u32(&shared->is_down, 0);
    LWLockRelease(AddinShmemInitLock);
}

void Lower() {
    if (IsDown()) return;
    pg_atomic_write_u32(&shared->is_down, 1);
    // A receiver makes itself known before it looks at this: one that is not seen below will see.
    pg_memory_barrier();
    receiver_then = ReceiverPid();
    if (receiver_then != 0) (void)kill(receiver_then, SIGTERM);
}

void Lift() {
    pg_atomic_write_u32(&shared->is_down, 0);
    pg_memory_barrier();
}

bool IsDown() { return shared != nullptr && pg_atomic_read_u32(&shared->is_down) != 0; }

bool HasEnded(int receiver_pid) {
    if (!IsDown()) return false;
    if (receiver_then == kUnknown) receiver_then = receiver_pid;
    if (receiver_then != receiver_pid) receiver_then = 0;
    return receiver_then == 0;
}

}  // namespace pgaf::receiver_bar
