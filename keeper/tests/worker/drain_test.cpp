// Goal: a hand-over shows its end of WAL only when nothing is written after it and the synchronous
// standbys hold it; one that fails lets the primary go on. Method: the keeper over fakes, in
// virtual time; the monitor wants "draining" and grants all the time.
#include "bench.hpp"

namespace pgaf::worker {
namespace {

constexpr Lsn kEnd{0x6000};

/// Told to hand over; the checkpoint is under way.
void BeginDrain(Bench &bench) {
    bench.BeginPrimary();
    bench.world.monitor = Bench::GrantOf(NodeState::kDraining);
    bench.world.facts.lsn = kEnd;
    bench.NextReport();
}

/// The checkpoint is over.
void Close(Bench &bench) {
    ++bench.world.checkpoints_done;
    bench.Turn();
}

void Confirm(Bench &bench, std::int64_t node) {
    bench.world.Sender(node).flush_lsn = kEnd;
    bench.Turn();
}

TEST(Drain, ServesDuringTheCheckpointAndClosesTheGateAfterIt) {
    Bench bench;
    BeginDrain(bench);
    bench.RunFor(Milliseconds{5000});
    EXPECT_EQ(bench.world.Count("start checkpoint"), 1);
    EXPECT_EQ(bench.world.fence, Fence::kOpen);
    EXPECT_EQ(bench.world.Count("terminate sessions"), 0);
    Close(bench);
    EXPECT_EQ(bench.world.fence, Fence::kDraining);
    EXPECT_EQ(bench.State(), NodeState::kPrimary);
}

TEST(Drain, EndsSessionsFlushesAndWaitsForTheStandbysInThisOrder) {
    Bench bench;
    BeginDrain(bench);
    Close(bench);
    EXPECT_EQ(bench.world.journal, (std::vector<std::string>{
                                       "write " + kRecordFile, "start checkpoint",
                                       "terminate sessions", "flush", "finish 102", "finish 103"}));
    bench.RunFor(Milliseconds{1000});
    EXPECT_EQ(bench.State(), NodeState::kPrimary);
    Confirm(bench, 2);
    EXPECT_EQ(bench.State(), NodeState::kPrimary);  // node 3 has time
    Confirm(bench, 3);
    EXPECT_EQ(bench.State(), NodeState::kDraining);
    EXPECT_EQ(bench.world.fence, Fence::kDraining);
    EXPECT_TRUE(bench.LastReport().fenced);
    EXPECT_EQ(bench.LastReport().sealed_lsn, kEnd);
}

TEST(Drain, TheEndOfWalIsSaidOnlyWhileHandingOver) {
    Bench bench;
    BeginDrain(bench);
    EXPECT_FALSE(bench.NextReport().sealed_lsn.IsValid());
    Close(bench);
    Confirm(bench, 2);
    EXPECT_FALSE(bench.NextReport().sealed_lsn.IsValid());
    Confirm(bench, 3);
    ASSERT_EQ(bench.NextReport().sealed_lsn, kEnd);
    bench.world.monitor = Bench::GrantOf(NodeState::kPrimary);
    bench.NextReport();
    bench.RunFor(Milliseconds{500});
    ASSERT_EQ(bench.State(), NodeState::kPrimary);
    EXPECT_FALSE(bench.NextReport().sealed_lsn.IsValid());
}

TEST(Drain, WithoutAFreeProcessForTheCheckpointItFails) {
    Bench bench;
    bench.world.has_free_process = false;
    BeginDrain(bench);
    EXPECT_EQ(bench.NextReport().problem, "no background worker slot is free");
    EXPECT_EQ(bench.world.fence, Fence::kOpen);
}

TEST(Drain, ACheckpointOfMoreThanAMinuteFailsAndTheGateStaysOpen) {
    Bench bench;
    BeginDrain(bench);
    bench.RunFor(Milliseconds{59'999});
    EXPECT_EQ(bench.NextReport().problem, "");
    bench.RunFor(Milliseconds{1});
    EXPECT_EQ(bench.NextReport().problem, "a checkpoint has not completed within 60 s");
    EXPECT_EQ(bench.world.fence, Fence::kOpen);
    EXPECT_EQ(bench.State(), NodeState::kPrimary);
}

TEST(Drain, WhenTheGrantIsAboutToEndItWaitsNoLongerForTheCheckpoint) {
    Bench bench;
    bench.BeginPrimary();
    const BootTime deadline = bench.world.deadline;
    bench.Answer(Bench::ReplyOf(NodeState::kDraining));
    bench.RunFor(deadline - bench.world.now - Milliseconds{501});
    EXPECT_EQ(bench.world.fence, Fence::kOpen);
    bench.RunFor(Milliseconds{1});
    EXPECT_EQ(bench.world.fence, Fence::kDraining);
    EXPECT_EQ(bench.world.Count("flush"), 1);
}

TEST(Drain, AnUnlimitedGrantDoesNotHurryTheCheckpoint) {
    Bench bench;
    bench.BeginPrimary();
    bench.world.monitor = Bench::ReplyOf(NodeState::kDraining);
    bench.world.monitor->grant = GrantKind::kUnlimited;
    bench.NextReport();
    bench.RunFor(Milliseconds{50'000});
    EXPECT_EQ(bench.world.fence, Fence::kOpen);
}

TEST(Drain, CommitsUnderWayHavePatienceAndAreEndedThen) {
    Bench bench;
    BeginDrain(bench);
    bench.world.committing = 2;
    Close(bench);
    bench.RunFor(Milliseconds{299});
    EXPECT_EQ(bench.world.Count("terminate waiters"), 0);
    bench.RunFor(Milliseconds{1});
    EXPECT_EQ(bench.world.Count("terminate waiters"), 1);
    bench.RunFor(Milliseconds{300});
    EXPECT_EQ(bench.world.PausesBetween("terminate waiters"),
              (std::vector<std::int64_t>{100, 100, 100}));
    EXPECT_EQ(bench.world.Count("terminate sessions"), 0);
    bench.world.committing = 0;
    bench.Turn();
    EXPECT_EQ(bench.world.Count("terminate sessions"), 1);
}

TEST(Drain, CommitsThatDoNotEndWithinFiveSecondsMakeItFailAndThePrimaryGoesOn) {
    Bench bench;
    BeginDrain(bench);
    bench.world.committing = 1;
    Close(bench);
    bench.RunFor(Milliseconds{4999});
    EXPECT_EQ(bench.world.fence, Fence::kDraining);
    bench.RunFor(Milliseconds{1});
    EXPECT_EQ(bench.world.fence, Fence::kOpen);
    EXPECT_EQ(bench.NextReport().problem, "commits under way have not ended within 5 s");
    EXPECT_EQ(bench.State(), NodeState::kPrimary);
}

TEST(Drain, SessionsAreEndedAgainAndAgainAndHaveFiveSeconds) {
    Bench bench;
    BeginDrain(bench);
    bench.world.sessions = 1;
    Close(bench);
    bench.RunFor(Milliseconds{300});
    EXPECT_EQ(bench.world.PausesBetween("terminate sessions"),
              (std::vector<std::int64_t>{100, 100, 100}));
    EXPECT_EQ(bench.world.Count("flush"), 0);
    bench.RunFor(Milliseconds{4700});
    EXPECT_EQ(bench.world.fence, Fence::kOpen);
    EXPECT_EQ(bench.world.Count("flush"), 0);
    EXPECT_EQ(bench.NextReport().problem, "sessions have not ended within 5 s");
}

TEST(Drain, FailsWhenTheSynchronousStandbysDoNotConfirmTheEnd) {
    Bench bench;
    BeginDrain(bench);
    Close(bench);
    bench.RunFor(Milliseconds{4999});
    EXPECT_EQ(bench.world.fence, Fence::kDraining);
    bench.RunFor(Milliseconds{1});
    EXPECT_EQ(bench.world.fence, Fence::kOpen);
    EXPECT_EQ(bench.NextReport().problem,
              "the synchronous standbys have not confirmed the end of WAL");
    EXPECT_EQ(bench.State(), NodeState::kPrimary);
}

TEST(Drain, AtTheLimitEnoughMembersOfTheSetAreEnough) {
    Bench bench;
    BeginDrain(bench);
    Close(bench);
    Confirm(bench, 3);
    bench.RunFor(Milliseconds{4999});
    EXPECT_EQ(bench.State(), NodeState::kPrimary);
    bench.RunFor(Milliseconds{1});
    EXPECT_EQ(bench.State(), NodeState::kDraining);
    EXPECT_EQ(bench.NextReport().sealed_lsn, kEnd);
}

TEST(Drain, AStandbyThatIsNotAMemberProvesNothing) {
    Bench bench;
    BeginDrain(bench);
    bench.world.UseSet({.k = 1, .members = {{2}}});
    Close(bench);
    Confirm(bench, 3);
    bench.RunFor(Milliseconds{5000});
    EXPECT_EQ(bench.State(), NodeState::kPrimary);
    EXPECT_EQ(bench.world.fence, Fence::kOpen);
}

TEST(Drain, AStandbyThatIsStillCatchingUpIsNotWaitedFor) {
    Bench bench;
    BeginDrain(bench);
    bench.world.Sender(3).streaming = false;
    Close(bench);
    EXPECT_EQ(bench.world.Count("finish 102"), 1);
    EXPECT_EQ(bench.world.Count("finish 103"), 0);
    Confirm(bench, 2);
    EXPECT_EQ(bench.State(), NodeState::kDraining);
}

TEST(Drain, TheSlotTellsThePositionAfterTheWalsenderHasEnded) {
    Bench bench;
    BeginDrain(bench);
    Close(bench);
    bench.world.RemoveSender(2);
    Confirm(bench, 3);
    EXPECT_EQ(bench.State(), NodeState::kPrimary);
    bench.world.facts.slots.at(0).restart_lsn = kEnd;
    bench.Turn();
    EXPECT_EQ(bench.State(), NodeState::kDraining);
}

TEST(Drain, WhenNobodyStreamsThereIsNoTimeToLoseAndNoEndToShow) {
    Bench bench;
    bench.BeginPrimary();
    bench.world.facts.senders.clear();
    bench.world.monitor = Bench::GrantOf(NodeState::kDraining);
    bench.NextReport();
    EXPECT_EQ(bench.world.Count("start checkpoint"), 0);
    EXPECT_EQ(bench.State(), NodeState::kDraining);
    EXPECT_EQ(bench.world.fence, Fence::kDraining);
    EXPECT_TRUE(bench.NextReport().fenced);
    EXPECT_FALSE(bench.LastReport().sealed_lsn.IsValid());
}

TEST(Drain, AFailureAfterTheEndOfTheGrantDoesNotOpenTheGate) {
    Bench bench;
    bench.BeginPrimary();
    bench.world.sessions = 1;
    bench.Answer(Bench::ReplyOf(NodeState::kDraining));
    bench.RunFor(Milliseconds{20'000});
    EXPECT_GT(bench.world.Count("terminate sessions"), 10);
    EXPECT_NE(bench.world.fence, Fence::kOpen);
}

TEST(Drain, AnOrderToGoOnOpensTheGateAgain) {
    Bench bench;
    BeginDrain(bench);
    bench.world.sessions = 1;
    Close(bench);
    bench.RunFor(Milliseconds{1000});
    ASSERT_EQ(bench.world.fence, Fence::kDraining);
    bench.world.monitor = Bench::GrantOf(NodeState::kPrimary);
    bench.NextReport();
    bench.RunFor(Milliseconds{100});
    EXPECT_EQ(bench.world.fence, Fence::kOpen);
    EXPECT_EQ(bench.State(), NodeState::kPrimary);
}

TEST(Drain, AServerInRecoveryCannotHandOver) {
    Bench bench;
    bench.BeginPrimary();
    bench.world.facts.in_recovery = true;
    bench.world.facts.is_crash_recovery = true;
    bench.Answer(Bench::GrantOf(NodeState::kDraining));
    EXPECT_EQ(bench.NextReport().problem, "PostgreSQL is in recovery");
    EXPECT_EQ(bench.State(), NodeState::kPrimary);
}

TEST(Drain, ASecondOneDoesNotShowTheEndOfTheFirst) {
    Bench bench;
    BeginDrain(bench);
    Close(bench);
    Confirm(bench, 2);
    Confirm(bench, 3);
    ASSERT_EQ(bench.NextReport().sealed_lsn, kEnd);
    bench.world.monitor = Bench::GrantOf(NodeState::kPrimary);
    bench.NextReport();
    bench.RunFor(Milliseconds{500});
    ASSERT_EQ(bench.State(), NodeState::kPrimary);
    bench.world.facts.lsn = {0x9000};
    bench.world.facts.senders.clear();
    bench.world.monitor = Bench::GrantOf(NodeState::kDraining);
    bench.NextReport();
    bench.RunFor(Milliseconds{100});
    ASSERT_EQ(bench.State(), NodeState::kDraining);
    EXPECT_FALSE(bench.NextReport().sealed_lsn.IsValid());
}

/// The worker of a drained primary was restarted: only the position is missing.
void BeginAgain(Bench &bench) {
    bench.SetRecord(NodeState::kDraining);
    bench.MakeWritable();
    bench.world.facts.lsn = kEnd;
    bench.world.fence = Fence::kDraining;
    bench.world.deadline = core::kForever;
    bench.world.monitor = Bench::ReplyOf(NodeState::kDraining);
    bench.Begin();
}

TEST(DrainAgain, FindsTheEndOfWalThatTheLastWorkerKnew) {
    Bench bench;
    BeginAgain(bench);
    EXPECT_TRUE(bench.LastReport().fenced);
    EXPECT_EQ(bench.world.Count("start checkpoint"), 0);
    Confirm(bench, 2);
    Confirm(bench, 3);
    EXPECT_EQ(bench.NextReport().sealed_lsn, kEnd);
    bench.RunFor(Milliseconds{5000});
    EXPECT_EQ(bench.world.Count("flush"), 1);
    EXPECT_EQ(bench.world.fence, Fence::kDraining);
}

TEST(DrainAgain, AFailureLeavesTheGateClosedAndIsRepeated) {
    Bench bench;
    BeginAgain(bench);
    bench.RunFor(Milliseconds{5000});
    EXPECT_EQ(bench.world.fence, Fence::kDraining);
    EXPECT_TRUE(bench.NextReport().fenced);
    EXPECT_EQ(bench.world.Count("flush"), 1);
    bench.RunFor(Milliseconds{1000});
    EXPECT_EQ(bench.world.Count("flush"), 2);
    EXPECT_EQ(bench.State(), NodeState::kDraining);
}

TEST(DrainAgain, IsNotDoneAfterARestartOfTheServer) {
    Bench bench;
    bench.SetRecord(NodeState::kDraining);
    bench.MakeWritable();
    bench.world.monitor = Bench::ReplyOf(NodeState::kDraining);
    bench.Begin();
    bench.RunFor(Milliseconds{5000});
    EXPECT_EQ(bench.world.fence, Fence::kClosed);
    EXPECT_EQ(bench.world.Count("flush"), 0);
    EXPECT_TRUE(bench.NextReport().fenced);
}

}  // namespace
}  // namespace pgaf::worker
