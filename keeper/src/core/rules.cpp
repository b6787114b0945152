#include "rules.hpp"

#include <algorithm>
#include <array>

namespace pgaf::core {
namespace {

using enum NodeState;

constexpr std::string_view kMembership = "membership";
constexpr std::string_view kFailover = "failover";
constexpr std::string_view kElection = "election";
constexpr std::string_view kStandby = "standby";
constexpr std::string_view kReturn = "return";

/// One that is dropped, or goes to maintenance, keeps that goal: it is stopped by it as well.
bool CanBeDemoted(const RuleContext &c) {
    return c.old_primary != nullptr && c.old_primary->goal != kDropped &&
           c.old_primary->goal != kPrepareMaintenance;
}

constexpr std::array kRules{
    Rule{101, "forget_dropped", kMembership, "the node has stopped and is dropped",
         when::IsForgettable, kUnknown, kUnknown, Extra::kRemoveNode},
    Rule{103, "lone_primary", kMembership, "the node is alone in its group", when::IsLonePrimary,
         kSingle, kUnknown, Extra::kSetSync},
    Rule{105, "lone_standby", kMembership, "every other node of the group is gone",
         when::IsLoneStandby, kSingle, kUnknown, Extra::kNewTerm},
    Rule{106, "lone_demoted", kMembership,
         "every other node of the group was removed, and this one has been its primary",
         when::IsLoneDemoted, kSingle, kUnknown, Extra::kNewTerm},
    Rule{107, "prepare_for_standby", kMembership, "a standby wants to join", when::HasNewStandby,
         kWaitPrimary},
    Rule{109, "copy_primary", kMembership, "the primary is ready to be copied", when::CanBeCopied,
         kCatchingup},
    Rule{111, "keep_maintenance", kMembership,
         "the node is in maintenance, which the monitor had forgotten", when::IsInMaintenance,
         kMaintenance},
    Rule{113, "keep_dropped", kMembership, "the node was dropped, which the monitor had forgotten",
         when::WasDropped, kDropped},

    Rule{201, "promote", kFailover,
         "the standby holds every acknowledged commit, and the old primary cannot acknowledge any",
         when::CanBePromoted, kWaitPrimary, kDemoted, Extra::kNewTerm},
    Rule{203, "promote_after_drop", kFailover,
         "the standby holds every acknowledged commit, and the old primary is dropped",
         when::CanBePromotedAfterDrop, kWaitPrimary, kUnknown, Extra::kNewTerm},
    Rule{205, "promote_for_maintenance", kFailover,
         "the standby holds every acknowledged commit, and the old primary goes to maintenance",
         when::CanBePromotedForMaintenance, kWaitPrimary, kMaintenance, Extra::kNewTerm},
    Rule{207, "call_off_without_standby", kFailover,
         "the switchover is called off: no standby can take over", when::MustCallOff, kPrimary,
         kUnknown, Extra::kEndElection},
    Rule{209, "call_off_slow_drain", kFailover,
         "the switchover is called off: it was not decided in time", when::HasDrainExpired,
         kPrimary, kUnknown, Extra::kEndElection},
    Rule{210, "undo_promotion", kFailover,
         "the promotion is undone: its winner does not come up and has acknowledged nothing, and "
         "the former primary holds everything",
         when::MustUndoPromotion, kWaitPrimary, kDemoted, Extra::kUndoTerm},
    Rule{211, "primary_is_back", kFailover,
         "no standby could be promoted, and the old primary is back with everything",
         when::IsPrimaryBack, kPrimary, kUnknown, Extra::kEndElection},
    Rule{212, "primary_set_back", kElection,
         "the node that was to be the primary is a standby again: its disk is an old one",
         when::IsPrimarySetBack, kReportLsn, kUnknown, Extra::kForgetPrimary},
    Rule{213, "wait_for_lease", kFailover,
         "the standby has stopped receiving; the old primary may still hold its lease",
         [](const RuleContext &c) { return when::MustWaitForLease(c) && CanBeDemoted(c); },
         kStopReplication, kDemoteTimeout},
    Rule{215, "primary_sealed", kFailover, "the primary has stopped accepting writes",
         when::IsPrimarySealed, kPreparePromotion, kUnknown, Extra::kRecordTarget},
    Rule{217, "primary_lost", kFailover, "the primary is gone",
         [](const RuleContext &c) { return CanBeDemoted(c) && when::HasLostPrimaryAlone(c); },
         kPreparePromotion, kDemoteTimeout},
    Rule{219, "primary_left", kFailover, "the group has no primary any more",
         when::HasLostPrimaryAlone, kPreparePromotion},
    Rule{221, "primary_lost_election", kElection, "the primary is gone, and a successor is elected",
         [](const RuleContext &c) { return CanBeDemoted(c) && when::HasLostPrimary(c); },
         kReportLsn, kDemoteTimeout},
    Rule{223, "primary_left_election", kElection,
         "the group has no primary any more, and a successor is elected", when::HasLostPrimary,
         kReportLsn},

    Rule{301, "candidate_lost", kElection, "the candidate is gone; the election begins anew",
         when::IsCandidateLost, kReportLsn, kUnknown, Extra::kRestartElection},
    Rule{303, "candidate_lacks_wal", kElection,
         "the candidate did not get the last WAL of the primary; another one is sought",
         when::LacksWal, kReportLsn, kUnknown, Extra::kRestartElection},
    Rule{305, "source_lost", kElection,
         "the standby that holds the missing WAL is gone; the election begins anew",
         when::HasLostSource, kReportLsn, kUnknown, Extra::kRestartElection},
    Rule{307, "join_election", kElection, "a successor of the primary is elected",
         when::MustJoinElection, kReportLsn},
    Rule{309, "elect", kElection, "the standby has won the election", when::IsElected,
         kPreparePromotion, kUnknown, Extra::kRecordRequired},
    Rule{311, "elect_and_fast_forward", kElection,
         "the standby has won the election, and lacks WAL that another one has",
         when::MustFastForward, kFastForward, kUnknown, Extra::kRecordRequired},
    Rule{313, "fast_forwarded", kElection, "the standby holds all WAL now", when::HasFastForwarded,
         kPreparePromotion},
    Rule{315, "election_lost", kElection, "another node becomes the primary", when::HasLostElection,
         kJoinSecondary},
    Rule{317, "diverged", kElection, "the standby holds WAL that the primary does not have",
         when::HasDiverged, kDemoted},
    Rule{319, "follow", kElection, "the group has a primary to follow", when::MustFollow,
         kCatchingup},

    Rule{401, "standby_lost", kStandby, "the standby no longer confirms", when::HasLostStandby,
         kCatchingup},
    Rule{402, "standby_broken", kStandby, "data of the standby are damaged", when::MustBeCopied,
         kCatchingup},
    Rule{403, "caught_up", kStandby, "the standby has caught up", when::HasCaughtUp, kSecondary},
    Rule{405, "disable_sync", kStandby, "no synchronous standby is left", when::MustDisableSync,
         kWaitPrimary, kUnknown, Extra::kSetSync},
    Rule{407, "enable_sync", kStandby, "standbys can be synchronous", when::CanEnableSync, kPrimary,
         kUnknown, Extra::kSetSync},
    Rule{409, "resize_sync", kStandby, "the synchronous standbys have changed",
         when::MustResizeSync, kApplySettings, kUnknown, Extra::kSetSync},
    Rule{411, "resize_awaited_sync", kStandby, "the standbys that writes wait for have changed",
         when::MustResizeWaiting, kUnknown, kUnknown, Extra::kSetSync},
    Rule{413, "settings_applied", kStandby, "the synchronous standbys can be used",
         when::HasAppliedSettings, kPrimary},

    Rule{501, "rejoin", kReturn, "the primary accepts writes", when::CanRejoin, kCatchingup},
    Rule{503, "maintenance_ready", kReturn, "the node is not needed any more",
         when::IsReadyForMaintenance, kMaintenance},
};

constexpr bool PositionsAscend() {
    for (std::size_t i = 1; i < kRules.size(); ++i) {
        if (kRules.at(i).pos <= kRules.at(i - 1).pos) return false;
    }
    return true;
}
static_assert(PositionsAscend(), "positions are unique, and the order is theirs");

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
        infos.at(i) = {rule.pos,    rule.name,      rule.section,
                       rule.reason, rule.node_goal, rule.primary_goal};
    }
    return infos;
}();

}  // namespace

std::span<const Rule> RuleTable() { return kRules; }

std::span<const RuleInfo> Rules() { return kInfos; }

}  // namespace pgaf::core
