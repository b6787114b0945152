// Goal: WAL that does not reach the disk is noticed, and WAL that lies as long as the settings let
// it is not. Method: a primary that is open, and a disk that flushes or does not.
#include "bench.hpp"

namespace pgaf::worker {
namespace {

TEST(WriteProbe, ADiskThatDoesNotAnswerIsReported) {
    Bench bench;
    bench.world.monitor = Bench::GrantOf(NodeState::kPrimary);
    bench.BeginPrimary();
    bench.world.disk_answers = false;
    bench.RunFor(Milliseconds{12'000});
    EXPECT_GE(bench.LastReport().stall_age, Milliseconds{8'000});
    EXPECT_EQ(bench.LastReport().problem, "WAL does not reach the disk");
}

TEST(WriteProbe, ADiskThatAnswersIsNot) {
    Bench bench;
    bench.world.monitor = Bench::GrantOf(NodeState::kPrimary);
    bench.BeginPrimary();
    bench.RunFor(Milliseconds{30'000});
    for (const core::Report &report : bench.world.sent)
        EXPECT_EQ(report.stall_age, Milliseconds{0});
}

TEST(WriteProbe, ALongDelayOfTheWalWriterIsNoStall) {
    Bench bench;
    bench.world.facts.flush_delay = Milliseconds{10'000};
    bench.world.monitor = Bench::GrantOf(NodeState::kPrimary);
    bench.BeginPrimary();
    bench.world.disk_answers = false;
    bench.RunFor(Milliseconds{12'500});
    EXPECT_EQ(bench.LastReport().stall_age, Milliseconds{0});
}

}  // namespace
}  // namespace pgaf::worker
