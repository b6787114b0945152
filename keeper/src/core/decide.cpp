#include "pgaf/core/decide.hpp"

#include <algorithm>
#include <array>

#include "rules.hpp"

namespace pgaf::core {
namespace {

/// A rule moves a goal, and every chain of moves ends; this bound only guards against a mistake in the table.
constexpr int kRoundsMax = 16;

void SetGoal(Decision &decision, GroupView &view, NodeId id, const Rule &rule, NodeState goal,
             const std::string &reason) {
    NodeView *node = view.Find(id);
    if (goal == NodeState::kUnknown || node == nullptr || node->goal == goal) return;
    decision.assignments.push_back(
        {id, node->goal, goal, rule.pos, std::string(rule.name), reason});
    node->goal = goal;
    node->goal_age = Milliseconds{0};
}

void SetSync(Decision &decision, GroupView &view, SyncSet set) {
    if (view.sync.goal == set) return;
    view.sync.goal = std::move(set);
    ++view.sync.goal_version;
    decision.sync = view.sync;
}

void SetTarget(Decision &decision, GroupView &view, Lsn target) {
    if (view.target_lsn == target) return;
    view.target_lsn = target;
    decision.target_lsn = target;
}

void CarryOut(const Rule &rule, NodeId id, NodeId old_primary, const std::string &why,
              Decision &decision, GroupView &view) {
    std::string reason(rule.reason);
    if (!why.empty()) reason += ": " + why;
    const NodeView *old = view.Find(old_primary);
    const Lsn sealed = old == nullptr ? Lsn{} : old->report.sealed_lsn;
    SetGoal(decision, view, id, rule, rule.node_goal, reason);
    SetGoal(decision, view, old_primary, rule, rule.primary_goal, reason);
    switch (rule.extra) {
        case Extra::kNone: break;
        case Extra::kRemoveNode:
            decision.removed.push_back(id);
            std::erase_if(view.nodes, [&](const NodeView &node) { return node.id == id; });
            break;
        case Extra::kShrinkSync:
            SetSync(decision, view, {});
            SetTarget(decision, view, Lsn{});
            break;
        case Extra::kGrowSync: SetSync(decision, view, WantedSyncSet(view)); break;
        case Extra::kRecordTarget: SetTarget(decision, view, sealed); break;
        case Extra::kNewTerm:
            decision.term = ++view.term;
            SetSync(decision, view, {});
            SetTarget(decision, view, Lsn{});
            break;
    }
}

/// Carries the first rule that applies out; false when none does.
bool DecideOnce(Decision &decision, GroupView &view) {
    for (const Rule &rule : RuleTable()) {
        for (const NodeView &node : view.nodes) {
            std::string why;
            const RuleContext context{view, node, FindPrimary(view), FindOldPrimary(view, node),
                                      &why};
            if (!rule.when(context)) continue;
            const NodeId old_primary =
                context.old_primary == nullptr ? NodeId{} : context.old_primary->id;
            CarryOut(rule, node.id, old_primary, why, decision, view);
            return true;
        }
    }
    return false;
}

/// The next moment at which time alone can change an answer.
Milliseconds NextDeadline(const GroupView &view) {
    Milliseconds next = kNoLimit;
    const auto consider = [&](Milliseconds in) {
        if (in > Milliseconds{0} && in != kNoLimit) next = std::min(next, in + Milliseconds{1});
    };
    for (const NodeView &node : view.nodes) {
        consider(view.timeouts.unhealthy - node.silent_age);
        consider(LeaseLeftWithStream(view, node));
        if (node.goal == NodeState::kDraining) consider(view.timeouts.drain - node.goal_age);
    }
    return next;
}

std::string WhyBlocked(const GroupView &view) {
    const NodeView *primary = FindPrimary(view);
    if (primary == nullptr || !IsWritable(primary->goal) || view.nodes.size() < 2 ||
        LivenessOf(view, *primary, nullptr) != Liveness::kGone) {
        return "";
    }
    // Without durations: the text is logged when it changes.
    const std::string why = "the primary, " + Describe(*primary) + ", is gone";
    for (const NodeView &node : view.nodes) {
        if (node.id == primary->id || node.goal == NodeState::kDropped) continue;
        if (!IsPromotable(view, node)) {
            return why + "; " + Describe(node) +
                   " cannot take over: it is not confirmed as a synchronous standby";
        }
        if (!IsServing(view, node)) return why + "; " + Describe(node) + " does not report either";
    }
    return "";
}

}  // namespace

const NodeView *GroupView::Find(NodeId id) const {
    const auto it = std::find_if(nodes.begin(), nodes.end(),
                                 [&](const NodeView &node) { return node.id == id; });
    return it == nodes.end() ? nullptr : &*it;
}

NodeView *GroupView::Find(NodeId id) {
    return const_cast<NodeView *>(static_cast<const GroupView &>(*this).Find(id));
}

Decision Decide(const GroupView &view) {
    Decision decision;
    GroupView working = view;
    for (int round = 0; round < kRoundsMax && DecideOnce(decision, working); ++round) {
    }
    decision.again_in = NextDeadline(working);
    decision.blocked = WhyBlocked(working);
    return decision;
}

void Apply(const Decision &decision, GroupView &view) {
    for (const Assignment &assignment : decision.assignments) {
        if (NodeView *node = view.Find(assignment.node)) {
            node->goal = assignment.goal;
            node->goal_age = Milliseconds{0};
        }
    }
    for (const NodeId id : decision.removed) {
        std::erase_if(view.nodes, [&](const NodeView &node) { return node.id == id; });
    }
    if (decision.sync) view.sync = *decision.sync;
    if (decision.term) view.term = *decision.term;
    if (decision.target_lsn) view.target_lsn = *decision.target_lsn;
}

std::optional<SyncState> ConfirmSync(const GroupView &view, const Report &report) {
    const NodeView *primary = FindPrimary(view);
    if (primary == nullptr || primary->id != report.node || view.sync.IsSettled() ||
        report.sync_version != view.sync.goal_version || !IsWritable(report.state)) {
        return std::nullopt;
    }
    // With members, the lease must be in force too: from now on another node can be promoted.
    const bool is_in_force = view.sync.goal.members.empty() ||
                             (report.state == NodeState::kPrimary && report.lease_mode);
    if (!is_in_force) return std::nullopt;
    SyncState confirmed = view.sync;
    confirmed.confirmed = confirmed.goal;
    confirmed.confirmed_version = confirmed.goal_version;
    return confirmed;
}

const NodeView *FindPrimary(const GroupView &view) {
    const auto find = [&](auto is) -> const NodeView * {
        const auto it = std::find_if(view.nodes.begin(), view.nodes.end(), is);
        return it == view.nodes.end() ? nullptr : &*it;
    };
    const NodeView *primary = find([](const NodeView &node) { return IsWritable(node.goal); });
    if (primary != nullptr) return primary;
    return find([](const NodeView &node) { return IsPrimaryIsh(node.goal); });
}

bool IsPromotable(const GroupView &view, const NodeView &node) {
    if (!IsStable(node, NodeState::kSecondary) || node.candidate_priority <= 0) return false;
    if (!node.replication_quorum) return true;
    const std::vector<NodeId> alone{node.id};
    return view.sync.goal.Contains(node.id) && view.sync.confirmed.Contains(node.id) &&
           CoversEveryCommit(view.sync.goal, alone) && CoversEveryCommit(view.sync.confirmed, alone);
}

}  // namespace pgaf::core
