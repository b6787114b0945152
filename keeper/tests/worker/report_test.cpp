// Goal: the monitor hears what decides at once, everything else now and then, and no promise that
// may be broken. Method: the keeper over fakes, in virtual time.
#include "bench.hpp"

namespace pgaf::worker {
namespace {

TEST(ReportTime, IsTheIntervalThatTheMonitorAsksFor) {
    Bench bench;
    bench.world.monitor = Bench::GrantOf(NodeState::kPrimary);
    bench.BeginPrimary();
    const std::size_t before = bench.world.sent.size();
    bench.RunFor(Milliseconds{10'000});
    EXPECT_EQ(bench.world.sent.size() - before, 20U);
    bench.world.monitor->report_interval = Milliseconds{200};
    bench.RunFor(Milliseconds{1000});
    const std::size_t then = bench.world.sent.size();
    bench.RunFor(Milliseconds{10'000});
    EXPECT_EQ(bench.world.sent.size() - then, 50U);
}

TEST(ReportTime, AnIntervalOfZeroIsNotTakenLiterally) {
    Bench bench;
    bench.world.monitor = Bench::ReplyOf(NodeState::kSecondary);
    bench.world.monitor->report_interval = Milliseconds{0};
    bench.BeginStandby();
    bench.RunFor(Milliseconds{1000});
    EXPECT_LE(bench.world.sent.size(), 104U);
    EXPECT_GE(bench.world.sent.size(), 40U);
}

TEST(ReportTime, IsShortWhileAStateIsBeingReached) {
    Bench bench;
    bench.BeginStandby(NodeState::kCatchingup);
    bench.world.facts.receiver.streaming = false;
    bench.world.monitor = Bench::ReplyOf(NodeState::kSecondary);
    bench.world.monitor->upstream = {2};
    bench.NextReport();
    const std::size_t before = bench.world.sent.size();
    bench.RunFor(Milliseconds{5000});
    EXPECT_NEAR(static_cast<double>(bench.world.sent.size() - before), 50, 2);
}

TEST(ReportTime, IsShortWhileAStandbySeals) {
    Bench bench;
    bench.BeginStandby();
    bench.world.monitor = Bench::ReplyOf(NodeState::kReportLsn);
    bench.world.monitor->target_lsn = {0x6000};
    bench.NextReport();
    const std::size_t before = bench.world.sent.size();
    bench.RunFor(Milliseconds{5000});
    EXPECT_GE(bench.world.sent.size() - before, 40U);
}

TEST(ReportTime, IsShortInStatesThatAwaitAStandby) {
    Bench bench;
    bench.world.monitor = Bench::GrantOf(NodeState::kWaitPrimary);
    bench.BeginPrimary(NodeState::kWaitPrimary);
    const std::size_t before = bench.world.sent.size();
    bench.RunFor(Milliseconds{5000});
    EXPECT_NEAR(static_cast<double>(bench.world.sent.size() - before), 50, 2);
}

TEST(ReportTime, ANotificationOfTheMonitorMakesItReportAtOnce) {
    Bench bench;
    bench.world.monitor = Bench::GrantOf(NodeState::kPrimary);
    bench.BeginPrimary();
    bench.RunFor(Milliseconds{100});
    const std::size_t before = bench.world.sent.size();
    bench.Turn();
    EXPECT_EQ(bench.world.sent.size(), before);
    bench.world.is_woken = true;
    bench.Turn();
    EXPECT_EQ(bench.world.sent.size(), before + 1);
}

struct Change {
    const char *what;
    void (*make)(FakeWorld &);
};

TEST(ReportTime, AFactThatDecidesIsReportedAtOnce) {
    const Change changes[] = {
        {"a standby no longer streams", [](FakeWorld &w) { w.Sender(2).streaming = false; }},
        {"a standby has ended", [](FakeWorld &w) { w.RemoveSender(2); }},
        {"a standby has left the set", [](FakeWorld &w) { w.Sender(2).sync_priority = 0; }},
        {"another timeline", [](FakeWorld &w) { w.facts.timeline = 2; }},
        {"the lease is unlimited", [](FakeWorld &w) { w.deadline = core::kForever; }},
    };
    for (const Change &change : changes) {
        Bench bench;
        bench.world.monitor = Bench::GrantOf(NodeState::kPrimary);
        bench.BeginPrimary();
        bench.RunFor(Milliseconds{730});
        const std::size_t before = bench.world.sent.size();
        change.make(bench.world);
        bench.Turn();
        EXPECT_EQ(bench.world.sent.size(), before + 1) << change.what;
    }
}

TEST(ReportTime, AFactOfAStandbyThatDecidesIsReportedAtOnce) {
    const Change changes[] = {
        {"no stream", [](FakeWorld &w) { w.facts.receiver.streaming = false; }},
        {"another upstream", [](FakeWorld &w) { w.facts.primary_conninfo = "host=elsewhere"; }},
        {"sealed", [](FakeWorld &w) { w.facts.receives_nothing = w.facts.is_lsn_final = true; }},
        {"crash recovery", [](FakeWorld &w) { w.facts.is_crash_recovery = true; }},
    };
    for (const Change &change : changes) {
        Bench bench;
        bench.world.monitor = Bench::ReplyOf(NodeState::kSecondary);
        bench.world.monitor->upstream = {2};
        bench.BeginStandby();
        bench.RunFor(Milliseconds{730});
        const std::size_t before = bench.world.sent.size();
        change.make(bench.world);
        bench.Turn();
        EXPECT_EQ(bench.world.sent.size(), before + 1) << change.what;
    }
}

TEST(ReportTime, AFactThatOnlyMovesWaitsForTheInterval) {
    Bench bench;
    bench.world.monitor = Bench::GrantOf(NodeState::kPrimary);
    bench.BeginPrimary();
    bench.RunFor(Milliseconds{730});
    const std::size_t before = bench.world.sent.size();
    bench.world.facts.lsn = {0x7000};
    bench.world.Sender(2).flush_lsn = {0x7000};
    bench.Turn();
    EXPECT_EQ(bench.world.sent.size(), before);
}

TEST(ReportTime, AFactThatFlickersIsReportedAtMostEveryTenMilliseconds) {
    Bench bench;
    bench.world.monitor = Bench::GrantOf(NodeState::kPrimary);
    bench.BeginPrimary();
    bench.RunFor(Milliseconds{730});
    const std::size_t before = bench.world.sent.size();
    for (int i = 0; i < 200; ++i) {
        bench.world.Sender(2).streaming = !bench.world.Sender(2).streaming;
        bench.Turn();
        bench.RunFor(Milliseconds{1});
    }
    EXPECT_GE(bench.world.sent.size() - before, 15U);
    EXPECT_LE(bench.world.sent.size() - before, 21U);
    for (std::size_t i = before + 1; i < bench.world.sent.size(); ++i)
        EXPECT_GE(bench.world.sent_at.at(i) - bench.world.sent_at.at(i - 1), Milliseconds{10});
}

TEST(ReportTime, OnlyOneReportIsUnderWay) {
    Bench bench;
    bench.BeginPrimary();
    bench.NextReport();
    const std::size_t before = bench.world.sent.size();
    bench.world.RemoveSender(2);
    bench.RunFor(Milliseconds{2000});
    EXPECT_EQ(bench.world.sent.size(), before);
}

TEST(ReportTime, ReportsAreNumbered) {
    Bench bench;
    bench.world.monitor = Bench::GrantOf(NodeState::kPrimary);
    bench.BeginPrimary();
    bench.RunFor(Milliseconds{3000});
    for (std::size_t i = 0; i < bench.world.sent.size(); ++i)
        EXPECT_EQ(bench.world.sent.at(i).sequence, static_cast<std::int64_t>(i + 1));
}

TEST(ReportTime, TheChannelIsListenedToOnce) {
    Bench bench;
    bench.world.monitor = Bench::GrantOf(NodeState::kPrimary);
    bench.world.monitor->channel = "state";
    bench.BeginPrimary();
    bench.RunFor(Milliseconds{3000});
    EXPECT_LE(bench.world.Count("listen state"), 1);
    EXPECT_GE(bench.world.sent.size(), 6U);
}

struct FenceCase {
    const char *what;
    Fence fence;
    NodeState state;
    int committing;
    bool is_fenced;
};

TEST(ReportFenced, OnlyWhenNothingCanBeAcknowledgedAnyMore) {
    const FenceCase cases[] = {
        {"open", Fence::kOpen, NodeState::kPrimary, 0, false},
        {"closed", Fence::kClosed, NodeState::kPrimary, 0, true},
        {"closed, a commit is under way", Fence::kClosed, NodeState::kPrimary, 1, false},
        {"a drain that may still fail", Fence::kDraining, NodeState::kPrimary, 0, false},
        {"drained", Fence::kDraining, NodeState::kDraining, 0, true},
        {"drained for maintenance", Fence::kDraining, NodeState::kPrepareMaintenance, 0, true},
        {"drained, a commit is under way", Fence::kDraining, NodeState::kDraining, 1, false},
        {"drained, opened again", Fence::kOpen, NodeState::kDraining, 0, false},
    };
    for (const FenceCase &one : cases) {
        Bench bench;
        bench.SetRecord(one.state);
        bench.MakeWritable();
        bench.world.deadline = core::kForever;
        bench.world.fence = one.fence;
        bench.world.committing = one.committing;
        bench.Begin();
        EXPECT_EQ(bench.LastReport().fenced, one.is_fenced) << one.what;
    }
}

TEST(ReportContent, AStandbySaysWhomItFollowsAndSinceWhenItHearsNothing) {
    Bench bench;
    bench.BeginStandby();
    EXPECT_EQ(bench.NextReport().receiver.upstream, NodeId{2});
    EXPECT_TRUE(bench.LastReport().receiver.streaming);
    EXPECT_FALSE(bench.LastReport().receiver.sealed);
    bench.RunFor(Milliseconds{700});
    EXPECT_EQ(bench.NextReport().receiver.stream_age, Milliseconds{700});
    bench.Seal();
    EXPECT_TRUE(bench.NextReport().receiver.sealed);
    bench.world.facts.is_lsn_final = false;
    EXPECT_FALSE(bench.NextReport().receiver.sealed);
}

TEST(ReportContent, APrimaryHasNoUpstream) {
    Bench bench;
    bench.BeginPrimary();
    bench.PointAt(2);
    EXPECT_FALSE(bench.NextReport().receiver.upstream.IsValid());
    EXPECT_FALSE(bench.LastReport().receiver.sealed);
}

TEST(ReportContent, ListsOurStandbysInOrderAndNobodyElse) {
    Bench bench;
    bench.BeginPrimary();
    bench.world.facts.senders.push_back(
        {.pid = 9, .node = {}, .streaming = true, .flush_lsn = {}, .sync_mark = {}});
    std::swap(bench.world.facts.senders.at(0), bench.world.facts.senders.at(1));
    bench.world.Sender(3).sync_priority = 0;
    bench.RunFor(Milliseconds{400});
    const auto &standbys = bench.NextReport().standbys;
    ASSERT_EQ(standbys.size(), 2U);
    EXPECT_EQ(standbys.at(0).node, NodeId{2});
    EXPECT_TRUE(standbys.at(0).in_sync_set);
    EXPECT_EQ(standbys.at(0).reply_age, Milliseconds{400});
    EXPECT_EQ(standbys.at(1).node, NodeId{3});
    EXPECT_FALSE(standbys.at(1).in_sync_set);
}

TEST(ReportContent, SaysUnderWhichGoalItWasMade) {
    Bench bench;
    bench.BeginPrimary();
    EXPECT_EQ(bench.LastReport().goal_version, 0);
    core::Reply reply = Bench::GrantOf(NodeState::kPrimary);
    reply.goal_version = 12;
    bench.NextReport();
    bench.Answer(reply);
    EXPECT_EQ(bench.NextReport().goal_version, 12);
    EXPECT_TRUE(bench.LastReport().lease_mode);
    EXPECT_TRUE(bench.LastReport().pg_running);
    EXPECT_EQ(bench.LastReport().holder, core::KeeperHolder::kWorker);
}

TEST(ReportContent, CrashRecoveryIsAProblem) {
    Bench bench;
    bench.SetRecord(NodeState::kPrimary);
    bench.world.facts.is_crash_recovery = true;
    bench.Begin();
    EXPECT_EQ(bench.LastReport().problem, "PostgreSQL is in crash recovery");
}

TEST(ReportContent, AProblemThatComesAndGoesIsLoggedEveryTenSeconds) {
    Bench bench;
    bench.BeginStandby();
    bench.world.lines.clear();
    for (int i = 0; i <= 20; ++i) {
        bench.world.AnswerWith(core::Fail(core::ProblemCode::kCorrupt, "there is no goal"));
        bench.Turn();
        bench.NextReport();
        const auto logged = std::count_if(
            bench.world.lines.begin(), bench.world.lines.end(),
            [](const std::string &line) { return line.find("no goal") != std::string::npos; });
        EXPECT_EQ(logged, i < 20 ? 1 : 2) << i;
        bench.RunFor(Milliseconds{500});
    }
}

TEST(ReportContent, AnUnreachableMonitorIsLoggedOnce) {
    Bench bench;
    bench.BeginPrimary();
    bench.world.lines.clear();
    bench.world.link_problem = "connection refused";
    bench.RunFor(Milliseconds{2900});
    ASSERT_EQ(bench.world.lines.size(), 1U);
    EXPECT_EQ(bench.world.lines.front(),
              "could not report to the monitor, retrying: connection refused");
}

// The answer to such a report may get lost, and the monitor elects.
TEST(ReportContent, APrimaryThatSaysItIsFencedHasForgottenItsOrdersBefore) {
    for (const bool is_disk_full : {false, true}) {
        Bench bench;
        const std::string orders = "/node/orders";
        bench.world.files[orders] = core::Encode(Bench::GrantOf(NodeState::kPrimary));
        if (is_disk_full) bench.world.unwritable.insert(orders);
        bench.SetRecord(NodeState::kPrimary);
        bench.MakeWritable();
        bench.Begin();
        bench.RunFor(Milliseconds{1000});
        EXPECT_EQ(bench.world.files[orders].empty(), !is_disk_full);
        EXPECT_EQ(bench.world.sent.empty(), is_disk_full);
        const auto &journal = bench.world.journal;
        EXPECT_LE(std::count(journal.begin(), journal.end(), "write " + orders), 12)
            << "as often as it reports";
        EXPECT_TRUE(is_disk_full || bench.LastReport().fenced);
    }
}

TEST(ReportContent, APrimaryThatMayWriteKeepsItsOrders) {
    Bench bench;
    bench.BeginPrimary();
    bench.RunFor(Milliseconds{2000});
    EXPECT_FALSE(bench.LastReport().fenced);
    EXPECT_FALSE(bench.world.files["/node/orders"].empty());
}

}  // namespace
}  // namespace pgaf::worker
