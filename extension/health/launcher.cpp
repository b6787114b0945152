#include "pg/headers.hpp"

#include "health/launcher.hpp"

#include "drops.hpp"
#include "facts/node_facts.hpp"
#include "facts/workers.hpp"
#include "health/watchdog.hpp"
#include "pg/clock.hpp"
#include "pg/guard.hpp"
#include "pg/own_roles.hpp"

#include <algorithm>
#include <csignal>
#include <vector>

extern "C" {
#include <access/heapam.h>
#include <access/table.h>
#include <access/tableam.h>
#include <nodes/parsenodes.h>
#include <utils/acl.h>
#include <utils/rel.h>

PGDLLEXPORT void pgautofailover_launcher_main(Datum argument);
}

namespace pgaf::health {
namespace {

using core::Milliseconds;

constexpr Milliseconds kRetry{1'000};
/// With nothing to do the launcher looks for new databases that often.
constexpr Milliseconds kIdle{60'000};

ProcessUtility_hook_type previous_process_utility = nullptr;

/// Databases that accept connections. In its own transaction.
int ListDatabasesUnsafe(Oid *databases, int capacity) {
    int count = 0;
    SetCurrentStatementStartTimestamp();
    StartTransactionCommand();
    (void)GetTransactionSnapshot();
    Relation const relation = table_open(DatabaseRelationId, AccessShareLock);
    TableScanDesc const scan = table_beginscan_catalog(relation, 0, nullptr);
    HeapTuple tuple = nullptr;
    while (count < capacity && (tuple = heap_getnext(scan, ForwardScanDirection)) != nullptr) {
        const auto *const form = reinterpret_cast<Form_pg_database>(GETSTRUCT(tuple));
        if (form->datallowconn && !form->datistemplate) databases[count++] = form->oid;
    }
    table_endscan(scan);
    table_close(relation, AccessShareLock);
    CommitTransactionCommand();
    return count;
}

std::vector<Oid> ListDatabases() {
    static Oid found[facts::kWorkersMax * 4];
    const int count = pg::CallPg([] { return ListDatabasesUnsafe(found, lengthof(found)); });
    return {found, found + count};
}

bool StartWorkerUnsafe(Oid database) {
    BackgroundWorker worker;
    memset(&worker, 0, sizeof worker);
    worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
    worker.bgw_restart_time = BGW_NEVER_RESTART;  // the launcher does it
    worker.bgw_main_arg = ObjectIdGetDatum(database);
    worker.bgw_notify_pid = MyProcPid;
    strlcpy(worker.bgw_library_name, "pgautofailover", sizeof worker.bgw_library_name);
    strlcpy(worker.bgw_function_name, "pgautofailover_worker_main",
            sizeof worker.bgw_function_name);
    (void)pg_snprintf(worker.bgw_name, sizeof worker.bgw_name, "pgautofailover worker %u",
                      database);
    strlcpy(worker.bgw_type, "pgautofailover worker", sizeof worker.bgw_type);
    return RegisterDynamicBackgroundWorker(&worker, nullptr);
}

/// Starts what is wanted; what cannot be started now is tried again.
void StartWanted() {
    const core::BootTime now = pg::BootNow();
    const std::vector<Oid> wanted = facts::TakeWanted(now);
    if (wanted.empty()) return;
    const std::vector<Oid> existing = ListDatabases();
    for (const Oid database : wanted) {
        if (std::find(existing.begin(), existing.end(), database) == existing.end()) {
            pg::CallPg([=] { (void)facts::DropWorkerUnsafe(database); });
            continue;
        }
        const bool is_started = pg::CallPg([=] { return StartWorkerUnsafe(database); });
        if (is_started) continue;
        (void)facts::Want(database, now + kRetry);
        pg::CallPg([] {
            ereport(LOG, (errcode(ERRCODE_INSUFFICIENT_RESOURCES),
                          errmsg("could not start a worker of the monitor, retrying in 1 s"),
                          errhint("Raise max_worker_processes.")));
        });
    }
}

long WaitTime() {
    const std::int64_t next = facts::NextWanted();
    const Milliseconds most = std::min(kIdle, LookAtTransactionsAfter());
    if (next == facts::kNever) return most.count();
    const Milliseconds left = core::BootTime{next} - pg::BootNow();
    return std::clamp(left + Milliseconds{1}, Milliseconds{1}, most).count();
}

void WantAllDatabases() {
    for (const Oid database : ListDatabases())
        (void)facts::Want(database, core::BootTime{0});
}

/// The worker's connection would make DROP DATABASE fail: end it first. Returns the database.
Oid EndWorkerOfUnsafe(const DropdbStmt *statement) {
    Oid const database = get_database_oid(statement->dbname, true);
    if (!OidIsValid(database) || database == MyDatabaseId) return InvalidOid;
        // DROP DATABASE itself checks the right to do so; until then nothing may happen.
#if PG_VERSION_NUM >= 160000
    if (!object_ownercheck(DatabaseRelationId, database, GetUserId())) return InvalidOid;
#else
    if (!pg_database_ownercheck(database, GetUserId())) return InvalidOid;
#endif
    // dropdb() itself waits up to 5 s for other sessions to end; a worker ends within milliseconds.
    int const pid = facts::DropWorkerUnsafe(database);
    if (pid != 0) (void)kill(pid, SIGTERM);
    return database;
}

void ProcessUtilityHook(PlannedStmt *statement, const char *query, bool read_only_tree,
                        ProcessUtilityContext context, ParamListInfo params,
                        QueryEnvironment *environment, DestReceiver *destination,
                        QueryCompletion *completion) {
    Oid dropped = InvalidOid;
    pg::RefuseChangeOfOwnRoleUnsafe(statement->utilityStmt);
    drops::RefuseUnsafe(statement->utilityStmt);
    if (IsA(statement->utilityStmt, DropdbStmt)) {
        dropped = EndWorkerOfUnsafe(reinterpret_cast<DropdbStmt *>(statement->utilityStmt));
    }
    ProcessUtility_hook_type const next =
        previous_process_utility != nullptr ? previous_process_utility : standard_ProcessUtility;
    next(statement, query, read_only_tree, context, params, environment, destination, completion);
    // Only now: had it failed, the grants that are on record would still be in use.
    if (OidIsValid(dropped)) facts::ForgetDatabaseUnsafe(dropped, core::kForever);
}

}  // namespace

void InstallUnsafe() {
    previous_process_utility = ProcessUtility_hook;
    ProcessUtility_hook = ProcessUtilityHook;

    BackgroundWorker launcher;
    memset(&launcher, 0, sizeof launcher);
    launcher.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    launcher.bgw_start_time = BgWorkerStart_RecoveryFinished;
    launcher.bgw_restart_time = 1;
    strlcpy(launcher.bgw_library_name, "pgautofailover", sizeof launcher.bgw_library_name);
    strlcpy(launcher.bgw_function_name, "pgautofailover_launcher_main",
            sizeof launcher.bgw_function_name);
    strlcpy(launcher.bgw_name, "pgautofailover launcher", sizeof launcher.bgw_name);
    strlcpy(launcher.bgw_type, "pgautofailover launcher", sizeof launcher.bgw_type);
    RegisterBackgroundWorker(&launcher);
}

}  // namespace pgaf::health

static void ForgetLauncherLatch(int, Datum) { pgaf::facts::SetLauncherLatchUnsafe(nullptr); }

void pgautofailover_launcher_main(Datum) {
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    pqsignal(SIGTERM, die);
    BackgroundWorkerUnblockSignals();
    BackgroundWorkerInitializeConnection(nullptr, nullptr, 0);
    pgstat_report_appname("pgautofailover launcher");
    pgaf::facts::SetLauncherLatchUnsafe(MyLatch);
    before_shmem_exit(ForgetLauncherLatch, 0);
    MemoryContext const context =
        AllocSetContextCreate(TopMemoryContext, "launcher round", ALLOCSET_DEFAULT_SIZES);
    MemoryContextSwitchTo(context);
    (void)pgaf::pg::RunIteration("listing the databases", [] { pgaf::health::WantAllDatabases(); });
    for (;;) {
        MemoryContextSwitchTo(context);
        (void)pgaf::pg::RunIteration("starting workers", [] { pgaf::health::StartWanted(); });
        MemoryContextSwitchTo(context);
        (void)pgaf::pg::RunIteration("looking at transactions",
                                     [] { pgaf::health::EndLongTransactions(); });
        MemoryContextSwitchTo(context);
        MemoryContextReset(context);
        (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
                        pgaf::health::WaitTime(), PG_WAIT_EXTENSION);
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
        if (ConfigReloadPending) {
            ConfigReloadPending = false;
            ProcessConfigFile(PGC_SIGHUP);
        }
    }
}
