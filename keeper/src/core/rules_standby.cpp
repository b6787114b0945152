#include <algorithm>

#include "rules.hpp"

/// Standbys in the ordinary run of things, and the synchronous set made of them.
namespace pgaf::core {

using enum NodeState;

namespace {

bool CountsForQuorum(const GroupView &view, const NodeView &node) {
    const NodeView *primary = FindPrimary(view);
    const bool is_primary = primary != nullptr ? primary->id == node.id : view.primary == node.id;
    return node.replication_quorum && !is_primary && node.goal != kDropped;
}

/// The primary streams to it, and it could be a member from now on.
bool IsReadyForSync(const GroupView &view, const NodeView &node) {
    const NodeView *primary = FindPrimary(view);
    return primary != nullptr && primary->id != node.id && IsStable(node, kSecondary) &&
           IsServing(view, node) && IsConfirming(view, node, *primary);
}

bool IsHealthyMember(const GroupView &view, const NodeView &node) {
    if (!CountsForQuorum(view, node) || node.goal != kSecondary) return false;
    return view.sync.goal.Contains(node.id) || IsReadyForSync(view, node);
}

SyncSet AnyOf(int k, std::vector<NodeId> members) {
    std::sort(members.begin(), members.end());
    const int n = static_cast<int>(members.size());
    return n == 0 ? SyncSet{} : SyncSet{std::clamp(k, 1, n), std::move(members)};
}

template <typename Is>
std::vector<NodeId> Ids(const GroupView &view, Is is) {
    std::vector<NodeId> ids;
    for (const NodeView &node : view.nodes) {
        if (is(node)) ids.push_back(node.id);
    }
    return ids;
}

std::vector<NodeId> HealthyMembers(const GroupView &view) {
    return Ids(view, [&](const NodeView &node) { return IsHealthyMember(view, node); });
}

std::vector<NodeId> QuorumStandbys(const GroupView &view) {
    return Ids(view, [&](const NodeView &node) { return CountsForQuorum(view, node); });
}

bool HasEnough(const GroupView &view, const std::vector<NodeId> &healthy) {
    return static_cast<int>(healthy.size()) >= std::max(1, view.number_sync_standbys);
}

/// Goals of a primary that has, or had, standbys.
bool IsServingGoal(NodeState goal) {
    return goal == kPrimary || goal == kWaitPrimary || goal == kApplySettings;
}

/// Too few members of the recorded set are left for PostgreSQL to use it.
bool IsOutOfReach(const GroupView &view) {
    const SyncSet &set = view.sync.goal;
    const auto healthy = std::count_if(
        view.nodes.begin(), view.nodes.end(),
        [&](const NodeView &node) { return set.Contains(node.id) && IsHealthyMember(view, node); });
    return healthy < set.k;
}

bool IsSubset(const SyncSet &inner, const SyncSet &outer) {
    return std::all_of(inner.members.begin(), inner.members.end(),
                       [&outer](NodeId member) { return outer.Contains(member); });
}

}  // namespace

SyncSet DesiredSync(const GroupView &view) {
    const std::vector<NodeId> healthy = HealthyMembers(view);
    if (HasEnough(view, healthy)) return AnyOf(view.number_sync_standbys, healthy);
    if (view.number_sync_standbys <= 0) return {};
    // A group that is being built up, or was cut down to asynchronous, goes on until it has enough.
    if (view.sync.goal.members.empty()) return {};
    // Durability first: writes wait for those that are away.
    std::vector<NodeId> members = Ids(view, [&](const NodeView &node) {
        return CountsForQuorum(view, node) &&
               (view.sync.goal.Contains(node.id) || IsHealthyMember(view, node));
    });
    if (static_cast<int>(members.size()) < view.number_sync_standbys)
        members = QuorumStandbys(view);
    return AnyOf(view.number_sync_standbys, std::move(members));
}

NodeState DesiredPrimaryState(const GroupView &view) {
    if (HasEnough(view, HealthyMembers(view))) return kPrimary;
    const NodeView *primary = FindPrimary(view);
    const bool has_quorum = !QuorumStandbys(view).empty();
    if (has_quorum && view.number_sync_standbys > 0) {
        const bool was_primary = primary != nullptr && primary->goal != kWaitPrimary;
        return was_primary ? kPrimary : kWaitPrimary;
    }
    if (has_quorum) return kWaitPrimary;
    // Asynchronous by choice: a primary needs a standby that could take over.
    const bool has_standby =
        std::any_of(view.nodes.begin(), view.nodes.end(), [&](const NodeView &node) {
            return node.goal == kSecondary && (IsReadyForSync(view, node) ||
                                               (primary != nullptr && primary->goal == kPrimary));
        });
    return has_standby ? kPrimary : kWaitPrimary;
}

SyncSet SyncOfNewTerm(const GroupView &view, NodeId primary) {
    if (view.number_sync_standbys <= 0) return {};
    return AnyOf(view.number_sync_standbys, Ids(view, [primary](const NodeView &node) {
                     return node.id != primary && node.replication_quorum && node.goal != kDropped;
                 }));
}

namespace when {

bool HasLostStandby(const RuleContext &c) {
    if (!HasOtherPrimary(c) || c.node.goal != kSecondary) return false;
    return IsServingGoal(c.primary->goal) && IsSoundPrimary(c.view, *c.primary) &&
           IsStandbyLost(c.view, *c.primary, c.node, c.why);
}

/// The primary's data are copied to it; not when those are damaged too.
bool MustBeCopied(const RuleContext &c) {
    if (!HasOtherPrimary(c) || c.node.goal != kSecondary || !LetsNobodyIn(c.view, c.node))
        return false;
    const bool can_copy = IsServingGoal(c.primary->goal) && IsSoundPrimary(c.view, *c.primary) &&
                          !IsDamaged(*c.primary) && c.primary->probe == ProbeFact::kAlive;
    if (can_copy) *c.why = Describe(c.node) + " lets no session in: " + c.node.broken;
    return can_copy;
}

bool HasCaughtUp(const RuleContext &c) {
    return HasOtherPrimary(c) && IsStable(c.node, kCatchingup) &&
           IsReadyPrimary(c.view, c.primary) && IsServing(c.view, c.node) &&
           !IsReplayStuck(c.view, c.node) && !LetsNobodyIn(c.view, c.node) &&
           IsConfirming(c.view, c.node, *c.primary) &&
           Distance(c.node.report.lsn, c.primary->report.lsn) <=
               c.view.timeouts.enable_sync_lag_bytes;
}

bool MustDisableSync(const RuleContext &c) {
    return IsPrimary(c) && (c.node.goal == kPrimary || c.node.goal == kApplySettings) &&
           IsSoundPrimary(c.view, c.node) && DesiredPrimaryState(c.view) == kWaitPrimary &&
           c.view.sync.superseded.size() < kSupersededMax;
}

bool CanEnableSync(const RuleContext &c) {
    return IsPrimary(c) && IsStable(c.node, kWaitPrimary) && IsSoundPrimary(c.view, c.node) &&
           DesiredPrimaryState(c.view) == kPrimary &&
           (c.view.sync.IsSettled() || !c.view.sync.goal.members.empty()) &&
           c.view.sync.superseded.size() < kSupersededMax;
}

bool MustResizeSync(const RuleContext &c) {
    if (!IsPrimary(c) || !IsSoundPrimary(c.view, c.node)) return false;
    if (c.node.goal != kPrimary && c.node.goal != kApplySettings) return false;
    const SyncSet desired = DesiredSync(c.view);
    if (desired == c.view.sync.goal) return false;
    const bool only_loses = desired.k == c.view.sync.goal.k && IsSubset(desired, c.view.sync.goal);
    if (only_loses) return c.view.sync.superseded.size() < kSupersededMax;
    if (c.view.sync.IsSettled() && IsStable(c.node, kPrimary)) return true;
    // The set under way waits for standbys that are gone, and others are there.
    return IsOutOfReach(c.view) && HasEnough(c.view, HealthyMembers(c.view)) &&
           c.view.sync.superseded.size() < kSupersededMax;
}

bool MustResizeWaiting(const RuleContext &c) {
    return IsPrimary(c) && IsStable(c.node, kWaitPrimary) && IsSoundPrimary(c.view, c.node) &&
           DesiredPrimaryState(c.view) == kWaitPrimary && DesiredSync(c.view) != c.view.sync.goal &&
           c.view.sync.superseded.size() < kSupersededMax;
}

bool HasAppliedSettings(const RuleContext &c) {
    return IsPrimary(c) && IsStable(c.node, kApplySettings) && IsSoundPrimary(c.view, c.node);
}

}  // namespace when

}  // namespace pgaf::core
