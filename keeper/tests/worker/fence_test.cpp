// Goal: a primary acknowledges only while it is granted, and a server that nobody answers ends.
// Method: the keeper over fakes, in virtual time.
#include "bench.hpp"

namespace pgaf::worker {
namespace {

void Confirm(FakeWorld &world) {
    for (SenderFact &sender : world.facts.senders)
        sender.flush_lsn = world.facts.lsn;
}

TEST(Fence, AGrantOpensTheGateOfAPrimary) {
    Bench bench;
    bench.SetRecord(NodeState::kPrimary);
    bench.MakeWritable();
    bench.Begin();
    EXPECT_EQ(bench.world.fence, Fence::kClosed);
    bench.Answer(Bench::GrantOf(NodeState::kPrimary));
    EXPECT_EQ(bench.world.fence, Fence::kOpen);
    EXPECT_EQ(bench.world.deadline, bench.world.sent_at.front() + Milliseconds{3000});
    EXPECT_EQ(bench.world.lines.back(), "the gate is open");
}

TEST(Fence, AnAnswerWithoutAGrantDoesNotOpenTheGate) {
    Bench bench;
    bench.SetRecord(NodeState::kPrimary);
    bench.MakeWritable();
    bench.Begin();
    bench.Answer(Bench::ReplyOf(NodeState::kPrimary));
    bench.RunFor(Milliseconds{2000});
    EXPECT_EQ(bench.world.fence, Fence::kClosed);
}

TEST(Fence, AGrantForAStandbyDoesNotOpenTheGate) {
    Bench bench;
    bench.BeginStandby();
    bench.Answer(Bench::GrantOf(NodeState::kSecondary));
    bench.RunFor(Milliseconds{2000});
    EXPECT_EQ(bench.world.fence, Fence::kClosed);
}

TEST(Fence, AGrantThatArrivesTooLateDoesNotOpenTheGate) {
    Bench bench;
    bench.SetRecord(NodeState::kPrimary);
    bench.MakeWritable();
    bench.Begin();
    bench.world.now = bench.world.now + Milliseconds{3000};
    bench.Answer(Bench::GrantOf(NodeState::kPrimary));
    EXPECT_EQ(bench.world.fence, Fence::kClosed);
}

TEST(Fence, ClosesAtTheDeadlineAndClientsAreEnded) {
    Bench bench;
    bench.BeginPrimary();
    bench.RunFor(Milliseconds{2999});
    EXPECT_EQ(bench.world.fence, Fence::kOpen);
    EXPECT_EQ(bench.world.Count("terminate clients"), 0);
    bench.RunFor(Milliseconds{1});
    EXPECT_EQ(bench.world.fence, Fence::kClosed);
    EXPECT_EQ(bench.world.Count("terminate clients"), 1);
    ASSERT_EQ(bench.world.warnings.size(), 1U);
    EXPECT_EQ(bench.world.warnings.front(), "the grant has run out: this node is fenced");
}

TEST(Fence, AGrantInTimeKeepsTheGateOpen) {
    Bench bench;
    bench.world.monitor = Bench::GrantOf(NodeState::kPrimary);
    bench.BeginPrimary();
    bench.RunFor(Milliseconds{20'000});
    EXPECT_EQ(bench.world.fence, Fence::kOpen);
    EXPECT_LE(bench.world.Count("marker"), 7);  // those of the probe of the disk, one in 3 s
    EXPECT_EQ(bench.world.deadline, bench.world.sent_at.back() + Milliseconds{3000});
}

TEST(Fence, OpensAgainWithTheNextGrant) {
    Bench bench;
    bench.BeginPrimary();
    bench.RunFor(Milliseconds{4000});
    ASSERT_EQ(bench.world.fence, Fence::kClosed);
    bench.NextReport();
    bench.Answer(Bench::GrantOf(NodeState::kPrimary));
    EXPECT_EQ(bench.world.fence, Fence::kOpen);
    bench.RunFor(Milliseconds{2999});
    EXPECT_EQ(bench.world.fence, Fence::kOpen);
    EXPECT_EQ(bench.world.Count("stop"), 0);
}

TEST(Fence, TheServerStopsItselfOneLeaseAfterItWhenTheMonitorStaysSilent) {
    Bench bench;
    bench.BeginPrimary();
    bench.RunFor(Milliseconds{3000 + 2999});
    EXPECT_EQ(bench.world.Count("stop"), 0);
    EXPECT_EQ(bench.State(), NodeState::kPrimary);
    bench.RunFor(Milliseconds{1});
    EXPECT_EQ(bench.world.Count("stop"), 1);
    EXPECT_EQ(bench.State(), NodeState::kDemoteTimeout);
    EXPECT_EQ(bench.world.fence, Fence::kClosed);
}

TEST(Fence, TheServerGoesOnWhenTheMonitorAnswersWithoutAGrant) {
    Bench bench;
    bench.BeginPrimary();
    bench.RunFor(Milliseconds{3000});
    bench.world.monitor = Bench::ReplyOf(NodeState::kPrimary);
    bench.RunFor(Milliseconds{1});
    bench.NextReport();
    bench.RunFor(Milliseconds{30'000});
    EXPECT_EQ(bench.world.Count("stop"), 0);
    EXPECT_EQ(bench.world.fence, Fence::kClosed);
    EXPECT_EQ(bench.State(), NodeState::kPrimary);
}

TEST(Fence, AServerThatWasNeverGrantedDoesNotStopItself) {
    Bench bench;
    bench.SetRecord(NodeState::kPrimary);
    bench.MakeWritable();
    bench.Begin();
    bench.RunFor(Milliseconds{60'000});
    EXPECT_EQ(bench.world.Count("stop"), 0);
}

TEST(Fence, AWorkerThatFindsAnExpiredGrantOfItsForerunnerStopsTheServerToo) {
    Bench bench;
    bench.BeginPrimary();
    bench.RunFor(Milliseconds{4000});
    ASSERT_EQ(bench.world.fence, Fence::kClosed);
    bench.Begin();
    bench.RunFor(Milliseconds{2999});
    EXPECT_EQ(bench.world.Count("stop"), 0);
    bench.RunFor(Milliseconds{1});
    EXPECT_EQ(bench.world.Count("stop"), 1);
}

TEST(Fence, AWorkerThatFindsAnOpenGateClosesItAtItsDeadline) {
    Bench bench;
    bench.BeginPrimary();
    bench.RunFor(Milliseconds{1000});
    bench.Begin();
    bench.RunFor(Milliseconds{1999});
    EXPECT_EQ(bench.world.fence, Fence::kOpen);
    bench.RunFor(Milliseconds{1});
    EXPECT_EQ(bench.world.fence, Fence::kClosed);
}

TEST(Stream, ExtendsTheLeaseWhileTheMonitorIsSilentAndStandbysConfirm) {
    Bench bench;
    bench.BeginPrimary();
    for (int i = 0; i < 1000; ++i) {
        bench.RunFor(Milliseconds{20});
        Confirm(bench.world);
    }
    EXPECT_EQ(bench.world.fence, Fence::kOpen);
    EXPECT_GT(bench.world.Count("marker"), 20);
    EXPECT_LE(bench.world.Count("marker"), 28);  // four in a lease
}

TEST(Stream, BeginsWhenTwoReportsHaveGoneUnanswered) {
    Bench bench;
    bench.BeginPrimary();
    bench.RunFor(Milliseconds{1001});
    EXPECT_EQ(bench.world.Count("marker"), 0);
    bench.RunFor(Milliseconds{500});
    EXPECT_EQ(bench.world.Count("marker"), 1);
}

TEST(Stream, OneMemberOfTwoIsEnoughForAnyOne) {
    Bench bench;
    bench.BeginPrimary();
    for (int i = 0; i < 500; ++i) {
        bench.RunFor(Milliseconds{20});
        bench.world.Sender(3).flush_lsn = bench.world.facts.lsn;
    }
    EXPECT_EQ(bench.world.fence, Fence::kOpen);
}

TEST(Stream, EndsWhenTheMonitorIsHeardAgain) {
    Bench bench;
    bench.BeginPrimary();
    bench.RunFor(Milliseconds{1510});
    ASSERT_EQ(bench.world.Count("marker"), 1);
    bench.world.monitor = Bench::GrantOf(NodeState::kPrimary);
    bench.NextReport();
    bench.RunFor(Milliseconds{5000});
    EXPECT_LE(bench.world.Count("marker"), 3);  // those of the probe of the disk, one in 3 s
}

TEST(Stream, DoesNotOpenAGateThatHasClosed) {
    Bench bench;
    bench.BeginPrimary();
    bench.RunFor(Milliseconds{3001});
    ASSERT_EQ(bench.world.fence, Fence::kClosed);
    for (int i = 0; i < 100; ++i) {
        Confirm(bench.world);
        bench.RunFor(Milliseconds{20});
    }
    EXPECT_EQ(bench.world.fence, Fence::kClosed);
}

TEST(Stream, DoesNotExtendWhenTheMonitorHadSaidThatThePrimaryMustGo) {
    Bench bench;
    bench.BeginPrimary();
    bench.world.has_free_process = false;  // the hand-over cannot begin
    bench.Answer(Bench::GrantOf(NodeState::kDraining));
    for (int i = 0; i < 100; ++i) {
        bench.RunFor(Milliseconds{20});
        Confirm(bench.world);
    }
    EXPECT_EQ(bench.world.Count("marker"), 0);
}

TEST(Stream, AServerInRecoveryWritesNoMarker) {
    Bench bench;
    bench.BeginPrimary();
    bench.world.facts.in_recovery = true;
    bench.world.facts.is_crash_recovery = true;
    bench.RunFor(Milliseconds{2900});
    EXPECT_EQ(bench.world.Count("marker"), 0);
}

TEST(Stream, ANodeThatStreamedSinceTheLastAnswerMustConfirmASetOfKZero) {
    Bench bench;
    bench.BeginPrimary();
    core::Reply reply = Bench::GrantOf(NodeState::kPrimary);
    reply.extension = {{.k = 0, .members = {{2}}}};
    bench.NextReport();
    bench.Answer(reply);
    bench.RunFor(Milliseconds{100});
    bench.world.RemoveSender(3);  // it has streamed since
    for (int i = 0; i < 200; ++i) {
        bench.RunFor(Milliseconds{20});
        Confirm(bench.world);
    }
    EXPECT_EQ(bench.world.fence, Fence::kClosed);
}

}  // namespace
}  // namespace pgaf::worker
