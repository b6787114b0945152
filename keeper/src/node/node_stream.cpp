#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "io/env.hpp"
#include "io/log.hpp"
#include "node/node_supervisor.hpp"
#include "pgaf/core/pg_files.hpp"

/// How NodeSupervisor finds out that its standby waits for WAL that nobody has any more.
namespace pgaf::node {
namespace {

constexpr Milliseconds kStreamPatience{10'000};

/// Asks the node that the server itself tries to follow.
Result<core::Following> Check(const std::string &standby_file, const core::WalPosition &position) {
    auto text = io::ReadFile(standby_file);
    if (!text) return Pass(text);
    const std::string conninfo = core::SettingOf(*text, "primary_conninfo");
    if (conninfo.empty()) return core::Following::kPossible;
    auto upstream = Upstream::Connect(conninfo);
    if (!upstream) return Pass(upstream);
    auto wal = upstream->ListWal();
    if (!wal) return Pass(wal);
    return core::JudgeFollowing(position, *wal);
}

}  // namespace

void NodeSupervisor::WatchStream(const io::Heartbeat &heartbeat) {
    const core::BootTime now = io::BootNow();
    if (heartbeat.no_stream_since.ns == 0 || IsStopping()) return;
    if (now - heartbeat.no_stream_since < kStreamPatience) return;
    if (is_stream_check_running_ || now < next_stream_check_) return;
    // The worker owns the record now; only followers are to stream.
    const auto record = LoadRecord(options_.paths);
    if (!record || (record->state != core::NodeState::kSecondary &&
                    record->state != core::NodeState::kCatchingup))
        return;
    is_stream_check_running_ = true;
    next_stream_check_ = now + kStreamPatience;
    struct Shared {
        std::string file;
        core::WalPosition position;
        Result<core::Following> verdict = core::Following::kPossible;
    };
    auto shared = std::make_shared<Shared>(
        Shared{.file = options_.paths.pgdata + "/" + std::string(core::kStandbyFile),
               .position = {heartbeat.timeline, heartbeat.lsn, {}}});
    io::RunInThread(
        LoopHandle(), [shared] { shared->verdict = Check(shared->file, shared->position); },
        [this, shared] {
            is_stream_check_running_ = false;
            if (shared->verdict) OnStreamChecked(*shared->verdict);
        });
}

void NodeSupervisor::OnStreamChecked(core::Following verdict) {
    if (verdict != core::Following::kWalIsGone || IsStopping() || !postmaster_.IsRunning()) return;
    const auto heartbeat = io::ReadHeartbeat(options_.paths.heartbeat);
    if (!heartbeat || heartbeat->no_stream_since.ns == 0) return;  // it streams after all
    spdlog::warn(
        "The WAL from {} on, which this standby needs, is gone from the node that it follows: it "
        "is copied anew",
        core::ToString(heartbeat->lsn));
    is_wal_gone_ = true;
    postmaster_.Stop(StopMode::kFast);
}

}  // namespace pgaf::node
