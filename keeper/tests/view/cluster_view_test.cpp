#include "view/cluster_view.hpp"

#include <gtest/gtest.h>

#include "pgaf/core/node_status.hpp"

namespace pgaf::view {
namespace {

// Goal: what the monitor sends becomes the model whole, or is refused with the reason.

constexpr const char *kDocument = R"({
 "formations": [{"name": "default", "number_sync_standbys": 1}],
 "groups": [{"formation": "default", "group": 0, "term": 4, "sync_goal_k": 1, "sync_goal": [2, 3],
   "sync_confirmed_k": 1, "sync_confirmed": [2], "is_sync_confirmed": false, "primary": 1,
   "candidate": 0, "can_fail_over": false, "reason": "the set is being changed"}],
 "nodes": [{"id": 1, "name": "a", "host": "h", "port": 5432, "formation": "default", "group": 0,
   "reported": "primary", "goal": "draining", "health": 1, "candidate_priority": 50,
   "replication_quorum": true, "has_report": true, "is_running": true, "timeline": 2,
   "lsn": "0/5000", "replay_lsn": "", "replay_paused": false, "stall": 0, "cancelled_waits": 2,
   "unconfirmed_waits": 1, "report_age": 12, "has_lease_limit": true, "lease_left": 2500,
   "session": "connected", "probe": "alive"},
  {"id": 2, "name": "b", "host": "h", "port": 5433, "formation": "default", "group": 0,
   "reported": "secondary", "goal": "secondary", "health": 1, "lsn": "0/4000",
   "replay_lsn": "0/3000", "has_lease_limit": false, "lease_left": 0}],
 "events": [], "promotions": [], "events_end": 12, "added later": {}})";

TEST(ClusterView, IsReadWhole) {
    const auto view = ParseClusterView(kDocument);
    ASSERT_TRUE(view) << view.error().message;
    ASSERT_EQ(view->nodes.size(), 2U);
    EXPECT_EQ(view->nodes[0].goal, core::NodeState::kDraining);
    EXPECT_EQ(view->nodes[0].lease_left, core::Milliseconds{2500});
    EXPECT_FALSE(view->nodes[0].replay_lsn);
    EXPECT_FALSE(view->nodes[1].lease_left);
    EXPECT_EQ(view->nodes[1].replay_lsn->value, 0x3000U);
    EXPECT_EQ(view->events_end, 12);
    const GroupRow *const group = view->FindGroup("default", 0);
    ASSERT_NE(group, nullptr);
    EXPECT_EQ(core::ToSetting(group->sync_goal),
              "ANY 1 (pgautofailover_standby_2, pgautofailover_standby_3)");
    EXPECT_EQ(view->PrimaryOf(*group)->name, "a");
    EXPECT_EQ(ReceiveLag(*view, view->nodes[1]), 0x1000U);
    EXPECT_EQ(SyncRoleOf(*view, view->nodes[1]), SyncRole::kUnknown);
    EXPECT_EQ(view->FindGroup("default", 1), nullptr);
    EXPECT_EQ(view->FindNode({3}), nullptr);
}

TEST(ClusterView, WhatIsMissingOrMistypedIsNamed) {
    const auto problem = [](std::string_view text) {
        const auto view = ParseClusterView(text);
        return view ? std::string() : view.error().message;
    };
    for (const char *text : {"", "[]", "{}", "{\"formations\": 1}", "null", "{\"formations\": []"})
        EXPECT_NE(problem(text), "") << text;
    std::string text = kDocument;
    text.replace(text.find("\"port\": 5432"), 12, "\"port\": \"x\" ");
    EXPECT_NE(problem(text).find("\"port\" is not an integer"), std::string::npos) << problem(text);
    text = kDocument;
    text.replace(text.find("[2, 3]"), 6, "[\"2\"]");
    EXPECT_NE(problem(text).find("sync_goal"), std::string::npos) << problem(text);
}

// Goal: a page that is being written, was never written, or is of somebody else, says nothing.
TEST(StatusPage, OnlyAWholePageIsBelieved) {
    core::StatusPage page;
    EXPECT_FALSE(core::StatusOf(page));
    page.sequence = 2;
    page.status.node = 7;
    page.checksum = core::ChecksumOf(page);
    ASSERT_TRUE(core::StatusOf(page));
    EXPECT_EQ(core::StatusOf(page)->node, 7);
    core::StatusPage torn = page;
    torn.status.deadline = {1};
    EXPECT_FALSE(core::StatusOf(torn));
    torn = page;
    torn.sequence = 4;
    EXPECT_FALSE(core::StatusOf(torn));
    torn.sequence = 3;
    torn.checksum = core::ChecksumOf(torn);
    EXPECT_FALSE(core::StatusOf(torn));
}

}  // namespace
}  // namespace pgaf::view
