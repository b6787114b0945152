#include "headers.hpp"

#include "server.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "gate.hpp"
#include "module.hpp"
#include "pg/guard.hpp"
#include "receiver_bar.hpp"

namespace pgaf::keeper {
namespace {

void Terminate(int pid) {
    if (pid > 0) (void)kill(pid, SIGTERM);
}

bool IsWalSender(int pid) {
    for (int i = 0; i < max_wal_senders; ++i) {
        if (*const_cast<volatile pid_t *>(&WalSndCtl->walsnds[i].pid) == pid) return true;
    }
    return false;
}

/// Calls `visit` with every process that is connected to a database; returns their number.
template <typename Visit>
int ForEachSession(Visit visit) {
    int count = 0;
    const auto limit = static_cast<std::uint32_t>(ProcGlobal->allProcCount);
    for (std::uint32_t i = 0; i < limit; ++i) {
        const volatile PGPROC *const proc = &ProcGlobal->allProcs[i];
        const int pid = proc->pid;
        if (pid == 0 || pid == MyProcPid || !OidIsValid(proc->databaseId) || IsWalSender(pid))
            continue;
        if (BackendPidGetProc(pid) != proc) continue;  // ended: the structure keeps the old pid
        visit(proc);
        ++count;
    }
    return count;
}

/// The insert position after a page switch already counts the header of the next page, which no
/// record has filled: what can be flushed ends before it.
XLogRecPtr WithoutPageHeader(XLogRecPtr position) {
    if (XLogSegmentOffset(position, wal_segment_size) == SizeOfXLogLongPHD) {
        return position - SizeOfXLogLongPHD;
    }
    if (position % XLOG_BLCKSZ == SizeOfXLogShortPHD) return position - SizeOfXLogShortPHD;
    return position;
}

XLogRecPtr FlushEverythingUnsafe() {
    const XLogRecPtr end = WithoutPageHeader(GetXLogInsertRecPtr());
    XLogFlush(end);
    return end;
}

XLogRecPtr WriteMarkerUnsafe() {
    char text[8] = "pgaf";
    XLogBeginInsert();
    XLogRegisterData(text, sizeof text);
    XLogSetRecordFlags(XLOG_MARK_UNIMPORTANT);
    const XLogRecPtr end = XLogInsert(RM_XLOG_ID, XLOG_NOOP);
    XLogSetAsyncXactLSN(end);
    pg::WakeWalWriter();
    return end;
}

void CreateSlotUnsafe(const char *name) {
    pg::CreateSlotUnsafe(name);
    ReplicationSlotReserveWal();
    ReplicationSlotMarkDirty();
    ReplicationSlotSave();
    ReplicationSlotRelease();
}

void AdvanceSlotUnsafe(const char *name, XLogRecPtr to) {
    pg::AcquireSlotUnsafe(name);
    bool moved = false;
    SpinLockAcquire(&MyReplicationSlot->mutex);
    if (MyReplicationSlot->data.restart_lsn < to) {
        MyReplicationSlot->data.restart_lsn = to;
        moved = true;
    }
    SpinLockRelease(&MyReplicationSlot->mutex);
    if (moved) {
        ReplicationSlotMarkDirty();
        ReplicationSlotsComputeRequiredLSN();
    }
    ReplicationSlotRelease();
}

void ReleaseSlotXminUnsafe(const char *name) {
    pg::AcquireSlotUnsafe(name);
    SpinLockAcquire(&MyReplicationSlot->mutex);
    MyReplicationSlot->data.xmin = InvalidTransactionId;
    MyReplicationSlot->effective_xmin = InvalidTransactionId;
    SpinLockRelease(&MyReplicationSlot->mutex);
    ReplicationSlotMarkDirty();
    ReplicationSlotsComputeRequiredXmin(false);
    ReplicationSlotRelease();
}

bool StartCheckpointProcessUnsafe() {
    BackgroundWorker worker;
    memset(&worker, 0, sizeof worker);
    worker.bgw_flags = BGWORKER_SHMEM_ACCESS;
    worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
    worker.bgw_restart_time = BGW_NEVER_RESTART;
    worker.bgw_notify_pid = MyProcPid;
    strlcpy(worker.bgw_library_name, kLibraryName, sizeof worker.bgw_library_name);
    strlcpy(worker.bgw_function_name, "pgautofailover_keeper_checkpoint",
            sizeof worker.bgw_function_name);
    strlcpy(worker.bgw_name, "pgautofailover checkpoint", sizeof worker.bgw_name);
    strlcpy(worker.bgw_type, "pgautofailover checkpoint", sizeof worker.bgw_type);
    return RegisterDynamicBackgroundWorker(&worker, nullptr);
}

}  // namespace

std::string PgServer::Version() const { return PG_VERSION; }

void PgServer::Reload() { (void)kill(PostmasterPid, SIGHUP); }

void PgServer::StopImmediately() { (void)kill(PostmasterPid, SIGQUIT); }

void PgServer::StopOrderly() { (void)kill(PostmasterPid, SIGINT); }

void PgServer::BarReceiver() { receiver_bar::Lower(); }

void PgServer::AdmitReceiver() { receiver_bar::Lift(); }

void PgServer::RequestPromotion() {
    const int fd = ::open(PROMOTE_SIGNAL_FILE, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        throw pg::PgError(ERRCODE_IO_ERROR, "could not create file \"" PROMOTE_SIGNAL_FILE "\"");
    }
    (void)::close(fd);
    (void)kill(PostmasterPid, SIGUSR1);
}

namespace {

/// Who has too many open subtransactions to tell lets nobody in, and is consistent all the same.
bool IsConsistentUnsafe() {
    if (!RecoveryInProgress() || HotStandbyActive()) return true;
    bool is_whole = false;
    ControlFileData *const control = get_controlfile(DataDir, &is_whole);
    const XLogRecPtr wanted = control->minRecoveryPoint;
    const bool is_copying = control->backupStartPoint != InvalidXLogRecPtr ||
                            control->backupEndPoint != InvalidXLogRecPtr ||
                            control->backupEndRequired;
    pfree(control);
    return is_whole && !is_copying && wanted != InvalidXLogRecPtr &&
           GetXLogReplayRecPtr(nullptr) >= wanted;
}

}  // namespace

bool PgServer::IsConsistent() { return pg::CallPg(IsConsistentUnsafe); }

void PgServer::RequestImmediateCheckpoint() {
    pg::CallPg([] { RequestCheckpoint(CHECKPOINT_IMMEDIATE | CHECKPOINT_FORCE); });
}

bool PgServer::StartCheckpointProcess() {
    return pg::CallPg([] { return StartCheckpointProcessUnsafe(); });
}

void PgServer::TerminateSessions() {
    pg::CallPg(
        [] { (void)ForEachSession([](const volatile PGPROC *proc) { Terminate(proc->pid); }); });
}

void PgServer::TerminateClients() {
    pg::CallPg([] {
        (void)ForEachSession([](const volatile PGPROC *proc) {
            if (!pg::IsBackgroundWorker(proc)) Terminate(proc->pid);
        });
    });
}

int PgServer::CountSessions() {
    return pg::CallPg([] { return ForEachSession([](const volatile PGPROC *) {}); });
}

core::Lsn PgServer::FlushEverything() {
    return {pg::CallPg([] { return FlushEverythingUnsafe(); })};
}

void PgServer::AskSenderToFinish(int pid) { (void)kill(pid, SIGUSR2); }

void PgServer::EndSender(int pid) { Terminate(pid); }

void PgServer::LetSenderCount(int pid) { (void)kill(pid, SIGHUP); }

core::Lsn PgServer::WriteMarker() {
    return {pg::CallPg([] { return WriteMarkerUnsafe(); })};
}

void PgServer::Archive(const std::string &name) {
    const char *const file = name.c_str();
    pg::CallPg([file] {
        // As the server does for a history file that it writes itself: in recovery a standby
        // archives only with "always".
        if (XLogArchivingActive()) XLogArchiveNotify(file);
    });
}

void PgServer::CreateSlot(const std::string &name) {
    const char *const text = name.c_str();
    pg::CallPg([text] { CreateSlotUnsafe(text); });
}

void PgServer::AdvanceSlot(const std::string &name, core::Lsn to) {
    const char *const text = name.c_str();
    const XLogRecPtr position = to.value;
    pg::CallPg([text, position] { AdvanceSlotUnsafe(text, position); });
}

void PgServer::ReleaseSlotXmin(const std::string &name) {
    const char *const text = name.c_str();
    pg::CallPg([text] { ReleaseSlotXminUnsafe(text); });
}

void PgServer::DropSlot(const std::string &name) {
    const char *const text = name.c_str();
    pg::CallPg([text] { ReplicationSlotDrop(text, true); });
}

std::string PgServer::HbaFile() { return HbaFileName == nullptr ? "" : HbaFileName; }

void PgServer::CleanUpAfterError() {
    pg::CallPg([] {
        LWLockReleaseAll();
        (void)ConditionVariableCancelSleep();
        if (MyReplicationSlot != nullptr) ReplicationSlotRelease();
        XLogResetInsertion();
    });
}

void PgLog::Line(const std::string &text) {
    const char *const line = text.c_str();
    pg::CallPg([line] { ereport(LOG, (errmsg_internal("%s", line))); });
}

void PgLog::Warning(const std::string &text) {
    const char *const line = text.c_str();
    pg::CallPg([line] { ereport(WARNING, (errmsg_internal("%s", line))); });
}

}  // namespace pgaf::keeper
