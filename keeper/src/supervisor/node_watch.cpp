#include <algorithm>

#include "supervisor/node_loop.hpp"

/// NodeLoop as the watchman: a worker that hangs, a standby that waits for WAL that nobody has any
/// more, and a monitor that never answers.
namespace pgaf::supervisor {
namespace {

using core::BootTime;
using core::Milliseconds;

constexpr Milliseconds kHeartbeatLimit{5000};
/// How often the postmaster is asked, and how long it may be mute: then no client gets in.
constexpr Milliseconds kAskPeriod{2000};
constexpr Milliseconds kMuteLimit{8000};
/// An orderly end has a checkpoint in it.
constexpr Milliseconds kShutdownLimit{60'000};
/// So soon after its start, or after we have found it, the worker of a server shows itself.
constexpr Milliseconds kWorkerLimit{10'000};
constexpr Milliseconds kStreamPatience{10'000};
/// A server that somebody stops in mode smart waits for its clients, and lets no new one in.
constexpr Milliseconds kSmartPatience{10'000};
/// `create` without --run gives up when the monitor does not answer for so long.
constexpr Milliseconds kInitSilenceLimit{30'000};

}  // namespace

void NodeLoop::OnTick() {
    const BootTime now = Now();
    if (now - last_tick_ > Milliseconds{1500}) awake_since_ = now;  // we slept: so did the worker
    last_tick_ = now;
    if (server_.IsRunning()) return WatchServer();
    if (running_ || TurnOutStranger()) return;
    server_.ReapOrphans();
    SayWhatIsAwaited();
    if (!options_.is_init_only || exit_status_ || now - last_reply_ < kInitSilenceLimit) return;
    log_.Error("The monitor has not answered for " +
               std::to_string(kInitSilenceLimit.count() / 1000) +
               " s; the same command goes on later");
    ExitAfterReport(kExitMonitor);
}

/// In maintenance a server that does not run is as it should be.
Condition NodeLoop::Describe() {
    Condition condition = ServerLoop::Describe();
    core::NodeRecord record = record_;
    if (server_.IsRunning()) {
        if (const auto saved = files_.LoadRecord()) record = *saved;
    }
    condition.is_serving = condition.is_serving && !removal_ && !running_;
    if (record.state == core::NodeState::kMaintenance && !IsStopping()) condition.is_serving = true;
    std::string text = "node " + Self() + ": " + std::string(core::ToString(record.state));
    if (record.goal != record.state && record.goal != core::NodeState::kInit)
        text += " -> " + std::string(core::ToString(record.goal));
    text += ", " + condition.text;
    const std::string &problem = server_.IsRunning() || problem_.empty() ? trouble_ : problem_;
    if (!problem.empty()) text += ": " + problem;
    condition.text = std::move(text);
    return condition;
}

void NodeLoop::WatchServer() {
    if (removal_ || IsWhereItShouldNotBe()) return;
    const auto heartbeat = files_.ReadHeartbeat();
    const bool is_known = worker_seen_at_.ns != 0;
    if (!heartbeat || (!is_known && !server_.IsParentOf(heartbeat->pid))) return AwaitWorker();
    worker_seen_at_ = heartbeat->at;
    mute_starts_ = 0;
    has_replaced_damaged_ = false;
    trouble_.clear();
    WatchHeartbeat(*heartbeat);
    WatchPostmaster();
}

/// One that is stopped, or hangs, lets nobody in and starts no process; those that are there go on.
void NodeLoop::WatchPostmaster() {
    const BootTime now = Now();
    if (!IsReady() || IsStopping()) return;
    if (ready_since_.ns == 0) ready_since_ = now;
    if (now >= next_ask_) {
        next_ask_ = now + kAskPeriod;
        server_.Ask();
    }
    const BootTime last_sign =
        std::max({server_.AnsweredAt(), server_.StartedAt(), awake_since_, ready_since_});
    if (now - last_sign <= kMuteLimit) return;
    const std::string said = ServerName() + " has answered no connection for " +
                             std::to_string((now - last_sign).count()) + " ms: killing it";
    log_.Error(said);
    Tell(said);
    ready_since_ = {};
    server_.Kill();
}

/// A server that is out of recovery although its node is a standby. A standby that is told to
/// become the primary is out of it before its record says so.
bool NodeLoop::IsWhereItShouldNotBe() {
    if (IsStopping() || !server_.IsOutOfRecovery()) return false;
    const auto record = files_.LoadRecord();
    if (!record || !core::IsStandby(record->state) || core::IsWritable(record->goal)) return false;
    has_own_writes_ = true;
    TurnOut({core::ProblemCode::kBadState,
             ServerName() + " accepts writes although the node is a standby (" +
                 std::string(core::ToString(record->state)) + ")",
             "It was promoted, or started without standby.signal, by somebody else.",
             "Use \"pg_autoctl perform promotion\" to make this node the primary."});
    return true;
}

/// Without it nobody guards the writes of this server.
void NodeLoop::AwaitWorker() {
    const BootTime now = Now();
    const BootTime since = std::max({server_.StartedAt(), awake_since_, worker_seen_at_});
    if (IsStopping() || now - since <= kWorkerLimit) return;
    const auto record = files_.LoadRecord();
    if (record && record->state == core::NodeState::kMaintenance) return;  // the operator's
    if (worker_seen_at_.ns == 0) ++mute_starts_;
    TurnOut({core::ProblemCode::kBadState,
             ServerName() + " runs without pg_auto_failover: its worker has given no sign for " +
                 std::to_string(kWorkerLimit.count() / 1000) + " s",
             "Nothing protects what is written in such a server.",
             "Look at shared_preload_libraries in postgresql.auto.conf and postgresql.conf, and "
             "at the server's log. Leave it to \"pg_autoctl run\" to start PostgreSQL."});
}

void NodeLoop::WatchHeartbeat(const Heartbeat &heartbeat) {
    const BootTime now = Now();
    const bool is_worker_up = now - heartbeat.at < Milliseconds{1000};
    if (is_link_needed_ && is_worker_up) {
        is_link_needed_ = false;
        link_.Close();
    }
    if (is_worker_up) WatchStream(heartbeat);
    WatchSmartStop(is_worker_up);
    const BootTime last_sign = std::max({heartbeat.at, server_.StartedAt(), awake_since_});
    if (now - last_sign <= kHeartbeatLimit) return;
    if (server_.IsShuttingDown() && now - last_sign <= kShutdownLimit) return;
    log_.Error("The worker in PostgreSQL (process " + std::to_string(heartbeat.pid) +
               ") gave no sign for " + std::to_string((now - last_sign).count()) +
               " ms: killing PostgreSQL");
    server_.Kill();
}

/// In mode fast the worker goes first.
void NodeLoop::WatchSmartStop(bool is_worker_up) {
    const BootTime now = Now();
    if (IsStopping() || !is_worker_up || !server_.IsShuttingDown()) {
        smart_since_ = {};
        return;
    }
    if (smart_since_.ns == 0) smart_since_ = now;
    if (now - smart_since_ < kSmartPatience) return;
    const auto record = files_.LoadRecord();
    if (record && record->state == core::NodeState::kMaintenance) return;  // the operator's
    smart_since_ = now;
    const std::string said = ServerName() +
                             " was told to stop by somebody else, waits for its clients, and lets "
                             "no new one in: it is stopped now, and started again";
    log_.Warn(said);
    Tell(said);
    server_.Stop(StopMode::kFast);
}

void NodeLoop::WatchStream(const Heartbeat &heartbeat) {
    const BootTime now = Now();
    if (heartbeat.no_stream_since.ns == 0 || IsStopping()) return;
    if (now - heartbeat.no_stream_since < kStreamPatience) return;
    if (is_stream_check_running_ || now < next_stream_check_) return;
    // The worker owns the record now; only followers are to stream.
    const auto record = files_.LoadRecord();
    if (!record || (record->state != core::NodeState::kSecondary &&
                    record->state != core::NodeState::kCatchingup))
        return;
    is_stream_check_running_ = true;
    next_stream_check_ = now + kStreamPatience;
    steps_.BeginStreamCheck({heartbeat.timeline, heartbeat.lsn, {}});
}

void NodeLoop::OnStreamChecked(const core::Result<core::Following> &verdict) {
    is_stream_check_running_ = false;
    if (!verdict || *verdict != core::Following::kWalIsGone) return;
    if (IsStopping() || !server_.IsRunning()) return;
    const auto heartbeat = files_.ReadHeartbeat();
    if (!heartbeat || heartbeat->no_stream_since.ns == 0) return;  // it streams after all
    log_.Warn("The WAL from " + core::ToString(heartbeat->lsn) +
              " on, which this standby needs, is gone from the node that it follows: it is copied "
              "anew");
    is_wal_gone_ = true;
    server_.Stop(StopMode::kFast);
}

}  // namespace pgaf::supervisor
