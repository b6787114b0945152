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

/// a has handed over and is stopped; b was chosen, and its supervisor says that its server is down.
GroupView WinnerThatCannotStart() {
    GroupView view = Steady(3);
    view.number_sync_standbys = 1;
    NodeView &a = *view.Find(kA);
    a.goal = a.reported = a.report.state = kDemoted;
    a.report.holder = KeeperHolder::kSupervisor;
    a.report.pg_running = false;
    a.report.fenced = a.proved_fenced = true;
    NodeView &b = *view.Find(kB);
    b.goal = kWaitPrimary;
    b.reported = b.report.state = kPreparePromotion;
    b.report.holder = KeeperHolder::kSupervisor;
    b.report.pg_running = false;
    b.report.fenced = b.proved_fenced = true;
    b.goal_age = view.timeouts.candidate;
    StopStream(view, kC);
    view.term = 7;
    view.primary = kB;
    view.former = kA;
    view.highest_timeline = 2;
    ReplaceGoal(view.sync, {1, {kA, kC}});
    return view;
}

TEST(WayBack, APromotionWhoseWinnerDoesNotComeUpIsUndone) {
    GroupView view = WinnerThatCannotStart();
    Apply(Decide(view), view);
    EXPECT_EQ(view.Find(kA)->goal, kWaitPrimary);
    EXPECT_EQ(view.Find(kB)->goal, kDemoted);
    EXPECT_EQ(view.primary, kA);
    EXPECT_EQ(view.former, NodeId{});
    EXPECT_EQ(view.term, 8) << "what b was told is void";
    EXPECT_EQ(view.sync.goal, (SyncSet{1, {kB, kC}}));
    EXPECT_EQ(view.timeline, 1);
}

TEST(WayBack, APromotionStandsWhereItsWinnerMayHaveAcknowledgedOrAnybodyLacksSomething) {
    struct Case {
        const char *name;
        void (*change)(GroupView &view);
    };
    for (const Case &test : {
             Case{"it is given some time",
                  [](GroupView &v) {
                      v.Find(kB)->goal_age = v.timeouts.candidate - Milliseconds{1};
                  }},
             Case{"it runs",
                  [](GroupView &v) {
                      v.Find(kB)->report.pg_running = true;
                      v.Find(kB)->report.holder = KeeperHolder::kWorker;
                  }},
             Case{"it does not report",
                  [](GroupView &v) { Silence(*v.Find(kB), Milliseconds{9000}); }},
             Case{"it may be open", [](GroupView &v) { v.Find(kB)->proved_fenced = false; }},
             Case{"it has been a primary",
                  [](GroupView &v) {
                      v.Find(kB)->reported = v.Find(kB)->report.state = kWaitPrimary;
                  }},
             Case{"it has begun to promote itself",
                  [](GroupView &v) { v.Find(kB)->report.promotion_term = v.term; }},
             Case{"it may have been one",
                  [](GroupView &v) { v.Find(kB)->reported = kWaitPrimary; }},
             Case{"it has an older disk",
                  [](GroupView &v) { v.Find(kB)->held.lost_from = Lsn{0x2000000}; }},
             Case{"another one was the former primary", [](GroupView &v) { v.former = kC; }},
             Case{"nobody knows who it was", [](GroupView &v) { v.former = {}; }},
             Case{"the former primary follows somebody",
                  [](GroupView &v) { v.Find(kA)->goal = kCatchingup; }},
             Case{"it is not stopped yet",
                  [](GroupView &v) {
                      v.Find(kA)->reported = v.Find(kA)->report.state = kDemoteTimeout;
                  }},
             Case{"it is silent", [](GroupView &v) { Silence(*v.Find(kA), Milliseconds{9000}); }},
             Case{"its data are not readable",
                  [](GroupView &v) { v.Find(kA)->report.timeline = 0; }},
             Case{"it has lost WAL",
                  [](GroupView &v) { v.Find(kA)->held.lost_from = Lsn{0x2000000}; }},
             Case{"others have more",
                  [](GroupView &v) { v.Find(kA)->held.is_behind_others = true; }},
             Case{"it is damaged", [](GroupView &v) { v.Find(kA)->report.is_damaged = true; }},
         }) {
        GroupView view = WinnerThatCannotStart();
        test.change(view);
        EXPECT_NE(GoalAfter(view, kA), kWaitPrimary) << test.name;
    }
}

TEST(WayBack, APromotionRemembersWhoWasThePrimary) {
    GroupView view = Steady();
    NodeView &a = *view.Find(kA);
    a.goal = kDraining;
    Reach(view, kA);
    a.report.sealed_lsn = view.target_lsn = a.report.lsn;
    a.report.fenced = a.proved_fenced = true;
    view.Find(kB)->goal = kPreparePromotion;
    ReachSealed(view, kB);
    Apply(Decide(view), view);
    EXPECT_EQ(view.primary, kB);
    EXPECT_EQ(view.former, kA);
}

/// Its data are a copy that lacks WAL which nobody but the primary has.
TEST(WayBack, AStandbyThatIsNotConsistentIsNotChosen) {
    GroupView view = Steady();
    KillPrimary(view);
    view.Find(kB)->report.is_inconsistent = true;
    EXPECT_EQ(GoalAfter(view, kB), kSecondary);
    view.Find(kB)->report.is_inconsistent = false;
    EXPECT_EQ(GoalAfter(view, kB), kPreparePromotion);
}

TEST(WayBack, ACandidateThatDoesNotComeUpIsPassedOver) {
    GroupView view = Steady(4, 2);
    KillPrimary(view);
    view.Find(kA)->goal = kDemoteTimeout;
    Reach(view, kA);
    for (const NodeId id : {kC, kD}) {
        view.Find(id)->goal = kReportLsn;
        ReachSealed(view, id);
    }
    NodeView &b = *view.Find(kB);
    b.goal = b.reported = b.report.state = kPreparePromotion;
    b.report.holder = KeeperHolder::kSupervisor;
    b.report.pg_running = false;
    b.goal_age = view.timeouts.candidate - Milliseconds{1};
    EXPECT_EQ(GoalAfter(view, kB), kPreparePromotion) << "it is given some time";
    b.goal_age = view.timeouts.candidate;
    EXPECT_EQ(GoalAfter(view, kB), kReportLsn);
    EXPECT_EQ(GoalAfter(view, kC), kPreparePromotion);
}

/// The monitor is from a backup that was made while c was new.
TEST(WayBack, ANodeThatTheMonitorTakesForNewFollowsFromWhereItIs) {
    for (const NodeState state :
         {kWaitStandby, kCatchingup, kSecondary, kReportLsn, kJoinSecondary, kDemoted}) {
        GroupView view = Steady(3);
        NodeView &c = *view.Find(kC);
        c.goal = kWaitStandby;
        c.reported = c.report.state = state;
        // One that streams has caught up at once.
        EXPECT_EQ(GoalAfter(view, kC), state == kCatchingup ? kSecondary : kCatchingup)
            << ToString(state);
        c.reported = c.report.state = kMaintenance;
        EXPECT_EQ(GoalAfter(view, kC), kMaintenance) << "it rests by an order";
    }
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
