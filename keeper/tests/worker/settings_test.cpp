// Goal: a node takes the settings of its formation when its server could read them, writes what its
// neighbours allow, says what it cannot have, and restarts only the server that was meant.
// Method: the keeper over fakes, in virtual time.
#include "bench.hpp"

namespace pgaf::worker {
namespace {

const std::string kMemory = "/node/" + std::string(core::kGroupSettingsMemory);
const std::string kFile = "/data/" + std::string(core::kGroupSettingsFile);

core::ServerSizes Sizes(int connections) { return {connections, 8, 72, 0, 64}; }

core::Reply ReplyWith(std::int64_t version, std::vector<core::PostgresSetting> settings) {
    core::Reply reply = Bench::GrantOf(NodeState::kPrimary);
    reply.settings_version = version;
    reply.settings = std::move(settings);
    return reply;
}

TEST(GroupSettings, AreWrittenReloadedAndReported) {
    Bench bench;
    bench.BeginPrimary();
    bench.Answer(ReplyWith(5, {{"work_mem", "64MB"}}));
    EXPECT_NE(bench.world.files[kFile].find("work_mem = '64MB'\n"), std::string::npos);
    EXPECT_EQ(bench.world.Count("reload"), 1);
    EXPECT_EQ(bench.NextReport().settings_version, 5);
    bench.Answer(ReplyWith(5, {{"work_mem", "64MB"}}));
    EXPECT_EQ(bench.world.Count("write " + kFile), 1);
}

TEST(GroupSettings, SurviveAServer) {
    Bench bench;
    bench.world.files[kMemory] = core::Encode(core::PostgresSettings{5, {{"work_mem", "64MB"}}});
    bench.BeginPrimary();
    core::Reply reply = Bench::GrantOf(NodeState::kPrimary);
    reply.settings_version = 5;
    bench.Answer(reply);
    EXPECT_EQ(bench.NextReport().settings_version, 5);
    EXPECT_NE(bench.world.files[kFile].find("work_mem"), std::string::npos);
}

TEST(GroupSettings, OneThatTheServerCannotHaveIsRefusedAndNothingChanges) {
    Bench bench;
    bench.BeginPrimary();
    bench.Answer(ReplyWith(5, {{"work_mem", "64MB"}}));
    bench.world.cannot_have = "lc_messages";
    bench.Answer(ReplyWith(6, {{"lc_messages", "nowhere"}, {"work_mem", "1MB"}}));
    const core::Report &report = bench.NextReport();
    EXPECT_EQ(report.settings_version, 5);
    EXPECT_EQ(report.refused_settings, 6);
    EXPECT_EQ(report.refused_name, "lc_messages");
    EXPECT_NE(report.refusal.find("it cannot"), std::string::npos);
    EXPECT_NE(report.problem.find("refused"), std::string::npos);
    EXPECT_NE(bench.world.files[kFile].find("'64MB'"), std::string::npos);
    bench.Answer(ReplyWith(7, {{"work_mem", "64MB"}}));
    EXPECT_EQ(bench.NextReport().settings_version, 7);
    EXPECT_EQ(bench.LastReport().refused_settings, 0);
    EXPECT_EQ(bench.LastReport().problem, "");
}

TEST(GroupSettings, WhatIsDecidedElsewhereIsRefusedEvenFromTheMonitor) {
    Bench bench;
    bench.BeginPrimary();
    bench.Answer(ReplyWith(6, {{"synchronous_standby_names", ""}}));
    EXPECT_EQ(bench.NextReport().refused_settings, 6);
    EXPECT_FALSE(bench.world.files.contains(kFile));
}

TEST(GroupSettings, ThatCannotBeRememberedAreNotReported) {
    Bench bench;
    bench.BeginPrimary();
    bench.world.unwritable.insert(kMemory);
    bench.Answer(ReplyWith(5, {{"work_mem", "64MB"}}));
    EXPECT_EQ(bench.NextReport().settings_version, 0);
    EXPECT_FALSE(bench.world.files.contains(kFile));
    bench.world.unwritable.clear();
    bench.Answer(ReplyWith(5, {{"work_mem", "64MB"}}));
    EXPECT_EQ(bench.NextReport().settings_version, 5);
}

// A primary is raised when the last standby that runs has been.
TEST(GroupSettings, ASizeOfAPrimaryFollowsItsStandbys) {
    Bench bench;
    bench.BeginPrimary();
    bench.world.facts.sizes = Sizes(100);
    core::Reply reply = ReplyWith(5, {{"max_connections", "200"}});
    reply.peers.at(0).sizes = Sizes(200);
    reply.peers.at(1).sizes = Sizes(100);
    bench.Answer(reply);
    EXPECT_NE(bench.world.files[kFile].find("max_connections = '100'"), std::string::npos);
    reply.peers.at(1).sizes = Sizes(200);
    bench.NextReport();
    bench.Answer(reply);
    EXPECT_NE(bench.world.files[kFile].find("max_connections = '200'\n"), std::string::npos);
    EXPECT_EQ(bench.NextReport().sizes, Sizes(100));
}

TEST(GroupSettings, WhatIsInForceIsSentUntilTheMonitorKnowsIt) {
    Bench bench;
    bench.BeginPrimary();
    bench.world.states = {{.name = "work_mem", .in_force = "4MB"}};
    core::Reply reply = ReplyWith(5, {{"work_mem", "64MB"}});
    bench.Answer(reply);
    const core::Report first = bench.NextReport();
    EXPECT_NE(first.settings_state.find("\"4MB\""), std::string::npos);
    reply.settings_mark = first.settings_mark;
    bench.Answer(reply);
    EXPECT_EQ(bench.NextReport().settings_state, "");
    bench.world.states.front().in_force = "64MB";
    bench.RunFor(Milliseconds{1500});
    EXPECT_NE(bench.NextReport().settings_mark, first.settings_mark);
    EXPECT_NE(bench.LastReport().settings_state, "");
}

TEST(GroupSettings, AMonitorThatDoesNotKnowOfThemChangesNothing) {
    Bench bench;
    bench.BeginPrimary();
    bench.RunFor(Milliseconds{5000});
    EXPECT_FALSE(bench.world.files.contains(kFile));
    EXPECT_EQ(bench.NextReport().settings_mark, 0);
}

TEST(Restart, EndsTheServerThatWasMeantOnceAndInOrder) {
    Bench bench;
    bench.BeginPrimary();
    bench.world.facts.started_at = 1000;
    core::Reply reply = Bench::GrantOf(NodeState::kPrimary);
    reply.restart_of = 900;
    bench.Answer(reply);
    EXPECT_EQ(bench.world.Count("stop in order"), 0);
    reply.restart_of = 1000;
    bench.NextReport();
    bench.Answer(reply);
    EXPECT_EQ(bench.world.Count("stop in order"), 1);
    bench.RunFor(Milliseconds{2000});
    EXPECT_EQ(bench.world.Count("stop"), 0);
    EXPECT_EQ(bench.world.Count("stop in order"), 1);
    bench.RunFor(Milliseconds{60'000});
    EXPECT_GE(bench.world.Count("stop"), 1);
}

TEST(Restart, WaitsUntilTheNodeIsWhereItIsToBe) {
    Bench bench;
    bench.BeginStandby();
    bench.world.facts.started_at = 1000;
    core::Reply reply = Bench::ReplyOf(NodeState::kPreparePromotion);
    reply.restart_of = 1000;
    bench.Answer(reply);
    EXPECT_EQ(bench.world.Count("stop in order"), 0);
}

TEST(Restart, AStandbyWhoseReplayHasStoppedForASizeEndsToGetIt) {
    Bench bench;
    bench.BeginStandby();
    bench.world.facts.lacks = "max_connections must be 200";
    bench.RunFor(Milliseconds{1000});
    EXPECT_GE(bench.world.Count("stop"), 1);
    EXPECT_EQ(bench.State(), NodeState::kSecondary);
}

}  // namespace
}  // namespace pgaf::worker
