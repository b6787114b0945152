#include "pgaf/core/learn.hpp"

#include <algorithm>
#include <utility>

#include "evidence.hpp"
#include "pgaf/core/intake.hpp"

namespace pgaf::core {
namespace {

using enum NodeState;

using Memory = std::pair<std::int64_t, std::int64_t>;  ///< term, and version of the set

Memory MemoryOf(const Report &report) { return {report.term, report.known_sync_version}; }

std::int64_t VersionOf(const Report &report) {
    return report.sync_version != 0 ? report.sync_version : report.recorded_sync_version;
}

/// One that waits for its monitor knows as much as one that writes, and so does one that hands over
/// by an order that the monitor has forgotten.
bool IsPrimaryOfItsTerm(const Report &report) {
    return report.holder == KeeperHolder::kWorker && report.pg_running && !report.in_recovery &&
           (IsWritable(report.state) || IsHandingOver(report.state)) && VersionOf(report) != 0 &&
           VersionOf(report) == report.known_sync_version;
}

/// Nobody knows of a later election. Of a later set somebody may have heard before the primary has:
/// commits do not go by that.
bool IsOfLastTerm(const GroupView &view, const Report &report) {
    return std::none_of(view.nodes.begin(), view.nodes.end(), [&](const NodeView &other) {
        return other.has_report && other.report.term > report.term;
    });
}

/// The last version of a set that anybody has heard of in the term.
std::int64_t LastVersion(const GroupView &view, const Report &report) {
    std::int64_t last = std::max(VersionOf(report), view.sync.goal_version);
    for (const NodeView &node : view.nodes) {
        if (node.has_report) last = std::max(last, node.report.known_sync_version);
    }
    return last;
}

/// Its own keeper says so: what a would-be primary says of others proves nothing.
bool SaysItFollows(const GroupView &view, NodeId standby, NodeId primary) {
    const NodeView *const node = view.Find(standby);
    if (node == nullptr || !IsServing(view, *node) || !node->report.in_recovery) return false;
    const ReceiverFact &receiver = node->report.receiver;
    // One that has just started, and was not told anything by this monitor, does not know whom.
    return receiver.streaming && (!receiver.upstream.IsValid() || receiver.upstream == primary);
}

/// A primary of an earlier term, from before the other one was elected: it may not acknowledge now,
/// and has heard of no decision since. One that went on by a monitor that had forgotten the
/// election knows a newer set: who acknowledged what is not known then, and an operator decides.
bool IsFormerPrimary(const Report &former, const Report &primary) {
    return former.fenced && former.term < primary.term &&
           former.known_sync_version < primary.known_sync_version &&
           former.timeline < primary.timeline;
}

/// Nobody else says that he is the primary, and may be.
bool IsUndisputed(const GroupView &view, const Report &report) {
    return std::none_of(view.nodes.begin(), view.nodes.end(), [&](const NodeView &node) {
        return node.id != report.node && IsServing(view, node) && !node.report.in_recovery &&
               IsWritable(node.report.state) && !IsFormerPrimary(node.report, report);
    });
}

/// Without members nobody can have been elected since, unless the loss of data was accepted: then
/// somebody else says so.
bool IsAloneByRight(const GroupView &view, const Report &report) {
    if (!report.fenced) return IsUndisputed(view, report);  // its grant has no limit of time
    return std::all_of(view.nodes.begin(), view.nodes.end(), [&](const NodeView &node) {
        if (node.id == report.node) return true;
        return node.has_report && IsReporting(view, node) &&
               (!IsPrimaryIsh(node.report.state) || IsFormerPrimary(node.report, report));
    });
}

/// It has not heard that the primary was elected. So it took no part in an election after that, and
/// has confirmed nothing to anybody elected later.
bool HasNotHeard(const Report &member, const Report &primary) {
    return member.term < primary.term && (member.fenced || member.in_recovery);
}

/// An election after the primary's would have needed n - k + 1 members of its set: one of any k.
bool IsFollowed(const GroupView &view, const SyncSet &set, const Report &report) {
    if (set.members.empty()) return IsAloneByRight(view, report);
    const auto follows = [&](NodeId member) {
        const bool is_sender = std::any_of(
            report.standbys.begin(), report.standbys.end(), [member](const StandbyFact &standby) {
                return standby.node == member && standby.streaming && standby.in_sync_set;
            });
        return is_sender && SaysItFollows(view, member, report.node);
    };
    const auto has_not_heard = [&](NodeId member) {
        const NodeView *const node = view.Find(member);
        return node != nullptr && node->has_report && IsReporting(view, *node) &&
               HasNotHeard(node->report, report);
    };
    const bool is_undisputed = IsUndisputed(view, report);
    return std::count_if(set.members.begin(), set.members.end(), [&](NodeId member) {
               return follows(member) || (is_undisputed && has_not_heard(member));
           }) >= set.k;
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

/// What the primary is from now on.
NodeState SettledState(const GroupView &view, const SyncSet &set, NodeState state) {
    if (state == kApplySettings) return kPrimary;
    if (!IsHandingOver(state)) return state;
    if (!set.members.empty()) return kPrimary;
    return view.nodes.size() > 1 ? kWaitPrimary : kSingle;
}

void Assign(Decision &decision, const NodeView &node, NodeState goal, const std::string &reason) {
    decision.assignments.push_back({node.id, node.goal, goal, 0, "learned", reason});
}

/// Everybody's place around this primary.
Decision TakeOver(const GroupView &view, const Report &report, NodeState state,
                  const SyncState &sync, const std::string &reason) {
    Decision decision;
    decision.term = report.term;
    decision.sync = sync;
    decision.primary = report.node;
    decision.former = NodeId{};
    decision.preferred = NodeId{};
    decision.target_lsn = Lsn{};
    decision.accepts_data_loss = false;
    decision.timeline = report.timeline;
    decision.highest_timeline = std::max(view.highest_timeline, report.timeline);
    for (const NodeView &node : view.nodes) {
        const NodeState goal = node.id == report.node ? state : GoalOf(node, sync.goal);
        // Also where nothing changes: a report under an old number of the goal proves nothing.
        Assign(decision, node, goal, reason);
    }
    return decision;
}

}  // namespace

std::optional<Decision> Learn(const GroupView &view, const Report &report) {
    const NodeView *const primary = view.Find(report.node);
    if (primary == nullptr || NewerThanRows(view) == nullptr || primary->goal == kDropped)
        return std::nullopt;
    const auto set = ParseSetting(report.sync_names);
    if (!set || !IsPrimaryOfItsTerm(report) || !IsOfLastTerm(view, report) ||
        !IsFollowed(view, *set, report))
        return std::nullopt;
    const std::int64_t last = LastVersion(view, report);
    // Under a version that nobody has heard of, where one was lost.
    const SyncState sync{.goal = *set,
                         .goal_version = last > VersionOf(report) ? last + 1 : last,
                         .confirmed = *set,
                         .confirmed_version = VersionOf(report)};
    return TakeOver(view, report, SettledState(view, *set, report.state), sync,
                    "the monitor had forgotten decisions: node " +
                        std::to_string(report.node.value) + " is the primary of term " +
                        std::to_string(report.term) + " with set \"" + report.sync_names +
                        "\", version " + std::to_string(report.known_sync_version));
}

std::optional<Decision> LearnByOrder(const GroupView &view) {
    const auto is_primary = [](const NodeView &node) {
        return node.has_report && node.goal != kDropped && node.report.pg_running &&
               !node.report.in_recovery &&
               (IsWritable(node.report.state) || IsHandingOver(node.report.state));
    };
    const NodeView *last = nullptr;
    for (const NodeView &node : view.nodes) {
        if (!is_primary(node)) continue;
        if (last == nullptr || MemoryOf(node.report) > MemoryOf(last->report)) last = &node;
    }
    const bool has_more =
        last == nullptr ||
        std::any_of(view.nodes.begin(), view.nodes.end(), [&](const NodeView &node) {
            return node.has_report && (node.report.term > last->report.term ||
                                       node.report.timeline > last->report.timeline);
        });
    if (has_more) return std::nullopt;
    const SyncState sync{.goal = {},
                         .goal_version = LastVersion(view, last->report) + 1,
                         .confirmed = {},
                         .confirmed_version = LastVersion(view, last->report) + 1};
    return TakeOver(view, last->report, view.nodes.size() > 1 ? kWaitPrimary : kSingle, sync,
                    "the operator wants the primary of the last term that a node knows, and the "
                    "monitor had forgotten it");
}

}  // namespace pgaf::core
