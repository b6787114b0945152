#include "health/watchdog.hpp"

#include "facts/workers.hpp"
#include "pg/guard.hpp"
#include "settings.hpp"

#include <algorithm>
#include <csignal>

namespace pgaf::health {
namespace {

constexpr core::Milliseconds kLookMost{1'000};
constexpr core::Milliseconds kLookLeast{100};

void EndIfTooLongUnsafe(const PgBackendStatus &session, int most_ms, TimestampTz now) {
    if (session.st_backendType != B_BACKEND || session.st_xact_start_timestamp == 0) return;
    if (!TimestampDifferenceExceeds(session.st_xact_start_timestamp, now, most_ms)) return;
    if (!facts::HasWorkerUnsafe(session.st_databaseid) || superuser_arg(session.st_userid)) return;
    if (BackendPidGetProc(session.st_procpid) == nullptr) return;
    ereport(LOG,
            (errcode(ERRCODE_IDLE_IN_TRANSACTION_SESSION_TIMEOUT),
             errmsg("ending process %d, whose transaction has lasted too long", session.st_procpid),
             errdetail("It may hold locks that reports of nodes need. Role: %s.",
                       GetUserNameFromId(session.st_userid, true)),
             errhint("The limit is pgautofailover.transaction_timeout, %d ms.", most_ms)));
    (void)kill(session.st_procpid, SIGTERM);
}

void LookUnsafe(int most_ms) {
    SetCurrentStatementStartTimestamp();
    StartTransactionCommand();
    (void)GetTransactionSnapshot();
    TimestampTz const now = GetCurrentTimestamp();
    int const count = pgstat_fetch_stat_numbackends();
    for (int i = 1; i <= count; ++i)
        EndIfTooLongUnsafe(pg::SessionUnsafe(i)->backendStatus, most_ms, now);
    CommitTransactionCommand();
    pgstat_clear_backend_activity_snapshot();
}

}  // namespace

void EndLongTransactions() {
    const auto most_ms = static_cast<int>(settings::TransactionTimeout().count());
    if (most_ms > 0) pg::CallPg([=] { LookUnsafe(most_ms); });
}

core::Milliseconds LookAtTransactionsAfter() {
    const core::Milliseconds most = settings::TransactionTimeout();
    if (most <= core::Milliseconds{0}) return core::Milliseconds{60'000};
    return std::clamp(most / 4, kLookLeast, kLookMost);
}

}  // namespace pgaf::health
