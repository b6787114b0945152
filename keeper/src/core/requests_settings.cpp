#include <algorithm>

#include "requests.hpp"
#include "rules.hpp"

/// Maintenance and settings of replication, as operators ask for them.
namespace pgaf::core {
namespace {

using enum NodeState;

Decision One(const NodeView &node, NodeState goal, int pos, std::string reason) {
    Decision decision;
    decision.assignments.push_back(AssignAsked(node, goal, pos, std::move(reason)));
    return decision;
}

/// Standbys that count for synchronous replication, in any state, `without` left out.
int CountQuorum(const GroupView &view, NodeId without) {
    const NodeView *primary = FindPrimary(view);
    return static_cast<int>(
        std::count_if(view.nodes.begin(), view.nodes.end(), [&](const NodeView &node) {
            return node.replication_quorum && node.goal != kDropped && node.id != without &&
                   (primary == nullptr || node.id != primary->id);
        }));
}

Result<Decision> RestPrimary(const GroupView &view, const NodeView &node) {
    std::string why;
    if (!IsStable(node, kPrimary) || !IsServing(view, node)) {
        return Fail(ProblemCode::kRefused,
                    "cannot start maintenance of the primary while it is not in state primary",
                    StateOf(node), "Watch it: pg_autoctl show state.");
    }
    if (!BestCandidate(view).IsValid() || !CouldConclude(view, &why)) {
        return Fail(ProblemCode::kRefused,
                    "cannot start maintenance of the primary while no standby can take over",
                    WhyNobody(why),
                    "Wait until one is a synchronous secondary: pg_autoctl show state.");
    }
    if (auto checked = CheckHandOver(view); !checked) return tl::unexpected(checked.error());
    return One(node, kPrepareMaintenance, 25, "maintenance of the primary was requested");
}

}  // namespace

Result<Decision> RequestMaintenance(const GroupView &view, NodeId id, std::string *warning) {
    const NodeView *node = view.Find(id);
    if (node == nullptr) return NoSuchNode(id);
    if (node->goal == kMaintenance || node->goal == kWaitMaintenance ||
        node->goal == kPrepareMaintenance) {
        return Decision{};
    }
    const NodeView *primary = FindPrimary(view);
    if (primary != nullptr && primary->id == id) return RestPrimary(view, *node);
    if (primary == nullptr || !IsWritable(primary->goal)) {
        return Fail(ProblemCode::kRefused, "cannot start maintenance during a failover",
                    StateOf(*node), "Try again when the group has a primary.");
    }
    if (!IsStable(*node, kSecondary) && !IsStable(*node, kCatchingup)) {
        return Fail(ProblemCode::kRefused,
                    "cannot start maintenance of " + Describe(*node) + " now", StateOf(*node),
                    "Wait until it is a secondary: pg_autoctl show state.");
    }
    GroupView after = view;
    after.Find(id)->goal = kWaitMaintenance;
    if (DesiredSync(after).Contains(id) && warning != nullptr) {
        *warning = "writes will wait while " + Describe(*node) +
                   " does not replicate: the formation asks for " +
                   std::to_string(view.number_sync_standbys) + " synchronous standbys";
    }
    return One(*node, kWaitMaintenance, 27, "maintenance of the standby was requested");
}

Result<Decision> RequestEndOfMaintenance(const GroupView &view, NodeId id) {
    const NodeView *node = view.Find(id);
    if (node == nullptr) return NoSuchNode(id);
    if (node->goal == kCatchingup || node->goal == kSecondary) return Decision{};
    const bool rests = node->goal == kMaintenance || node->goal == kWaitMaintenance;
    if (!rests) {
        return Fail(ProblemCode::kRefused,
                    "cannot stop maintenance of " + Describe(*node) + ": it is not in maintenance",
                    StateOf(*node), "Watch it: pg_autoctl show state.");
    }
    return One(*node, kCatchingup, 29, "the end of maintenance was requested");
}

namespace {

bool HasPrimaryToCopy(const GroupView &view, const NodeView &node) {
    const NodeView *primary = FindPrimary(view);
    return primary != nullptr && primary->id != node.id && IsWritable(primary->goal) &&
           IsWritable(primary->reported) && IsServing(view, *primary);
}

}  // namespace

std::int64_t NextCopy(const NodeView &node) {
    return std::max({node.report.copies, node.held.copies, node.wanted_copy}) + 1;
}

Result<Decision> RequestCopy(const GroupView &view, NodeId id) {
    const NodeView *node = view.Find(id);
    if (node == nullptr) return NoSuchNode(id);
    const std::string what = "cannot copy " + Describe(*node) + " anew";
    if (!HasPrimaryToCopy(view, *node)) {
        return Fail(ProblemCode::kRefused, what + ": no other node of the group accepts writes now",
                    "This node may have the only complete copy of the data.",
                    "See pg_autoctl show state.");
    }
    const NodeView *primary = FindPrimary(view);
    if (IsDamaged(*primary)) {
        return Fail(ProblemCode::kRefused,
                    what + ": a part of the data of " + Describe(*primary) + " is damaged",
                    "It says: " + primary->report.problem + ". This node may be whole.",
                    IsDamaged(*node) ? "Mend it there first, then: pg_autoctl restart --name " +
                                           primary->name + "."
                                     : "Hand over first, then copy the other one: pg_autoctl "
                                       "perform switchover.");
    }
    if (!IsStable(*node, kMaintenance) || !node->has_report) {
        return Fail(ProblemCode::kRefused, what + ": it is not in maintenance", StateOf(*node),
                    "Use pg_autoctl reinit, which begins with that.");
    }
    if (IsMemberOfAny(view, id)) {
        return Fail(ProblemCode::kRefused, what + ": commits still wait for it", StateOf(*node),
                    "Try again in a moment.");
    }
    return One(*node, kCatchingup, 30, "the operator wants a new copy of the primary's data");
}

Result<void> CheckNumberSyncStandbys(const GroupView &view, int number) {
    if (number < 0) {
        return Fail(ProblemCode::kBadArgument,
                    "invalid number of synchronous standbys " + std::to_string(number),
                    "It must be 0 or more.");
    }
    const NodeView *primary = FindPrimary(view);
    if (primary == nullptr || !IsWritable(primary->goal)) {
        return Fail(ProblemCode::kRefused,
                    "cannot change the number of synchronous standbys: group " +
                        std::to_string(view.group) + " has no primary now",
                    "A failover is under way, or no node is registered.", "Try again in a moment.");
    }
    const int count = CountQuorum(view, NodeId{});
    if (number == 0 || count >= number + 1) return {};
    return Fail(ProblemCode::kBadArgument,
                "cannot set the number of synchronous standbys to " + std::to_string(number),
                "Group " + std::to_string(view.group) + " has " + std::to_string(count) +
                    " standbys that count for it; " + std::to_string(number + 1) +
                    " are needed, so that one may fail.",
                "Add a standby, or set the replication quorum of another one to true.");
}

Result<void> CheckQuorumChange(const GroupView &view, NodeId id, bool quorum) {
    if (view.Find(id) == nullptr) return NoSuchNode(id);
    const NodeView *primary = FindPrimary(view);
    if (view.nodes.size() > 1 && (primary == nullptr || !IsWritable(primary->goal))) {
        return Fail(ProblemCode::kRefused, "cannot change the replication quorum during a failover",
                    StateOf(*view.Find(id)), "Try again when the group has a primary.");
    }
    const int number = view.number_sync_standbys;
    if (quorum || number == 0 || CountQuorum(view, id) >= number + 1) return {};
    return Fail(ProblemCode::kBadArgument,
                "cannot set the replication quorum of " + Describe(*view.Find(id)) + " to false",
                std::to_string(CountQuorum(view, id)) +
                    " standbys would count for synchronous replication; with " +
                    std::to_string(number) + " synchronous standbys " + std::to_string(number + 1) +
                    " are needed.",
                "Lower the number first: pg_autoctl set formation number-sync-standbys.");
}

int NumberSyncStandbysAfterJoin(const GroupView &view) {
    // From the second standby on one may be lost without giving durability up.
    const bool is_second = CountQuorum(view, NodeId{}) == 2;
    return view.number_sync_standbys == 0 && is_second ? 1 : view.number_sync_standbys;
}

int NumberSyncStandbysAfterRemoval(const GroupView &view, NodeId removed) {
    const NodeView *primary = FindPrimary(view);
    // One of the standbys takes the place of a primary that goes.
    const bool is_primary = primary != nullptr && primary->id == removed;
    const int left = std::max(CountQuorum(view, removed) - (is_primary ? 1 : 0), 0);
    const int number = view.number_sync_standbys;
    return left >= number + 1 ? number : std::clamp(left - 1, 0, number);
}

}  // namespace pgaf::core
