// Goal: what no synchronous standby has confirmed is not shown because somebody's wait was ended,
// and is counted. Method: the keeper over a fake server whose gate says which waits were left.
#include <gtest/gtest.h>

#include "bench.hpp"

namespace pgaf::worker {
namespace {

using core::Lsn;
using core::Milliseconds;

constexpr Lsn kBeyond{0x9000};

void Confirm(FakeWorld &world, Lsn end) {
    for (SenderFact &sender : world.facts.senders)
        sender.flush_lsn = end;
}

TEST(Waits, TheGateIsHeldUntilTheSetHasWhatIsVisible) {
    Bench bench;
    bench.BeginPrimary();
    ASSERT_EQ(bench.world.fence, Fence::kOpen);
    bench.world.waits_left = {.count = 1, .end = kBeyond, .shown_end = kBeyond};
    bench.RunFor(Milliseconds{600});
    EXPECT_EQ(bench.world.fence, Fence::kHeld);
    EXPECT_EQ(bench.NextReport().problem,
              "commits are visible that no synchronous standby has confirmed");
    Confirm(bench.world, kBeyond);
    bench.RunFor(Milliseconds{600});
    EXPECT_EQ(bench.world.fence, Fence::kOpen);
    // The standby is lost later: what it has confirmed is confirmed.
    bench.world.facts.senders.clear();
    bench.RunFor(Milliseconds{600});
    EXPECT_EQ(bench.world.fence, Fence::kOpen);
}

TEST(Waits, NobodyWhoWaitsOnHoldsTheGate) {
    Bench bench;
    bench.BeginPrimary();
    bench.world.waits_left = {.count = 1, .end = kBeyond, .shown_end = {}};
    bench.world.facts.senders.clear();
    bench.RunFor(Milliseconds{600});
    EXPECT_EQ(bench.world.fence, Fence::kOpen);
}

TEST(Waits, AfterRecoveryNothingIsShownThatTheSetDoesNotHold) {
    Bench bench;
    bench.SetRecord(NodeState::kPrimary);
    bench.MakeWritable();
    Confirm(bench.world, Lsn{bench.world.facts.lsn.value - 0x100});
    bench.Begin();
    bench.Answer(Bench::GrantOf(NodeState::kPrimary));
    bench.RunFor(Milliseconds{600});
    EXPECT_NE(bench.world.fence, Fence::kOpen);
    // What is written since, by a checkpoint for instance, was not there when recovery ended.
    const Lsn end = bench.world.facts.lsn;
    bench.world.facts.lsn.value += 0x1000;
    Confirm(bench.world, end);
    bench.RunFor(Milliseconds{600});
    EXPECT_EQ(bench.world.fence, Fence::kOpen);
}

TEST(Waits, TheyAreReportedUntilTheyAreConfirmed) {
    Bench bench;
    bench.BeginPrimary();
    bench.world.waits_left = {.count = 3, .end = kBeyond, .shown_end = {}};
    bench.RunFor(Milliseconds{600});
    EXPECT_EQ(bench.NextReport().cancelled_waits, 3);
    EXPECT_EQ(bench.LastReport().unconfirmed_waits, 3);
    Confirm(bench.world, kBeyond);
    bench.RunFor(Milliseconds{600});
    EXPECT_EQ(bench.NextReport().cancelled_waits, 3);
    EXPECT_EQ(bench.LastReport().unconfirmed_waits, 0);
}

}  // namespace
}  // namespace pgaf::worker
