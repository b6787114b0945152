#include <string_view>

#include "group_builder.hpp"

/// Faults that are known, and not mended yet. Each shows what is right and expects that it does not
/// hold; whoever mends a fault takes it off this list, and keeps the test as one of the rules.
namespace pgaf::core::test {
namespace {

using enum NodeState;

void ExpectStillShows(std::string_view fault, bool is_right) {
    EXPECT_FALSE(is_right) << fault << " no longer shows: take it off the list";
}

/// b was lost and has returned: a goes on alone, and b follows it again, with all of its WAL.
GroupView Returning() {
    GroupView view = Steady();
    view.Find(kA)->goal = kWaitPrimary;
    Reach(view, kA);
    view.Find(kB)->goal = kCatchingup;
    Reach(view, kB);
    view.sync.goal = view.sync.confirmed = {};
    return view;
}

/// What follows when every node does as it is told.
GroupView AfterObeying(GroupView view) {
    for (int round = 0; round < 3; ++round) {
        Apply(Decide(view), view);
        Reach(view, kB);
    }
    return view;
}

// The walsender of a connection that was cut off still says "streaming".
TEST(KnownFaults, P1TwoRulesUndoEachOther) {
    GroupView view = Returning();
    ASSERT_FALSE(Decide(view).exhausted);
    ASSERT_EQ(GoalAfter(view, kB), kSecondary);
    view.Find(kA)->report.standbys.front().reply_age = Milliseconds{3100};
    ExpectStillShows("P1, caught_up and standby_lost disagree on who confirms",
                     !Decide(view).exhausted);
}

// Writes would wait for it a second time.
TEST(KnownFaults, P2StandbyIsSynchronousBeforeItConfirms) {
    ASSERT_TRUE(AfterObeying(Returning()).sync.goal.Contains(kB));
    GroupView behind = Returning();
    behind.Find(kA)->report.standbys.front().flush_lsn = Lsn{0};
    ExpectStillShows("P2, a standby that has confirmed nothing becomes synchronous",
                     !AfterObeying(behind).sync.goal.Contains(kB));
    GroupView mute = Returning();
    mute.Find(kA)->report.standbys.front().reply_age = Milliseconds{2900};
    ExpectStillShows("P2, a standby whose last answer is old becomes synchronous",
                     !AfterObeying(mute).sync.goal.Contains(kB));
}

}  // namespace
}  // namespace pgaf::core::test
