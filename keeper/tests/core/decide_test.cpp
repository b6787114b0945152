#include "pgaf/core/decide.hpp"

#include "group_builder.hpp"

namespace pgaf::core::test {
namespace {

using enum NodeState;

TEST(Decide, SteadyGroupStaysAsItIs) {
    EXPECT_TRUE(Decide(Steady()).IsEmpty());
    EXPECT_EQ(Decide(Steady()).blocked, "");
}

TEST(Decide, LastMovesAreNamedForTheLog) {
    Decision decision;
    EXPECT_EQ(DescribeLastMoves(decision), "");
    decision.notes.push_back({kA, kWaitPrimary, kWaitPrimary, 411, "resize_awaited_sync", ""});
    EXPECT_EQ(DescribeLastMoves(decision), "resize_awaited_sync (node 1 -> wait_primary)");
    decision.assignments.push_back({kC, kSecondary, kCatchingup, 401, "standby_lost", ""});
    decision.assignments.push_back({kB, kSecondary, kCatchingup, 401, "standby_lost", ""});
    decision.assignments.push_back({kB, kCatchingup, kSecondary, 403, "caught_up", ""});
    EXPECT_EQ(DescribeLastMoves(decision),
              "standby_lost (node 2 -> catchingup), caught_up (node 2 -> secondary)");
}

TEST(Decide, FirstNodeIsSingleAndSecondWaits) {
    GroupView view;
    EXPECT_EQ(*GoalForNewNode(view), kSingle);
    view.nodes = {MakeNode(kA, kSingle)};
    EXPECT_EQ(*GoalForNewNode(view), kWaitStandby);
    EXPECT_EQ(*GoalForNewNode(Steady()), kWaitStandby);
}

// From two registered nodes to primary and secondary, one report at a time.
TEST(Decide, TwoNodesBecomePrimaryAndSecondary) {
    GroupView view;
    view.nodes = {MakeNode(kA, kSingle), MakeNode(kB, kWaitStandby)};
    view.nodes[1].report.pg_running = false;
    Apply(Decide(view), view);
    EXPECT_EQ(view.Find(kA)->goal, kWaitPrimary);
    Reach(view, kA);
    Apply(Decide(view), view);
    EXPECT_EQ(view.Find(kB)->goal, kCatchingup);
    Reach(view, kB);
    view.Find(kB)->report.pg_running = view.Find(kB)->report.in_recovery = true;
    EXPECT_TRUE(Decide(view).IsEmpty()) << "it does not stream yet";
    Stream(view, kA, kB);
    Apply(Decide(view), view);
    EXPECT_EQ(view.Find(kB)->goal, kSecondary);
    Reach(view, kB);
    const Decision decision = Decide(view);
    ASSERT_TRUE(decision.sync.has_value());
    EXPECT_EQ(ToSetting(decision.sync->goal), "ANY 1 (pgautofailover_standby_2)");
    Apply(decision, view);
    EXPECT_EQ(view.Find(kA)->goal, kPrimary);
    EXPECT_FALSE(IsPromotable(view, *view.Find(kB))) << "not confirmed yet";

    Report report = view.Find(kA)->report;
    report.state = kPrimary;
    report.sync_version = view.sync.goal_version;
    EXPECT_FALSE(ConfirmSync(view, report).has_value()) << "the lease is not in force yet";
    report.lease_mode = true;
    report.sync_version = view.sync.goal_version - 1;
    EXPECT_FALSE(ConfirmSync(view, report).has_value()) << "another set is in force";
    report.sync_version = view.sync.goal_version;
    view.sync = *ConfirmSync(view, report);
    EXPECT_TRUE(IsPromotable(view, *view.Find(kB)));
}

// S12: until the synchronous set is confirmed, the death of the primary must not promote the
// standby.
TEST(Decide, UnconfirmedStandbyIsNeverPromoted) {
    GroupView view = Steady();
    view.sync.confirmed = {};
    view.sync.confirmed_version = 4;
    LoseProcess(view.nodes[0]);
    view.nodes[1].report.receiver.streaming = false;
    EXPECT_EQ(GoalAfter(view, kB), kSecondary);
    EXPECT_NE(Decide(view).blocked, "");
}

// S14: a set that shrinks counts in both directions from the moment it is recorded.
TEST(Decide, StandbyThatLeavesTheSetIsNeverPromoted) {
    GroupView view = Steady();
    view.sync.goal = {};
    view.sync.goal_version = 6;
    LoseProcess(view.nodes[0]);
    view.nodes[1].report.receiver.streaming = false;
    EXPECT_EQ(GoalAfter(view, kB), kSecondary);
}

TEST(Decide, ElectionBeginsAtOnceAndEndsWithTheLease) {
    GroupView view = Steady();
    view.nodes[0].lease_left = Milliseconds{2500};
    LoseProcess(view.nodes[0]);
    EXPECT_EQ(GoalAfter(view, kB), kSecondary) << "its standby still streams";
    view.nodes[1].report.receiver.streaming = false;
    Apply(Decide(view), view);
    EXPECT_EQ(view.Find(kB)->goal, kPreparePromotion);
    EXPECT_EQ(view.Find(kA)->goal, kDemoteTimeout);
    Reach(view, kB);
    EXPECT_TRUE(Decide(view).assignments.empty()) << "not sealed yet";
    ReachSealed(view, kB);
    Apply(Decide(view), view);
    EXPECT_EQ(view.Find(kB)->goal, kStopReplication) << "a refused port is no proof";
    ReachSealed(view, kB);
    view.nodes[0].lease_left = Milliseconds{0};
    view.nodes[1].report.receiver.stream_age = view.timeouts.lease * 2;
    const Decision decision = Decide(view);
    Apply(decision, view);
    EXPECT_EQ(view.Find(kB)->goal, kWaitPrimary);
    EXPECT_EQ(view.Find(kA)->goal, kDemoted);
    EXPECT_EQ(view.term, 1);
    EXPECT_EQ(decision.assignments.front().rule, "promote");
}

TEST(Decide, ReportedDeathOfPostgresActsAtOnce) {
    GroupView view = Steady();
    view.nodes[0].report.holder = KeeperHolder::kSupervisor;
    view.nodes[0].report.pg_running = false;
    view.nodes[0].report.fenced = view.nodes[0].proved_fenced = true;
    view.nodes[0].lease_left = Milliseconds{0};
    EXPECT_EQ(GoalAfter(view, kB), kPreparePromotion);
}

// S1, S8: silence is no proof before the lease has run out.
TEST(Decide, SilentPrimaryIsReplacedOnlyAfterItsLease) {
    GroupView view = Steady();
    view.nodes[1].report.receiver = {kA, true, Milliseconds{2900}, false};
    Silence(view.nodes[0], Milliseconds{2900});
    const Decision early = Decide(view);
    EXPECT_TRUE(early.IsEmpty());
    EXPECT_LE(early.again_in, Milliseconds{170});
    Silence(view.nodes[0], Milliseconds{3100});
    view.nodes[1].report.receiver.stream_age = Milliseconds{3100};
    EXPECT_EQ(GoalAfter(view, kB), kPreparePromotion);
}

TEST(Decide, PrimaryThatItsStandbyHearsIsNotReplaced) {
    GroupView view = Steady();
    Silence(view.nodes[0], Milliseconds{60'000});
    view.nodes[1].report.receiver = {kA, true, Milliseconds{300}, false};
    EXPECT_TRUE(Decide(view).IsEmpty());
    // Seen in a real cluster: its port had refused before its server was started.
    view.nodes[0].probe = ProbeFact::kRefused;
    view.nodes[0].probe_age = Milliseconds{70'000};
    EXPECT_TRUE(Decide(view).IsEmpty());
    view.nodes[0].probe_age = Milliseconds{500};
    EXPECT_EQ(GoalAfter(view, kB), kPreparePromotion);
}

// The answers of a standby extend the lease of a primary that has lost the monitor.
TEST(Decide, StreamExtensionIsWaitedOut) {
    GroupView view = Steady();
    Silence(view.nodes[0], Milliseconds{60'000});
    view.nodes[0].goal = kDemoteTimeout;
    view.nodes[1].goal = kPreparePromotion;
    Reach(view, kB);
    view.nodes[1].report.receiver = {kA, false, Milliseconds{1000}, true};
    Apply(Decide(view), view);
    EXPECT_EQ(view.Find(kB)->goal, kStopReplication);
    Reach(view, kB);
    EXPECT_LE(Decide(view).again_in, Milliseconds{2100});
    EXPECT_EQ(GoalAfter(view, kB), kStopReplication);
    view.Find(kB)->report.receiver.stream_age = Milliseconds{3067};
    EXPECT_EQ(GoalAfter(view, kB), kWaitPrimary);
}

// Found by the simulation: a fresh server reports itself fenced, is granted a lease, and extends it
// through the stream; its old report proves nothing any more.
TEST(Decide, FencedReportBeforeAGrantProvesNothing) {
    GroupView view = Steady();
    Silence(view.nodes[0], Milliseconds{60'000});
    view.nodes[0].goal = kDemoteTimeout;
    view.nodes[0].report.fenced = true;
    view.nodes[1].goal = kPreparePromotion;
    Reach(view, kB);
    view.nodes[1].report.receiver = {kA, false, Milliseconds{100}, true};
    EXPECT_EQ(GoalAfter(view, kB), kStopReplication);
}

TEST(Decide, SwitchoverWaitsForTheSealedPosition) {
    GroupView view = Steady();
    const auto request = RequestFailover(view);
    ASSERT_TRUE(request.has_value());
    Apply(*request, view);
    EXPECT_EQ(view.Find(kA)->goal, kDraining);
    EXPECT_TRUE(Decide(view).IsEmpty());
    Reach(view, kA);
    view.Find(kA)->report.fenced = view.Find(kA)->proved_fenced = true;
    view.Find(kA)->report.sealed_lsn = Lsn{0x4000000};
    view.Find(kA)->lease_left = Milliseconds{0};
    Apply(Decide(view), view);
    EXPECT_EQ(view.Find(kB)->goal, kPreparePromotion);
    EXPECT_EQ(view.target_lsn, Lsn{0x4000000});
    EXPECT_EQ(BuildReply(view, kB, KeeperHolder::kWorker).target_lsn, Lsn{0x4000000});
    Reach(view, kB);
    view.Find(kB)->report.receiver.sealed = true;
    EXPECT_EQ(GoalAfter(view, kB), kPreparePromotion) << "it misses WAL";
    view.Find(kB)->report.lsn = Lsn{0x4000000};
    Apply(Decide(view), view);
    EXPECT_EQ(view.Find(kB)->goal, kWaitPrimary);
    EXPECT_EQ(view.Find(kA)->goal, kDemoted);
}

// S47: the standby dies during the switchover.
TEST(Decide, SwitchoverIsCalledOffWhenTheStandbyDies) {
    GroupView view = Steady();
    view.nodes[0].reported = view.nodes[0].goal = kDraining;
    view.nodes[0].report.fenced = view.nodes[0].proved_fenced = true;
    LoseProcess(view.nodes[1]);
    view.nodes[0].report.standbys.clear();
    Apply(Decide(view), view);
    EXPECT_EQ(view.Find(kA)->goal, kWaitPrimary);
    EXPECT_EQ(view.Find(kB)->goal, kCatchingup);
    EXPECT_TRUE(view.sync.goal.members.empty());
}

TEST(Decide, LostStandbyNoLongerBlocksWrites) {
    GroupView view = Steady();
    view.nodes[0].report.standbys.clear();
    LoseProcess(view.nodes[1]);
    Apply(Decide(view), view);
    EXPECT_EQ(view.Find(kA)->goal, kWaitPrimary);
    EXPECT_EQ(view.Find(kB)->goal, kCatchingup);
    EXPECT_EQ(view.sync.goal_version, 6);
    EXPECT_FALSE(IsPromotable(view, *view.Find(kB)));
}

TEST(Decide, SilentStandbyIsLostAfterTheLimit) {
    GroupView view = Steady();
    Silence(view.nodes[1], Milliseconds{2000});
    view.nodes[0].report.standbys[0].reply_age = Milliseconds{2000};
    EXPECT_TRUE(Decide(view).IsEmpty());
    Silence(view.nodes[1], Milliseconds{3000});
    view.nodes[0].report.standbys[0].reply_age = Milliseconds{3000};
    EXPECT_EQ(GoalAfter(view, kA), kWaitPrimary);
}

// Seen in a real cluster: the last word of a primary that froze makes its standby look mute 3 s
// later.
TEST(Decide, FrozenPrimaryIsNoWitnessAgainstItsStandby) {
    GroupView view = Steady();
    Silence(view.nodes[0], Milliseconds{2990});
    view.nodes[0].report.standbys[0].reply_age = Milliseconds{20};
    EXPECT_TRUE(Decide(view).IsEmpty());
    view.nodes[0].report.standbys.clear();
    view.nodes[1].report.receiver = {kA, false, Milliseconds{3000}, false};
    EXPECT_TRUE(Decide(view).IsEmpty());
}

// The monitor's link to the standby alone is no reason to give up durability.
TEST(Decide, StandbyThatConfirmsIsNotLostWhenItOnlyMissesTheMonitor) {
    GroupView view = Steady();
    Silence(view.nodes[1], Milliseconds{60'000});
    EXPECT_TRUE(Decide(view).IsEmpty());
}

TEST(Decide, LostPrimaryWithoutPromotableStandbySaysWhy) {
    GroupView view = Steady();
    view.nodes[1].goal = view.nodes[1].reported = kCatchingup;
    view.sync.goal = view.sync.confirmed = {};
    LoseProcess(view.nodes[0]);
    view.nodes[1].report.receiver.streaming = false;
    EXPECT_NE(Decide(view).blocked.find("not synchronous"), std::string::npos);
}

TEST(Decide, OldPrimaryRejoins) {
    GroupView view = Steady();
    view.nodes[0] = MakeNode(kA, kDemoted);
    view.nodes[0].report.pg_running = false;
    view.nodes[1] = MakeNode(kB, kWaitPrimary);
    EXPECT_EQ(GoalAfter(view, kA), kCatchingup);
}

TEST(Decide, FailoverIsRefusedWithoutPromotableStandby) {
    GroupView view = Steady();
    view.nodes[1].goal = kCatchingup;
    const auto request = RequestFailover(view);
    ASSERT_FALSE(request.has_value());
    EXPECT_EQ(request.error().code, ProblemCode::kRefused);
    EXPECT_NE(request.error().hint, "");
}

TEST(Removal, StandbyLeavesTheSynchronousSetFirst) {
    GroupView view = Steady();
    Apply(*RequestRemoval(view, kB, false), view);
    Apply(Decide(view), view);
    EXPECT_EQ(view.Find(kB)->goal, kDropped);
    EXPECT_EQ(view.Find(kA)->goal, kWaitPrimary);
    EXPECT_TRUE(view.sync.goal.members.empty());
    Reach(view, kB);
    Reach(view, kA);
    Apply(Decide(view), view);
    EXPECT_EQ(view.Find(kB), nullptr);
    EXPECT_EQ(GoalAfter(view, kA), kSingle);
}

TEST(Removal, PrimaryIsReplacedBeforeItIsForgotten) {
    GroupView view = Steady();
    Apply(*RequestRemoval(view, kA, false), view);
    EXPECT_TRUE(Decide(view).IsEmpty()) << "it still holds its lease";
    Reach(view, kA);
    view.Find(kA)->report.fenced = view.Find(kA)->proved_fenced = true;
    view.Find(kA)->report.pg_running = false;
    view.Find(kA)->lease_left = Milliseconds{0};
    Apply(Decide(view), view);
    ASSERT_NE(view.Find(kA), nullptr);
    EXPECT_EQ(view.Find(kB)->goal, kPreparePromotion);
    Reach(view, kB);
    view.Find(kB)->report.receiver.sealed = true;
    Apply(Decide(view), view);
    EXPECT_EQ(view.Find(kA), nullptr);
    EXPECT_EQ(view.Find(kB)->goal, kWaitPrimary);
}

// S5: the lease of a partitioned primary outlives the operator's patience.
TEST(Removal, ForceDoesNotOverrideALease) {
    GroupView view = Steady();
    Silence(view.nodes[0], Milliseconds{1000});
    EXPECT_FALSE(RequestRemoval(view, kA, true).has_value());
}

TEST(Reply, OnlyTheWorkerOfAWritableNodeIsGranted) {
    GroupView view = Steady();
    EXPECT_EQ(BuildReply(view, kA, KeeperHolder::kWorker).grant, GrantKind::kTimed);
    EXPECT_EQ(BuildReply(view, kA, KeeperHolder::kSupervisor).grant, GrantKind::kNone);
    EXPECT_EQ(BuildReply(view, kB, KeeperHolder::kWorker).grant, GrantKind::kNone);
    view.nodes[0].goal = kWaitPrimary;
    EXPECT_EQ(BuildReply(view, kA, KeeperHolder::kWorker).grant, GrantKind::kUnlimited);
    view.nodes[0].goal = kDraining;
    EXPECT_EQ(BuildReply(view, kA, KeeperHolder::kWorker).grant, GrantKind::kTimed)
        << "its checkpoint";
    view.nodes[0].reported = kDraining;
    EXPECT_EQ(BuildReply(view, kA, KeeperHolder::kWorker).grant, GrantKind::kNone);
}

TEST(Lease, MonitorCountsLongerThanTheNode) {
    constexpr BootTime sent{1'000'000'000};
    constexpr Milliseconds lease{3000};
    LeaseRecord record;
    Reply reply;
    reply.grant = GrantKind::kTimed;
    reply.lease = lease;
    NoteGrant(record, reply, sent);
    EXPECT_GT(record.timed_end, NodeDeadline(sent, lease));
    EXPECT_EQ(LeaseLeft(record, sent + Milliseconds{5000}), Milliseconds{0});
    reply.grant = GrantKind::kUnlimited;
    NoteGrant(record, reply, sent);
    EXPECT_EQ(LeaseLeft(record, sent + Milliseconds{5000}), kNoLimit);
    Report report;
    report.lease_mode = true;
    NoteReport(record, report);
    EXPECT_NE(LeaseLeft(record, sent), kNoLimit);
    report.fenced = true;
    NoteReport(record, report);
    EXPECT_EQ(LeaseLeft(record, sent), Milliseconds{0});
}

// S45 for two nodes: every pair of a reported state and the goal of a rule has an edge.
TEST(KeeperEdges, EveryGoalOfTheDecisionsAboveHasAnEdge) {
    const std::pair<NodeState, NodeState> pairs[] = {
        {kInit, kSingle},
        {kInit, kWaitStandby},
        {kWaitStandby, kCatchingup},
        {kSingle, kWaitPrimary},
        {kCatchingup, kSecondary},
        {kWaitPrimary, kPrimary},
        {kPrimary, kDraining},
        {kPrimary, kDemoteTimeout},
        {kPrimary, kDemoted},
        {kPrimary, kWaitPrimary},
        {kSecondary, kCatchingup},
        {kSecondary, kPreparePromotion},
        {kDraining, kPrimary},
        {kDraining, kWaitPrimary},
        {kDraining, kDemoted},
        {kDraining, kDemoteTimeout},
        {kDemoteTimeout, kDemoted},
        {kDemoteTimeout, kWaitPrimary},
        {kDemoted, kCatchingup},
        {kPreparePromotion, kStopReplication},
        {kPreparePromotion, kWaitPrimary},
        {kStopReplication, kWaitPrimary},
        {kPreparePromotion, kCatchingup},
        {kStopReplication, kCatchingup},
        {kWaitPrimary, kSingle},
        {kPrimary, kSingle},
        {kSecondary, kSingle},
        {kPrimary, kDropped},
        {kSecondary, kDropped},
        {kWaitPrimary, kDemoteTimeout},
    };
    for (const auto &[from, to] : pairs) {
        EXPECT_TRUE(FindEdge(from, to).has_value()) << ToString(from) << " -> " << ToString(to);
    }
}

}  // namespace
// A node may come back with a disk from before it was elected, or chosen.
TEST(KeeperEdges, AStandbyOfAnyKindCanDoWhatAnElectionWantsOfIt) {
    for (int from = 0; from < static_cast<int>(kNodeStateNames.size()); ++from) {
        const auto state = static_cast<NodeState>(from);
        if (!IsStandby(state) && state != kMaintenance) continue;
        for (int to = 0; to < static_cast<int>(kNodeStateNames.size()); ++to) {
            const auto goal = static_cast<NodeState>(to);
            const bool is_wanted = IsInElection(goal) || goal == kDemoted || goal == kCatchingup ||
                                   (goal == kDemoteTimeout && state != kMaintenance);
            if (!is_wanted || goal == state) continue;
            EXPECT_TRUE(FindEdge(state, goal).has_value())
                << ToString(state) << " -> " << ToString(goal);
        }
    }
}

}  // namespace pgaf::core::test
