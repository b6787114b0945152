#include "pgaf/core/learn.hpp"

#include <gtest/gtest.h>

/// What a monitor that was restored from a backup takes over from the primary that writes.
namespace pgaf::core {
namespace {

using enum NodeState;

/// Node 2 is the primary of term 4 with set 9, and node 1 follows; the rows are of term 3.
struct Restored {
    GroupView view;
    Restored() {
        view.term = 3;
        view.sync.goal_version = view.sync.confirmed_version = 6;
        view.primary = NodeId{1};
        view.nodes.resize(2);
        view.nodes[0].id = NodeId{1};
        view.nodes[0].goal = view.nodes[0].reported = kPrimary;
        view.nodes[1].id = NodeId{2};
        view.nodes[1].goal = kSecondary;
        NodeView &primary = view.nodes[1];
        primary.has_report = true;
        primary.reported = kPrimary;
        Report &report = primary.report;
        report.node = NodeId{2};
        report.state = kPrimary;
        report.pg_running = true;
        report.term = 4;
        report.timeline = 5;
        report.goal_version = 30;
        report.sync_version = report.known_sync_version = 9;
        report.sync_names = "ANY 1 (pgautofailover_standby_1)";
        report.standbys.push_back(
            {.node = NodeId{1}, .streaming = true, .in_sync_set = true, .flush_lsn = Lsn{100}});
        NodeView &standby = view.nodes[0];
        standby.has_report = true;
        standby.report.node = NodeId{1};
        standby.report.state = kSecondary;
        standby.report.pg_running = standby.report.in_recovery = true;
        standby.report.receiver.streaming = true;
        standby.report.receiver.upstream = NodeId{2};
        standby.report.term = 4;
        standby.report.known_sync_version = 9;
    }
    Report &Primary() { return view.nodes[1].report; }
    std::optional<Decision> Learns() { return Learn(view, Primary()); }
};

TEST(Learn, TermSetTimelineAndWhoIsWhat) {
    Restored restored;
    const auto learned = restored.Learns();
    ASSERT_TRUE(learned.has_value());
    Apply(*learned, restored.view);
    EXPECT_EQ(restored.view.term, 4);
    EXPECT_EQ(restored.view.primary, NodeId{2});
    EXPECT_EQ(restored.view.highest_timeline, 5);
    EXPECT_TRUE(restored.view.sync.IsSettled());
    EXPECT_EQ(restored.view.sync.goal_version, 9);
    EXPECT_EQ(restored.view.sync.goal, (SyncSet{1, {NodeId{1}}}));
    EXPECT_EQ(restored.view.nodes[0].goal, kSecondary);
    EXPECT_EQ(restored.view.nodes[1].goal, kPrimary);
    EXPECT_GT(restored.view.nodes[1].goal_version, 30) << "no report bears that number yet";
    EXPECT_FALSE(restored.Learns().has_value()) << "once";
}

TEST(Learn, NothingWhileItIsNotCertain) {
    for (int i = 1; i < 11; ++i) {
        Restored restored;
        Report &report = restored.Primary();
        if (i == 1) report.standbys[0].streaming = false;
        if (i == 2) report.standbys[0].in_sync_set = false;
        if (i == 3) report.known_sync_version = 10;
        if (i == 4) report.in_recovery = true;
        if (i == 5) report.sync_names = "FIRST 1 (x)";
        if (i == 6) restored.view.nodes[0].report.term = 5;
        if (i == 7) restored.view.term = 5;
        // What the standby says of itself.
        Report &standby = restored.view.nodes[0].report;
        if (i == 8) standby.receiver.streaming = false;
        if (i == 9) standby.receiver.upstream = NodeId{7};
        if (i == 10) restored.view.nodes[0].report_age = restored.view.timeouts.unhealthy;
        EXPECT_FALSE(restored.Learns().has_value()) << i;
    }
}

/// It has started, and waits for its monitor.
Restored Waiting(const std::string &names) {
    Restored restored;
    Report &report = restored.Primary();
    report.fenced = true;
    report.recorded_sync_version = std::exchange(report.sync_version, 0);
    report.sync_names = names;
    return restored;
}

TEST(Learn, AlsoFromAPrimaryThatWaitsForItsMonitor) {
    Restored restored = Waiting("ANY 1 (pgautofailover_standby_1)");
    const auto learned = restored.Learns();
    ASSERT_TRUE(learned.has_value());
    EXPECT_EQ(learned->sync->goal_version, 9);
    restored.Primary().standbys.clear();
    EXPECT_FALSE(restored.Learns().has_value()) << "nobody follows";
}

TEST(Learn, NobodyMakesHimselfThePrimaryBesideAnother) {
    Restored restored;
    Report &claim = restored.Primary();
    claim.sync_names = "";
    claim.standbys.clear();
    EXPECT_TRUE(restored.Learns().has_value()) << "the other one is a standby";
    Report &other = restored.view.nodes[0].report;
    other.state = kPrimary;
    other.in_recovery = false;
    EXPECT_FALSE(restored.Learns().has_value());
}

TEST(Learn, FromOneThatWasAloneOnlyWhenAllOthersAreSeen) {
    Restored restored = Waiting("");
    EXPECT_TRUE(restored.Learns().has_value());
    restored.view.nodes[0].report.state = kWaitPrimary;
    EXPECT_FALSE(restored.Learns().has_value()) << "another one may be the primary";
    restored.view.nodes[0].report.state = kSecondary;
    restored.view.nodes[0].has_report = false;
    EXPECT_FALSE(restored.Learns().has_value()) << "one is missing";
}

/// Node 1 has been the primary before, and nobody follows node 2.
struct TwoThatWait : Restored {
    TwoThatWait() {
        Report &former = view.nodes[0].report;
        former.state = kPrimary;
        former.in_recovery = false;
        former.receiver = {};
        former.fenced = true;
        former.term = 3;
        former.known_sync_version = 6;
        former.timeline = 4;
        Primary().standbys.clear();
        Primary().fenced = true;
    }
};

TEST(Learn, FromTheLaterOfTwoPrimariesWhoseMemberHasNotHeardOfIt) {
    TwoThatWait waiting;
    const auto learned = waiting.Learns();
    ASSERT_TRUE(learned.has_value());
    EXPECT_EQ(learned->primary, NodeId{2});
    Apply(*learned, waiting.view);
    EXPECT_EQ(waiting.view.nodes[0].goal, kDemoted);
    TwoThatWait alone;
    alone.Primary().sync_names = "";
    EXPECT_TRUE(alone.Learns().has_value()) << "it needs nobody";
}

TEST(Learn, NotWhenTheFormerPrimaryMayHaveGoneOn) {
    for (const std::string names : {"ANY 1 (pgautofailover_standby_1)", ""}) {
        for (int i = 0; i < 4; ++i) {
            TwoThatWait waiting;
            waiting.Primary().sync_names = names;
            Report &former = waiting.view.nodes[0].report;
            if (i == 0) former.fenced = false;
            if (i == 1)
                former.known_sync_version = 9;  // by a monitor that had forgotten the election
            if (i == 2) former.term = 4;
            if (i == 3) former.timeline = 5;
            EXPECT_FALSE(waiting.Learns().has_value()) << i << names;
        }
    }
}

TEST(Learn, FromOneThatHandsOverByAnOrderThatIsForgotten) {
    Restored restored;
    restored.Primary().state = kDraining;
    const auto learned = restored.Learns();
    ASSERT_TRUE(learned.has_value());
    Apply(*learned, restored.view);
    EXPECT_EQ(restored.view.nodes[1].goal, kPrimary);
}

TEST(Learn, ALaterVersionOfTheSetThatThePrimaryHasNotHeardOfIsPassedOver) {
    Restored restored;
    restored.view.nodes[0].report.known_sync_version = 12;
    const auto learned = restored.Learns();
    ASSERT_TRUE(learned.has_value());
    EXPECT_EQ(learned->sync->goal_version, 13);
    EXPECT_EQ(learned->sync->confirmed_version, 9);
}

TEST(LearnByOrder, ThePrimaryOfTheLastTermStandsAloneAtFirst) {
    TwoThatWait waiting;
    waiting.view.nodes[0].report.fenced = false;
    const auto learned = LearnByOrder(waiting.view);
    ASSERT_TRUE(learned.has_value());
    EXPECT_EQ(learned->primary, NodeId{2});
    EXPECT_EQ(learned->sync->goal, SyncSet{});
    EXPECT_EQ(learned->sync->goal_version, 10);
    waiting.view.nodes[0].report.timeline = 6;
    EXPECT_FALSE(LearnByOrder(waiting.view).has_value()) << "somebody has gone further";
    waiting.view.nodes[0].report.timeline = 4;
    waiting.Primary().pg_running = false;
    EXPECT_FALSE(LearnByOrder(waiting.view).has_value());
}

TEST(Health, WhoObeysNewerRowsIsNotShownAsHealthy) {
    Restored restored;
    restored.view.nodes[1].silent_age = Milliseconds{0};
    EXPECT_EQ(HealthOf(restored.view, restored.view.nodes[1]), 0);
    EXPECT_EQ(HealthOf(restored.view, restored.view.nodes[0]), 0) << "the primary by these rows";
    restored.view.term = 4;
    restored.view.sync.goal_version = 9;
    EXPECT_EQ(HealthOf(restored.view, restored.view.nodes[1]), 1);
}

TEST(Learn, SettingsAreReadAsTheyAreWritten) {
    for (const SyncSet &set :
         {SyncSet{}, SyncSet{1, {NodeId{3}}}, SyncSet{2, {NodeId{3}, NodeId{14}}}})
        EXPECT_EQ(ParseSetting(ToSetting(set)), set);
    for (const char *text :
         {"ANY", "ANY 1", "ANY 1 (", "ANY 1 (x)", "ANY x (pgautofailover_standby_1)", "*"})
        EXPECT_FALSE(ParseSetting(text).has_value()) << text;
}

}  // namespace
}  // namespace pgaf::core
