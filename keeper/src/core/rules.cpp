#include "rules.hpp"

#include <algorithm>
#include <array>

namespace pgaf::core {
namespace {

using enum NodeState;

std::ptrdiff_t CountOthers(const RuleContext &c) {
    return std::count_if(c.view.nodes.begin(), c.view.nodes.end(), [&](const NodeView &other) {
        return other.id != c.node.id;
    });
}

bool IsPrimary(const RuleContext &c) { return c.primary != nullptr && c.primary->id == c.node.id; }

bool HasOtherPrimary(const RuleContext &c) {
    return c.primary != nullptr && c.primary->id != c.node.id;
}

bool AnyOther(const RuleContext &c, bool (*is)(const RuleContext &, const NodeView &)) {
    return std::any_of(c.view.nodes.begin(), c.view.nodes.end(), [&](const NodeView &other) {
        return other.id != c.node.id && is(c, other);
    });
}

// ---- nodes come and go

bool IsForgettable(const RuleContext &c) {
    if (!IsStable(c.node, kDropped)) return false;
    // While a standby still has to take over, the row says that the old primary is fenced.
    return HasOtherPrimary(c) || !AnyOther(c, [](const RuleContext &, const NodeView &other) {
        return other.goal == kSecondary || other.goal == kPreparePromotion ||
               other.goal == kStopReplication;
    });
}

bool IsLonePrimary(const RuleContext &c) {
    return CountOthers(c) == 0 && c.node.goal != kSingle &&
           (IsStable(c.node, kWaitPrimary) || IsStable(c.node, kPrimary) ||
            IsStable(c.node, kApplySettings)) && IsServing(c.view, c.node);
}

bool IsLoneStandby(const RuleContext &c) {
    return CountOthers(c) == 0 && IsServing(c.view, c.node) &&
           (IsStable(c.node, kSecondary) || IsStable(c.node, kCatchingup) ||
            IsStable(c.node, kPreparePromotion) || IsStable(c.node, kStopReplication));
}

bool HasNewStandby(const RuleContext &c) {
    return IsPrimary(c) && IsStable(c.node, kSingle) && IsServing(c.view, c.node) &&
           AnyOther(c, [](const RuleContext &, const NodeView &o) { return o.goal == kWaitStandby; });
}

bool CanBeCopied(const RuleContext &c) {
    return HasOtherPrimary(c) && IsStable(c.node, kWaitStandby) && IsServing(c.view, *c.primary) &&
           (IsStable(*c.primary, kWaitPrimary) || IsStable(*c.primary, kPrimary));
}

// ---- standbys

bool IsStreamingFrom(const RuleContext &c) {
    const StandbyFact *fact = StandbyFactOf(*c.primary, c.node.id);
    return fact != nullptr && fact->streaming && c.node.report.receiver.streaming &&
           c.node.report.receiver.upstream == c.primary->id &&
           c.node.report.timeline == c.primary->report.timeline;
}

bool HasCaughtUp(const RuleContext &c) {
    return HasOtherPrimary(c) && IsStable(c.node, kCatchingup) &&
           (IsStable(*c.primary, kWaitPrimary) || IsStable(*c.primary, kPrimary)) &&
           IsServing(c.view, *c.primary) && IsServing(c.view, c.node) && IsStreamingFrom(c) &&
           Distance(c.node.report.lsn, c.primary->report.lsn) <=
               c.view.timeouts.enable_sync_lag_bytes;
}

bool IsReadyForSync(const RuleContext &c) {
    return HasOtherPrimary(c) && IsStable(c.node, kSecondary) &&
           IsStable(*c.primary, kWaitPrimary) && IsServing(c.view, *c.primary) &&
           IsServing(c.view, c.node) && IsStreamingFrom(c) && c.view.sync.IsSettled();
}

bool HasLostStandby(const RuleContext &c) {
    if (!HasOtherPrimary(c) || c.node.goal != kSecondary) return false;
    const NodeView &primary = *c.primary;
    const bool can_go_on = primary.goal == kPrimary || primary.goal == kWaitPrimary;
    return can_go_on && IsServing(c.view, primary) &&
           IsStandbyLost(c.view, primary, c.node, c.why);
}

// ---- failover

bool CanTakeOver(const RuleContext &c) {
    return c.old_primary != nullptr && IsPromotable(c.view, c.node) && IsServing(c.view, c.node);
}

bool HasLostPrimary(const RuleContext &c) {
    if (!CanTakeOver(c) || c.old_primary->goal == kDropped) return false;
    if (!IsWritable(c.old_primary->goal) && c.old_primary->goal != kDraining) return false;
    return LivenessOf(c.view, *c.old_primary, c.why) == Liveness::kGone;
}

bool IsPrimarySealed(const RuleContext &c) {
    return CanTakeOver(c) && IsStable(*c.old_primary, kDraining) &&
           c.old_primary->proved_fenced && c.old_primary->report.sealed_lsn.IsValid();
}

bool IsPrimaryDropped(const RuleContext &c) {
    return c.primary == nullptr && CanTakeOver(c) && c.old_primary->goal == kDropped &&
           IsProvedFenced(c.view, *c.old_primary, c.why);
}

bool IsBeingPromoted(const NodeView &node) {
    return IsStable(node, kPreparePromotion) || IsStable(node, kStopReplication);
}

/// What sealing proves: it holds every acknowledged commit, and there can be no further one.
bool HoldsEveryCommit(const RuleContext &c) {
    if (c.view.target_lsn.IsValid() && c.node.report.lsn < c.view.target_lsn) return false;
    const std::vector<NodeId> sealed{c.node.id};
    const SyncState &sync = c.view.sync;
    if (!c.node.replication_quorum) return true;  // asynchronous by choice: the lease alone decides
    return CoversEveryCommit(sync.confirmed, sealed) && CoversEveryCommit(sync.goal, sealed);
}

bool CanBePromoted(const RuleContext &c) {
    return IsBeingPromoted(c.node) && IsSealed(c.view, c.node) && HoldsEveryCommit(c) &&
           (c.old_primary == nullptr || IsProvedFenced(c.view, *c.old_primary, c.why));
}

bool CanBePromotedAfterDrop(const RuleContext &c) {
    return c.old_primary != nullptr && c.old_primary->goal == kDropped && CanBePromoted(c);
}

bool MustWaitForLease(const RuleContext &c) {
    return IsStable(c.node, kPreparePromotion) && IsSealed(c.view, c.node) &&
           c.old_primary != nullptr && !IsProvedFenced(c.view, *c.old_primary, c.why);
}

// ---- calling off

bool IsUndecided(const NodeView &standby) {
    return standby.goal == kSecondary || standby.goal == kPreparePromotion ||
           standby.goal == kStopReplication;
}

/// A switchover whose standby is gone: the primary is drained, or its supervisor can start it again.
bool MustCallOff(const RuleContext &c) {
    if (!HasOtherPrimary(c) || c.primary->goal != kDraining || !IsUndecided(c.node)) return false;
    if (!IsReporting(c.view, *c.primary)) return false;
    if (!IsReporting(c.view, c.node)) {
        *c.why = Describe(c.node) + " no longer reports";
        return true;
    }
    return c.node.goal != kSecondary && c.primary->goal_age > c.view.timeouts.drain;
}

bool HasDrainExpired(const RuleContext &c) {
    return HasOtherPrimary(c) && c.primary->goal == kDraining && c.node.goal == kSecondary &&
           IsServing(c.view, *c.primary) && c.primary->goal_age > c.view.timeouts.drain;
}

/// A failover whose standby died before it was decided, and the old primary is back.
bool IsPrimaryBackAlone(const RuleContext &c) {
    return c.old_primary != nullptr && c.old_primary->goal == kDemoteTimeout &&
           IsUndecided(c.node) && c.node.goal != kSecondary &&
           IsReporting(c.view, *c.old_primary) && !IsReporting(c.view, c.node) &&
           c.node.silent_age >= c.view.timeouts.unhealthy;
}

// ---- the old primary comes back

bool CanRejoin(const RuleContext &c) {
    return HasOtherPrimary(c) && IsStable(c.node, kDemoted) && IsServing(c.view, *c.primary) &&
           (IsStable(*c.primary, kWaitPrimary) || IsStable(*c.primary, kPrimary));
}

constexpr std::string_view kMembership = "membership";
constexpr std::string_view kStandby = "standby";
constexpr std::string_view kFailover = "failover";
constexpr std::string_view kReturn = "return";

constexpr std::array kRules{
    Rule{101, "forget_dropped", kMembership, "the node has stopped and is dropped", IsForgettable,
         kUnknown, kUnknown, Extra::kRemoveNode},
    Rule{103, "lone_primary", kMembership, "the node is alone in its group", IsLonePrimary, kSingle,
         kUnknown, Extra::kShrinkSync},
    Rule{105, "lone_standby", kMembership, "every other node of the group is dropped", IsLoneStandby,
         kSingle, kUnknown, Extra::kNewTerm},
    Rule{107, "prepare_for_standby", kMembership, "a standby wants to join", HasNewStandby,
         kWaitPrimary, kUnknown, Extra::kShrinkSync},
    Rule{109, "copy_primary", kMembership, "the primary is ready to be copied", CanBeCopied,
         kCatchingup},

    Rule{201, "promote", kFailover,
         "the standby holds every acknowledged commit, and the old primary cannot acknowledge any",
         [](const RuleContext &c) { return !CanBePromotedAfterDrop(c) && CanBePromoted(c); },
         kWaitPrimary, kDemoted, Extra::kNewTerm},
    Rule{203, "promote_after_drop", kFailover,
         "the standby holds every acknowledged commit, and the old primary is dropped",
         CanBePromotedAfterDrop, kWaitPrimary, kUnknown, Extra::kNewTerm},
    Rule{205, "call_off_without_standby", kFailover,
         "the switchover is called off: the standby cannot take over", MustCallOff, kCatchingup,
         kWaitPrimary, Extra::kShrinkSync},
    Rule{207, "call_off_slow_drain", kFailover,
         "the switchover is called off: it was not decided in time", HasDrainExpired, kUnknown,
         kPrimary},
    Rule{209, "primary_is_back_alone", kFailover,
         "the standby went away before it was promoted, and the old primary is back",
         IsPrimaryBackAlone, kCatchingup, kWaitPrimary, Extra::kShrinkSync},
    Rule{211, "wait_for_lease", kFailover,
         "the standby has stopped receiving; the old primary may still hold its lease",
         [](const RuleContext &c) { return MustWaitForLease(c) && c.old_primary->goal != kDropped; },
         kStopReplication, kDemoteTimeout},
    Rule{213, "primary_lost", kFailover, "the primary is gone", HasLostPrimary, kPreparePromotion,
         kDemoteTimeout},
    Rule{215, "primary_sealed", kFailover, "the primary has stopped accepting writes",
         IsPrimarySealed, kPreparePromotion, kUnknown, Extra::kRecordTarget},
    Rule{217, "primary_dropped", kFailover, "the primary is dropped", IsPrimaryDropped,
         kPreparePromotion},

    Rule{301, "standby_lost", kStandby, "the standby no longer confirms", HasLostStandby,
         kCatchingup, kWaitPrimary, Extra::kShrinkSync},
    Rule{303, "caught_up", kStandby, "the standby has caught up", HasCaughtUp, kSecondary},
    Rule{305, "enable_sync", kStandby, "the standby can be synchronous", IsReadyForSync, kUnknown,
         kPrimary, Extra::kGrowSync},

    Rule{401, "rejoin", kReturn, "the new primary accepts writes", CanRejoin, kCatchingup},
};

constexpr bool PositionsAscendWithinSections() {
    for (std::size_t i = 1; i < kRules.size(); ++i) {
        if (kRules.at(i).pos <= kRules.at(i - 1).pos) return false;
    }
    return true;
}
static_assert(PositionsAscendWithinSections(), "positions are unique, and the order is theirs");

constexpr bool EveryRuleDoesSomething() {
    return std::all_of(kRules.begin(), kRules.end(), [](const Rule &rule) {
        return rule.node_goal != kUnknown || rule.primary_goal != kUnknown ||
               rule.extra != Extra::kNone;
    });
}
static_assert(EveryRuleDoesSomething(), "a rule without effect never lets the decision end");

constexpr auto kInfos = [] {
    std::array<RuleInfo, kRules.size()> infos{};
    for (std::size_t i = 0; i < kRules.size(); ++i) {
        const Rule &rule = kRules.at(i);
        infos.at(i) = {rule.pos, rule.name, rule.section, rule.reason};
    }
    return infos;
}();

}  // namespace

std::span<const Rule> RuleTable() { return kRules; }

std::span<const RuleInfo> Rules() { return kInfos; }

const NodeView *FindOldPrimary(const GroupView &view, const NodeView &standby) {
    const NodeView *primary = FindPrimary(view);
    if (primary != nullptr) return primary->id == standby.id ? nullptr : primary;
    const auto it = std::find_if(view.nodes.begin(), view.nodes.end(), [&](const NodeView &node) {
        return node.id != standby.id && node.goal == kDropped;
    });
    return it == view.nodes.end() ? nullptr : &*it;
}

SyncSet WantedSyncSet(const GroupView &view) {
    SyncSet set;
    for (const NodeView &node : view.nodes) {
        if (node.goal == kSecondary && node.reported == kSecondary && node.replication_quorum &&
            IsServing(view, node)) {
            set.members.push_back(node.id);
        }
    }
    if (!set.members.empty()) set.k = std::max(1, view.number_sync_standbys);
    return set;
}

}  // namespace pgaf::core
