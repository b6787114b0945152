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

}  // namespace
}  // namespace pgaf::core
