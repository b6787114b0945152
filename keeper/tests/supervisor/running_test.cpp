// Goal: PostgreSQL is started again with patience, stopped in order, and killed only when its
// worker hangs; steps are retried with patience and waited for. Method: the machine over fakes, in
// virtual time.
#include <gtest/gtest.h>

#include "fake_world.hpp"

namespace pgaf::supervisor {
namespace {

TEST(Restarts, PausesGrowAndAreBounded) {
    Bench bench;
    bench.Begin();
    bench.MonitorIsAway();
    std::vector<std::int64_t> pauses;
    for (int i = 0; i < 9; ++i) {
        bench.RunFor(Milliseconds{300});  // it was ready, so nothing is wrong with the data
        const BootTime end = bench.world.now;
        bench.EndServer();
        while (!bench.world.is_running)
            bench.RunFor(Milliseconds{10});
        pauses.push_back((bench.world.starts.back() - end).count());
    }
    EXPECT_EQ(pauses,
              (std::vector<std::int64_t>{0, 250, 500, 1000, 2000, 4000, 8000, 10000, 10000}));
    bench.RunFor(Milliseconds{61'000});  // a quiet minute, and all is forgiven
    bench.EndServer();
    EXPECT_TRUE(bench.world.is_running);
}

TEST(Restarts, AnOrderlyEndOfASoundServerCostsNoPause) {
    Bench bench;
    bench.Begin();
    bench.MonitorIsAway();
    for (int i = 0; i < 9; ++i) {
        EXPECT_TRUE(bench.world.is_running) << "restart " << i;
        bench.RunFor(Milliseconds{3'500});
        bench.EndServer(0);
    }
    // What was counted before is over with it, and begins anew.
    for (int i = 0; i < 4; ++i) {
        bench.RunFor(Milliseconds{3'500});
        bench.EndServer();
    }
    EXPECT_FALSE(bench.world.is_running);
    bench.RunFor(Milliseconds{4'500});
    EXPECT_TRUE(bench.world.is_running);
    bench.EndServer(0);
    EXPECT_TRUE(bench.world.is_running);
}

TEST(Restarts, AnEndThatSaysSomethingOfTheServerIsFollowedByAPause) {
    struct {
        const char *what;
        int status;
        bool is_ready;
        Milliseconds runs;
    } const rows[] = {
        {"it crashed", 1, true, Milliseconds{4'000}},
        {"it was never ready", 0, false, Milliseconds{4'000}},
        {"it was stopped as soon as it ran", 0, true, Milliseconds{2'000}},
        {"it was turned out, in order: its worker was never seen", 0, true, Milliseconds{11'000}}};
    for (const auto &row : rows) {
        Bench bench;
        bench.world.is_ready = row.is_ready;
        bench.Begin();
        bench.MonitorIsAway();
        for (int i = 0; i < 2; ++i) {
            EXPECT_TRUE(bench.world.is_running) << row.what;
            bench.RunFor(row.runs);
            bench.EndServer(row.status);
        }
        EXPECT_FALSE(bench.world.is_running) << row.what;
    }
}

TEST(Events, WhatTheWorkerHasLeftIsToldOnce) {
    Bench bench;
    bench.world.disk.state = NodeState::kDemoted;
    bench.world.left_event = "PostgreSQL was promoted";
    bench.Begin();
    EXPECT_EQ(bench.world.sent.back().report.event, "PostgreSQL was promoted");
    bench.Answer(NodeState::kCatchingup);
    bench.RunFor(Milliseconds{600});
    EXPECT_EQ(bench.world.sent.back().report.event, "");
}

TEST(Restarts, AServerThatCannotBeStartedIsTriedAgainWithPauses) {
    Bench bench;
    bench.world.disk.state = NodeState::kPrimary;
    bench.world.can_start = false;
    bench.Begin();
    for (int i = 0; i < 20; ++i) {
        bench.Answer(NodeState::kPrimary);
        bench.RunFor(Milliseconds{500});
    }
    EXPECT_GE(bench.world.starts.size(), 4U);
    EXPECT_LE(bench.world.starts.size(), 8U);
    EXPECT_EQ(bench.world.Count("take baton"), 1 + static_cast<int>(bench.world.starts.size()));
}

TEST(Restarts, AStandbyThatNeverBecomesReadyIsComparedWithThePrimary) {
    Bench bench;
    bench.world.is_ready = false;
    bench.Begin();
    for (int i = 0; i < kStartsBeforeRejoin; ++i) {
        while (!bench.world.is_running)
            bench.RunFor(Milliseconds{10});
        bench.EndServer();
    }
    bench.RunFor(Milliseconds{60'000});
    EXPECT_FALSE(bench.world.is_running);
    bench.Answer(NodeState::kSecondary);
    EXPECT_EQ(bench.world.step, core::Step::kRejoin);
    bench.EndStep({.result = 42});
    EXPECT_EQ(bench.world.disk.state, NodeState::kCatchingup);
}

TEST(Restarts, AServerWhoseWorkerNeverShowsItselfCountsAsOneThatDidNotStart) {
    Bench bench;
    bench.Begin();
    for (int i = 0; i < kStartsBeforeRejoin; ++i) {
        while (!bench.world.is_running)
            bench.RunFor(Milliseconds{10});
        bench.RunFor(Milliseconds{11'000});  // it is turned out
        bench.EndServer();
    }
    bench.Answer(NodeState::kSecondary);
    ASSERT_EQ(bench.world.step, core::Step::kRejoin);
    EXPECT_TRUE(bench.world.step_input.has_failed_starts);
    // Once: if a copy does not start either, the reason is elsewhere.
    bench.EndStep({.result = 42, .is_replaced = true});
    for (int i = 0; i < kStartsBeforeRejoin; ++i) {
        while (!bench.world.is_running)
            bench.RunFor(Milliseconds{10});
        bench.RunFor(Milliseconds{11'000});
        bench.EndServer();
    }
    bench.Answer(NodeState::kCatchingup);
    ASSERT_EQ(bench.world.step, core::Step::kRejoin);
    EXPECT_FALSE(bench.world.step_input.has_failed_starts);
}

TEST(Restarts, WithoutAPrimaryAStandbyThatFailedIsStartedAgain) {
    // Its disk may answer by now, and the election may need what it has.
    Bench bench;
    bench.world.is_ready = false;
    bench.Begin();
    for (int i = 0; i < kStartsBeforeRejoin; ++i) {
        while (!bench.world.is_running)
            bench.RunFor(Milliseconds{10});
        bench.EndServer();
    }
    core::Reply reply = ReplyOf(NodeState::kSecondary);
    reply.upstream = {};
    bench.Loop().OnReply(reply, bench.world.sent.back().tag);
    bench.RunFor(Milliseconds{30'000});
    EXPECT_FALSE(bench.world.step);
    EXPECT_TRUE(bench.world.is_running);
}

TEST(Stop, EscalatesUntilPostgresIsGone) {
    Bench bench;
    bench.world.runs_already = true;
    bench.Begin();
    bench.RunFor(Milliseconds{5'000});
    bench.world.journal.clear();
    bench.Loop().OnStopSignal(StopMode::kSmart);
    bench.RunFor(Milliseconds{80'000});
    EXPECT_EQ(bench.world.journal,
              (std::vector<std::string>{"stop smart", "stop fast", "stop immediate", "kill"}));
    EXPECT_FALSE(bench.world.exit_status.has_value());
    bench.EndServer();
    EXPECT_FALSE(bench.world.sent.back().report.pg_running);
    bench.Answer(NodeState::kSecondary);
    EXPECT_EQ(bench.world.exit_status, 0);
    EXPECT_TRUE(bench.world.starts.empty());
}

TEST(Stop, AWeakerSignalDoesNotSlowDownAStrongerOne) {
    Bench bench;
    bench.world.runs_already = true;
    bench.Begin();
    bench.Loop().OnStopSignal(StopMode::kFast);
    bench.Loop().OnStopSignal(StopMode::kSmart);
    bench.Loop().OnStopSignal(StopMode::kImmediate);
    EXPECT_EQ(bench.world.journal, (std::vector<std::string>{"stop fast", "stop immediate"}));
}

TEST(Stop, WaitsForTheEndOfAStep) {
    Bench bench;
    bench.world.disk.state = NodeState::kDemoted;
    bench.Begin();
    bench.Answer(NodeState::kCatchingup);
    ASSERT_EQ(bench.world.step, core::Step::kRejoin);
    bench.Loop().OnStopSignal(StopMode::kFast);
    EXPECT_EQ(bench.world.Count("cancel"), 1);
    bench.RunFor(Milliseconds{60'000});
    EXPECT_FALSE(bench.world.exit_status.has_value());
    bench.EndStep({.result = core::Fail(core::ProblemCode::kInternal, "cancelled")});
    bench.RunFor(Milliseconds{2000});
    EXPECT_EQ(bench.world.exit_status, 0);
    EXPECT_TRUE(bench.world.starts.empty());
}

TEST(Steps, AFailedOneIsRetriedWithAGrowingBoundedPause) {
    Bench bench;
    bench.world.disk.state = NodeState::kDemoted;
    bench.Begin();
    bench.Answer(NodeState::kCatchingup);
    std::vector<std::int64_t> pauses;
    for (int i = 0; i < 8; ++i) {
        const BootTime end = bench.world.now;
        bench.EndStep({.result = core::Fail(core::ProblemCode::kPostgres, "it fails")});
        bench.Answer(NodeState::kCatchingup);  // an answer does not shorten the pause
        while (!bench.world.step)
            bench.RunFor(Milliseconds{50});
        pauses.push_back((bench.world.step_begins.back() - end).count());
    }
    EXPECT_EQ(pauses,
              (std::vector<std::int64_t>{500, 1000, 2000, 4000, 8000, 16000, 30000, 30000}));
}

TEST(Steps, OneThatWaitsForSomebodyElseIsRetriedSoon) {
    Bench bench;
    bench.world.disk.state = NodeState::kDemoted;
    bench.Begin();
    bench.Answer(NodeState::kCatchingup);
    for (int i = 0; i < 8; ++i) {
        bench.EndStep({.result = core::Fail(core::ProblemCode::kBadState, "not yet")});
        EXPECT_FALSE(bench.world.step);
        bench.RunFor(Milliseconds{250});
        EXPECT_TRUE(bench.world.step);
    }
}

TEST(Steps, IsGivenUpWhenTheMonitorWantsSomethingElse) {
    Bench bench;
    bench.world.disk.state = NodeState::kDemoted;
    bench.Begin();
    bench.Answer(NodeState::kCatchingup);
    bench.RunFor(Milliseconds{2000});
    EXPECT_GE(bench.world.sent.size(), 4U);  // reports go on meanwhile
    bench.Answer(NodeState::kCatchingup);
    EXPECT_EQ(bench.world.Count("cancel"), 0);
    bench.Answer(NodeState::kSingle);
    EXPECT_EQ(bench.world.Count("cancel"), 1);
}

TEST(Steps, ACancelledOneIsNoFailureOfTheNext) {
    Bench bench;
    bench.world.disk.state = NodeState::kDemoted;
    bench.Begin();
    bench.Answer(NodeState::kCatchingup);
    bench.Answer(NodeState::kSingle);
    ASSERT_EQ(bench.world.Count("cancel"), 1);
    bench.Answer(NodeState::kCatchingup);
    bench.EndStep({.result = core::Fail(core::ProblemCode::kPostgres, "was cancelled")});
    EXPECT_TRUE(bench.world.step);  // at once
    bench.RunFor(Milliseconds{600});
    EXPECT_EQ(bench.world.sent.back().report.problem, "");
}

TEST(Steps, AFailureOfOneDoesNotDelayAnother) {
    Bench bench;
    bench.world.disk.state = NodeState::kWaitStandby;
    bench.Begin();
    bench.Answer(NodeState::kCatchingup);
    ASSERT_EQ(bench.world.step, core::Step::kClone);
    bench.EndStep({.result = 42});
    bench.world.is_ready = false;
    for (int i = 0; i < kStartsBeforeRejoin; ++i) {
        while (!bench.world.is_running) {
            bench.Answer(NodeState::kCatchingup);
            bench.RunFor(Milliseconds{10});
        }
        bench.EndServer();
    }
    bench.Answer(NodeState::kCatchingup);
    EXPECT_EQ(bench.world.step, core::Step::kRejoin);
}

TEST(Steps, WhatTheySayIsReportedUntilThatVeryReportIsAnswered) {
    Bench bench;
    bench.world.disk.state = NodeState::kDemoted;
    bench.Begin();
    bench.Answer(NodeState::kCatchingup);
    const int old_tag = bench.world.sent.back().tag;
    bench.EndStep({.result = core::Fail(core::ProblemCode::kBadState, "not yet"),
                   .note = "WAL is discarded"});
    bench.Loop().OnReply(ReplyOf(NodeState::kCatchingup), old_tag);
    bench.RunFor(Milliseconds{600});
    EXPECT_EQ(bench.world.sent.back().report.event, "WAL is discarded");
    bench.Answer(NodeState::kCatchingup);
    bench.RunFor(Milliseconds{600});
    EXPECT_EQ(bench.world.sent.back().report.event, "");
}

TEST(Steps, WhyAStepHasFailedIsReported) {
    Bench bench;
    bench.world.disk.state = NodeState::kDemoted;
    bench.Begin();
    bench.Answer(NodeState::kCatchingup);
    bench.EndStep({.result = core::Fail(core::ProblemCode::kPostgres, "it fails")});
    bench.RunFor(Milliseconds{600});
    EXPECT_EQ(bench.world.sent.back().report.problem, "it fails");
}

TEST(Steps, ARefusalEndsInitOnly) {
    Bench bench;
    bench.world.disk.state = NodeState::kWaitStandby;
    bench.is_init_only = true;
    bench.Begin();
    bench.Answer(NodeState::kCatchingup);
    ASSERT_EQ(bench.world.step, core::Step::kClone);
    bench.EndStep({.result = core::Fail(core::ProblemCode::kRefused, "another cluster")});
    bench.RunFor(Milliseconds{1500});
    EXPECT_EQ(bench.world.exit_status, kExitKeeperInit);
}

/// A server that runs, and a worker that beats until `silent_since`.
void RunWithWorker(Bench &bench, Milliseconds time, BootTime silent_since = core::kForever) {
    const BootTime end = bench.world.now + time;
    while (bench.world.now < end) {
        if (bench.world.now < silent_since && bench.world.heartbeat)
            bench.world.heartbeat->at = bench.world.now;
        bench.RunFor(Milliseconds{100});
    }
}

void BeginWithWorker(Bench &bench) {
    bench.world.runs_already = true;
    bench.world.heartbeat = Heartbeat{.pid = 99, .at = bench.world.now};
    bench.Begin();
}

TEST(Watchman, KillsAServerWhoseWorkerIsSilent) {
    Bench bench;
    BeginWithWorker(bench);
    RunWithWorker(bench, Milliseconds{20'000});
    EXPECT_EQ(bench.world.Count("kill"), 0);
    RunWithWorker(bench, Milliseconds{4'500}, bench.world.now);
    EXPECT_EQ(bench.world.Count("kill"), 0);
    RunWithWorker(bench, Milliseconds{900}, bench.world.now);
    EXPECT_GE(bench.world.Count("kill"), 1);
}

TEST(Watchman, DoesNotTakeTheSleepOfTheMachineForThatOfTheWorker) {
    Bench bench;
    BeginWithWorker(bench);
    RunWithWorker(bench, Milliseconds{1000});
    bench.world.now = bench.world.now + Milliseconds{3'600'000};
    RunWithWorker(bench, Milliseconds{4'900}, bench.world.now);
    EXPECT_EQ(bench.world.Count("kill"), 0);
    RunWithWorker(bench, Milliseconds{1000}, bench.world.now);
    EXPECT_GE(bench.world.Count("kill"), 1);
}

TEST(Watchman, LeavesTheMonitorToTheWorker) {
    Bench bench;
    bench.Begin();
    bench.MonitorIsAway();
    EXPECT_EQ(bench.world.Count("close"), 0);
    bench.RunFor(Milliseconds{1000});
    EXPECT_EQ(bench.world.Count("close"), 0);
    bench.world.heartbeat = Heartbeat{.pid = 99, .at = bench.world.now};
    bench.RunFor(Milliseconds{250});
    EXPECT_EQ(bench.world.Count("close"), 1);
}

TEST(Watchman, AStandbyWhoseWalIsGoneIsStoppedAndComparedAnew) {
    Bench bench;
    BeginWithWorker(bench);
    bench.world.heartbeat->no_stream_since = bench.world.now;
    RunWithWorker(bench, Milliseconds{9'000});
    EXPECT_EQ(bench.world.Count("check stream"), 0);
    RunWithWorker(bench, Milliseconds{1'500});
    EXPECT_EQ(bench.world.Count("check stream"), 1);
    bench.Loop().OnStreamChecked(core::Following::kWalIsGone);
    EXPECT_EQ(bench.world.journal.back(), "stop fast");
    bench.EndServer();
    bench.RunFor(Milliseconds{60'000});
    EXPECT_TRUE(bench.world.starts.empty());
    bench.Answer(NodeState::kSecondary);
    ASSERT_EQ(bench.world.step, core::Step::kRejoin);
    EXPECT_TRUE(bench.world.step_input.is_wal_gone);
}

TEST(Watchman, AStandbyThatStreamsAfterAllIsLeftAlone) {
    Bench bench;
    BeginWithWorker(bench);
    bench.world.heartbeat->no_stream_since = bench.world.now;
    RunWithWorker(bench, Milliseconds{11'000});
    bench.world.heartbeat->no_stream_since = {};
    bench.Loop().OnStreamChecked(core::Following::kWalIsGone);
    EXPECT_EQ(bench.world.Count("stop fast"), 0);
}

TEST(Watchman, AStandbyWhoseWorkerHasWrittenNothingIsLeftAlone) {
    Bench bench;
    BeginWithWorker(bench);
    bench.world.heartbeat->no_stream_since = bench.world.now;
    RunWithWorker(bench, Milliseconds{11'000});
    bench.world.heartbeat.reset();
    bench.Loop().OnStreamChecked(core::Following::kWalIsGone);
    EXPECT_EQ(bench.world.Count("stop fast"), 0);
}

TEST(Watchman, AServerThatWaitsForItsClientsIsStopped) {
    Bench bench;
    bench.Begin();
    bench.MonitorIsAway();
    bench.world.is_shutting_down = true;
    for (int i = 0; i < 39; ++i) {
        bench.world.heartbeat = Heartbeat{.pid = 99, .at = bench.world.now};
        bench.RunFor(Milliseconds{250});
    }
    EXPECT_EQ(bench.world.Count("stop fast"), 0);
    for (int i = 0; i < 4; ++i) {
        bench.world.heartbeat = Heartbeat{.pid = 99, .at = bench.world.now};
        bench.RunFor(Milliseconds{250});
    }
    EXPECT_EQ(bench.world.Count("stop fast"), 1);
}

TEST(Hang, AnOrderlyEndHasTimeForItsCheckpoint) {
    Bench bench;
    bench.world.runs_already = true;
    bench.world.heartbeat = Heartbeat{.pid = 99, .at = bench.world.now};
    bench.Begin();
    bench.world.is_shutting_down = true;
    bench.RunFor(Milliseconds{59'000});
    EXPECT_EQ(bench.world.Count("kill"), 0);
    bench.RunFor(Milliseconds{3000});
    EXPECT_GE(bench.world.Count("kill"), 1);
}

// Goal: what the formation has set is there when a server starts, and is said in every report.
TEST(Settings, AreTakenFromEveryReplyBeforeAStart) {
    Bench bench;
    bench.world.disk.state = NodeState::kPrimary;
    bench.Begin();
    EXPECT_EQ(bench.world.sent.back().report.settings_version, 77);
    bench.Answer(NodeState::kPrimary);
    const auto &journal = bench.world.journal;
    const auto taken = std::find(journal.begin(), journal.end(), "take settings");
    const auto started = std::find(journal.begin(), journal.end(), "start");
    EXPECT_LT(taken - journal.begin(), started - journal.begin());
    EXPECT_NE(started, journal.end());
}

// Before the data are suspected, the newest settings are.
TEST(Settings, AreSuspectedAfterTwoStartsThatFailed) {
    Bench bench;
    bench.world.is_ready = false;
    bench.Begin();
    bench.EndServer();
    EXPECT_EQ(bench.world.Count("note failed starts"), 0);
    while (!bench.world.is_running)
        bench.RunFor(Milliseconds{10});
    bench.EndServer();
    EXPECT_EQ(bench.world.Count("note failed starts"), 1);
    EXPECT_EQ(bench.world.times_ready, 0);
    bench.world.is_ready = true;
    while (!bench.world.is_running)
        bench.RunFor(Milliseconds{10});
    bench.RunFor(Milliseconds{500});
    EXPECT_EQ(bench.world.times_ready, 1);
}

}  // namespace
}  // namespace pgaf::supervisor
