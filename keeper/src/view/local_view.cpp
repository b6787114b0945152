#include "view/local_view.hpp"

#include <algorithm>

#include "worker/gate_rules.hpp"

namespace pgaf::view {
namespace {

Verdict No(std::string why) { return {.is_so = false, .why = std::move(why)}; }

Verdict HasServer(const LocalView &local) {
    if (local.identity.is_monitor) return No("this is the monitor");
    if (local.server == ServerProcess::kGone) return No("PostgreSQL does not run");
    if (local.server == ServerProcess::kFrozen) return No("PostgreSQL is frozen");
    if (!local.status) return No("the state of PostgreSQL is not known");
    // One of another boot, whose clock was elsewhere, is from the future.
    const core::Milliseconds age = local.now - local.status->written_at;
    if (age < core::Milliseconds{0} || age > kStatusLimit)
        return No("the keeper in PostgreSQL gives no sign");
    return {.is_so = true, .why = {}};
}

std::string WhyClosed(const core::NodeStatus &status, core::BootTime now) {
    switch (static_cast<worker::Fence>(status.fence)) {
        case worker::Fence::kOpen:
            return status.deadline <= now ? "the lease has ended" : "the lease is about to end";
        case worker::Fence::kDraining:
            return "a switchover is under way";
        case worker::Fence::kHeld:
            return "writes are held back";
        case worker::Fence::kClosed:
            break;
    }
    return "the node is fenced";
}

}  // namespace

Verdict MayWrite(const LocalView &local) {
    if (Verdict server = HasServer(local); !server.is_so) return server;
    const core::NodeStatus &status = *local.status;
    if (local.is_stopping) return No("PostgreSQL is being stopped");
    if (status.in_recovery) return No("the node is a standby");
    const worker::GateFacts gate{.fence = static_cast<worker::Fence>(status.fence),
                                 .deadline = status.deadline,
                                 .now = local.now + kAnswerMargin,
                                 .postmaster_lives = true};
    if (!worker::MayEnter(gate)) return No(WhyClosed(status, local.now));
    if (!core::IsWritable(status.state) && !core::IsHandingOver(status.state))
        return No("the node is not the primary");
    return {.is_so = true, .why = {}};
}

Verdict IsUp(const LocalView &local) {
    if (Verdict server = HasServer(local); !server.is_so) return server;
    if (local.is_stopping) return No("PostgreSQL is being stopped");
    if (!local.status->admits_sessions) return No("PostgreSQL is starting");
    return {.is_so = true, .why = {}};
}

Verdict IsReplica(const LocalView &local) {
    if (Verdict up = IsUp(local); !up.is_so) return up;
    if (!local.status->in_recovery) return No("the node is not a standby");
    if (local.status->state == core::NodeState::kMaintenance)
        return No("the node is in maintenance");
    if (!core::IsStandby(local.status->state)) return No("the node is not a standby");
    return {.is_so = true, .why = {}};
}

Verdict IsAlive(const LocalView &local) {
    if (local.now - local.loop_beat > kLoopLimit) return No("pg_autoctl does not go on");
    return {.is_so = true, .why = {}};
}

std::optional<std::uint64_t> LagBytes(const LocalView &local, LagMode mode) {
    if (!local.status || !local.status->in_recovery || !local.status->streams) return std::nullopt;
    const core::NodeStatus &status = *local.status;
    const std::uint64_t end = std::max(status.sender_end, status.lsn).value;
    const std::uint64_t here = mode == LagMode::kApply ? status.replay_lsn.value : status.lsn.value;
    return end > here ? end - here : 0;
}

}  // namespace pgaf::view
