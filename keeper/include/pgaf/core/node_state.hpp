#pragma once

#include <array>
#include <optional>
#include <string_view>

namespace pgaf::core {

/// The states of a node, in the label order of the SQL type pgautofailover.replication_state.
enum class NodeState {
    kUnknown,
    kInit,
    kSingle,
    kWaitPrimary,
    kPrimary,
    kDraining,
    kDemoteTimeout,
    kDemoted,
    kCatchingup,
    kSecondary,
    kPreparePromotion,
    kStopReplication,
    kWaitStandby,
    kMaintenance,
    kJoinPrimary,
    kApplySettings,
    kPrepareMaintenance,
    kWaitMaintenance,
    kReportLsn,
    kFastForward,
    kJoinSecondary,
    kDropped,
};

inline constexpr std::array<std::string_view, 22> kNodeStateNames{
    "unknown",
    "init",
    "single",
    "wait_primary",
    "primary",
    "draining",
    "demote_timeout",
    "demoted",
    "catchingup",
    "secondary",
    "prepare_promotion",
    "stop_replication",
    "wait_standby",
    "maintenance",
    "join_primary",
    "apply_settings",
    "prepare_maintenance",
    "wait_maintenance",
    "report_lsn",
    "fast_forward",
    "join_secondary",
    "dropped",
};

constexpr std::string_view ToString(NodeState state) {
    return kNodeStateNames.at(static_cast<std::size_t>(state));
}

constexpr std::optional<NodeState> ParseNodeState(std::string_view name) {
    for (std::size_t i = 0; i < kNodeStateNames.size(); ++i) {
        if (kNodeStateNames.at(i) == name) return static_cast<NodeState>(i);
    }
    return std::nullopt;
}

/// The node runs read-write PostgreSQL: single, wait_primary, primary, join_primary,
/// apply_settings.
constexpr bool IsWritable(NodeState s) {
    return s == NodeState::kSingle || s == NodeState::kWaitPrimary || s == NodeState::kPrimary ||
           s == NodeState::kJoinPrimary || s == NodeState::kApplySettings;
}

/// The primary drains, for a switchover or before maintenance, and then says where it ended.
constexpr bool IsHandingOver(NodeState s) {
    return s == NodeState::kDraining || s == NodeState::kPrepareMaintenance;
}

/// Writable, or on the way out of it.
constexpr bool IsPrimaryIsh(NodeState s) {
    return IsWritable(s) || IsHandingOver(s) || s == NodeState::kDemoteTimeout;
}

/// PostgreSQL must be down in this state; the supervisor is the keeper.
constexpr bool IsStopped(NodeState s) {
    return s == NodeState::kDemoteTimeout || s == NodeState::kDemoted || s == NodeState::kDropped ||
           s == NodeState::kInit || s == NodeState::kWaitStandby;
}

/// PostgreSQL runs in recovery in this state.
constexpr bool IsStandby(NodeState s) {
    return s == NodeState::kCatchingup || s == NodeState::kSecondary ||
           s == NodeState::kPreparePromotion || s == NodeState::kStopReplication ||
           s == NodeState::kReportLsn || s == NodeState::kFastForward ||
           s == NodeState::kJoinSecondary || s == NodeState::kWaitMaintenance;
}

/// The standby has left its upstream, or is told to, while a primary is sought.
constexpr bool IsInElection(NodeState s) {
    return s == NodeState::kReportLsn || s == NodeState::kFastForward ||
           s == NodeState::kPreparePromotion || s == NodeState::kStopReplication ||
           s == NodeState::kJoinSecondary;
}

/// The standby was chosen to become the primary.
constexpr bool IsBeingPromoted(NodeState s) {
    return s == NodeState::kFastForward || s == NodeState::kPreparePromotion ||
           s == NodeState::kStopReplication;
}

}  // namespace pgaf::core
