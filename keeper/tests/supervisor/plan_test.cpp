// Goal: what the supervisor does with PostgreSQL down never lets a former primary write on its own
// word. Method: the pure plan, one situation at a time.
#include "supervisor/plan.hpp"

#include <gtest/gtest.h>

namespace pgaf::supervisor {
namespace {

using core::NodeState;
using core::Step;

TEST(Plan, APrimaryAsksTheMonitorBeforeItStarts) {
    EXPECT_EQ(MakePlan({.state = NodeState::kPrimary, .had_peer = true}).action, Action::kWait);
    EXPECT_EQ(MakePlan({.state = NodeState::kSingle, .had_peer = true}).action, Action::kWait);
}

TEST(Plan, AStandbyAndALoneSingleStartAtOnce) {
    EXPECT_EQ(MakePlan({.state = NodeState::kSecondary, .had_peer = true}).action, Action::kStart);
    EXPECT_EQ(MakePlan({.state = NodeState::kSingle}).action, Action::kStart);
}

TEST(Plan, AnIncompleteDirectoryIsNeverStarted) {
    for (const NodeState state : {NodeState::kSecondary, NodeState::kSingle, NodeState::kDemoted}) {
        for (const NodeState goal :
             {NodeState::kSingle, NodeState::kPrimary, NodeState::kSecondary}) {
            EXPECT_NE(MakePlan({.state = state, .goal = goal, .is_marked = true}).action,
                      Action::kStart);
        }
    }
}

TEST(Plan, AFormerPrimaryBecomesDemotedAndThenRejoins) {
    const Plan first = MakePlan({.state = NodeState::kPrimary, .goal = NodeState::kCatchingup});
    EXPECT_EQ(first.action, Action::kTakeState);
    EXPECT_EQ(first.next, NodeState::kDemoted);
    const Plan second = MakePlan({.state = first.next, .goal = NodeState::kCatchingup});
    EXPECT_EQ(second.action, Action::kRunStep);
    EXPECT_EQ(second.step, core::Step::kRejoin);
}

TEST(Plan, AStandbyWhoseWalIsGoneIsCompared) {
    const Plan plan = MakePlan(
        {.state = NodeState::kSecondary, .goal = NodeState::kSecondary, .is_wal_gone = true});
    EXPECT_EQ(plan.action, Action::kRunStep);
    EXPECT_EQ(plan.step, core::Step::kRejoin);
    EXPECT_EQ(plan.next, NodeState::kCatchingup);
}

TEST(Plan, AFollowerThatMustBeComparedWaitsForTheMonitor) {
    for (const NodeState state : {NodeState::kSecondary, NodeState::kCatchingup}) {
        const PlanFacts gone{.state = state, .is_wal_gone = true};
        const PlanFacts written{.state = state, .has_own_writes = true};
        for (PlanFacts facts : {gone, written}) {
            EXPECT_EQ(MakePlan(facts).action, Action::kWait);
            for (const NodeState goal : {NodeState::kSecondary, NodeState::kCatchingup}) {
                facts.goal = goal;
                EXPECT_EQ(MakePlan(facts).step, Step::kRejoin);
            }
        }
        const PlanFacts marked{.state = state, .goal = NodeState::kCatchingup, .is_marked = true};
        EXPECT_EQ(MakePlan(marked).step, Step::kRejoin);
    }
    // In an election every position counts.
    EXPECT_EQ(MakePlan({.state = NodeState::kReportLsn, .is_wal_gone = true}).action,
              Action::kStart);
}

TEST(Plan, ANodeThatStoppedToBeDroppedEndsWhenTheMonitorKnowsIt) {
    EXPECT_EQ(MakePlan({.state = NodeState::kDropped}).action, Action::kWait);
    EXPECT_EQ(MakePlan({.state = NodeState::kDropped, .goal = NodeState::kDropped}).action,
              Action::kEnd);
}

}  // namespace
}  // namespace pgaf::supervisor
