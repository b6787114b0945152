#include "gate.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>

#include "bench_gate.hpp"
#include "module.hpp"

namespace pgaf::gate {
namespace {

/// One cache line each, so that commits of different backends do not meet.
struct alignas(64) CommitSlot {
    pg_atomic_uint32 committing;
    pg_atomic_uint32 asked;  ///< Asked
};

/// What came for a backend while it committed.
enum class Asked : std::uint32_t {
    kNothing,
    kEarly,       ///< it did not wait yet
    kClientLeft,  ///< it waits on without its client
};

struct Shared {
    pg_atomic_uint32 fence;
    pg_atomic_uint64 deadline_ns;
    pg_atomic_uint32 worker_proc;  ///< index of its PGPROC, kNoWorker without one
    pg_atomic_uint32 checkpoints_done;
    pg_atomic_uint32 sync_is_required;
    pg_atomic_uint32 admits_standbys;
    pg_atomic_uint32 waits_without_client;
    pg_atomic_uint32 asked_early;
    pg_atomic_uint64 left_count;
    pg_atomic_uint64 left_end;
    pg_atomic_uint64 shown_end;
#ifdef PGAF_BENCH_ALTERNATE_GATE
    pg_atomic_uint32 bench_is_off;
#endif
    int slot_count;
    bool sync_status_is_bits;
    alignas(64) CommitSlot slots[FLEXIBLE_ARRAY_MEMBER];
};

constexpr std::uint32_t kNoWorker = UINT32_MAX;

Shared *shared = nullptr;
bool entered = false;  // this backend's slot is set
bool may_wait =
    false;  // its transaction has written WAL, so that it waits for synchronous standbys
volatile sig_atomic_t cancel_is_due = 0;     // came while it committed
volatile sig_atomic_t terminate_is_due = 0;  // likewise

Size SharedSize() {
    return offsetof(Shared, slots) + sizeof(CommitSlot) * static_cast<Size>(pg::ProcIndexLimit()) +
           64;
}

std::int64_t NowNs() {
    timespec at{};
    (void)clock_gettime(CLOCK_BOOTTIME, &at);  // cannot fail for this clock
    return static_cast<std::int64_t>(at.tv_sec) * 1'000'000'000 + at.tv_nsec;
}

CommitSlot *MySlot() {
    if (MyProc == nullptr) return nullptr;
    const int index = pg::MyProcIndex();
    return index >= 0 && index < shared->slot_count ? &shared->slots[index] : nullptr;
}

worker::GateFacts Look() {
    return {.fence = static_cast<Fence>(pg_atomic_read_u32(&shared->fence)),
            .deadline = {static_cast<std::int64_t>(pg_atomic_read_u64(&shared->deadline_ns))},
            .now = {NowNs()},
            .postmaster_lives = PostmasterIsAlive()};
}

void Raise(pg_atomic_uint64 *position, XLogRecPtr to) {
    std::uint64_t seen = pg_atomic_read_u64(position);
    while (seen < to && !pg_atomic_compare_exchange_u64(position, &seen, to)) {
    }
}

void NoteLeft(XLogRecPtr end) {
    (void)pg_atomic_fetch_add_u64(&shared->left_count, 1);
    Raise(&shared->left_end, end);
}

/// What came while it committed is due now.
void TakeUpCancels(CommitSlot *slot) {
    constexpr auto kNothing = static_cast<std::uint32_t>(Asked::kNothing);
    constexpr auto kClientLeft = static_cast<std::uint32_t>(Asked::kClientLeft);
    if (slot != nullptr && pg_atomic_read_u32(&slot->asked) != kNothing &&
        pg_atomic_exchange_u32(&slot->asked, kNothing) == kClientLeft) {
        (void)pg_atomic_fetch_sub_u32(&shared->waits_without_client, 1);
    }
    if (cancel_is_due == 0 && terminate_is_due == 0) return;
    if (cancel_is_due != 0) QueryCancelPending = true;
    if (terminate_is_due != 0) ProcDiePending = true;
    cancel_is_due = 0;
    terminate_is_due = 0;
    InterruptPending = true;
}

void ClearSlot() {
    entered = false;
    CommitSlot *const slot = MySlot();
    TakeUpCancels(slot);
    // The exchange is a full barrier: what was decided before stays before.
    if (slot != nullptr) (void)pg_atomic_exchange_u32(&slot->committing, 0);
    if (pg_atomic_read_u32(&shared->fence) != static_cast<std::uint32_t>(Fence::kOpen))
        WakeWorker();
}

/// The node's memory says that it was dropped, or is gone: no primary of a group is elsewhere.
bool HasLeftGroup() {
    char path[MAXPGPATH];
    char text[4096];
    strlcpy(path, keeper::directory_setting, sizeof path);
    strlcat(path, "/pg_autoctl.state", sizeof path);
    const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return errno == ENOENT;
    const ssize_t got = ::read(fd, text, sizeof text - 1);
    (void)::close(fd);
    text[got > 0 ? got : 0] = '\0';
    return strstr(text, "\nstate = dropped\n") != nullptr;
}

[[noreturn]] void RefuseUnsafe() {
    ereport(ERROR,
            (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
             errmsg("cannot commit: this node may not accept writes now"),
             errdetail("Its keeper holds no valid grant from the monitor."),
             HasLeftGroup()
                 ? errhint("This node has left its group and still loads pgautofailover_keeper. "
                           "Restart PostgreSQL without it in shared_preload_libraries; pg_autoctl "
                           "drop node takes our settings out of its configuration.")
                 : errhint("Connect to the current primary of the group and retry.")));
    pg_unreachable();
}

/// The end of the record that begins at `start`, which is on the disk: only its length is needed.
/// 0 when it cannot be read. Nothing here may raise: the transaction is prepared already.
core::Lsn ReadEndOfRecord(XLogRecPtr start) {
    XLogSegNo segment = 0;
    XLByteToSeg(start, segment, wal_segment_size);
    char path[MAXPGPATH];
    TimeLineID timeline = 0;
    (void)pg::FlushPosition(&timeline);
    XLogFilePath(path, timeline, segment, wal_segment_size);
    const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return {};
    std::uint32_t length = 0;
    const off_t at = static_cast<off_t>(XLogSegmentOffset(start, wal_segment_size));
    const ssize_t got = ::pread(fd, &length, sizeof length, at);
    (void)::close(fd);
    if (got != static_cast<ssize_t>(sizeof length) || length < SizeOfXLogRecord) return {};
    return worker::EndOfRecord({start}, length, static_cast<std::uint64_t>(wal_segment_size));
}

/// In a signal handler. True when the commit goes on, and nothing else is to be done.
bool KeepsWaitingUnsafe(bool is_cancel) {
    // Who waits for a lock (of NOTIFY) before its record is written can still be given up. Any
    // other cancel would be found when it begins to wait for standbys.
    if (!entered || !may_wait || MyProc->waitLock != nullptr) return false;
    if (!is_cancel && InterruptHoldoffCount == 0) return false;
    if (!worker::KeepsWaiting(Look())) return false;
    if (pg_atomic_read_u32(&shared->worker_proc) == kNoWorker) return false;
    CommitSlot *const slot = MySlot();
    if (slot == nullptr) return false;
    if (MyProc->syncRepState != SYNC_REP_WAITING) {
        // Nobody repeats the end of a session to a server that is being stopped.
        if (!is_cancel) return false;
        std::uint32_t nothing = static_cast<std::uint32_t>(Asked::kNothing);
        (void)pg_atomic_compare_exchange_u32(&slot->asked, &nothing,
                                             static_cast<std::uint32_t>(Asked::kEarly));
        pg_atomic_write_u32(&shared->asked_early, 1);
        WakeWorker();
        return true;
    }
    const std::uint32_t left = static_cast<std::uint32_t>(Asked::kClientLeft);
    if (pg_atomic_exchange_u32(&slot->asked, left) == left) return true;
    (void)pg_atomic_fetch_add_u32(&shared->waits_without_client, 1);
    NoteLeft(MyProc->waitLSN);
    // Its connection is ended, as it is when the wait has come to an end.
    if (MyProcPort != nullptr) (void)::shutdown(MyProcPort->sock, SHUT_RDWR);
    WakeWorker();
    return true;
}

void OnCancel(SIGNAL_ARGS) {
    const int saved = errno;
    if (KeepsWaitingUnsafe(true)) {
        cancel_is_due = 1;
    } else {
        StatementCancelHandler(postgres_signal_arg);
    }
    errno = saved;
}

void OnTerminate(SIGNAL_ARGS) {
    const int saved = errno;
    if (KeepsWaitingUnsafe(false)) {
        terminate_is_due = 1;
    } else {
        die(postgres_signal_arg);
    }
    errno = saved;
}

/// Whoever would wait behind many that wait in vain is told so, and holds no connection.
void RefuseManyWaitsUnsafe() {
    if (!may_wait || !SyncRepRequested() || !SyncStandbysDefined()) return;
    const std::uint32_t waits = pg_atomic_read_u32(&shared->waits_without_client);
    if (waits < worker::MostWaitsLeft(MaxConnections)) return;
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_RESOURCES),
                    errmsg("cannot commit: no synchronous standby confirms commits at present"),
                    errdetail("%u commits whose clients have left wait for it already.", waits),
                    errhint("pg_autoctl show state tells which standbys are missing.")));
}

XLogRecPtr FlushedUpTo() {
    TimeLineID timeline = 0;
    return pg::FlushPosition(&timeline);
}

/// This commit should have been confirmed by synchronous standbys and was not: its wait was
/// cancelled. SyncRepWaitMode is static in the server, so it is computed again here.
bool SyncWaitWasCancelled(bool is_prepare, core::Lsn *its_end) {
    const bool is_defined =
        SyncStandbysDefined() || pg_atomic_read_u32(&shared->sync_is_required) != 0;
    if (!may_wait || !SyncRepRequested() || !is_defined) return false;
    int mode = SYNC_REP_WAIT_FLUSH;
    if (synchronous_commit == SYNCHRONOUS_COMMIT_REMOTE_WRITE) mode = SYNC_REP_WAIT_WRITE;
    if (synchronous_commit == SYNCHRONOUS_COMMIT_REMOTE_APPLY && !is_prepare) {
        mode = SYNC_REP_WAIT_APPLY;
    }
    const XLogRecPtr confirmed = *const_cast<volatile XLogRecPtr *>(&WalSndCtl->lsn[mode]);
    core::Lsn end{XactLastCommitEnd};
    // PREPARE has forgotten where its record ends; where it begins is still known.
    if (is_prepare)
        end = confirmed > ProcLastRecPtr ? ReadEndOfRecord(ProcLastRecPtr) : core::Lsn{};
    // The end of all that is flushed is not before that of a record which cannot be read.
    *its_end = end.IsValid() ? end : core::Lsn{FlushedUpTo()};
    return worker::WasCancelled({.was_due = true, .confirmed = {confirmed}, .end = end});
}

/// Calls fn(pid, whether it waits for synchronous standbys, slot) for each backend that commits.
template <typename Fn>
void ForEachCommitting(Fn fn) {
    const int limit = static_cast<int>(ProcGlobal->allProcCount);
    for (int i = 0; i < limit && i < shared->slot_count; ++i) {
        const volatile PGPROC &proc = ProcGlobal->allProcs[i];
        CommitSlot &slot = shared->slots[i];
        const int pid = proc.pid;
        if (pid == 0 || pg_atomic_read_u32(&slot.committing) == 0) continue;
        fn(pid, proc.syncRepState == SYNC_REP_WAITING, slot);
    }
}

void DetachWorker(int, Datum) { pg_atomic_write_u32(&shared->worker_proc, kNoWorker); }

int RunningServerVersion() {
    const char *const text = GetConfigOption("server_version_num", true, false);
    return text == nullptr ? PG_VERSION_NUM : atoi(text);
}

}  // namespace

void RequestSharedMemory() { RequestAddinShmemSpace(SharedSize()); }

void CreateSharedMemory() {
    bool found = false;
    LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
    void *const raw = ShmemInitStruct("pgautofailover_keeper gate", SharedSize(), &found);
    shared = reinterpret_cast<Shared *>(TYPEALIGN(64, raw));
    if (!found) {
        pg_atomic_init_u32(&shared->fence, static_cast<std::uint32_t>(Fence::kClosed));
        pg_atomic_init_u64(&shared->deadline_ns, 0);
        pg_atomic_init_u32(&shared->worker_proc, kNoWorker);
        pg_atomic_init_u32(&shared->checkpoints_done, 0);
        pg_atomic_init_u32(&shared->sync_is_required, 0);
        pg_atomic_init_u32(&shared->admits_standbys, 0);
        pg_atomic_init_u32(&shared->waits_without_client, 0);
        pg_atomic_init_u32(&shared->asked_early, 0);
        pg_atomic_init_u64(&shared->left_count, 0);
        pg_atomic_init_u64(&shared->left_end, 0);
        pg_atomic_init_u64(&shared->shown_end, 0);
        shared->slot_count = pg::ProcIndexLimit();
        shared->sync_status_is_bits = pg::SyncStatusIsBits(RunningServerVersion());
        for (int i = 0; i < shared->slot_count; ++i) {
            pg_atomic_init_u32(&shared->slots[i].committing, 0);
            pg_atomic_init_u32(&shared->slots[i].asked, 0);
        }
    }
    LWLockRelease(AddinShmemInitLock);
#ifdef PGAF_BENCH_ALTERNATE_GATE
    bench_gate::Attach(&shared->bench_is_off);
#endif
}

bool IsAttached() { return shared != nullptr; }

bool IsOpen() { return worker::MayEnter(Look()); }

bool AdmitsStandbys() { return pg_atomic_read_u32(&shared->admits_standbys) != 0; }

void EnterUnsafe(Kind kind) {
    if (entered) return;
    // A transaction with an id that wrote nothing (temporary tables, txid_current) commits
    // asynchronously.
    may_wait = kind == Kind::kPrepared || XactLastRecEnd != InvalidXLogRecPtr;
    CommitSlot *const slot = MySlot();
    if (slot == nullptr) RefuseUnsafe();
    RefuseManyWaitsUnsafe();
    entered = true;
    // Store, full barrier, load: either the fencing worker sees the slot, or we see its fence.
    (void)pg_atomic_exchange_u32(&slot->committing, 1);
    // A cancel from before is carried out here, and not in the wait for standbys.
    CHECK_FOR_INTERRUPTS();
    if (IsOpen()) return;
    ClearSlot();
    RefuseUnsafe();
}

void LeaveCommitted(bool is_prepare) {
    if (!entered) return;
    CommitSlot *const slot = MySlot();
    const bool client_left =
        pg_atomic_read_u32(&slot->asked) == static_cast<std::uint32_t>(Asked::kClientLeft);
    core::Lsn end;
    const bool is_unconfirmed = SyncWaitWasCancelled(is_prepare, &end);
    if (is_unconfirmed) {
        if (!client_left) NoteLeft(end.value);
        Raise(&shared->shown_end, end.value);
        WakeWorker();
    }
    if (!worker::MayAnswer(Look()) || is_unconfirmed || client_left) {
        // The transaction is committed here and an ERROR would be a PANIC. Saying nothing and
        // ending the session is the only correct answer; SyncRepWaitForLSN does the same when it is
        // terminated.
        whereToSendOutput = DestNone;
        ProcDiePending = true;
        InterruptPending = true;
    }
    ClearSlot();
}

void LeaveAborted() {
    if (entered) ClearSlot();
}

void WatchCancels() {
    pqsignal(SIGINT, OnCancel);
    pqsignal(SIGTERM, OnTerminate);
}

void WakeWorker() {
    const std::uint32_t index = pg_atomic_read_u32(&shared->worker_proc);
    if (index < ProcGlobal->allProcCount) SetLatch(&ProcGlobal->allProcs[index].procLatch);
}

void AttachWorker() {
    on_shmem_exit(DetachWorker, 0);
    pg_atomic_write_u32(&shared->worker_proc, static_cast<std::uint32_t>(pg::MyProcIndex()));
}

core::BootTime SharedGate::Deadline() const {
    return {static_cast<std::int64_t>(pg_atomic_read_u64(&shared->deadline_ns))};
}

void SharedGate::SetDeadline(core::BootTime deadline) {
    pg_atomic_write_u64(&shared->deadline_ns, static_cast<std::uint64_t>(deadline.ns));
    pg_memory_barrier();
}

Fence CurrentFence() { return static_cast<Fence>(pg_atomic_read_u32(&shared->fence)); }

void SharedGate::SetFence(Fence fence) {
    (void)pg_atomic_exchange_u32(&shared->fence, static_cast<std::uint32_t>(fence));
}

int SharedGate::CommittingCount() {
    pg_memory_barrier();
    int count = 0;
    for (int i = 0; i < shared->slot_count; ++i) {
        if (pg_atomic_read_u32(&shared->slots[i].committing) != 0) ++count;
    }
    return count;
}

void SharedGate::TerminateSyncWaiters() {
    ForEachCommitting([](int pid, bool waits, const CommitSlot &) {
        if (waits) (void)kill(pid, SIGTERM);
    });
}

void SharedGate::RepeatCancels() {
    if (pg_atomic_exchange_u32(&shared->asked_early, 0) == 0) return;
    ForEachCommitting([](int pid, bool waits, CommitSlot &slot) {
        constexpr auto kEarly = static_cast<std::uint32_t>(Asked::kEarly);
        if (pg_atomic_read_u32(&slot.asked) != kEarly) return;
        if (waits) {
            (void)kill(pid, SIGINT);
        } else {
            pg_atomic_write_u32(&shared->asked_early, 1);
        }
    });
}

worker::WaitsLeft SharedGate::LeftWaiting() const {
    return {.count = pg_atomic_read_u64(&shared->left_count),
            .end = {pg_atomic_read_u64(&shared->left_end)},
            .shown_end = {pg_atomic_read_u64(&shared->shown_end)}};
}

void CloseForEver() {
    SharedGate gate;
    gate.SetFence(Fence::kClosed);
    gate.TerminateSyncWaiters();
}

void SharedGate::RequireSync(bool is_required) {
    pg_atomic_write_u32(&shared->sync_is_required, is_required ? 1 : 0);
    pg_memory_barrier();
}

void SharedGate::AdmitStandbys() { pg_atomic_write_u32(&shared->admits_standbys, 1); }

std::uint32_t SharedGate::CheckpointsDone() const {
    return pg_atomic_read_u32(&shared->checkpoints_done);
}
void CountCheckpoint() { (void)pg_atomic_fetch_add_u32(&shared->checkpoints_done, 1); }

bool SyncStandbysDefined() {
    // INIT is bit 0, DEFINED bit 1; the older form is a plain flag.
    return (pg::SyncStatusByte() & (shared->sync_status_is_bits ? 2U : 1U)) != 0;
}

}  // namespace pgaf::gate
