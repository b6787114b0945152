#include <algorithm>

#include "pgaf/core/intake.hpp"
#include "pgaf/core/learn.hpp"
#include "requests.hpp"
#include "rules.hpp"

/// Failover, removal and registration, as operators ask for them.
namespace pgaf::core {
namespace {

using enum NodeState;

bool HasOthers(const GroupView &view, const NodeView &node) {
    return std::any_of(view.nodes.begin(), view.nodes.end(), [&](const NodeView &other) {
        return other.id != node.id && other.goal != kDropped;
    });
}

// ---- failover

/// Nobody can be elected, and a former primary reports that still has its data: the furthest one,
/// or the one that the operator names.
const NodeView *FormerPrimary(const GroupView &view, NodeId preferred) {
    const NodeView *best = nullptr;
    for (const NodeView &node : view.nodes) {
        const bool counts = IsStoppedWithData(node) && node.id != view.primary &&
                            IsReporting(view, node) && node.report.timeline > 0 &&
                            (!preferred.IsValid() || node.id == preferred);
        if (!counts) continue;
        const auto rank = [](const NodeView &n) {
            return std::pair(n.report.timeline, n.report.lsn);
        };
        if (best == nullptr || rank(node) > rank(*best)) best = &node;
    }
    return best;
}

Result<void> CheckPreferred(const GroupView &view, NodeId preferred) {
    if (!preferred.IsValid()) return {};
    const NodeView *node = view.Find(preferred);
    if (node == nullptr) return NoSuchNode(preferred);
    if (node->id != view.primary && CouldSeal(view, *node)) return {};
    if (FormerPrimary(view, preferred) != nullptr) return {};
    return Fail(ProblemCode::kRefused, "cannot promote " + Describe(*node) + " now", StateOf(*node),
                "Wait until it is a secondary: pg_autoctl show state.");
}

/// Whether the primary still runs is being found out: who asks in the moment of its death must not
/// be told to wait for what will never be.
tl::unexpected<Problem> RefuseSwitchover(const GroupView &view, const NodeView &primary,
                                         Problem problem) {
    const bool is_late = primary.report_age >= view.timeouts.unhealthy / 2;
    if (primary.session == SessionFact::kLost || is_late) {
        problem.detail += " " + Describe(primary) + " may be gone: " +
                          (is_late ? "it is late with its report." : "its session has ended.");
        problem.hint =
            "Ask again in a few seconds. Once the primary is known to be gone, the loss of commits "
            "can be accepted: --allow-data-loss.";
    }
    return tl::unexpected(std::move(problem));
}

std::string Megabytes(std::uint64_t bytes) {
    constexpr std::uint64_t kMega = 1024 * 1024;
    return std::to_string((bytes + kMega - 1) / kMega) + " MB";
}

/// The group has a primary that serves: it drains, and hands over.
Result<Decision> SwitchOver(const GroupView &view, const NodeView &primary, NodeId preferred) {
    if (!IsStable(primary, kPrimary)) {
        return RefuseSwitchover(
            view, primary,
            {ProblemCode::kRefused, "cannot fail over while the primary is not in state primary",
             StateOf(primary), "Watch it: pg_autoctl show state."});
    }
    GroupView wish = view;
    wish.preferred = preferred;
    std::string why;
    if (!BestCandidate(wish).IsValid() || !CouldConclude(wish, &why)) {
        return RefuseSwitchover(
            view, primary,
            {ProblemCode::kRefused, "cannot fail over while no standby can take over",
             WhyNobody(why), "Wait until one is a synchronous secondary: pg_autoctl show state."});
    }
    if (auto checked = CheckHandOver(wish); !checked) return tl::unexpected(checked.error());
    Decision decision;
    if (preferred != view.preferred) decision.preferred = preferred;
    decision.assignments.push_back(AssignAsked(primary, kDraining, 11, "a failover was requested"));
    return decision;
}

/// Not every grant can be waited for.
Result<void> CheckLease(const GroupView &view, const NodeView &old, bool primary_is_off) {
    if (primary_is_off || old.proved_fenced) return {};
    const std::string message =
        "cannot fail over while " + Describe(old) + " may still accept writes";
    const std::string hint = "Switch its machine off, then say so: --primary-is-off.";
    if (old.lease_left == kNoLimit) {
        return Fail(
            ProblemCode::kRefused, message,
            "It was alone when it was last heard of, and may write without a limit of time.", hint);
    }
    if (CanLeaseEnd(view)) return {};
    return Fail(ProblemCode::kRefused, message,
                "Standbys that do not report may be with it, and extend its lease.", hint);
}

/// The old primary can acknowledge nothing any more, as far as a request may rely on it.
Result<void> CheckOldPrimary(const GroupView &view, const NodeView &old, bool primary_is_off) {
    std::string why;
    if (LivenessOf(view, old, &why) == Liveness::kHealthy) {
        return Fail(ProblemCode::kRefused,
                    "cannot accept the loss of data while the primary is alive", StateOf(old),
                    "Perform a failover without --allow-data-loss.");
    }
    if (!primary_is_off && !old.proved_fenced && !IsUnheard(view, old)) {
        return Fail(ProblemCode::kRefused,
                    "cannot accept the loss of data while the primary may be alive",
                    StateOf(old) + " " + why + ". A standby says that it still hears it.",
                    "Ask again in a few seconds, or switch its machine off and say so: "
                    "--primary-is-off.");
    }
    return CheckLease(view, old, primary_is_off);
}

/// It writes again where it ended, in a term of its own.
Decision Reinstate(const GroupView &view, const NodeView *old, const NodeView &former,
                   const FailoverRequest &request) {
    Decision decision;
    const std::string reason =
        "the operator accepted that what was acknowledged after this node had been the primary is "
        "lost";
    decision.accepts_data_loss = false;
    decision.known_off = request.primary_is_off && old != nullptr ? old->id : NodeId{};
    decision.term = view.term + 1;
    decision.primary = former.id;
    decision.former = NodeId{};
    decision.timeline = former.report.timeline;
    decision.target_lsn = Lsn{};
    decision.preferred = NodeId{};
    SyncState sync = view.sync;
    ReplaceGoal(sync, {});
    decision.sync = sync;
    if (old != nullptr && old->goal != kDropped)
        decision.assignments.push_back(AssignAsked(*old, kDemoted, 23, reason));
    decision.assignments.push_back(AssignAsked(former, kWaitPrimary, 23, reason));
    return decision;
}

/// The primary is gone, its row perhaps too (null). `accepts` goes on without proof that no commit
/// is lost.
Result<Decision> ForceElection(const GroupView &view, const NodeView *old,
                               const FailoverRequest &request) {
    if (old != nullptr) {
        const auto checked = CheckOldPrimary(view, *old, request.primary_is_off);
        if (!checked) return tl::unexpected(checked.error());
    }
    GroupView forced = view;
    forced.accepts_data_loss = true;
    forced.preferred = request.preferred;
    std::string why;
    if (!CouldConclude(forced, &why)) {
        const NodeView *const former = FormerPrimary(view, request.preferred);
        if (former != nullptr) return Reinstate(view, old, *former, request);
        return Fail(ProblemCode::kRefused, "cannot fail over: no standby can be promoted",
                    "The obstacle: " + why + ".", "Start a standby: pg_autoctl run.");
    }
    Decision decision;
    decision.accepts_data_loss = true;
    if (request.preferred != view.preferred) decision.preferred = request.preferred;
    if (request.primary_is_off && old != nullptr) decision.known_off = old->id;
    const std::string reason =
        "a failover was requested that may lose acknowledged commits: " + DescribeLoss(view);
    if (old != nullptr && old->goal != kDropped) {
        decision.assignments.push_back(AssignAsked(*old, kDemoteTimeout, 23, reason));
    }
    for (const NodeView &node : view.nodes) {
        if (!CouldSeal(forced, node) || IsInElection(node.goal)) continue;
        decision.assignments.push_back(AssignAsked(node, kReportLsn, 23, reason));
    }
    return decision;
}

/// The monitor has forgotten decisions, and no primary writes from which it could learn them. Its
/// memory becomes as new as that of the nodes, without what the newest set was: that is what may be
/// lost.
Result<Decision> ForceWithOldRows(const GroupView &view, const FailoverRequest &request) {
    GroupView newest = view;
    for (const NodeView &node : view.nodes) {
        if (MayWrite(node) && !request.primary_is_off)
            return Fail(
                ProblemCode::kRefused,
                "cannot accept the loss of data while " + Describe(node) + " may write",
                StateOf(node) +
                    " The monitor was restored from a backup, and does not "
                    "know who the primary is.",
                "Wait until all nodes report, and restart PostgreSQL on the one that may "
                "write: it comes back fenced, and nothing is lost then. Or switch off every "
                "machine that may write, and say so: --primary-is-off.");
    }
    if (auto learned = LearnByOrder(view)) return *learned;
    for (const NodeView &node : view.nodes) {
        if (!node.has_report) continue;
        newest.term = std::max(newest.term, node.report.term);
        newest.highest_timeline = std::max(newest.highest_timeline, node.report.timeline);
        newest.sync.goal_version =
            std::max(newest.sync.goal_version, node.report.known_sync_version);
    }
    newest.sync.confirmed = newest.sync.goal;
    newest.sync.confirmed_version = newest.sync.goal_version;
    newest.sync.superseded.clear();
    // The timeline of the forgotten primary is that of whoever has most.
    newest.timeline = 0;
    auto decision = ForceElection(newest, nullptr, request);
    if (!decision) return decision;
    const NodeView *const primary = FindPrimary(view);
    if (primary != nullptr && !decision->primary)
        decision->assignments.push_back(
            AssignAsked(*primary, primary->report.in_recovery ? kReportLsn : kDemoteTimeout, 23,
                        "the monitor had forgotten who the primary was"));
    if (!decision->term) decision->term = newest.term;
    if (!decision->sync) decision->sync = newest.sync;
    if (!decision->timeline) decision->timeline = 0;
    decision->highest_timeline = newest.highest_timeline;
    return decision;
}

// ---- removal

Result<Decision> RemovePrimary(const GroupView &view, const NodeView &node) {
    Decision decision;
    std::string why;
    if (HasOthers(view, node) && !CouldConclude(view, &why)) {
        return Fail(ProblemCode::kRefused,
                    "cannot drop " + Describe(node) + " while no standby can take over",
                    "The obstacle: " + why + ".",
                    "Drop the standbys first, or wait until one is a secondary.");
    }
    if (HasOthers(view, node)) {
        if (auto checked = CheckHandOver(view); !checked) return tl::unexpected(checked.error());
    }
    decision.assignments.push_back(
        AssignAsked(node, kDropped, 13, "removal of the primary was requested"));
    return decision;
}

Result<Decision> RemoveByForce(const GroupView &view, const NodeView &node) {
    Decision decision;
    const bool is_primary = node.id == view.primary && !IsStandby(node.goal);
    if (is_primary && HasOthers(view, node)) {
        std::string why;
        if (IsServing(view, node)) {
            return Fail(ProblemCode::kRefused,
                        "cannot drop " + Describe(node) + " by force while it accepts writes",
                        StateOf(node), "Drop it without --force, or stop it first.");
        }
        if (node.lease_left == kNoLimit && !node.proved_fenced) {
            return Fail(
                ProblemCode::kRefused, "cannot drop " + Describe(node) + " by force",
                "It was alone when it was last heard of, and may write without a limit of time: "
                "those that are left could get a second primary.",
                "Start it, or switch its machine off and say so: pg_autoctl perform failover "
                "--allow-data-loss --primary-is-off. When no other node can take over, drop the "
                "others first.");
        }
        if (!IsProvedFenced(view, node, &why)) {
            return Fail(ProblemCode::kRefused, "cannot drop " + Describe(node) + " by force yet",
                        "It is the primary, and " + why + ".",
                        "Try again after the lease, or drop it without --force.");
        }
    }
    decision.removed.push_back(node.id);
    return decision;
}

}  // namespace

Result<void> CheckHandOver(const GroupView &view) {
    const NodeView *const node = view.Find(BestCandidate(view));
    if (node == nullptr) return {};
    // It would go on streaming, and nobody could be promoted in its place.
    if (CannotReload(*node))
        return Fail(ProblemCode::kRefused,
                    "cannot hand over to " + Describe(*node) + ": its settings cannot be read",
                    "On that node: " + node->report.problem + ".",
                    "Correct the file there; it is read again by itself.");
    const NodeView *const primary = FindPrimary(view);
    if (IsDamaged(*node) && (primary == nullptr || !IsDamaged(*primary))) {
        return Fail(ProblemCode::kRefused,
                    "cannot hand over to " + Describe(*node) + ": a part of its data is damaged",
                    "It says: " + node->report.problem + ".",
                    "Copy it anew first: pg_autoctl reinit --name " + node->name + ".");
    }
    const std::uint64_t lag = ReplayLag(*node);
    const bool is_stuck = IsReplayStuck(view, *node);
    if (!is_stuck && lag <= view.timeouts.replay_lag_bytes) return {};
    return Fail(
        ProblemCode::kRefused,
        "cannot hand over to " + Describe(*node) + " before it has replayed what it holds",
        (node->report.receiver.replay_paused ? "Its replay is paused"
         : is_stuck                          ? "Its replay does not go on"
                                             : "Its replay is late") +
            std::string(", and ") + Megabytes(lag) +
            " of WAL would be replayed while nobody accepts writes.",
        node->report.receiver.replay_paused
            ? "If somebody has paused it, let it go on there: SELECT pg_wal_replay_resume()."
        : is_stuck ? "Look for a query that holds it up: pg_stat_activity on that node."
                   : "Ask again later.");
}

Result<NodeState> GoalForNewNode(const GroupView &view) {
    if (view.nodes.empty()) return kSingle;
    if (view.nodes.size() >= kGroupNodesMax) {
        return Fail(ProblemCode::kBadState, "cannot register another node in the group",
                    "It has " + std::to_string(view.nodes.size()) +
                        " nodes, the most that a group can have.",
                    "Register it in another formation.");
    }
    const NodeView *primary = FindPrimary(view);
    if (primary != nullptr && IsWritable(primary->goal)) return kWaitStandby;
    return Fail(ProblemCode::kRefused, "cannot register a standby: the group has no primary now",
                "A failover or the removal of a node is under way.", "Try again in a moment.");
}

Result<NodeState> GoalForKnownNode(const GroupView &view, NodeState state) {
    if (view.nodes.size() >= kGroupNodesMax) return GoalForNewNode(view);
    switch (state) {
        case kInit:
        case kWaitStandby:
        case kDropped:
        case kUnknown:
            return Fail(ProblemCode::kRefused,
                        "cannot register a node in state \"" + std::string(ToString(state)) +
                            "\" under a number of its own",
                        "It has no data that a group could use.", "Create it anew.");
        case kMaintenance:
        case kDemoted:
            return state;
        case kWaitMaintenance:
            return kMaintenance;
        default:
            break;
    }
    // Another primary is known: this one was it before, or its reports say that it has come later.
    if (!IsStandby(state)) {
        if (FindPrimary(view) != nullptr || state == kDemoteTimeout) return kDemoted;
        return IsWritable(state) && state != kApplySettings ? state : kPrimary;
    }
    return kCatchingup;
}

Result<Decision> RequestFailover(const GroupView &view, const FailoverRequest &request) {
    const NodeView *primary = FindPrimary(view);
    const NodeView *old = view.Find(view.primary);
    if (old == nullptr) old = primary;
    if (view.nodes.size() < 2 || (old != nullptr && !HasOthers(view, *old))) {
        return Fail(ProblemCode::kRefused, "cannot fail over: the group has no standby",
                    "A failover needs a primary and a secondary.",
                    "Add a standby: pg_autoctl create postgres.");
    }
    if (const auto checked = CheckPreferred(view, request.preferred); !checked) {
        return tl::unexpected(checked.error());
    }
    if (request.allow_data_loss && NewerThanRows(view) != nullptr)
        return ForceWithOldRows(view, request);
    const bool is_alive = primary != nullptr && IsServing(view, *primary) &&
                          LivenessOf(view, *primary, nullptr) == Liveness::kHealthy;
    if (is_alive && IsWritable(primary->goal)) {
        return SwitchOver(view, *primary, request.preferred);
    }
    if (request.allow_data_loss) return ForceElection(view, old, request);
    std::string why;
    GroupView wish = view;
    wish.preferred = request.preferred;
    if (CouldConclude(wish, &why) && request.preferred.IsValid()) {
        Decision decision;
        if (request.preferred != view.preferred) decision.preferred = request.preferred;
        return decision;  // an election is under way, or will be: the wish counts in it
    }
    return Fail(ProblemCode::kRefused,
                why.empty() ? "cannot request a failover: one is under way"
                            : "cannot fail over without the risk of losing acknowledged commits",
                old == nullptr ? "The group has no primary."
                               : StateOf(*old) + (why.empty() ? "" : " The obstacle: " + why + "."),
                why.empty() ? "Watch it: pg_autoctl show state."
                            : "Bring a missing node back, or accept the loss: --allow-data-loss.");
}

Result<Decision> RequestRemoval(const GroupView &view, NodeId id, bool force) {
    const NodeView *node = view.Find(id);
    if (node == nullptr) return NoSuchNode(id);
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
    if (!IsServing(view, *primary) && IsMemberOfAny(view, id)) {
        return Fail(ProblemCode::kRefused,
                    "cannot drop " + Describe(*node) + " while the primary is away",
                    "It has confirmed commits, and may be the only one that holds them.",
                    "Wait until the primary is back, or another node has taken over.");
    }
    decision.assignments.push_back(
        AssignAsked(*node, kDropped, 15, "removal of the node was requested"));
    return decision;
}

}  // namespace pgaf::core
