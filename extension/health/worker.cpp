#include "pg/headers.hpp"

#include "health/launcher.hpp"
#include "health/probe.hpp"

#include "facts/node_facts.hpp"
#include "facts/workers.hpp"
#include "group.hpp"
#include "pg/clock.hpp"
#include "pg/report.hpp"
#include "pgaf/core/probe_budget.hpp"
#include "settings.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

extern "C" {
#include <arpa/inet.h>

PGDLLEXPORT void pgautofailover_worker_main(Datum argument);
}

namespace pgaf::health {
namespace {

using core::BootTime;
using core::Milliseconds;
using core::NodeId;

constexpr std::size_t kProbesMax = 64;
/// A node whose session was lost is asked again and again until its fate is known: at first soon,
/// as processes that were killed may still hold their port, then this often.
constexpr Milliseconds kLostProbeFirst{20};
constexpr Milliseconds kLostProbePeriod{200};
/// Healthy nodes are probed this many times less often.
constexpr int kHealthyFactor = 5;
/// Without anything to do the worker looks around this often: the extension may be gone.
constexpr Milliseconds kIdle{3'000};
constexpr Milliseconds kRetry{1'000};
constexpr const char *kLockWait = "200ms";
/// Old events are looked for ten times within their retention, within these limits.
constexpr Milliseconds kPurgeMin{1'000};
constexpr Milliseconds kPurgeMax{3'600'000};
/// The row of a registration may not be visible yet; after this long there is none.
constexpr Milliseconds kOrphanAge{60'000};

pg::Statement select_groups{"SELECT DISTINCT formationid, groupid FROM pgautofailover.node"};

struct RunningProbe {
    Probe probe;
    BootTime started;
};

class Worker {
 public:
    /// One round: results of probes, groups that are due, new probes. False when the extension is
    /// gone.
    bool Round();
    /// Waits for the latch, a probe, or the next deadline.
    void Wait();
    /// Before this instant there was no extension; valid after Round() returned false.
    BootTime missing_since() const { return missing_since_; }

 private:
    bool LoadAll();
    void CheckExtension();
    void PurgeEvents();
    void TellEvents();
    void CollectProbes();
    void StartProbes(std::vector<facts::Summary> nodes, BootTime now);
    void LookAtDue(const std::vector<facts::Summary> &nodes, BootTime now);
    void LookAt(const facts::Summary &due);
    bool IsProbing(NodeId node) const;

    std::vector<RunningProbe> probes_;
    core::ProbeBudget budget_;
    BootTime next_;
    BootTime checked_;  ///< when the extension was last seen
    BootTime missing_since_;
    store::Teller teller_;
    BootTime purge_at_;  ///< when old events are looked for again
    bool loaded_ = false;
};

/// Holds the extension until the end of the transaction: DROP EXTENSION locks it first too, so that
/// it and the worker wait for each other here and never in a deadlock among the tables.
bool HoldExtensionUnsafe() {
    Oid const extension = get_extension_oid("pgautofailover", true);
    if (!OidIsValid(extension)) return false;
    LockDatabaseObject(ExtensionRelationId, extension, 0, AccessShareLock);
    return get_extension_oid("pgautofailover", true) == extension;
}

bool HoldExtension() {
    return pg::CallPg([] { return HoldExtensionUnsafe(); });
}

/// Before a session of the node has resolved its name, only a numeric host can be probed.
void NoteNumericAddress(const core::NodeView &node) {
    in6_addr ignored{};
    const char *const host = node.host.c_str();
    if (inet_pton(AF_INET, host, &ignored) != 1 && inet_pton(AF_INET6, host, &ignored) != 1) return;
    const int port = node.port;
    (void)facts::Update(node.id, [=](facts::NodeFacts &entry) {
        if (entry.address[0] != '\0') return;
        strlcpy(entry.address, host, sizeof entry.address);
        entry.port = port;
    });
}

std::vector<store::GroupKey> AllGroups() {
    std::vector<store::GroupKey> keys;
    const pg::Rows rows = pg::Execute(select_groups);
    for (std::uint64_t i = 0; i < rows.size(); ++i)
        keys.push_back({rows.Text(i, 1), rows.Int4(i, 2)});
    return keys;
}

/// Somebody may hold the lock of one group for long; the others are looked at meanwhile.
void LimitWaitForLock() {
    pg::CallPg([] {
        (void)set_config_option("lock_timeout", kLockWait, PGC_USERSET, PGC_S_SESSION,
                                GUC_ACTION_LOCAL, true, 0, false);
    });
}

void SettleGroup(const store::GroupKey &key) {
    pg::WorkerTransaction transaction;
    LimitWaitForLock();
    if (HoldExtension()) {
        pg::Spi spi;
        Group group = Group::Lock(key);
        for (const core::NodeView &node : group.view().nodes)
            NoteNumericAddress(node);
        group.Settle();
    }
    transaction.Commit();
}

/// After a start: every node becomes known, with the lease that it may hold from before.
bool Worker::LoadAll() {
    std::vector<store::GroupKey> keys;
    missing_since_ = pg::BootNow();
    pg::WorkerTransaction transaction;
    const bool exists = HoldExtension();
    if (exists) {
        pg::Spi spi;
        keys = AllGroups();
        teller_.Begin();
    }
    transaction.Commit();
    bool is_whole = exists;
    for (const store::GroupKey &key : keys)
        is_whole = pg::RunIteration("settling a group", [&] { SettleGroup(key); }) && is_whole;
    // What an earlier worker left: nodes without a row are forgotten when they are due.
    for (const facts::Summary &node : facts::Summaries()) {
        facts::DecideBy(node.node, missing_since_);
        budget_.Know(node.node, {node.address, node.port});
    }
    loaded_ = is_whole;
    return exists;
}

/// Nobody tells us of DROP EXTENSION.
void Worker::CheckExtension() {
    const BootTime now = pg::BootNow();
    if (now - checked_ < kIdle) return;
    pg::WorkerTransaction transaction;
    const bool exists = HoldExtension();
    transaction.Commit();
    loaded_ = loaded_ && exists;
    checked_ = now;
}

void Worker::TellEvents() {
    if (!facts::TakeEvents()) return;
    pg::WorkerTransaction transaction;
    if (HoldExtension()) {
        // A notification that a crash of the server takes away had no listeners left either.
        pg::CallPg([] {
            (void)set_config_option("synchronous_commit", "off", PGC_USERSET, PGC_S_SESSION,
                                    GUC_ACTION_LOCAL, true, 0, false);
        });
        pg::Spi spi;
        teller_.Tell();
    }
    transaction.Commit();
}

/// A batch at a time: a backlog of years must not become one long transaction.
void Worker::PurgeEvents() {
    const BootTime now = pg::BootNow();
    const Milliseconds retention = settings::EventRetention();
    if (now < purge_at_ || retention <= Milliseconds{0}) return;
    purge_at_ = now + kPurgeMin;
    pg::WorkerTransaction transaction;
    std::size_t removed = 0;
    if (HoldExtension()) {
        pg::Spi spi;
        removed = store::PurgeEvents(retention);
    }
    transaction.Commit();
    if (removed == 0) purge_at_ = now + std::clamp(retention / 10, kPurgeMin, kPurgeMax);
}

bool Worker::Round() {
    facts::NoteNextWake(core::kForever);  // from here on whoever has news wakes us
    next_ = pg::BootNow() + kRetry;
    CheckExtension();
    if (!loaded_ && !LoadAll()) return false;
    CollectProbes();
    BootTime now = pg::BootNow();
    LookAtDue(facts::Summaries(), now);
    (void)pg::RunIteration("telling events", [this] { TellEvents(); });
    (void)pg::RunIteration("removing old events", [this] { PurgeEvents(); });
    now = pg::BootNow();
    const std::vector<facts::Summary> nodes = facts::Summaries();
    next_ = now + kIdle;
    for (const facts::Summary &node : nodes) {
        next_ = std::min(next_, node.session_news ? now : BootTime{node.decide_at_ns});
    }
    if (settings::HealthChecksEnabled()) StartProbes(nodes, now);
    for (const RunningProbe &running : probes_)
        next_ = std::min(next_, running.probe.deadline());
    facts::NoteNextWake(next_);
    return true;
}

void Worker::CollectProbes() {
    const BootTime now = pg::BootNow();
    for (RunningProbe &running : probes_) {
        running.probe.CheckDeadline(now);
        if (!running.probe.IsFinished()) continue;
        const core::ProbeFact result = running.probe.result();
        const std::int64_t started_ns = running.started.ns;
        const std::string said = running.probe.said();
        const char *const words = said.c_str();
        (void)facts::Update(running.probe.node(), [=](facts::NodeFacts &entry) {
            const bool is_lost = entry.session == core::SessionFact::kLost;
            const bool is_first = is_lost && !entry.probed_since_session_lost;
            entry.probed_ns = started_ns;  // no later than the answer, however late we look at it
            // A probe from before the loss says nothing about what came after it.
            if (is_lost && started_ns > entry.session_lost_ns)
                entry.probed_since_session_lost = true;
            const bool is_broken = result == core::ProbeFact::kBroken;
            if (is_first || is_broken || entry.probe != result) entry.decide_at_ns = 0;
            entry.probe = result;
            if (result == core::ProbeFact::kAlive) entry.broken_since_ns = 0;
            if (!is_broken) return;
            if (entry.broken_since_ns == 0) entry.broken_since_ns = started_ns;
            entry.broken_ns = started_ns;
            strlcpy(entry.broken, words, sizeof entry.broken);
        });
    }
    std::erase_if(probes_, [](const RunningProbe &running) { return running.probe.IsFinished(); });
}

bool Worker::IsProbing(NodeId node) const {
    return std::any_of(probes_.begin(), probes_.end(), [node](const RunningProbe &running) {
        return running.probe.node() == node;
    });
}

BootTime NextProbe(const facts::Summary &node, BootTime now) {
    const Milliseconds period = settings::HealthCheckPeriod();
    if (node.session == core::SessionFact::kLost) {
        if (!node.probed_since_session_lost) return now;
        const BootTime probed{node.probed_ns};
        const Milliseconds since = probed - BootTime{node.session_lost_ns};
        const Milliseconds pause = std::clamp(since, kLostProbeFirst, kLostProbePeriod);
        return probed + std::min(period, pause);
    }
    const Milliseconds fresh = settings::CurrentTimeouts().report_interval * 2;
    const bool is_healthy = node.probe != core::ProbeFact::kBroken &&
                            node.session == core::SessionFact::kConnected &&
                            now - BootTime{node.report_ns} < fresh;
    return BootTime{node.probed_ns} + period * (is_healthy ? kHealthyFactor : 1);
}

/// Lost nodes first, then whoever has waited longest: many that do not answer keep nobody from his
/// turn.
bool IsMoreUrgent(const facts::Summary &a, const facts::Summary &b) {
    const bool a_is_lost = a.session == core::SessionFact::kLost;
    const bool b_is_lost = b.session == core::SessionFact::kLost;
    return a_is_lost != b_is_lost ? a_is_lost : a.probed_ns < b.probed_ns;
}

void Worker::StartProbes(std::vector<facts::Summary> nodes, BootTime now) {
    std::sort(nodes.begin(), nodes.end(), IsMoreUrgent);
    for (const facts::Summary &node : nodes) {
        if (node.address[0] == '\0' || IsProbing(node.node)) continue;
        const BootTime at = NextProbe(node, now);
        if (at > now || probes_.size() >= kProbesMax) {
            next_ = std::min(next_, std::max(at, now + Milliseconds{1}));
            continue;
        }
        const int per_minute = settings::NewAddressesPerMinute();
        if (!budget_.Allows(node.node, {node.address, node.port}, per_minute, now)) {
            next_ = std::min(next_, now + kRetry);
            continue;
        }
        const BootTime deadline = now + settings::HealthCheckTimeout();
        probes_.push_back({Probe(node.node, node.address, node.port, deadline), now});
        if (probes_.back().probe.IsFinished()) next_ = now;
    }
}

void Worker::LookAtDue(const std::vector<facts::Summary> &nodes, BootTime now) {
    for (const facts::Summary &node : nodes) {
        if (node.decide_at_ns > now.ns && !node.session_news) continue;
        const std::optional<facts::NodeFacts> latest = facts::Find(node.node);
        if (!latest || (latest->decide_at_ns > now.ns && !latest->session_news)) continue;
        facts::Summary due = node;
        due.session_news = latest->session_news;
        // Cleared before looking: what arrives meanwhile makes it due again.
        (void)facts::Update(node.node, [](facts::NodeFacts &entry) {
            entry.decide_at_ns = facts::kNever;
            entry.session_news = false;
        });
        if (pg::RunIteration("looking at a group", [&] { LookAt(due); })) continue;
        const bool had_news = due.session_news;
        (void)facts::Update(node.node, [=](facts::NodeFacts &entry) {
            entry.decide_at_ns = (now + kRetry).ns;
            entry.session_news = entry.session_news || had_news;
        });
        return;  // perhaps the extension is gone: the next round finds out
    }
}

void Worker::LookAt(const facts::Summary &due) {
    pg::WorkerTransaction transaction;
    LimitWaitForLock();
    if (!HoldExtension()) {
        loaded_ = false;
        transaction.Commit();
        return;
    }
    {
        pg::Spi spi;
        const std::optional<store::NodeAddress> node = store::FindNode(due.node);
        if (node) {
            Group group = Group::Lock(node->group);
            if (due.session_news) group.WakeKeepers();
            group.Settle();
        } else if (due.is_registering) {
            facts::DecideBy(due.node, pg::BootNow() + kRetry);
        } else {
            facts::Forget(due.node);
        }
    }
    transaction.Commit();
}

/// Postgres regime. Returns the number of sockets that are ready; their positions are in `ready`.
int WaitUnsafe(const pgsocket *sockets, const int *events, int count, long timeout_ms, int *ready) {
    WaitEventSet *const set = pg::CreateWaitEventSetUnsafe(CurrentMemoryContext, count + 2);
    (void)AddWaitEventToSet(set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, nullptr);
    (void)AddWaitEventToSet(set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, nullptr, nullptr);
    for (int i = 0; i < count; ++i) {
        (void)AddWaitEventToSet(set, static_cast<uint32>(events[i]), sockets[i], nullptr, nullptr);
    }
    WaitEvent occurred[kProbesMax + 2];
    int const got = WaitEventSetWait(set, timeout_ms, occurred, count + 2, PG_WAIT_EXTENSION);
    int ready_count = 0;
    for (int i = 0; i < got; ++i) {
        if (occurred[i].pos >= 2) ready[ready_count++] = occurred[i].pos - 2;
    }
    FreeWaitEventSet(set);
    return ready_count;
}

void Worker::Wait() {
    pgsocket sockets[kProbesMax];
    int events[kProbesMax];
    int ready[kProbesMax];
    int count = 0;
    for (const RunningProbe &running : probes_) {
        if (running.probe.IsFinished()) continue;
        sockets[count] = running.probe.socket();
        events[count++] = running.probe.events();
    }
    const Milliseconds left = next_ - pg::BootNow() + Milliseconds{1};
    const long timeout_ms = std::clamp(left, Milliseconds{0}, kIdle).count();
    const pgsocket *const all = sockets;
    const int *const what = events;
    int *const found = ready;
    const int ready_count =
        pg::CallPg([=] { return WaitUnsafe(all, what, count, timeout_ms, found); });
    for (int i = 0; i < ready_count; ++i) {
        for (RunningProbe &running : probes_) {
            if (running.probe.socket() == sockets[ready[i]]) running.probe.Advance();
        }
    }
}

void PrepareSessionUnsafe() {
    SetConfigOption("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION);
    SetConfigOption("lock_timeout", "0", PGC_USERSET, PGC_S_SESSION);
    SetConfigOption("statement_timeout", "0", PGC_USERSET, PGC_S_SESSION);
    SetConfigOption("default_transaction_isolation", "read committed", PGC_USERSET, PGC_S_SESSION);
    SetConfigOption("default_transaction_read_only", "off", PGC_USERSET, PGC_S_SESSION);
    pgstat_report_appname("pgautofailover worker");
}

facts::WorkerEnd end_reason = facts::WorkerEnd::kRestart;

void NoteEnd(int, Datum) { facts::NoteWorkerEndUnsafe(end_reason); }

}  // namespace

void RunWorker() {
    MemoryContext const context =
        AllocSetContextCreate(TopMemoryContext, "worker round", ALLOCSET_DEFAULT_SIZES);
    PrepareSessionUnsafe();
    facts::NoteWorkerStartUnsafe();
    before_shmem_exit(NoteEnd, 0);
    Worker worker;
    bool goes_on = true;
    while (goes_on) {
        MemoryContextSwitchTo(context);
        pgstat_report_activity(STATE_RUNNING, "looking at groups");
        (void)pg::RunIteration("round of the monitor", [&] { goes_on = worker.Round(); });
        pgstat_report_activity(STATE_IDLE, nullptr);
        MemoryContextSwitchTo(context);
        if (goes_on) (void)pg::RunIteration("waiting", [&] { worker.Wait(); });
        MemoryContextSwitchTo(context);
        MemoryContextReset(context);
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
        if (ConfigReloadPending) {
            ConfigReloadPending = false;
            ProcessConfigFile(PGC_SIGHUP);
        }
    }
    // A transaction that we do not see yet may have created the extension anew, and registered
    // nodes.
    facts::ForgetDatabaseUnsafe(MyDatabaseId, worker.missing_since() + (-kOrphanAge));
    end_reason = facts::WorkerEnd::kNotNeeded;
}

}  // namespace pgaf::health

void pgautofailover_worker_main(Datum argument) {
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    pqsignal(SIGTERM, die);
    BackgroundWorkerUnblockSignals();
    BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(argument), InvalidOid, 0);
    pgaf::health::RunWorker();
    proc_exit(0);
}
