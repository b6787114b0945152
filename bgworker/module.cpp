#include "headers.hpp"

#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstdio>

#include "bench_gate.hpp"
#include "damage.hpp"
#include "gate.hpp"
#include "marks.hpp"
#include "module.hpp"
#include "pg/own_roles.hpp"
#include "pgaf/core/pg_files.hpp"
#include "receiver_bar.hpp"

extern "C" {
PG_MODULE_MAGIC;
}

/// Hooks run in every backend: plain C-like code that holds no destructor and throws nothing.
namespace pgaf::keeper {

char *directory_setting = nullptr;

namespace {

#if PG_VERSION_NUM >= 150000
shmem_request_hook_type previous_shmem_request = nullptr;
#endif
shmem_startup_hook_type previous_shmem_startup = nullptr;
ProcessUtility_hook_type previous_process_utility = nullptr;
ExecutorStart_hook_type previous_executor_start = nullptr;
ClientAuthentication_hook_type previous_authentication = nullptr;

bool end_is_watched = false;  // this process wakes the worker when it has ended
/// A superuser on the local socket may look around on a fenced node, and pg_rewind of a member may
/// read its files, as a base backup may.
bool session_is_exempt = false;

/// Runs when the process has left the server's shared structures: who looks then does not find it
/// there.
void OnProcessEnd(int, Datum) {
    if (am_walsender || gate::CurrentFence() != gate::Fence::kOpen) gate::WakeWorker();
}

void WatchEndUnsafe() {
    if (end_is_watched) return;
    end_is_watched = true;
    on_proc_exit(OnProcessEnd, 0);
}

void OnTransactionEvent(XactEvent event, void *) {
    switch (event) {
        case XACT_EVENT_PRE_COMMIT:
            // Whoever connects to a database commits a transaction first, autovacuum and workers
            // too.
            WatchEndUnsafe();
            if (bench_gate::IsOff()) break;
            // Without a transaction id there is nothing to make durable.
            if (TransactionIdIsValid(GetTopTransactionIdIfAny())) {
                gate::EnterUnsafe(gate::Kind::kCommit);
            }
            break;
        case XACT_EVENT_PRE_PREPARE:
            gate::EnterUnsafe(gate::Kind::kPrepared);
            break;
        case XACT_EVENT_COMMIT:
            gate::LeaveCommitted(false);
            break;
        case XACT_EVENT_PREPARE:
            gate::LeaveCommitted(true);
            break;
        case XACT_EVENT_ABORT:
            gate::LeaveAborted();
            break;
        default:
            break;  // parallel workers commit nothing themselves
    }
}

bool IsFencedPrimary() { return !gate::IsOpen() && !RecoveryInProgress(); }

/// What the keeper decides while the server runs, ALTER SYSTEM would override for good. RESET is
/// the way out of a value that is there already.
void RefuseOwnedSettingUnsafe(const VariableSetStmt *set) {
    const bool sets = set->kind == VAR_SET_VALUE || set->kind == VAR_SET_CURRENT;
    if (!sets || set->name == nullptr || !core::IsOwnedSetting(set->name)) return;
    const bool is_set_of_standbys = pg_strcasecmp(set->name, "synchronous_standby_names") == 0;
    ereport(ERROR,
            (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
             errmsg("cannot set \"%s\" by ALTER SYSTEM", set->name),
             errdetail("This node belongs to a group of pg_auto_failover, which decides it."),
             is_set_of_standbys
                 ? errhint("Use pg_autoctl set formation number-sync-standbys, or pg_autoctl set "
                           "node replication-quorum.")
                 : errhint("Whom a standby follows is decided by the monitor: pg_autoctl show "
                           "state.")));
}

/// Standbys would lose their stream, and the monitor its health check.
void RefuseDropOfOwnRoleUnsafe(Node *statement) {
    const char *const role = pg::DroppedOwnRoleUnsafe(statement);
    if (role == nullptr) return;
    ereport(ERROR,
            (errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
             errmsg("cannot drop role \"%s\", or what it may do", role),
             errdetail("This node belongs to a group of pg_auto_failover, which needs it."),
             errhint("When all nodes have left (pg_autoctl drop node), PostgreSQL runs without "
                     "pg_auto_failover, and the role can be dropped.")));
}

void OnUtility(PlannedStmt *statement, const char *text, bool read_only_tree,
               ProcessUtilityContext context, ParamListInfo parameters,
               QueryEnvironment *environment, DestReceiver *receiver, QueryCompletion *completion) {
    if (IsA(statement->utilityStmt, TransactionStmt)) {
        const auto *const node = reinterpret_cast<TransactionStmt *>(statement->utilityStmt);
        // Their WAL record is written inside the utility, not when its transaction commits.
        if ((node->kind == TRANS_STMT_COMMIT_PREPARED ||
             node->kind == TRANS_STMT_ROLLBACK_PREPARED) &&
            !RecoveryInProgress() && worker::EntersForPrepared(IsTransactionBlock())) {
            gate::EnterUnsafe(gate::Kind::kPrepared);
        }
    }
    pg::RefuseChangeOfOwnRoleUnsafe(statement->utilityStmt);
    RefuseDropOfOwnRoleUnsafe(statement->utilityStmt);
    if (IsA(statement->utilityStmt, AlterSystemStmt)) {
        RefuseOwnedSettingUnsafe(
            reinterpret_cast<AlterSystemStmt *>(statement->utilityStmt)->setstmt);
    }
    const ProcessUtility_hook_type next =
        previous_process_utility != nullptr ? previous_process_utility : standard_ProcessUtility;
    next(statement, text, read_only_tree, context, parameters, environment, receiver, completion);
}

void OnExecutorStart(QueryDesc *query, int flags) {
    if (MyBackendType == B_BACKEND && !session_is_exempt && !bench_gate::IsOff() &&
        IsFencedPrimary()) {
        ereport(ERROR, (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
                        errmsg("this node is fenced and does not run statements"),
                        errdetail("Its keeper holds no valid grant from the monitor."),
                        errhint("Connect to the current primary of the group.")));
    }
    if (previous_executor_start != nullptr) {
        previous_executor_start(query, flags);
    } else {
        standard_ExecutorStart(query, flags);
    }
}

bool IsLocalSuperuserUnsafe(const Port *port) {
    if (port->raddr.addr.ss_family != AF_UNIX) return false;
    const Oid role = get_role_oid(port->user_name, true);
    return OidIsValid(role) && superuser_arg(role);
}

void OnAuthentication(Port *port, int status) {
    if (previous_authentication != nullptr) previous_authentication(port, status);
    if (status != STATUS_OK) return;
    WatchEndUnsafe();
    if (am_walsender) {
        if (!RecoveryInProgress() && !gate::AdmitsStandbys()) {
            ereport(
                FATAL,
                (errcode(ERRCODE_CANNOT_CONNECT_NOW), errmsg("this node does not send WAL yet"),
                 errdetail("It has restarted as a primary, and its keeper has no grant from the "
                           "monitor yet: a standby may have more than it has.")));
        }
        marks::NoteSender();
        gate::WakeWorker();  // a peer appears
        return;
    }
    if (MyBackendType == B_BACKEND) gate::WatchCancels();
    const bool copies = strcmp(port->user_name, "pgautofailover_replicator") == 0;
    session_is_exempt = copies || IsLocalSuperuserUnsafe(port);
    // The monitor's probe may log in, to learn that the server lives; it cannot run statements.
    const bool is_probe = strcmp(port->user_name, "pgautofailover_monitor") == 0;
    if (session_is_exempt || is_probe || !IsFencedPrimary()) return;
    ereport(FATAL, (errcode(ERRCODE_CANNOT_CONNECT_NOW), errmsg("this node is fenced"),
                    errdetail("Its keeper holds no valid grant from the monitor."),
                    errhint("Connect to the current primary of the group.")));
}

#if PG_VERSION_NUM >= 150000
void OnShmemRequest() {
    if (previous_shmem_request != nullptr) previous_shmem_request();
    gate::RequestSharedMemory();
    marks::RequestSharedMemory();
    damage::RequestSharedMemory();
    receiver_bar::RequestSharedMemory();
}
#endif

void OnShmemStartup() {
    if (previous_shmem_startup != nullptr) previous_shmem_startup();
    gate::CreateSharedMemory();
    marks::CreateSharedMemory();
    damage::CreateSharedMemory();
    receiver_bar::CreateSharedMemory();
}

/// FATAL while the data directory is being cloned or rewound: whatever it holds must not be
/// started.
void RefuseUnsafeDataDirectory() {
    char path[MAXPGPATH];
    char why[128] = "";
    strlcpy(path, directory_setting, sizeof path);
    strlcat(path, "/unsafe", sizeof path);
    struct stat unused;
    if (stat(path, &unused) != 0 && errno == ENOENT) return;
    FILE *const file = fopen(path, "re");
    if (file != nullptr) {
        const std::size_t length = fread(why, 1, sizeof why - 1, file);
        why[length] = '\0';
        for (char *c = why; *c != '\0'; ++c) {
            if (*c == '\n' || *c == '\r') *c = ' ';
        }
        fclose(file);
    }
    ereport(FATAL, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("the data directory is incomplete and must not be started"),
                    errdetail("The mark \"%s\" exists: %s", path, why),
                    errhint("\"pg_autoctl run\" completes the copy and removes the mark.")));
}

void RegisterWorkerUnsafe(const char *function, const char *name, BgWorkerStartTime start,
                          int restart) {
    BackgroundWorker worker;
    memset(&worker, 0, sizeof worker);
    worker.bgw_flags = BGWORKER_SHMEM_ACCESS;
    worker.bgw_start_time = start;
    worker.bgw_restart_time = restart;
    strlcpy(worker.bgw_library_name, kLibraryName, sizeof worker.bgw_library_name);
    strlcpy(worker.bgw_function_name, function, sizeof worker.bgw_function_name);
    strlcpy(worker.bgw_name, name, sizeof worker.bgw_name);
    strlcpy(worker.bgw_type, name, sizeof worker.bgw_type);
    RegisterBackgroundWorker(&worker);
}

void InstallHooks() {
#if PG_VERSION_NUM >= 150000
    previous_shmem_request = shmem_request_hook;
    shmem_request_hook = OnShmemRequest;
#else
    gate::RequestSharedMemory();
    marks::RequestSharedMemory();
    damage::RequestSharedMemory();
    receiver_bar::RequestSharedMemory();
#endif
    previous_shmem_startup = shmem_startup_hook;
    shmem_startup_hook = OnShmemStartup;
    previous_process_utility = ProcessUtility_hook;
    ProcessUtility_hook = OnUtility;
    previous_executor_start = ExecutorStart_hook;
    ExecutorStart_hook = OnExecutorStart;
    previous_authentication = ClientAuthentication_hook;
    ClientAuthentication_hook = OnAuthentication;
    damage::InstallHook();
    receiver_bar::InstallUnsafe();
    RegisterXactCallback(OnTransactionEvent, nullptr);
}

}  // namespace
}  // namespace pgaf::keeper

void _PG_init(void) {
    using namespace pgaf::keeper;
    if (!process_shared_preload_libraries_in_progress) {
        ereport(ERROR,
                (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                 errmsg("pgautofailover_keeper must be loaded via shared_preload_libraries")));
    }
    DefineCustomStringVariable(
        "pgautofailover_keeper.directory",
        "Directory of the node's keeper, outside the data directory.",
        "Without it the node is not managed: no keeper runs, and the commit gate is open.",
        &directory_setting, "", PGC_POSTMASTER, GUC_SUPERUSER_ONLY, nullptr, nullptr, nullptr);
    pgaf::marks::DefineSettings();
#if PG_VERSION_NUM >= 150000
    MarkGUCPrefixReserved("pgautofailover_keeper");
#else
    EmitWarningsOnPlaceholders("pgautofailover_keeper");
#endif
    // initdb, single-user mode (pg_rewind uses it) and pg_upgrade work on data nobody else sees.
    if (!IsPostmasterEnvironment || IsBinaryUpgrade) return;
    if (directory_setting == nullptr || directory_setting[0] == '\0') return;
    RefuseUnsafeDataDirectory();
    InstallHooks();
    RegisterWorkerUnsafe("pgautofailover_keeper_main", "pgautofailover keeper",
                         BgWorkerStart_PostmasterStart, 1);
    RegisterWorkerUnsafe("pgautofailover_keeper_wake", "pgautofailover consistent",
                         BgWorkerStart_ConsistentState, BGW_NEVER_RESTART);
    RegisterWorkerUnsafe("pgautofailover_keeper_wake", "pgautofailover recovery end",
                         BgWorkerStart_RecoveryFinished, BGW_NEVER_RESTART);
}
