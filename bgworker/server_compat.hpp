#pragma once

/// Differences between the supported server versions (14 to 18) in what only the keeper uses.
/// Include only through headers.hpp.
namespace pgaf::pg {

inline int MyProcIndex() {
#if PG_VERSION_NUM >= 170000
    return MyProcNumber;
#else
    return MyProc->pgprocno;
#endif
}

/// Upper bound of the indexes that MyProcIndex returns.
inline int ProcIndexLimit() {
#if PG_VERSION_NUM >= 150000
    return MaxBackends + NUM_AUXILIARY_PROCS + max_prepared_xacts;
#else
    // Before 15 MaxBackends is not yet known when libraries are loaded.
    return MaxConnections + autovacuum_max_workers + 1 + max_worker_processes + max_wal_senders +
           NUM_AUXILIARY_PROCS + max_prepared_xacts;
#endif
}

inline bool IsBackgroundWorker(const volatile PGPROC *proc) {
#if PG_VERSION_NUM >= 180000
    return !proc->isRegularBackend;
#else
    return proc->isBackgroundWorker;
#endif
}

inline XLogRecPtr FlushPosition(TimeLineID *timeline) {
#if PG_VERSION_NUM >= 150000
    return GetFlushRecPtr(timeline);
#else
    *timeline = ThisTimeLineID;
    return GetFlushRecPtr();
#endif
}

/// Raises. Takes a slot that nobody uses.
inline void AcquireSlotUnsafe(const char *name) {
#if PG_VERSION_NUM >= 180000
    ReplicationSlotAcquire(name, true, false);
#else
    ReplicationSlotAcquire(name, true);
#endif
}

/// Raises. Leaves the new slot acquired.
inline void CreateSlotUnsafe(const char *name) {
#if PG_VERSION_NUM >= 170000
    ReplicationSlotCreate(name, false, RS_PERSISTENT, false, false, false);
#else
    ReplicationSlotCreate(name, false, RS_PERSISTENT, false);
#endif
}

inline void WakeWalWriter() {
#if PG_VERSION_NUM >= 180000
    const int writer = pg_atomic_read_u32(&ProcGlobal->walwriterProc);
    if (writer != INVALID_PROC_NUMBER) SetLatch(&GetPGProcByNumber(writer)->procLatch);
#elif PG_VERSION_NUM >= 170000
    const int writer = ProcGlobal->walwriterProc;
    if (writer != INVALID_PROC_NUMBER) SetLatch(&GetPGProcByNumber(writer)->procLatch);
#else
    Latch *const latch = ProcGlobal->walwriterLatch;
    if (latch != nullptr) SetLatch(latch);
#endif
}

/// Minor releases of May 2025 turned the flag into bits; a module may run under an older server
/// than it was compiled for, or a newer one. `server` is the running server's server_version_num.
inline bool SyncStatusIsBits(int server) {
    switch (server / 10000) {
        case 14:
            return server >= 140018;
        case 15:
            return server >= 150013;
        case 16:
            return server >= 160009;
        case 17:
            return server >= 170005;
        default:
            return true;
    }
}

inline unsigned SyncStatusByte() {
#ifdef SYNC_STANDBY_INIT
    return *static_cast<volatile bits8 *>(&WalSndCtl->sync_standbys_status);
#else
    return *reinterpret_cast<volatile unsigned char *>(&WalSndCtl->sync_standbys_defined);
#endif
}

}  // namespace pgaf::pg
