#include <algorithm>

#include "pgaf/core/keeper_edges.hpp"
#include "rules.hpp"

/// From the loss of a primary to the next one.
namespace pgaf::core::when {

using enum NodeState;

namespace {

/// How many standbys would take part in an election, this one included.
std::ptrdiff_t CountParticipants(const GroupView &view) {
    return std::count_if(view.nodes.begin(), view.nodes.end(),
                         [&](const NodeView &node) { return CouldSeal(view, node); });
}

bool HasCandidate(const GroupView &view) {
    return std::any_of(view.nodes.begin(), view.nodes.end(),
                       [](const NodeView &node) { return IsBeingPromoted(node.goal); });
}

/// The group has lost whom it had; a reason is left.
bool IsPrimaryGone(const RuleContext &c) {
    const NodeView *old = c.old_primary;
    if (old == nullptr) return c.node.id != c.view.primary && c.primary == nullptr;
    if (old->goal == kDropped) return IsProvedFenced(c.view, *old, c.why);
    if (old->goal == kDemoteTimeout) return true;  // an earlier election came to nothing
    const bool counts = IsWritable(old->goal) || IsHandingOver(old->goal);
    return counts && LivenessOf(c.view, *old, c.why) == Liveness::kGone;
}

bool CanStartElection(const RuleContext &c) {
    // A sealed primary has said where it ended; its death changes nothing.
    if (c.election.is_open || !CouldSeal(c.view, c.node)) return false;
    return IsPrimaryGone(c) && CouldConclude(c.view, nullptr);
}

/// What sealing proves: it holds every acknowledged commit, and there can be no further one.
bool HoldsEveryCommit(const RuleContext &c) {
    if (!IsOnRightTimeline(c.view, c.node)) return false;
    if (c.view.target_lsn.IsValid()) return EndForTarget(c.view, c.node) >= c.view.target_lsn;
    return c.election.is_covered && c.node.report.lsn >= c.election.required;
}

bool IsReadyForPromotion(const RuleContext &c) {
    return (IsStable(c.node, kPreparePromotion) || IsStable(c.node, kStopReplication)) &&
           IsSealed(c.view, c.node) && HoldsEveryCommit(c) &&
           (c.old_primary == nullptr || IsProvedFenced(c.view, *c.old_primary, c.why));
}

bool HasGoal(const NodeView *node, NodeState goal) { return node != nullptr && node->goal == goal; }

/// The way back to the old primary is open: it drains, or was sealed, and its keeper speaks.
bool CanGoOn(const RuleContext &c) {
    return IsPrimary(c) && IsHandingOver(c.node.goal) && IsReporting(c.view, c.node) &&
           !IsStalledPrimary(c.view, c.node) && !IsBehindItsStandby(c.view, c.node);
}

}  // namespace

bool CanBePromoted(const RuleContext &c) {
    return IsReadyForPromotion(c) && !HasGoal(c.old_primary, kDropped) &&
           !HasGoal(c.old_primary, kPrepareMaintenance);
}

bool CanBePromotedAfterDrop(const RuleContext &c) {
    return HasGoal(c.old_primary, kDropped) && IsReadyForPromotion(c);
}

bool CanBePromotedForMaintenance(const RuleContext &c) {
    return HasGoal(c.old_primary, kPrepareMaintenance) && IsReadyForPromotion(c);
}

/// A switchover whose standbys are gone: the primary is drained, or its supervisor can start it
/// again.
bool MustCallOff(const RuleContext &c) {
    if (!CanGoOn(c)) return false;
    if (!CouldConclude(c.view, c.why)) return true;
    c.why->clear();
    return c.election.is_open && c.node.goal_age > c.view.timeouts.drain;
}

bool HasDrainExpired(const RuleContext &c) {
    return CanGoOn(c) && !c.election.is_open && IsServing(c.view, c.node) &&
           c.node.goal_age > c.view.timeouts.drain;
}

/// The election cannot be concluded without nodes that are away, and the old primary has returned:
/// it has everything.
bool IsPrimaryBack(const RuleContext &c) {
    if (c.node.id != c.view.primary || c.node.goal != kDemoteTimeout) return false;
    if (!IsReporting(c.view, c.node) || IsStalledPrimary(c.view, c.node)) return false;
    if (IsBehindItsStandby(c.view, c.node)) return false;
    const bool is_out_of_reach =
        std::all_of(c.view.nodes.begin(), c.view.nodes.end(), [&](const NodeView &other) {
            // Its keeper reports, and its server does not come up.
            const bool is_stuck =
                !IsServing(c.view, other) && other.goal_age >= c.view.timeouts.unhealthy;
            return other.id == c.node.id || CouldSeal(c.view, other) || HasLostWal(other) ||
                   other.silent_age >= c.view.timeouts.unhealthy || is_stuck ||
                   !IsInElection(other.goal);
        });
    return is_out_of_reach && !CouldConclude(c.view, c.why);
}

/// It was chosen, and its server does not come up: its supervisor says so, again and again.
bool DoesNotComeUp(const GroupView &view, const NodeView &node) {
    return IsReporting(view, node) && node.report.holder == KeeperHolder::kSupervisor &&
           !node.report.pg_running && node.goal_age >= view.timeouts.candidate;
}

/// A node records that it begins to promote itself before it opens its gate. This one has recorded
/// nothing of the kind in this term, and what it was granted has ended. An older disk could have
/// forgotten it: then its WAL ends earlier than it did.
bool HasNeverOpened(const GroupView &view, const NodeView &winner) {
    return winner.has_report && winner.proved_fenced && winner.reported == winner.report.state &&
           IsBeingPromoted(winner.report.state) && winner.report.promotion_term < view.term &&
           !winner.held.lost_from.IsValid();
}

bool MustUndoPromotion(const RuleContext &c) {
    const NodeView *const winner = c.old_primary;
    if (winner == nullptr || c.node.id != c.view.former || !IsWritable(winner->goal)) return false;
    if (!DoesNotComeUp(c.view, *winner) || !HasNeverOpened(c.view, *winner)) return false;
    const bool is_untouched = c.node.goal == kDemoted && c.node.reported == kDemoted &&
                              IsReporting(c.view, c.node) && c.node.report.state == kDemoted &&
                              c.node.report.holder == KeeperHolder::kSupervisor;
    const bool is_whole = c.node.report.timeline > 0 && !c.node.held.lost_from.IsValid() &&
                          !c.node.held.is_behind_others && !IsDamaged(c.node);
    if (!is_untouched || !is_whole) return false;
    *c.why = "PostgreSQL of " + Describe(*winner) + " is down";
    return true;
}

/// The way of a candidate ends in a writable state; who is before its beginning again has lost what
/// it had proved. A grant of its former self does not live on: a second instance is not admitted.
bool IsPrimarySetBack(const RuleContext &c) {
    return IsWritable(c.node.goal) && IsStandby(c.node.reported) && c.node.has_report &&
           c.node.report.state == c.node.reported && IsReporting(c.view, c.node) &&
           !FindEdge(c.node.reported, c.node.goal).has_value();
}

bool MustWaitForLease(const RuleContext &c) {
    return IsStable(c.node, kPreparePromotion) && IsSealed(c.view, c.node) && HoldsEveryCommit(c) &&
           c.old_primary != nullptr && !IsProvedFenced(c.view, *c.old_primary, c.why);
}

bool IsCandidateLost(const RuleContext &c) {
    if (!c.election.is_open || !IsBeingPromoted(c.node.goal)) return false;
    const bool reports = IsReporting(c.view, c.node);
    if (reports && !DoesNotComeUp(c.view, c.node)) return false;
    GroupView without = c.view;
    std::erase_if(without.nodes, [&](const NodeView &node) { return node.id == c.node.id; });
    if (!CouldConclude(without, nullptr)) return false;
    *c.why = Describe(c.node) + (reports ? " does not come up" : " no longer reports");
    return true;
}

bool LacksWal(const RuleContext &c) {
    const bool is_candidate = c.node.goal == kPreparePromotion || c.node.goal == kStopReplication;
    if (!c.election.is_open || !is_candidate) return false;
    // The last that it had received was a part of a record perhaps, and is gone after a crash. What
    // the old primary has sealed is waited for.
    const bool is_alone = CountParticipants(c.view) < 2;
    if (is_alone && HasSealedPrimary(c.view)) return false;
    const bool is_late = c.node.reported != c.node.goal && c.view.target_lsn.IsValid() &&
                         EndForTarget(c.view, c.node) < c.view.target_lsn &&
                         c.node.goal_age > c.view.timeouts.candidate;
    // Chosen when it was the only one; now there are others, and they have more.
    const bool is_behind = IsSealed(c.view, c.node) && c.node.reported == c.node.goal &&
                           c.election.wait <= Milliseconds{0} && !HoldsEveryCommit(c);
    return is_late || (is_behind && !is_alone);
}

bool HasLostPrimaryAlone(const RuleContext &c) {
    // With two nodes there is nobody to be elected against.
    const auto others = std::count_if(
        c.view.nodes.begin(), c.view.nodes.end(),
        [&](const NodeView &node) { return node.id != c.view.primary && node.goal != kDropped; });
    return others == 1 && CanStartElection(c);
}

bool HasLostPrimary(const RuleContext &c) { return CanStartElection(c); }

bool IsPrimarySealed(const RuleContext &c) {
    const NodeView *old = c.old_primary;
    if (old == nullptr || c.election.is_open) return false;
    if (!IsHandingOver(old->goal) || old->reported != old->goal) return false;
    return old->proved_fenced && old->report.sealed_lsn.IsValid() &&
           BestCandidate(c.view) == c.node.id;
}

bool MustJoinElection(const RuleContext &c) {
    if (!c.election.is_open || IsInElection(c.node.goal) || !CouldSeal(c.view, c.node))
        return false;
    // A switchover has its candidate; the others stay as they are unless it fails.
    return !HasSealedPrimary(c.view) || !HasCandidate(c.view);
}

bool IsElected(const RuleContext &c) {
    const Election &election = c.election;
    return election.is_open && election.wait <= Milliseconds{0} && !HasCandidate(c.view) &&
           election.winner == c.node.id && EndForTarget(c.view, c.node) >= election.required;
}

bool MustFastForward(const RuleContext &c) {
    const Election &election = c.election;
    return election.is_open && election.wait <= Milliseconds{0} && !HasCandidate(c.view) &&
           election.winner == c.node.id && EndForTarget(c.view, c.node) < election.required;
}

bool HasFastForwarded(const RuleContext &c) {
    return IsStable(c.node, kFastForward) && c.node.report.receiver.sealed &&
           IsSealed(c.view, c.node) && EndForTarget(c.view, c.node) >= c.view.target_lsn;
}

bool HasLostSource(const RuleContext &c) {
    if (!c.election.is_open || c.node.goal != kFastForward || !IsServing(c.view, c.node))
        return false;
    if (EndForTarget(c.view, c.node) >= c.view.target_lsn) return false;
    const bool has_source =
        std::any_of(c.view.nodes.begin(), c.view.nodes.end(), [&](const NodeView &other) {
            return other.id != c.node.id && IsSealed(c.view, other) &&
                   EndForTarget(c.view, other) >= c.view.target_lsn;
        });
    if (!has_source) *c.why = "no standby that runs holds WAL up to " + ToString(c.view.target_lsn);
    return !has_source;
}

bool HasLostElection(const RuleContext &c) {
    return HasOtherPrimary(c) && IsStable(c.node, kReportLsn) && IsWritable(c.primary->goal) &&
           !IsReadyPrimary(c.view, c.primary);
}

bool HasDiverged(const RuleContext &c) {
    const bool follows =
        IsInElection(c.node.goal) || c.node.goal == kSecondary || c.node.goal == kCatchingup;
    // One that has not begun to follow compares itself when it does.
    if (c.node.reported == kDemoted) return false;
    if (!HasOtherPrimary(c) || !follows || !IsServing(c.view, c.node)) return false;
    if (!IsReadyPrimary(c.view, c.primary)) return false;
    if (HasLeftRecovery(c.node)) {
        *c.why = Describe(c.node) + " is out of recovery";
        return true;
    }
    // Somebody has answered in our place, and has given it a grant that nobody else ends.
    if (IsWritable(c.node.reported) && !FindEdge(c.node.reported, c.node.goal)) {
        *c.why = Describe(c.node) + " says that it may write";
        return true;
    }
    const Report &primary = c.primary->report;
    if (!HasLeftHistory(PositionOf(c.node), primary.timeline, primary.history)) return false;
    *c.why = Describe(c.node) + " is at " + ToString(c.node.report.lsn) + " of timeline " +
             std::to_string(c.node.report.timeline) + ", " + Describe(*c.primary) +
             " writes on timeline " + std::to_string(primary.timeline);
    return true;
}

bool MustFollow(const RuleContext &c) {
    return HasOtherPrimary(c) && IsInElection(c.node.goal) && IsReadyPrimary(c.view, c.primary);
}

}  // namespace pgaf::core::when
