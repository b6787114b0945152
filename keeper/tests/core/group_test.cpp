#include "group_builder.hpp"

/// Groups of three and four nodes in the ordinary run of things: settings, maintenance, the
/// synchronous set, leases.
namespace pgaf::core::test {
namespace {

using enum NodeState;

TEST(Settings, NumberOfSynchronousStandbysFollowsTheNodes) {
    GroupView view = Steady(3);
    EXPECT_FALSE(CheckNumberSyncStandbys(view, 2).has_value());
    EXPECT_FALSE(CheckNumberSyncStandbys(view, -1).has_value());
    EXPECT_TRUE(CheckNumberSyncStandbys(view, 1).has_value());
    view.number_sync_standbys = 0;
    EXPECT_EQ(NumberSyncStandbysAfterJoin(view), 1) << "with the second standby one may be lost";
    view.number_sync_standbys = 1;
    EXPECT_EQ(NumberSyncStandbysAfterRemoval(view, kC), 0);
    EXPECT_EQ(NumberSyncStandbysAfterRemoval(view, kA), 0) << "a standby takes its place";
    EXPECT_EQ(NumberSyncStandbysAfterRemoval(Steady(4), kD), 1);
    EXPECT_FALSE(CheckQuorumChange(view, kC, false).has_value());
    EXPECT_TRUE(CheckQuorumChange(view, kC, true).has_value());
}

// S11: who rests acknowledges nothing, or is not forgotten.
TEST(Maintenance, StandbyLeavesTheSynchronousSetFirst) {
    GroupView view = Steady(3);
    std::string warning;
    Apply(*RequestMaintenance(view, kC, &warning), view);
    EXPECT_EQ(warning, "");
    Advance(view);
    EXPECT_EQ(view.Find(kC)->goal, kWaitMaintenance);
    EXPECT_EQ(view.Find(kA)->goal, kApplySettings);
    EXPECT_FALSE(view.sync.goal.Contains(kC));
    Reach(view, kC);
    EXPECT_EQ(GoalAfter(view, kC), kWaitMaintenance) << "PostgreSQL may still count it";
    ConfirmGoal(view.sync);
    Advance(view);
    EXPECT_EQ(view.Find(kC)->goal, kMaintenance);
    Reach(view, kC);
    Apply(*RequestEndOfMaintenance(view, kC), view);
    EXPECT_EQ(view.Find(kC)->goal, kCatchingup);
}

TEST(Copy, IsMadeOfANodeThatRestsAndOnWhichNobodyDepends) {
    GroupView view = Steady(3);
    EXPECT_FALSE(RequestCopy(view, kC)) << "it does not rest";
    EXPECT_FALSE(RequestCopy(view, kA)) << "it is the primary";
    Apply(*RequestMaintenance(view, kC, nullptr), view);
    Advance(view);
    Reach(view, kC);
    EXPECT_FALSE(RequestCopy(view, kC)) << "PostgreSQL may still count it";
    ConfirmGoal(view.sync);
    Advance(view);
    Reach(view, kC);
    Reach(view, kA);
    Advance(view);
    Reach(view, kA);
    view.Find(kC)->report.copies = 4;
    const auto decision = RequestCopy(view, kC);
    ASSERT_TRUE(decision);
    EXPECT_EQ(NextCopy(*view.Find(kC)), 5);
    view.Find(kC)->wanted_copy = 5;
    Apply(*decision, view);
    EXPECT_EQ(view.Find(kC)->goal, kCatchingup);
    Reply reply = BuildReply(view, kC, KeeperHolder::kWorker);
    EXPECT_EQ(reply.needed_copy, 5);
    EXPECT_FALSE(reply.copy_reason.empty());
    view.Find(kA)->reported = kDemoted;
    EXPECT_EQ(BuildReply(view, kC, KeeperHolder::kWorker).needed_copy, 0) << "nobody to copy";
    view.Find(kA)->reported = kPrimary;
    view.Find(kC)->report.copies = 5;
    EXPECT_EQ(BuildReply(view, kC, KeeperHolder::kWorker).needed_copy, 0) << "it is there";
}

TEST(Copy, NeverOfTheOnlyCopy) {
    GroupView view = Steady(2);
    Apply(*RequestMaintenance(view, kB, nullptr), view);
    ConfirmGoal(view.sync);
    Advance(view);
    Reach(view, kB);
    ConfirmGoal(view.sync);
    Advance(view);
    Reach(view, kB);
    LoseProcess(*view.Find(kA));
    EXPECT_FALSE(RequestCopy(view, kB));
}

TEST(Maintenance, LastNeededStandbyRestsWithAWarning) {
    GroupView view = Steady(3, 2);  // ANY 2 of 2: none can be spared
    std::string warning;
    Apply(*RequestMaintenance(view, kC, &warning), view);
    EXPECT_NE(warning, "");
    Advance(view);
    Reach(view, kC);
    Advance(view);
    EXPECT_EQ(view.Find(kC)->goal, kMaintenance);
    EXPECT_TRUE(view.sync.goal.Contains(kC)) << "it counts, and no election is held without it";
    KillPrimary(view);
    LoseProcess(*view.Find(kB));
    EXPECT_TRUE(Decide(view).assignments.empty());
}

TEST(Maintenance, PrimaryHandsOverFirst) {
    GroupView view = Steady(2);
    Apply(*RequestMaintenance(view, kA, nullptr), view);
    EXPECT_EQ(view.Find(kA)->goal, kPrepareMaintenance);
    Reach(view, kA);
    view.Find(kA)->report.fenced = view.Find(kA)->proved_fenced = true;
    view.Find(kA)->report.sealed_lsn = Lsn{0x3000000};
    Advance(view);
    EXPECT_EQ(view.Find(kB)->goal, kPreparePromotion);
    ReachSealed(view, kB);
    Advance(view);
    EXPECT_EQ(view.Find(kB)->goal, kWaitPrimary);
    EXPECT_EQ(view.Find(kA)->goal, kMaintenance);
}

// S15 with three nodes: the set changes while the primary goes on, and counts when PostgreSQL uses
// it.
TEST(SyncSet, LostStandbyLeavesTheOthers) {
    GroupView view = Steady(3);
    LoseProcess(*view.Find(kC));
    std::erase_if(view.Find(kA)->report.standbys,
                  [](const StandbyFact &f) { return f.node == kC; });
    Advance(view);
    EXPECT_EQ(view.Find(kC)->goal, kCatchingup);
    EXPECT_EQ(view.Find(kA)->goal, kApplySettings);
    EXPECT_EQ(view.sync.goal, (SyncSet{1, {kB}}));
    Reach(view, kA);
    Advance(view);
    EXPECT_EQ(view.Find(kA)->goal, kPrimary);
    Report report = view.Find(kA)->report;
    report.state = kPrimary;
    report.sync_version = view.sync.goal_version;
    EXPECT_TRUE(ConfirmSync(view, report).has_value());
}

// Durability first: with number_sync_standbys = 1 the last standby's loss makes writes wait.
TEST(SyncSet, WritesWaitRatherThanGoUnprotected) {
    GroupView view = Steady(3);
    for (const NodeId id : {kB, kC})
        LoseProcess(*view.Find(id));
    view.Find(kA)->report.standbys.clear();
    Advance(view);
    EXPECT_EQ(view.Find(kA)->goal, kPrimary);
    EXPECT_EQ(view.sync.goal, (SyncSet{1, {kB, kC}}));
    view.number_sync_standbys = 0;
    Advance(view);
    EXPECT_EQ(view.Find(kA)->goal, kWaitPrimary);
    EXPECT_TRUE(view.sync.goal.members.empty());
}

// The set of a new term is known before its primary writes.
TEST(SyncSet, NewPrimaryWaitsForStandbysWhenTheFormationSaysSo) {
    GroupView view = Steady(3);
    KillPrimary(view);
    Advance(view);
    ReachSealed(view, kB);
    ReachSealed(view, kC);
    Advance(view);
    ReachSealed(view, kB);
    Advance(view);
    EXPECT_EQ(view.Find(kB)->goal, kWaitPrimary);
    EXPECT_EQ(view.sync.goal, (SyncSet{1, {kA, kC}}));
    EXPECT_EQ(BuildReply(view, kB, KeeperHolder::kWorker).sync_names, ToSetting(view.sync.goal));
    EXPECT_EQ(BuildReply(view, kB, KeeperHolder::kWorker).next_timeline, 2);
}

// S24: a standby that has left the history is stopped and rewound.
TEST(Decide, DivergedStandbyIsStopped) {
    GroupView view = Steady(3);
    NodeView *primary = view.Find(kA);
    primary->report.timeline = view.timeline = view.highest_timeline = 2;
    primary->report.history = {{1, Lsn{0x2000000}}};
    view.Find(kB)->report.timeline = 2;
    view.Find(kB)->report.history = primary->report.history;
    const Decision decision = Advance(view);
    ASSERT_FALSE(decision.assignments.empty());
    EXPECT_EQ(view.Find(kC)->goal, kDemoted) << "0/3000000 of timeline 1 is beyond 0/2000000";
    EXPECT_EQ(view.Find(kB)->goal, kSecondary);
    EXPECT_EQ(decision.assignments.front().rule, "diverged");
}

// Somebody answered in the monitor's place: no order of ours ends the grant that he gave, but one
// that stops it.
TEST(Decide, WhoSaysThatItMayWriteBesideThePrimaryIsStopped) {
    for (const NodeState claimed : {kWaitPrimary, kPrimary, kSingle, kApplySettings}) {
        GroupView view = Steady(3);
        NodeView *other = view.Find(kC);
        other->reported = other->report.state = claimed;
        other->report.in_recovery = false;
        (void)Advance(view);
        EXPECT_EQ(view.Find(kC)->goal, kDemoted) << ToString(claimed);
        EXPECT_TRUE(FindEdge(claimed, kDemoted)) << ToString(claimed);
        EXPECT_EQ(BuildReply(view, kC, KeeperHolder::kWorker).grant, GrantKind::kNone);
        EXPECT_EQ(view.Find(kB)->goal, kSecondary);
    }
    // On its way to be a follower it needs no other order.
    GroupView view = Steady(3);
    NodeView *former = view.Find(kC);
    former->goal = kCatchingup;
    former->reported = former->report.state = kWaitPrimary;
    (void)Advance(view);
    EXPECT_EQ(view.Find(kC)->goal, kCatchingup);
}

// A grant that was given voids every earlier promise of the node.
TEST(Lease, GrantEndsWhatAFencedReportProved) {
    LeaseRecord record;
    Report report;
    report.fenced = true;
    NoteReport(record, report);
    EXPECT_TRUE(record.proved_fenced);
    Reply reply;
    reply.grant = GrantKind::kTimed;
    reply.lease = Milliseconds{3000};
    NoteGrant(record, reply, BootTime{1});
    EXPECT_FALSE(record.proved_fenced);
}

// Only the node's own word that it obeys timed grants ends an unlimited one.
TEST(Lease, UnlimitedGrantLastsUntilTheNodeObeysTimedOnes) {
    LeaseRecord record;
    Reply reply;
    reply.grant = GrantKind::kUnlimited;
    NoteGrant(record, reply, BootTime{1});
    Report report;
    report.lease_mode = false;
    NoteReport(record, report);
    EXPECT_TRUE(record.unlimited);
    report.lease_mode = true;
    NoteReport(record, report);
    EXPECT_FALSE(record.unlimited);
}

// What one switchover found out about its end must not count in the next one.
TEST(Election, CalledOffSwitchoverLeavesNoTarget) {
    GroupView view = Steady(2);
    Apply(*RequestFailover(view, {.preferred = kB}), view);
    Reach(view, kA);
    view.Find(kA)->report.fenced = view.Find(kA)->proved_fenced = true;
    view.Find(kA)->report.sealed_lsn = Lsn{0x4000000};
    Advance(view);
    ASSERT_TRUE(view.target_lsn.IsValid());
    LoseProcess(*view.Find(kB));
    Advance(view);
    EXPECT_EQ(view.Find(kA)->goal, kWaitPrimary);
    EXPECT_FALSE(view.target_lsn.IsValid());
    EXPECT_FALSE(view.preferred.IsValid());
}

// S28: a copy that has not been whole yet is no candidate, whatever its position says.
TEST(Election, StandbyThatIsStillCatchingUpTakesNoPart) {
    GroupView view = Steady(3, 2);
    view.sync.goal = view.sync.confirmed = {1, {kB}};
    view.Find(kC)->goal = kCatchingup;
    Reach(view, kC);
    view.Find(kC)->report.lsn = Lsn{0x9000000};
    KillPrimary(view);
    Advance(view);
    EXPECT_EQ(view.Find(kB)->goal, kReportLsn);
    EXPECT_EQ(view.Find(kC)->goal, kCatchingup);
}

// An election needs members of each set in doubt, so the lease needs confirmations of each.
TEST(Reply, LeaseIsExtendedByEverySetInDoubt) {
    GroupView view = Steady(3);
    ReplaceGoal(view.sync, {1, {kB}});
    EXPECT_EQ(EncodeSets(BuildReply(view, kA, KeeperHolder::kWorker).extension), "1:2,3 1:2");
    EXPECT_TRUE(BuildReply(view, kB, KeeperHolder::kWorker).extension.empty());
}

}  // namespace
}  // namespace pgaf::core::test
