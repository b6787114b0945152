// Goal: what runs in the directory of a node is what its supervisor would have started; anything
// else is stopped, said, and never worked beside. Method: the machine over fakes, in virtual time.
#include <gtest/gtest.h>

#include "fake_world.hpp"

namespace pgaf::supervisor {
namespace {

/// The keeper of a node that is down, and may not run.
void BeginDemoted(Bench &bench) {
    bench.world.disk.state = NodeState::kDemoted;
    bench.Begin();
    ASSERT_TRUE(bench.Loop().IsKeeper());
}

TEST(Start, WritesForTheStateThatIsRecorded) {
    Bench bench;
    bench.world.disk.state = NodeState::kPreparePromotion;
    bench.Begin();
    bench.MonitorIsAway();
    EXPECT_EQ(bench.world.prepared_state, NodeState::kPreparePromotion);
    EXPECT_EQ(bench.world.start_options, (std::vector<std::string>{"-c", "what_safety=needs"}));
}

TEST(Start, ABrokenConfigurationIsReportedInPostgresWords) {
    Bench bench;
    bench.world.disk.state = NodeState::kPrimary;
    bench.world.is_configuration_broken = true;
    bench.Begin();
    bench.Answer(NodeState::kPrimary);
    EXPECT_TRUE(bench.world.starts.empty());
    bench.RunFor(Milliseconds{600});
    bench.Answer(NodeState::kPrimary);
    EXPECT_EQ(bench.world.sent.back().report.problem, "line 3 is wrong");
    bench.world.is_configuration_broken = false;
    bench.RunFor(Milliseconds{20'000});
    EXPECT_TRUE(bench.world.is_running);
}

TEST(Stranger, IsStoppedBeforeAStepBegins) {
    Bench bench;
    BeginDemoted(bench);
    bench.world.runs_already = true;
    bench.Answer(NodeState::kCatchingup);
    EXPECT_FALSE(bench.world.step);
    EXPECT_EQ(bench.world.Count("stop fast"), 1);
    bench.EndServer();
    bench.Answer(NodeState::kCatchingup);
    EXPECT_EQ(bench.world.step, core::Step::kRejoin);
    EXPECT_NE(bench.world.sent.back().report.event.find(
                  "PostgreSQL (process 50) was started by somebody else while the node is in "
                  "state demoted: it was stopped"),
              std::string::npos);
}

TEST(Stranger, IsSeenWhileTheNodeWaits) {
    Bench bench;
    BeginDemoted(bench);
    bench.world.runs_already = true;
    bench.RunFor(Milliseconds{300});
    EXPECT_EQ(bench.world.Count("stop fast"), 1);
}

TEST(Stranger, NothingIsReportedWhileItRuns) {
    Bench bench;
    BeginDemoted(bench);
    bench.world.runs_already = true;
    bench.RunFor(Milliseconds{300});
    const auto before = bench.world.sent.size();
    bench.RunFor(Milliseconds{5'000});
    EXPECT_EQ(bench.world.sent.size(), before);
    bench.EndServer();
    EXPECT_GT(bench.world.sent.size(), before);
}

TEST(Stranger, OneThatDoesNotStopIsStoppedHarderAndKilled) {
    Bench bench;
    BeginDemoted(bench);
    bench.world.runs_already = true;
    bench.RunFor(Milliseconds{9'000});
    EXPECT_EQ(bench.world.Count("stop immediate"), 0);
    bench.RunFor(Milliseconds{2'000});
    EXPECT_EQ(bench.world.Count("stop immediate"), 1);
    EXPECT_EQ(bench.world.Count("kill"), 0);
    bench.RunFor(Milliseconds{5'000});
    EXPECT_EQ(bench.world.Count("kill"), 1);
}

TEST(Stranger, IsNotTakenForTheServerThatWasToBeStarted) {
    Bench bench;
    bench.world.disk.state = NodeState::kPrimary;
    bench.Begin();
    bench.world.runs_already = true;
    bench.Answer(NodeState::kPrimary);
    EXPECT_TRUE(bench.world.starts.empty());
    EXPECT_EQ(bench.world.Count("prepare with peers"), 0);
    EXPECT_EQ(bench.world.Count("stop fast"), 1);
    bench.EndServer();
    bench.Answer(NodeState::kPrimary);
    EXPECT_EQ(bench.world.starts.size(), 1U);
}

TEST(Stranger, IsTheOperatorsInMaintenance) {
    Bench bench;
    bench.world.disk.state = NodeState::kMaintenance;
    bench.Begin();
    bench.world.runs_already = true;
    bench.RunFor(Milliseconds{60'000});
    EXPECT_EQ(bench.world.Count("stop fast"), 0);
}

TEST(Stranger, IsTheOperatorsNoMoreWhenMaintenanceEnds) {
    Bench bench;
    bench.world.disk.state = NodeState::kMaintenance;
    bench.Begin();
    bench.world.runs_already = true;
    bench.Answer(NodeState::kCatchingup);
    EXPECT_FALSE(bench.world.step);
    EXPECT_EQ(bench.world.Count("stop fast"), 1);
    bench.EndServer();
    bench.Answer(NodeState::kCatchingup);
    EXPECT_TRUE(bench.world.step);
}

TEST(Stranger, OneThatWroteOnAStandbysDataMakesItCompare) {
    Bench bench;
    bench.world.is_configuration_broken = true;  // nothing starts
    bench.Begin();
    bench.world.runs_already = true;
    bench.RunFor(Milliseconds{300});
    bench.world.control = ControlFacts{.state = ClusterState::kShutDown, .timeline = 1};
    bench.world.is_configuration_broken = false;
    bench.EndServer();
    EXPECT_TRUE(bench.world.starts.empty());
    bench.Answer(NodeState::kSecondary);
    EXPECT_EQ(bench.world.step, core::Step::kRejoin);
}

// Its server left recovery and ended before the worker had seen it: without a primary to compare
// with, an election may wait for what it holds.
TEST(Start, AFollowerThatMayHaveWrittenSaysSoAsADemotedNode) {
    for (const NodeState state : {NodeState::kSecondary, NodeState::kCatchingup}) {
        Bench bench;
        bench.world.disk.state = state;
        bench.world.is_signal_missing = true;
        bench.Begin();
        EXPECT_EQ(bench.world.sent.back().report.state, NodeState::kDemoted);
        EXPECT_EQ(bench.world.disk.state, NodeState::kDemoted) << "also after another crash";
        EXPECT_TRUE(bench.world.disk.has_own_writes);
    }
    Bench bench;
    bench.world.disk.state = NodeState::kPreparePromotion;
    bench.world.is_signal_missing = true;
    bench.Begin();
    EXPECT_EQ(bench.world.disk.state, NodeState::kPreparePromotion) << "it is elected again";
}

TEST(Adoption, AServerOfAStateThatMustNotRunIsStopped) {
    Bench bench;
    bench.world.disk.state = NodeState::kDemoted;
    bench.world.runs_already = true;
    bench.Begin();
    EXPECT_EQ(bench.world.Count("stop fast"), 1);
}

TEST(Adoption, OneWithoutAWorkerIsStoppedAndSaid) {
    Bench bench;
    bench.world.disk.state = NodeState::kPrimary;
    bench.world.runs_already = true;
    bench.Begin();
    bench.RunFor(Milliseconds{9'900});
    EXPECT_EQ(bench.world.Count("stop fast"), 0);
    bench.RunFor(Milliseconds{700});
    EXPECT_EQ(bench.world.Count("stop fast"), 1);
    bench.EndServer();
    const core::Report &report = bench.world.sent.back().report;
    EXPECT_EQ(report.problem,
              "PostgreSQL (process 50) runs without pg_auto_failover: its worker has given no sign "
              "for 10 s");
    EXPECT_EQ(report.event, report.problem + ": it was stopped");
}

TEST(Adoption, TheWorkerOfAnotherServerIsNoSign) {
    Bench bench;
    bench.world.runs_already = true;
    bench.world.heartbeat = Heartbeat{.pid = 98, .at = bench.world.now};
    bench.Begin();
    bench.RunFor(Milliseconds{9'000});
    bench.world.heartbeat->at = bench.world.now;
    bench.RunFor(Milliseconds{1'500});
    EXPECT_EQ(bench.world.Count("stop fast"), 1);
}

TEST(Adoption, RepeatedFailuresHavePausesWithABound) {
    Bench bench;
    bench.Begin();
    for (int i = 0; i < 12; ++i) {
        while (!bench.world.is_running)
            bench.RunFor(Milliseconds{10});
        const BootTime start = bench.world.now;
        while (bench.world.Count("stop fast") == i)
            bench.RunFor(Milliseconds{50});
        bench.EndServer();
        EXPECT_LE((bench.world.now - start).count(), 10'500);
    }
    const auto &starts = bench.world.starts;
    EXPECT_GE((starts.at(11) - starts.at(10)).count(), 12'000);
    EXPECT_LE((starts.at(11) - starts.at(10)).count(), 20'600);
    EXPECT_NE(bench.world.sent.back().report.problem, "");
}

TEST(Adoption, AWorkerThatShowsItselfEndsTheTrouble) {
    Bench bench;
    bench.world.runs_already = true;
    bench.Begin();
    bench.RunFor(Milliseconds{10'500});
    bench.EndServer();
    ASSERT_TRUE(bench.world.is_running);
    bench.world.heartbeat = Heartbeat{.pid = 99, .at = bench.world.now};
    bench.RunFor(Milliseconds{500});
    bench.world.disk.state = NodeState::kDemoted;  // by the worker
    bench.EndServer();
    EXPECT_EQ(bench.world.sent.back().report.problem, "");
}

TEST(Adoption, AStandbyThatAcceptsWritesIsStoppedAndCompared) {
    for (const NodeState state : {NodeState::kSecondary, NodeState::kCatchingup}) {
        Bench bench;
        bench.world.disk.state = state;
        bench.world.runs_already = bench.world.is_out_of_recovery = true;
        bench.Begin();
        bench.RunFor(Milliseconds{300});
        EXPECT_EQ(bench.world.Count("stop fast"), 1);
        bench.EndServer();
        EXPECT_TRUE(bench.world.starts.empty());
        bench.Answer(state);
        EXPECT_EQ(bench.world.step, core::Step::kRejoin);
    }
}

TEST(Adoption, AStandbyThatIsToldToBeThePrimaryMayAcceptWrites) {
    for (const NodeState state : {NodeState::kPreparePromotion, NodeState::kStopReplication,
                                  NodeState::kWaitPrimary, NodeState::kPrimary}) {
        Bench bench;
        bench.world.disk.state = state;
        bench.world.disk.goal = NodeState::kWaitPrimary;
        bench.world.runs_already = bench.world.is_out_of_recovery = true;
        bench.Begin();
        bench.RunFor(Milliseconds{1'000});
        EXPECT_EQ(bench.world.Count("stop fast"), 0) << core::ToString(state);
    }
}

TEST(Reload, DoesNotMakeAStandbyOfARunningServer) {
    Bench bench;
    bench.world.runs_already = true;
    bench.Begin();
    bench.Loop().OnReload();
    EXPECT_EQ(bench.world.Count("write settings"), 1);
    EXPECT_EQ(bench.world.Count("prepare"), 0);
}

}  // namespace
}  // namespace pgaf::supervisor
