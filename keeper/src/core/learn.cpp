#include "pgaf/core/learn.hpp"

#include <algorithm>
#include <utility>

#include "evidence.hpp"

namespace pgaf::core {
namespace {

using enum NodeState;

using Memory = std::pair<std::int64_t, std::int64_t>;  ///< term, and version of the set

Memory MemoryOf(const Report &report) { return {report.term, report.known_sync_version}; }

std::int64_t VersionOf(const Report &report) {
    return report.sync_version != 0 ? report.sync_version : report.recorded_sync_version;
}

/// One that waits for its monitor knows as much as one that writes.
bool IsPrimaryOfItsTerm(const Report &report) {
    return report.holder == KeeperHolder::kWorker && report.pg_running && !report.in_recovery &&
           IsWritable(report.state) && VersionOf(report) != 0 &&
           VersionOf(report) == report.known_sync_version;
}

bool KnowsMost(const GroupView &view, const Report &report) {
    return std::none_of(view.nodes.begin(), view.nodes.end(), [&](const NodeView &other) {
        return other.id != report.node && other.has_report &&
               MemoryOf(other.report) > MemoryOf(report);
    });
}

/// Its own keeper says so: what a would-be primary says of others proves nothing.
bool SaysItFollows(const GroupView &view, NodeId standby, NodeId primary) {
    const NodeView *const node = view.Find(standby);
    if (node == nullptr || !IsServing(view, *node) || !node->report.in_recovery) return false;
    const ReceiverFact &receiver = node->report.receiver;
    // One that has just started, and was not told anything by this monitor, does not know whom.
    return receiver.streaming && (!receiver.upstream.IsValid() || receiver.upstream == primary);
}

/// Nobody else says that he is the primary.
bool IsUndisputed(const GroupView &view, const Report &report) {
    return std::none_of(view.nodes.begin(), view.nodes.end(), [&](const NodeView &node) {
        return node.id != report.node && IsServing(view, node) && !node.report.in_recovery &&
               IsWritable(node.report.state);
    });
}

/// Without members nobody can have been elected since, unless the loss of data was accepted: then
/// somebody else says so.
bool IsAloneByRight(const GroupView &view, const Report &report) {
    if (!report.fenced) return IsUndisputed(view, report);  // its grant has no limit of time
    return std::all_of(view.nodes.begin(), view.nodes.end(), [&](const NodeView &node) {
        return node.id == report.node ||
               (node.has_report && IsReporting(view, node) && !IsPrimaryIsh(node.report.state));
    });
}

bool IsFollowed(const GroupView &view, const SyncSet &set, const Report &report) {
    if (set.members.empty()) return IsAloneByRight(view, report);
    const auto follows = [&](const StandbyFact &standby) {
        return standby.streaming && standby.in_sync_set && set.Contains(standby.node) &&
               SaysItFollows(view, standby.node, report.node);
    };
    return std::count_if(report.standbys.begin(), report.standbys.end(), follows) >= set.k;
}

/// Where a node that is not the primary stands, as far as that is known.
NodeState GoalOf(const NodeView &node, const SyncSet &set) {
    const NodeState state = node.has_report ? node.report.state : node.goal;
    switch (state) {
        case kSecondary:
            // It counts as a member, and a member it is only of the set that is in force.
            return set.Contains(node.id) || !node.replication_quorum ? kSecondary : kCatchingup;
        case kDropped:
        case kInit:
        case kWaitStandby:
        case kCatchingup:
        case kMaintenance:
        case kDemoted:
            return state;
        case kWaitMaintenance:
            return kMaintenance;
        default:
            return IsStandby(state) ? kCatchingup : kDemoted;
    }
}

std::string ReasonFor(const Report &report) {
    return "the monitor had forgotten decisions: node " + std::to_string(report.node.value) +
           " is the primary of term " + std::to_string(report.term) + " with set \"" +
           report.sync_names + "\", version " + std::to_string(report.known_sync_version);
}

void Assign(Decision &decision, const NodeView &node, NodeState goal, const std::string &reason) {
    decision.assignments.push_back({node.id, node.goal, goal, 0, "learned", reason});
}

}  // namespace

std::optional<Decision> Learn(const GroupView &view, const Report &report) {
    const NodeView *const primary = view.Find(report.node);
    const bool is_news = MemoryOf(report) > Memory{view.term, view.sync.goal_version};
    if (primary == nullptr || !is_news || primary->goal == kDropped) return std::nullopt;
    const auto set = ParseSetting(report.sync_names);
    if (!set || !IsPrimaryOfItsTerm(report) || !KnowsMost(view, report) ||
        !IsFollowed(view, *set, report))
        return std::nullopt;
    Decision decision;
    decision.term = report.term;
    decision.sync = SyncState{.goal = *set,
                              .goal_version = VersionOf(report),
                              .confirmed = *set,
                              .confirmed_version = VersionOf(report)};
    decision.primary = report.node;
    decision.preferred = NodeId{};
    decision.target_lsn = Lsn{};
    decision.accepts_data_loss = false;
    decision.timeline = report.timeline;
    decision.highest_timeline = std::max(view.highest_timeline, report.timeline);
    const std::string reason = ReasonFor(report);
    for (const NodeView &node : view.nodes) {
        const NodeState settled = report.state == kApplySettings ? kPrimary : report.state;
        const NodeState goal = node.id == report.node ? settled : GoalOf(node, *set);
        // Also where nothing changes: a report under an old number of the goal proves nothing.
        Assign(decision, node, goal, reason);
    }
    return decision;
}

}  // namespace pgaf::core
