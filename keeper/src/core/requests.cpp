#include <algorithm>

#include "pgaf/core/decide.hpp"
#include "rules.hpp"

namespace pgaf::core {
namespace {

using enum NodeState;

constexpr std::string_view kOperator = "operator";

Assignment Assign(const NodeView &node, NodeState goal, int pos, std::string reason) {
    return {node.id, node.goal, goal, pos, std::string(kOperator), std::move(reason)};
}

std::string StateOf(const NodeView &node) {
    return Describe(node) + " reports " + std::string(ToString(node.reported)) + " and is assigned " +
           std::string(ToString(node.goal)) + ".";
}

/// The standby of a two-node group.
const NodeView *FindStandby(const GroupView &view, const NodeView &primary) {
    const auto it = std::find_if(view.nodes.begin(), view.nodes.end(), [&](const NodeView &node) {
        return node.id != primary.id && node.goal != kDropped;
    });
    return it == view.nodes.end() ? nullptr : &*it;
}

SyncState Without(const SyncState &sync) {
    SyncState next = sync;
    if (!next.goal.members.empty()) {
        next.goal = {};
        ++next.goal_version;
    }
    return next;
}

Result<Decision> RemovePrimary(const GroupView &view, const NodeView &node) {
    const NodeView *standby = FindStandby(view, node);
    Decision decision;
    if (standby != nullptr && !IsPromotable(view, *standby)) {
        return Fail(ProblemCode::kRefused,
                    "cannot drop " + Describe(node) + " while no standby can take over",
                    StateOf(*standby), "Drop the standby first, or wait until it is a secondary.");
    }
    decision.assignments.push_back(Assign(node, kDropped, 13, "removal of the primary was requested"));
    return decision;
}

Result<Decision> RemoveByForce(const GroupView &view, const NodeView &node) {
    const NodeView *primary = FindPrimary(view);
    const bool is_primary = primary != nullptr && primary->id == node.id;
    std::string why;
    if (is_primary && view.nodes.size() > 1 && node.lease_left != kNoLimit &&
        !IsProvedFenced(view, node, &why)) {
        return Fail(ProblemCode::kRefused, "cannot drop " + Describe(node) + " by force yet",
                    "It is the primary, and " + why + ".",
                    "Try again after the lease, or drop it without --force.");
    }
    if (is_primary && view.nodes.size() > 1 && IsServing(view, node)) {
        return Fail(ProblemCode::kRefused,
                    "cannot drop " + Describe(node) + " by force while it accepts writes",
                    StateOf(node), "Drop it without --force, or stop it first.");
    }
    Decision decision;
    if (!is_primary && primary != nullptr && view.sync.goal.Contains(node.id)) {
        decision.sync = Without(view.sync);
        decision.assignments.push_back(
            Assign(*primary, kWaitPrimary, 17, "removal of the standby was requested"));
    }
    decision.removed.push_back(node.id);
    return decision;
}

}  // namespace

Result<NodeState> GoalForNewNode(const GroupView &view) {
    const auto count = std::count_if(view.nodes.begin(), view.nodes.end(),
                                     [](const NodeView &node) { return node.goal != kDropped; });
    if (count == 0 && view.nodes.empty()) return kSingle;
    const NodeView *primary = FindPrimary(view);
    if (count == 0 || primary == nullptr || !IsWritable(primary->goal)) {
        return Fail(ProblemCode::kRefused, "cannot register a standby: the group has no primary now",
                    "A failover or the removal of a node is under way.", "Try again in a moment.");
    }
    if (count >= 2) {
        return Fail(ProblemCode::kBadState, "cannot register a third node in a group",
                    "This version supports groups of up to two nodes.",
                    "Drop a node first: pg_autoctl drop node.");
    }
    return kWaitStandby;
}

Result<Decision> RequestFailover(const GroupView &view) {
    const NodeView *primary = FindPrimary(view);
    if (primary == nullptr || view.nodes.size() < 2) {
        return Fail(ProblemCode::kRefused, "cannot fail over: the group has no standby",
                    "A failover needs a primary and a secondary.",
                    "Add a standby: pg_autoctl create postgres.");
    }
    const NodeView *standby = FindStandby(view, *primary);
    if (!IsStable(*primary, kPrimary) || !IsServing(view, *primary)) {
        return Fail(ProblemCode::kRefused, "cannot fail over while the primary is not in state primary",
                    StateOf(*primary), "Watch it: pg_autoctl show state.");
    }
    if (standby == nullptr || !IsPromotable(view, *standby) || !IsServing(view, *standby)) {
        return Fail(ProblemCode::kRefused, "cannot fail over while no standby can take over",
                    standby == nullptr ? "The other node is being dropped." : StateOf(*standby),
                    "Wait until it is a synchronous secondary: pg_autoctl show state.");
    }
    Decision decision;
    decision.assignments.push_back(Assign(*primary, kDraining, 11, "a failover was requested"));
    return decision;
}

Result<Decision> RequestRemoval(const GroupView &view, NodeId id, bool force) {
    const NodeView *node = view.Find(id);
    if (node == nullptr) {
        return Fail(ProblemCode::kNotFound, "node " + std::to_string(id.value) + " does not exist", "",
                    "List the nodes: pg_autoctl show state.");
    }
    if (force) return RemoveByForce(view, *node);
    Decision decision;
    if (node->goal == kDropped) {
        if (node->reported == kDropped) decision.removed.push_back(id);
        return decision;
    }
    const NodeView *primary = FindPrimary(view);
    if (primary != nullptr && primary->id == id) return RemovePrimary(view, *node);
    if (primary == nullptr || !IsWritable(primary->goal)) {
        return Fail(ProblemCode::kRefused, "cannot drop " + Describe(*node) + " during a failover",
                    StateOf(*node), "Try again when the group has a primary.");
    }
    decision.assignments.push_back(Assign(*node, kDropped, 15, "removal of the node was requested"));
    if (view.sync.goal.Contains(id)) {
        decision.sync = Without(view.sync);
        decision.assignments.push_back(
            Assign(*primary, kWaitPrimary, 15, "removal of the standby was requested"));
    }
    return decision;
}

Result<Decision> RequestQuorumChange(const GroupView &view, NodeId id) {
    const NodeView *node = view.Find(id);
    const NodeView *primary = FindPrimary(view);
    if (node == nullptr) {
        return Fail(ProblemCode::kNotFound, "node " + std::to_string(id.value) + " does not exist");
    }
    Decision decision;
    if (primary == nullptr || view.nodes.size() < 2) return decision;
    if (!IsWritable(primary->goal)) {
        return Fail(ProblemCode::kRefused,
                    "cannot change the replication quorum of " + Describe(*node) + " during a failover",
                    StateOf(*primary), "Try again when the group has a primary.");
    }
    if (node == primary || node->goal != kSecondary || primary->goal != kPrimary) return decision;
    decision.sync = Without(view.sync);
    decision.assignments.push_back(
        Assign(*primary, kWaitPrimary, 19, "the replication quorum of the standby was changed"));
    return decision;
}

}  // namespace pgaf::core
