#include "view/why.hpp"

#include <gtest/gtest.h>

#include "sample.hpp"

namespace pgaf::view {
namespace {

// Goal: the words are the ones that were looked at, and bad news makes the answer unhealthy.

ClusterView WithEvent() {
    ClusterView view = sample::Cluster();
    EventRow event = view.promotions[0];
    event.node = {2};
    event.goal = core::NodeState::kSecondary;
    event.rule = "caught_up";
    event.reason = "the standby has caught up";
    view.events = {event};
    return view;
}

bool Says(const Explanation &said, std::string_view words) {
    return said.text.find(words) != std::string::npos;
}

TEST(Why, AHealthyStandbyIsToldWhole) {
    const ClusterView view = WithEvent();
    const Explanation said = ExplainNode(view, view.nodes[1]);
    EXPECT_EQ(
        said.text,
        "node 2 \"b\" (10.0.0.2:5432), formation default, group 0\n"
        "  state     secondary\n"
        "  because   the standby has caught up (rule caught_up, 2026-01-02T03:04:05.678Z)\n"
        "  health    good: reported 0.2 s ago, its keeper is connected, its port is alive\n"
        "  wal       at 0/5000 on timeline 3, lacks 0 bytes, has 2048 bytes to replay\n"
        "  commits   it is a synchronous standby: 1 of 2 synchronous standbys must confirm each\n"
        "  failover  if node 1 \"a\" failed now, node 2 \"b\" would take over without the loss of "
        "a commit\n");
    EXPECT_TRUE(said.is_healthy);
    EXPECT_TRUE(ExplainNode(view, view.nodes[0]).is_healthy);
}

TEST(Why, EachTroubleIsNamedAndUnhealthy) {
    const auto with = [](auto change) {
        ClusterView view = WithEvent();
        change(view, view.nodes[1]);
        return ExplainNode(view, view.nodes[1]);
    };
    using View = ClusterView;
    Explanation said = with([](View &, NodeRow &n) { n.goal = core::NodeState::kReportLsn; });
    EXPECT_TRUE(!said.is_healthy && Says(said, "secondary, and should become report_lsn"))
        << said.text;
    said = with([](View &, NodeRow &n) { n.reported = n.goal = core::NodeState::kMaintenance; });
    EXPECT_TRUE(!said.is_healthy && Says(said, "pg_autoctl disable maintenance --name b"))
        << said.text;
    said = with([](View &, NodeRow &n) { n.health = 0; });
    EXPECT_TRUE(!said.is_healthy && Says(said, "health    bad:")) << said.text;
    said = with([](View &, NodeRow &n) { n.report_age = core::Milliseconds{6000}; });
    EXPECT_TRUE(!said.is_healthy && Says(said, "reported 6.0 s ago")) << said.text;
    said = with([](View &, NodeRow &n) { n.is_running = false; });
    EXPECT_TRUE(!said.is_healthy && Says(said, "PostgreSQL does not run")) << said.text;
    said = with([](View &, NodeRow &n) { n.replay_paused = true; });
    EXPECT_TRUE(!said.is_healthy && Says(said, "pg_wal_replay_resume()")) << said.text;
    said = with([](View &v, NodeRow &) { v.groups[0].is_sync_confirmed = false; });
    EXPECT_FALSE(said.is_healthy) << said.text;
    said = with([](View &v, NodeRow &) {
        v.groups[0].can_fail_over = false;
        v.groups[0].reason = "no standby is a healthy secondary";
    });
    EXPECT_TRUE(!said.is_healthy &&
                Says(said, "nobody could take over now: no standby is a healthy secondary"))
        << said.text;
    said = with([](View &v, NodeRow &) { v.groups[0].primary = {}; });
    EXPECT_TRUE(!said.is_healthy && Says(said, "there is no primary")) << said.text;
    said = with([](View &, NodeRow &n) { n.candidate_priority = 0; });
    EXPECT_TRUE(said.is_healthy && Says(said, "set node candidate-priority 50 --name b"))
        << said.text;
}

TEST(Why, NamesMoveNoCursor) {
    ClusterView view = WithEvent();
    view.nodes[1].name = "b\x1b[2J";
    EXPECT_EQ(ExplainNode(view, view.nodes[1]).text.find('\x1b'), std::string::npos);
}

TEST(WhyIf, ThePrimaryDied) {
    ClusterView view = sample::Cluster();
    const Explanation said = ExplainDeath(view, view.nodes[0]);
    EXPECT_TRUE(said.is_healthy);
    EXPECT_TRUE(Says(said, "node 2 \"b\" would take over")) << said.text;
    EXPECT_TRUE(Says(said, "none that was acknowledged would be lost")) << said.text;
    view.groups[0].can_fail_over = false;
    view.groups[0].reason = "the set is being changed";
    const Explanation bad = ExplainDeath(view, view.nodes[0]);
    EXPECT_TRUE(!bad.is_healthy && Says(bad, "nobody would take over: the set is being changed"))
        << bad.text;
}

TEST(WhyIf, AStandbyDied) {
    ClusterView view = sample::Cluster();  // one of two must confirm
    EXPECT_TRUE(ExplainDeath(view, view.nodes[1]).is_healthy);
    EXPECT_TRUE(ExplainDeath(view, view.nodes[3]).is_healthy);  // it does not count
    view.nodes[2].health = 0;
    Explanation said = ExplainDeath(view, view.nodes[1]);
    EXPECT_TRUE(!said.is_healthy && Says(said, "commits   wait: 1 standbys must confirm"))
        << said.text;
    view.formations[0].number_sync_standbys = 0;
    said = ExplainDeath(view, view.nodes[1]);
    EXPECT_TRUE(!said.is_healthy && Says(said, "go on without any standby")) << said.text;
    EXPECT_TRUE(Says(said, "there is none: it is not the primary")) << said.text;
}

}  // namespace
}  // namespace pgaf::view
