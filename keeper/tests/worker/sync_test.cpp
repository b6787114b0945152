// Goal: a synchronous set is confirmed only when every process of PostgreSQL uses it and enough
// members hold what was there before. Method: the keeper of a primary over fakes.
#include "bench.hpp"

namespace pgaf::worker {
namespace {

const core::SyncSet kNodeThree{.k = 1, .members = {{3}}};

/// A primary that uses ANY 1 (2, 3), and is told to use another set as version 2.
void BeginChange(Bench &bench, const core::SyncSet &set) {
    bench.BeginPrimary();
    ASSERT_EQ(bench.NextReport().sync_version, 1);
    core::Reply reply = Bench::GrantOf(NodeState::kPrimary);
    reply.sync_version = 2;
    reply.sync_names = core::ToSetting(set);
    bench.world.monitor = reply;
    bench.world.AnswerWith(reply);
    bench.Turn();
}

TEST(SyncSet, IsWrittenAtOnceAndIsUnknownUntilItIsInForce) {
    Bench bench;
    BeginChange(bench, kNodeThree);
    EXPECT_EQ(bench.world.files.at(kSyncPath), core::SyncText(core::ToSetting(kNodeThree)));
    EXPECT_EQ(bench.NextReport().sync_version, 0);
    EXPECT_EQ(bench.world.Record().sync_version, 1);
    bench.world.UseSet(kNodeThree);
    bench.Turn();
    EXPECT_EQ(bench.LastReport().sync_version, 2);
    EXPECT_EQ(bench.world.Record().sync_version, 2);
    EXPECT_EQ(bench.world.Count("reload"), 1);
    for (const core::Report &report : bench.world.sent)
        EXPECT_EQ(report.problem, "");
}

struct Missing {
    const char *what;
    void (*make)(FakeWorld &);
};

TEST(SyncSet, IsNotInForceWhileAProcessHasNotReadIt) {
    const Missing cases[] = {
        {"the checkpointer",
         [](FakeWorld &w) { w.facts.checkpointer_sync = Mark(core::ToSetting(kBothStandbys)); }},
        {"what backends wait for", [](FakeWorld &w) { w.facts.sync_defined = false; }},
        {"the walsender of a member",
         [](FakeWorld &w) { w.Sender(3).sync_mark = Mark(core::ToSetting(kBothStandbys)); }},
        {"a walsender that has read nothing", [](FakeWorld &w) { w.Sender(3).sync_mark.reset(); }},
        {"a walsender that still counts", [](FakeWorld &w) { w.Sender(2).sync_priority = 1; }},
        {"a member that does not count yet", [](FakeWorld &w) { w.Sender(3).sync_priority = 0; }},
        {"this process", [](FakeWorld &w) { w.facts.sync_names = core::ToSetting(kBothStandbys); }},
    };
    for (const Missing &one : cases) {
        Bench bench;
        bench.world.reload_takes = false;
        BeginChange(bench, kNodeThree);
        bench.world.UseSet(kNodeThree);
        one.make(bench.world);
        bench.RunFor(Milliseconds{2500});
        EXPECT_EQ(bench.NextReport().sync_version, 0) << one.what;
        bench.world.UseSet(kNodeThree);
        bench.RunFor(Milliseconds{500});
        EXPECT_EQ(bench.NextReport().sync_version, 2) << one.what;
    }
}

TEST(SyncSet, AWalsenderThatReleasesNothingNeedNotHaveReadIt) {
    Bench bench;
    BeginChange(bench, kNodeThree);
    bench.world.UseSet(kNodeThree);
    bench.world.Sender(2).sync_mark.reset();  // its priority is 0
    bench.Turn();
    EXPECT_EQ(bench.NextReport().sync_version, 2);
}

TEST(SyncSet, TheEmptySetIsConfirmedWithoutAnybody) {
    Bench bench;
    BeginChange(bench, {});
    EXPECT_EQ(bench.NextReport().sync_version, 0);
    bench.world.UseSet({});
    bench.world.facts.senders.clear();
    bench.Turn();
    EXPECT_EQ(bench.NextReport().sync_version, 2);
}

TEST(SyncSet, IsConfirmedWhenEnoughMembersHoldWhatWasThere) {
    Bench bench;
    bench.BeginPrimary();
    const core::SyncSet two{.k = 2, .members = {{2}, {3}}};
    core::Reply reply = Bench::GrantOf(NodeState::kPrimary);
    reply.sync_version = 2;
    reply.sync_names = core::ToSetting(two);
    bench.world.monitor = reply;
    bench.world.facts.lsn = {0x6000};
    bench.NextReport();
    bench.world.UseSet(two);
    bench.Turn();
    EXPECT_EQ(bench.NextReport().sync_version, 0);
    EXPECT_EQ(bench.LastReport().problem, "waiting until a synchronous standby holds all WAL");
    bench.world.facts.lsn = {0x9000};  // what comes later waits for them anyway
    bench.world.Sender(2).flush_lsn = {0x6000};
    bench.RunFor(Milliseconds{100});
    EXPECT_EQ(bench.NextReport().sync_version, 0);
    bench.world.Sender(3).flush_lsn = {0x6000};
    bench.RunFor(Milliseconds{10});  // nothing wakes the worker for this
    EXPECT_EQ(bench.NextReport().sync_version, 2);
    EXPECT_EQ(bench.LastReport().problem, "");
}

TEST(SyncSet, AMemberThatDoesNotCountHoldsNothing) {
    Bench bench;
    BeginChange(bench, kBothStandbys);
    bench.world.RemoveSender(2);
    bench.world.RemoveSender(3);
    bench.world.UseSet(kBothStandbys);
    bench.RunFor(Milliseconds{5000});
    core::Reply reply = *bench.world.monitor;
    reply.sync_version = 3;
    bench.world.monitor = reply;
    bench.NextReport();
    bench.RunFor(Milliseconds{2000});
    EXPECT_EQ(bench.NextReport().sync_version, 0);
}

TEST(SyncSet, ANewVersionOfTheSameNamesIsConfirmedAnew) {
    Bench bench;
    BeginChange(bench, kBothStandbys);
    EXPECT_EQ(bench.NextReport().sync_version, 2);
    EXPECT_EQ(bench.world.Count("reload"), 0);
}

TEST(SyncSet, OneThatAnotherFileOverridesIsAProblem) {
    Bench bench;
    bench.world.reload_takes = false;
    BeginChange(bench, kNodeThree);
    bench.RunFor(Milliseconds{10'000});
    EXPECT_EQ(bench.world.Count("write " + kSyncPath), 1);
    EXPECT_LE(bench.world.Count("reload"), 11);
    EXPECT_GE(bench.world.Count("reload"), 9);
    EXPECT_TRUE(std::any_of(bench.world.sent.begin(), bench.world.sent.end(), [](const auto &r) {
        return r.problem.find("another configuration file sets it") != std::string::npos;
    }));
    EXPECT_EQ(bench.NextReport().sync_version, 0);
}

TEST(SyncSet, OneThatCannotBeWrittenIsAProblem) {
    Bench bench;
    bench.world.unwritable = {kSyncPath};
    BeginChange(bench, kNodeThree);
    EXPECT_TRUE(std::any_of(bench.world.sent.begin(), bench.world.sent.end(),
                            [](const auto &r) { return r.problem == "disk full"; }));
    EXPECT_EQ(bench.world.Count("reload"), 0);
    bench.world.unwritable.clear();
    bench.RunFor(Milliseconds{1000});
    bench.world.UseSet(kNodeThree);
    bench.Turn();
    EXPECT_EQ(bench.NextReport().sync_version, 2);
}

TEST(SyncSet, AStateThatNeedsASetIsReachedWhenItIsConfirmed) {
    Bench bench;
    bench.BeginPrimary(NodeState::kWaitPrimary);
    core::Reply reply = Bench::GrantOf(NodeState::kPrimary);
    reply.sync_version = 2;
    reply.sync_names = core::ToSetting(kNodeThree);
    bench.world.monitor = reply;
    bench.NextReport();
    bench.RunFor(Milliseconds{2000});
    EXPECT_EQ(bench.State(), NodeState::kWaitPrimary);
    bench.world.UseSet(kNodeThree);
    bench.Turn();
    EXPECT_EQ(bench.State(), NodeState::kPrimary);
}

TEST(SyncSet, WaitingForProcessesThatSayWhenTheyHaveReadItTakesNoTurns) {
    Bench bench;
    bench.BeginPrimary(NodeState::kWaitPrimary);
    core::Reply reply = Bench::GrantOf(NodeState::kApplySettings);
    bench.Answer(reply);
    ASSERT_EQ(bench.State(), NodeState::kApplySettings);
    reply.goal = NodeState::kPrimary;
    reply.sync_version = 2;
    reply.sync_names = core::ToSetting(kNodeThree);
    bench.world.AnswerWith(reply);
    bench.Turn();
    bench.RunFor(Milliseconds{200});
    const int turns = bench.world.beats;
    bench.RunFor(Milliseconds{1000});
    EXPECT_LE(bench.world.beats - turns, 8);
}

TEST(SyncSet, AStandbyAppliesNone) {
    Bench bench;
    bench.BeginStandby();
    bench.RunFor(Milliseconds{5000});
    EXPECT_FALSE(bench.world.files.contains(kSyncPath));
    EXPECT_EQ(bench.NextReport().sync_version, 0);
}

}  // namespace
}  // namespace pgaf::worker
