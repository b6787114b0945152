#include <algorithm>

#include "supervisor/node_loop.hpp"

/// NodeLoop as the watchman: a worker that hangs, a standby that waits for WAL that nobody has any
/// more, and a monitor that never answers.
namespace pgaf::supervisor {
namespace {

using core::BootTime;
using core::Milliseconds;

constexpr Milliseconds kHeartbeatLimit{5000};
constexpr Milliseconds kStreamPatience{10'000};
/// `create` without --run gives up when the monitor does not answer for so long.
constexpr Milliseconds kInitSilenceLimit{30'000};

}  // namespace

void NodeLoop::OnTick() {
    const BootTime now = Now();
    if (now - last_tick_ > Milliseconds{1500}) awake_since_ = now;  // we slept: so did the worker
    last_tick_ = now;
    if (server_.IsRunning()) return WatchHeartbeat();
    if (running_) return;
    server_.ReapOrphans();
    if (!options_.is_init_only || exit_status_ || now - last_reply_ < kInitSilenceLimit) return;
    log_.Error("The monitor has not answered for " +
               std::to_string(kInitSilenceLimit.count() / 1000) +
               " s; the same command goes on later");
    ExitAfterReport(kExitMonitor);
}

void NodeLoop::WatchHeartbeat() {
    const BootTime now = Now();
    const auto heartbeat = files_.ReadHeartbeat();
    const bool is_worker_up = heartbeat && now - heartbeat->at < Milliseconds{1000};
    if (is_link_needed_ && (is_worker_up || now - server_.StartedAt() > Milliseconds{10'000})) {
        is_link_needed_ = false;
        link_.Close();
    }
    if (!heartbeat) return;
    if (is_worker_up) WatchStream(*heartbeat);
    const BootTime last_sign = std::max({heartbeat->at, server_.StartedAt(), awake_since_});
    if (now - last_sign <= kHeartbeatLimit) return;
    log_.Error("The worker in PostgreSQL (process " + std::to_string(heartbeat->pid) +
               ") gave no sign for " + std::to_string((now - last_sign).count()) +
               " ms: killing PostgreSQL");
    server_.Kill();
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
