#include "group_builder.hpp"

/// Who counts as a standby that confirms (P1, P2).
namespace pgaf::core::test {
namespace {

using enum NodeState;

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
TEST(Confirming, NoTwoRulesDisagreeOnIt) {
    GroupView view = Returning();
    ASSERT_EQ(GoalAfter(view, kB), kSecondary);
    for (const int age_ms : {400, 1000, 2900, 3100, 60'000}) {
        view.Find(kA)->report.standbys.front().reply_age = Milliseconds{age_ms};
        EXPECT_FALSE(Decide(view).exhausted) << age_ms << " ms";
    }
}

// Writes would wait for it a second time.
TEST(Confirming, StandbyIsSynchronousOnlyWhenItConfirms) {
    ASSERT_TRUE(AfterObeying(Returning()).sync.goal.Contains(kB));
    GroupView behind = Returning();
    behind.Find(kA)->report.standbys.front().flush_lsn = Lsn{0};
    EXPECT_FALSE(AfterObeying(behind).sync.goal.Contains(kB)) << "it has confirmed nothing";
    GroupView mute = Returning();
    mute.Find(kA)->report.standbys.front().reply_age = Milliseconds{2900};
    EXPECT_FALSE(AfterObeying(mute).sync.goal.Contains(kB)) << "its last answer is old";
}

}  // namespace
}  // namespace pgaf::core::test
