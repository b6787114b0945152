#include "view/answer.hpp"

#include <gtest/gtest.h>

#include "sample.hpp"

namespace pgaf::view {
namespace {

using sample::At;
using sample::CodeOf;

// Goal: /primary says yes only while a commit would be acknowledged here; whatever is unclear is
// no.

TEST(Primary, AnOpenGateIsYes) {
    for (const char *path : {"/", "/primary", "/read-write", "/leader", "/master", "/primary/"})
        EXPECT_EQ(CodeOf(path, sample::Primary()), 200) << path;
    EXPECT_EQ(CodeOf("/read-only", sample::Primary()), 200);
    EXPECT_EQ(CodeOf("/replica", sample::Primary()), 503);
}

TEST(Primary, IsNoBeforeTheLeaseEnds) {
    LocalView local = sample::Primary();
    local.status->written_at = local.now = At(102'399);
    EXPECT_EQ(CodeOf("/primary", local), 200);
    local.now = At(102'400);
    EXPECT_EQ(CodeOf("/primary", local), 503);
    local.now = At(102'500);
    EXPECT_EQ(CodeOf("/primary", local), 503);
}

TEST(Primary, WithoutALimitIsYesAsLongAsTheWorkerGoesOn) {
    LocalView local = sample::Primary();
    local.status->deadline = core::kForever;
    EXPECT_EQ(CodeOf("/primary", local), 200);
    local.now = local.status->written_at + kStatusLimit + core::Milliseconds{1};
    EXPECT_EQ(CodeOf("/primary", local), 503);
}

TEST(Primary, EveryClosedFenceIsNo) {
    for (const worker::Fence fence :
         {worker::Fence::kDraining, worker::Fence::kClosed, worker::Fence::kHeld}) {
        LocalView local = sample::Primary();
        local.status->fence = static_cast<std::uint32_t>(fence);
        EXPECT_EQ(CodeOf("/primary", local), 503);
        EXPECT_EQ(CodeOf("/read-only", local), 503);
        EXPECT_EQ(CodeOf("/health", local), 200);
    }
    LocalView local = sample::Primary();
    local.status->fence = 4711;
    EXPECT_EQ(CodeOf("/primary", local), 503);
}

TEST(Primary, WhatIsNotKnownIsNo) {
    LocalView local = sample::Primary();
    local.status.reset();
    EXPECT_EQ(CodeOf("/primary", local), 503);
    local = sample::Primary();
    local.server = ServerProcess::kGone;
    EXPECT_EQ(CodeOf("/primary", local), 503);
    local = sample::Primary();
    local.server = ServerProcess::kFrozen;
    EXPECT_EQ(CodeOf("/primary", local), 503);
    EXPECT_EQ(CodeOf("/health", local), 503);
    local = sample::Primary();
    local.is_stopping = true;
    EXPECT_EQ(CodeOf("/primary", local), 503);
    local = sample::Primary();
    local.status->in_recovery = true;  // the gate of a node that is being promoted opens first
    EXPECT_EQ(CodeOf("/primary", local), 503);
    local = sample::Primary();
    local.status->written_at = local.now + core::Milliseconds{1000};  // another boot
    EXPECT_EQ(CodeOf("/primary", local), 503);
    local = sample::Primary();
    local.status->state = core::NodeState::kDemoteTimeout;
    EXPECT_EQ(CodeOf("/primary", local), 503);
    local = sample::Primary();
    local.identity.is_monitor = true;
    EXPECT_EQ(CodeOf("/primary", local), 503);
}

TEST(Primary, ASwitchoverThatStillMakesItsCheckpointIsYes) {
    LocalView local = sample::Primary();
    local.status->state = core::NodeState::kDraining;
    EXPECT_EQ(CodeOf("/primary", local), 200);
}

TEST(Replica, IsAStandbyThatLetsSessionsIn) {
    EXPECT_EQ(CodeOf("/replica", sample::Standby()), 200);
    EXPECT_EQ(CodeOf("/read-only", sample::Standby()), 200);
    EXPECT_EQ(CodeOf("/primary", sample::Standby()), 503);
    LocalView local = sample::Standby();
    local.status->admits_sessions = false;
    EXPECT_EQ(CodeOf("/replica", local), 503);
    EXPECT_EQ(CodeOf("/health", local), 503);
    local = sample::Standby();
    local.status->state = core::NodeState::kMaintenance;
    EXPECT_EQ(CodeOf("/replica", local), 503);
    EXPECT_EQ(CodeOf("/health", local), 200);
}

TEST(Replica, TheLagIsComparedWithTheLimit) {
    const LocalView local = sample::Standby();  // 4,096 bytes behind
    EXPECT_EQ(CodeOf("/replica?lag=4096", local), 200);
    EXPECT_EQ(CodeOf("/replica?lag=4kB", local), 200);
    EXPECT_EQ(CodeOf("/replica?lag=4095", local), 503);
    EXPECT_EQ(CodeOf("/read-only?lag=4095", local), 503);
    EXPECT_EQ(CodeOf("/read-only?lag=1", sample::Primary()), 200);
    EXPECT_EQ(CodeOf("/readiness?lag=1", local), 503);
    EXPECT_EQ(CodeOf("/readiness?lag=1&mode=write", local), 200);
}

TEST(Replica, ALagThatIsNotKnownIsNo) {
    LocalView local = sample::Standby();
    local.status->streams = false;
    EXPECT_EQ(CodeOf("/replica", local), 200);
    EXPECT_EQ(CodeOf("/replica?lag=1TB", local), 503);
    EXPECT_EQ(CodeOf("/readiness", local), 503);
}

TEST(Replica, AMalformedLimitIsRefusedAndNotIgnored) {
    for (const char *lag : {"", "x", "-1", "1.5MB", "1%20MB", "99999999999999999999"})
        EXPECT_EQ(CodeOf("/replica?lag=" + std::string(lag), sample::Standby()), 400) << lag;
    EXPECT_EQ(CodeOf("/readiness?mode=guess", sample::Standby()), 400);
}

TEST(Synchronous, TheMonitorSaysWhoIsInTheSet) {
    const ClusterView view = sample::Cluster();
    LocalView local = sample::Standby();
    EXPECT_EQ(CodeOf("/quorum", local, &view), 200);
    EXPECT_EQ(CodeOf("/synchronous", local, &view), 503);  // one of two confirms
    EXPECT_EQ(CodeOf("/asynchronous", local, &view), 503);
    local.status->node = 4;
    EXPECT_EQ(CodeOf("/quorum", local, &view), 503);
    EXPECT_EQ(CodeOf("/asynchronous", local, &view), 200);
    EXPECT_EQ(CodeOf("/async?lag=1", local, &view), 503);
    EXPECT_EQ(CodeOf("/quorum", sample::Primary(), &view), 503);
}

TEST(Synchronous, IsYesWhereEveryMemberConfirms) {
    ClusterView view = sample::Cluster();
    view.groups[0].sync_confirmed.k = 2;
    EXPECT_EQ(CodeOf("/synchronous", sample::Standby(), &view), 200);
    EXPECT_EQ(CodeOf("/sync", sample::Standby(), &view), 200);
}

TEST(Synchronous, WithoutTheMonitorOrWhileTheSetChangesItIsNo) {
    ClusterView view = sample::Cluster();
    view.groups[0].is_sync_confirmed = false;
    for (const char *path : {"/synchronous", "/quorum", "/asynchronous"}) {
        EXPECT_EQ(CodeOf(path, sample::Standby(), nullptr), 503) << path;
        EXPECT_EQ(CodeOf(path, sample::Standby(), &view), 503) << path;
        EXPECT_EQ(CodeOf(path, sample::Standby(), nullptr), 503) << path;
    }
}

TEST(Liveness, IsThatOfPgAutoctl) {
    LocalView local = sample::Primary();
    local.status.reset();
    EXPECT_EQ(CodeOf("/liveness", local), 200);
    local.loop_beat = At(69'999);
    EXPECT_EQ(CodeOf("/liveness", local), 503);
}

TEST(Monitor, IsHealthyWhenItsServerAnswers) {
    LocalView local;
    local.identity = {.is_monitor = true, .name = "monitor", .version = "3.2"};
    local.now = local.loop_beat = At(1000);
    const ClusterView view = sample::Cluster();
    EXPECT_EQ(CodeOf("/health", local, &view), 200);
    EXPECT_EQ(CodeOf("/readiness", local, &view), 200);
    EXPECT_EQ(CodeOf("/health", local), 503);
    EXPECT_EQ(CodeOf("/primary", local, &view), 503);
    EXPECT_EQ(CodeOf("/cluster", local, &view), 200);
    EXPECT_EQ(CodeOf("/cluster", local), 503);
    EXPECT_EQ(CodeOf("/metrics", local), 200);
}

TEST(Answer, UnknownPathsAndMethodsAreRefused) {
    EXPECT_EQ(CodeOf("/nope", sample::Primary()), 404);
    EXPECT_EQ(CodeOf("//", sample::Primary()), 200);  // as "/"
    EXPECT_EQ(CodeOf("/primary/x", sample::Primary()), 404);
    Request request = *ParseRequest(Method::kOther, "/primary");
    EXPECT_EQ(AnswerTo(request, sample::Primary(), nullptr).code, 405);
}

TEST(Answer, HealthNeedsNobodyElse) {
    const Identity node{.name = "a"};
    for (const char *path : {"/", "/primary", "/replica?lag=1", "/read-only", "/health",
                             "/liveness", "/readiness", "/metrics", "/nope"})
        EXPECT_FALSE(NeedsCluster(*ParseRequest(Method::kGet, path), node)) << path;
    for (const char *path : {"/cluster", "/history", "/synchronous", "/quorum", "/asynchronous"})
        EXPECT_TRUE(NeedsCluster(*ParseRequest(Method::kGet, path), node)) << path;
}

TEST(Answer, ADocumentSaysWhyNot) {
    const auto request = *ParseRequest(Method::kGet, "/primary");
    EXPECT_EQ(AnswerTo(request, sample::Standby(), nullptr).body,
              R"({"reason":"the node is a standby","name":"b","formation":"default",)"
              R"("state":"running","role":"replica","group":0,"node_state":"secondary",)"
              R"("assigned_state":"secondary","timeline":3,"server_version":150020,)"
              R"("database_system_identifier":"77","xlog":{"received_location":20480,)"
              R"("replayed_location":16384,"paused":false,"replay_lag":4096},)"
              R"("pgautofailover":{"version":"3.2"}})"
              "\n");
}

TEST(Documents, ClusterAndHistoryHaveTheMembersOfPatroni) {
    const ClusterView view = sample::Cluster();
    const Identity identity{.name = "a", .formation = "default"};
    EXPECT_EQ(HistoryJson(view, identity),
              "[[2,12288,\"promote\",\"2026-01-02T03:04:05.678Z\",\"a\"]]\n");
    EXPECT_EQ(HistoryJson(view, {.formation = "other"}), "[]\n");
    const std::string text = ClusterJson(view, identity);
    EXPECT_NE(text.find(R"({"name":"a","role":"leader","state":"running","host":"10.0.0.1",)"
                        R"("port":5432,"group":0,"timeline":3,"node_state":"primary")"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find(R"("name":"b","role":"quorum_standby","state":"streaming")"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find(R"("name":"d","role":"replica","state":"in recovery","host":"10.0.0.4",)"
                        R"("port":5432,"group":0,"timeline":3,"lag":16384)"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find(R"("scope":"default"})"), std::string::npos) << text;
}

}  // namespace
}  // namespace pgaf::view
