#include "marks.hpp"

#include "gate.hpp"
#include "worker/facts.hpp"

namespace pgaf::marks {
namespace {

struct SenderMark {
    pg_atomic_uint32 pid;
    pg_atomic_uint64 sync;
};

struct Shared {
    pg_atomic_uint64 startup_upstream;
    pg_atomic_uint64 checkpointer_sync;
    SenderMark senders[FLEXIBLE_ARRAY_MEMBER];  ///< by index of the PGPROC
};

Shared *shared = nullptr;
char *upstream_setting = nullptr;
char *sync_setting = nullptr;

std::uint64_t OfSetting(const char *setting) {
    return setting == nullptr ? 0 : worker::Mark(setting);
}

SenderMark *MySenderMark() {
    if (shared == nullptr || MyProc == nullptr) return nullptr;
    const int index = pg::MyProcIndex();
    return index >= 0 && index < pg::ProcIndexLimit() ? &shared->senders[index] : nullptr;
}

void NoteSenderAs(std::uint64_t mark) {
    SenderMark *const mine = MySenderMark();
    if (mine == nullptr) return;
    pg_atomic_write_u64(&mine->sync, mark);
    pg_write_barrier();
    pg_atomic_write_u32(&mine->pid, static_cast<std::uint32_t>(MyProcPid));
}

void OnUpstreamRead(const char *value, void *) {
    // primary_conninfo stands before this line and has been assigned in this process.
    if (shared == nullptr || !IsUnderPostmaster || !AmStartupProcess()) return;
    pg_atomic_write_u64(&shared->startup_upstream, OfSetting(value));
    pg_memory_barrier();
    gate::WakeWorker();
}

/// PostgreSQL lets a walsender confirm commits by the name that its client gives. A member of the
/// set uses the slot of the same name, which nobody else can have at the same time.
bool HasOwnSlot() {
    return MyReplicationSlot != nullptr && application_name != nullptr &&
           strcmp(NameStr(MyReplicationSlot->data.name), application_name) == 0;
}

void OnSyncRead(const char *value, void *) {
    // synchronous_standby_names stands before this line and has been assigned in this process. Both
    // kinds of processes apply it right after reading their settings, without telling anybody:
    // doing it here, where it is repeated then, makes its end known.
    if (shared == nullptr || !IsUnderPostmaster) return;
    if (AmCheckpointerProcess()) {
        SyncRepUpdateSyncStandbysDefined();
        pg_atomic_write_u64(&shared->checkpointer_sync, OfSetting(value));
    } else if (am_walsender && MyWalSnd != nullptr) {
        if (!HasOwnSlot()) SyncRepConfig = nullptr;
        SyncRepInitConfig();
        NoteSenderAs(OfSetting(value));
    } else {
        return;
    }
    pg_memory_barrier();
    gate::WakeWorker();
}

Size SharedSize() {
    return offsetof(Shared, senders) + sizeof(SenderMark) * static_cast<Size>(pg::ProcIndexLimit());
}

}  // namespace

void DefineSettings() {
    constexpr int kFlags = GUC_SUPERUSER_ONLY | GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE;
    DefineCustomStringVariable("pgautofailover_keeper.upstream_mark",
                               "Tells the keeper that its file with the upstream was read.",
                               nullptr, &upstream_setting, "unset", PGC_SIGHUP, kFlags, nullptr,
                               OnUpstreamRead, nullptr);
    DefineCustomStringVariable("pgautofailover_keeper.sync_mark",
                               "Tells the keeper that its file with the synchronous set was read.",
                               nullptr, &sync_setting, "", PGC_SIGHUP, kFlags, nullptr, OnSyncRead,
                               nullptr);
}

void RequestSharedMemory() { RequestAddinShmemSpace(SharedSize()); }

void CreateSharedMemory() {
    bool found = false;
    LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
    shared =
        static_cast<Shared *>(ShmemInitStruct("pgautofailover_keeper marks", SharedSize(), &found));
    if (!found) {
        // The startup process and the checkpointer are born from here before settings can be read
        // again.
        pg_atomic_init_u64(&shared->startup_upstream, OfSetting(upstream_setting));
        pg_atomic_init_u64(&shared->checkpointer_sync, OfSetting(sync_setting));
        for (int i = 0; i < pg::ProcIndexLimit(); ++i) {
            pg_atomic_init_u32(&shared->senders[i].pid, 0);
            pg_atomic_init_u64(&shared->senders[i].sync, 0);
        }
    }
    LWLockRelease(AddinShmemInitLock);
}

void NoteSender() {
    // Its name is not proved yet: it counts when it has read the set anew, with its slot in hand.
    SyncRepConfig = nullptr;
    NoteSenderAs(OfSetting(sync_setting));
}

std::uint64_t StartupUpstream() {
    const std::uint64_t mark = pg_atomic_read_u64(&shared->startup_upstream);
    pg_memory_barrier();
    return mark;
}

std::uint64_t CheckpointerSync() { return pg_atomic_read_u64(&shared->checkpointer_sync); }

bool ReadSenderUnsafe(int pid, std::uint64_t *mark) {
    const PGPROC *const proc = BackendPidGetProc(pid);
    if (proc == nullptr) return false;
    const auto index = proc - ProcGlobal->allProcs;
    if (index < 0 || index >= pg::ProcIndexLimit()) return false;
    SenderMark &sender = shared->senders[index];
    if (pg_atomic_read_u32(&sender.pid) != static_cast<std::uint32_t>(pid)) return false;
    pg_read_barrier();
    *mark = pg_atomic_read_u64(&sender.sync);
    return true;
}

}  // namespace pgaf::marks
