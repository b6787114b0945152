#include "group_builder.hpp"

/// Elections that come to nothing end, and begin anew.
namespace pgaf::core {
namespace {

using namespace test;
using enum NodeState;

/// b has won an election, crashes, and comes back without the end of its WAL.
GroupView LoneCandidateWithLess() {
    GroupView view = Steady();
    KillPrimary(view);
    view.Find(kA)->goal = kDemoteTimeout;
    Reach(view, kA);
    NodeView &b = *view.Find(kB);
    b.goal = kReportLsn;
    ReachSealed(view, kB);
    b.goal = kPreparePromotion;
    view.target_lsn = Lsn{b.report.lsn.value + 0x100};
    b.goal_age = view.timeouts.candidate + Milliseconds{1};
    return view;
}

TEST(WayBack, ALoneCandidateThatLostAPartOfARecordIsElectedAnew) {
    GroupView view = LoneCandidateWithLess();
    Advance(view);
    EXPECT_EQ(view.Find(kB)->goal, kReportLsn);
    EXPECT_FALSE(view.target_lsn.IsValid());
    ReachSealed(view, kB);
    Advance(view);
    EXPECT_EQ(view.Find(kB)->goal, kPreparePromotion);
    EXPECT_EQ(view.target_lsn, view.Find(kB)->report.lsn);
}

TEST(WayBack, NotBeforeItsTimeAndNotWhileASealedPrimaryIsWaitedFor) {
    GroupView view = LoneCandidateWithLess();
    view.Find(kB)->goal_age = view.timeouts.candidate;
    EXPECT_EQ(GoalAfter(view, kB), kPreparePromotion);
    view = LoneCandidateWithLess();
    view.Find(kA)->goal = kDraining;
    EXPECT_EQ(GoalAfter(view, kB), kPreparePromotion);
}

/// The primary has ended, and its only standby reports that its server does not come up.
GroupView StandbyThatCannotStart() {
    GroupView view = Steady();
    KillPrimary(view);
    view.Find(kA)->goal = kDemoteTimeout;
    Reach(view, kA);
    NodeView &b = *view.Find(kB);
    b.goal = kPreparePromotion;
    b.report.holder = KeeperHolder::kSupervisor;
    b.report.pg_running = false;
    b.goal_age = view.timeouts.unhealthy;
    return view;
}

TEST(WayBack, ThePrimaryReturnsWhenItsOnlyStandbyCannotStart) {
    EXPECT_EQ(GoalAfter(StandbyThatCannotStart(), kA), kPrimary);
    GroupView view = StandbyThatCannotStart();
    view.Find(kB)->goal_age = view.timeouts.unhealthy - Milliseconds{1};
    EXPECT_EQ(GoalAfter(view, kA), kDemoteTimeout) << "it is given some time";
}

/// b was the primary and rests; the operator has ended that, and the primary is gone.
NodeView RestedPrimary() {
    NodeView b = MakeNode(kB, kMaintenance);
    b.goal = kCatchingup;
    b.report.holder = KeeperHolder::kSupervisor;
    b.report.pg_running = false;
    return b;
}

TEST(WayBack, OneThatRestedGoesOnWhenItIsAlone) {
    GroupView view = Steady();
    view.nodes = {RestedPrimary()};
    EXPECT_EQ(GoalAfter(view, kB), kSingle);
    view.nodes.front().goal = kMaintenance;
    EXPECT_EQ(GoalAfter(view, kB), kMaintenance) << "it rests still";
}

TEST(WayBack, OneThatRestedIsBroughtBackByCommand) {
    GroupView view = Steady();
    view.sync.goal = view.sync.confirmed = {};
    *view.Find(kB) = RestedPrimary();
    LoseProcess(*view.Find(kA));
    Silence(*view.Find(kA), Milliseconds{60'000});
    FailoverRequest request;
    request.allow_data_loss = request.primary_is_off = true;
    const auto decision = RequestFailover(view, request);
    ASSERT_TRUE(decision.has_value()) << decision.error().message;
    Apply(*decision, view);
    EXPECT_EQ(view.Find(kB)->goal, kWaitPrimary);
    EXPECT_EQ(view.primary, kB);
}

/// a has sealed for a switchover, and b, which was to take over, was promoted by hand before it had
/// received the end: what it wrote since goes beyond that position, on a timeline of its own.
TEST(WayBack, ACandidateThatWasPromotedByHandDoesNotHoldWhatThePrimaryHasSealed) {
    GroupView view = Steady(3);
    NodeView &a = *view.Find(kA);
    a.goal = kDraining;
    Reach(view, kA);
    a.report.sealed_lsn = view.target_lsn = a.report.lsn;
    a.report.fenced = a.proved_fenced = true;
    view.Find(kC)->goal_age = view.timeouts.stragglers;
    NodeView &b = *view.Find(kB);
    b.goal = kPreparePromotion;
    ReachSealed(view, kB);
    b.report.timeline = 2;
    b.report.history = {{1, Lsn{a.report.lsn.value - 1}}};
    b.report.lsn = Lsn{a.report.lsn.value + 0x1000};
    EXPECT_EQ(GoalAfter(view, kB), kReportLsn) << "another one is sought";
    b.report.history = {{1, a.report.lsn}};
    EXPECT_EQ(GoalAfter(view, kB), kWaitPrimary) << "it had everything when it left";
    b.report.history.clear();
    EXPECT_NE(GoalAfter(view, kB), kWaitPrimary) << "nobody knows when it left";
}

}  // namespace
}  // namespace pgaf::core
