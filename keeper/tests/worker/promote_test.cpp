// Goal: a standby is promoted only with a grant, with its synchronous set in place and with the
// numbers of timelines of others reserved; a drained primary goes on only with a grant.
// Method: the keeper over fakes, in virtual time.
#include "bench.hpp"
#include "pgaf/core/plausible.hpp"
#include "worker/timelines.hpp"

namespace pgaf::worker {
namespace {

core::Reply PromoteReply() {
    core::Reply reply = Bench::GrantOf(NodeState::kWaitPrimary);
    reply.sync_version = 2;
    reply.sync_names = "";
    reply.extension.clear();
    reply.next_timeline = 5;
    return reply;
}

void BeginCandidate(Bench &bench) {
    bench.BeginStandby(NodeState::kPreparePromotion);
    bench.Seal();
    bench.RunFor(Milliseconds{1000});
    bench.world.journal.clear();
    bench.world.times.clear();
}

void EndRecovery(Bench &bench) {
    bench.world.facts.in_recovery = false;
    bench.world.facts.timeline = 5;
    bench.world.facts.receives_nothing = false;
    bench.world.facts.receiver = {};
}

TEST(Promote, AsksOnceASecondUntilRecoveryHasEnded) {
    Bench bench;
    BeginCandidate(bench);
    bench.world.monitor = PromoteReply();
    bench.NextReport();
    bench.RunFor(Milliseconds{3500});
    EXPECT_EQ(bench.world.PausesBetween("promote"), (std::vector<std::int64_t>{1000, 1000, 1000}));
    EXPECT_EQ(bench.State(), NodeState::kPreparePromotion);
    EndRecovery(bench);
    bench.Turn();
    bench.RunFor(Milliseconds{100});
    EXPECT_EQ(bench.State(), NodeState::kWaitPrimary);
    EXPECT_EQ(bench.world.Count("checkpoint"), 1);
    EXPECT_EQ(bench.world.Count("promote"), 4);
    EXPECT_EQ(bench.world.fence, Fence::kOpen);
    EXPECT_EQ(bench.NextReport().problem, "");
}

std::int64_t PromotionTerm(const Bench &bench) {
    return core::DecodeNodeRecord(bench.world.files.at(kRecordFile))->promotion_term;
}

TEST(Promote, IsOnRecordBeforeTheGateOpens) {
    Bench bench;
    BeginCandidate(bench);
    EXPECT_EQ(PromotionTerm(bench), 0);
    bench.Answer(PromoteReply());
    EXPECT_EQ(PromotionTerm(bench), 4);
    EXPECT_EQ(bench.NextReport().promotion_term, 4);
    EXPECT_EQ(bench.world.fence, Fence::kOpen);
}

TEST(Promote, AServerThatIsNotConsistentIsNotPromotedAndKeepsNothingOnRecord) {
    Bench bench;
    BeginCandidate(bench);
    bench.world.is_consistent = false;
    bench.world.monitor = PromoteReply();
    bench.NextReport();
    bench.RunFor(Milliseconds{2000});
    EXPECT_EQ(bench.world.Count("promote"), 0);
    EXPECT_EQ(bench.world.fence, Fence::kClosed);
    EXPECT_EQ(PromotionTerm(bench), 0);
    EXPECT_EQ(bench.NextReport().problem, "what PostgreSQL has replayed is not whole yet");
    EXPECT_TRUE(bench.LastReport().is_inconsistent);
    bench.world.is_consistent = true;
    bench.RunFor(Milliseconds{1000});
    EXPECT_EQ(PromotionTerm(bench), 4);
    EXPECT_EQ(bench.world.fence, Fence::kOpen);
}

TEST(Promote, NeedsAGrantAndFailsWithoutOneAfterTenSeconds) {
    Bench bench;
    BeginCandidate(bench);
    core::Reply reply = PromoteReply();
    reply.grant = GrantKind::kNone;
    bench.Answer(reply);
    bench.RunFor(Milliseconds{9999});
    EXPECT_EQ(bench.NextReport().problem, "waiting for a grant");
    bench.RunFor(Milliseconds{1});
    EXPECT_EQ(bench.NextReport().problem, "no grant came");
    EXPECT_EQ(bench.world.Count("promote"), 0);
    EXPECT_EQ(bench.world.fence, Fence::kClosed);
}

TEST(Promote, AGrantThatHasRunOutIsNone) {
    Bench bench;
    BeginCandidate(bench);
    bench.NextReport();
    bench.world.now = bench.world.now + Milliseconds{3000};
    bench.Answer(PromoteReply());
    bench.RunFor(Milliseconds{1000});
    EXPECT_EQ(bench.world.Count("promote"), 0);
    EXPECT_EQ(bench.world.fence, Fence::kClosed);
}

TEST(Promote, TheSynchronousSetIsReadBeforeThePromotion) {
    Bench bench;
    BeginCandidate(bench);
    bench.world.reload_takes = false;
    core::Reply reply = PromoteReply();
    reply.sync_names = core::ToSetting(kBothStandbys);
    bench.world.monitor = reply;
    bench.NextReport();
    bench.RunFor(Milliseconds{500});
    EXPECT_EQ(bench.world.files.at(kSyncPath), core::SyncText(reply.sync_names));
    EXPECT_EQ(bench.world.Count("promote"), 0);
    bench.world.facts.sync_names = reply.sync_names;
    bench.Turn();
    EXPECT_EQ(bench.world.Count("promote"), 1);
}

TEST(Promote, NumbersOfTimelinesThatOthersMayHaveAreReservedFirst) {
    Bench bench;
    BeginCandidate(bench);
    bench.world.files["/data/pg_wal/00000003.history"] = "one of somebody else";
    bench.world.monitor = PromoteReply();
    bench.NextReport();
    ASSERT_EQ(bench.world.Count("promote"), 1);
    EXPECT_EQ(bench.world.files.at("/data/pg_wal/00000002.history"),
              "1\t0/5000\tnumber reserved by pgautofailover\n");
    EXPECT_EQ(bench.world.files.at("/data/pg_wal/00000003.history"), "one of somebody else");
    EXPECT_TRUE(bench.world.files.contains("/data/pg_wal/00000004.history"));
    EXPECT_FALSE(bench.world.files.contains("/data/pg_wal/00000005.history"));
    EXPECT_FALSE(bench.world.files.contains("/data/pg_wal/00000001.history"));
}

TEST(Promote, IsNotAskedForWhenANumberCannotBeReserved) {
    Bench bench;
    BeginCandidate(bench);
    bench.world.unwritable = {"/data/pg_wal/00000004.history"};
    bench.world.monitor = PromoteReply();
    bench.NextReport();
    bench.RunFor(Milliseconds{2000});
    EXPECT_EQ(bench.world.Count("promote"), 0);
    EXPECT_EQ(bench.NextReport().problem, "disk full");
    EXPECT_EQ(bench.world.fence, Fence::kClosed);
}

TEST(Promote, AServerThatIsInRecoveryInAWritableStateIsPromoted) {
    Bench bench;
    bench.SetRecord(NodeState::kWaitPrimary);
    bench.MakeStandby();
    bench.Seal();
    bench.Begin();
    bench.world.monitor = PromoteReply();
    bench.NextReport();
    EXPECT_EQ(bench.world.Count("promote"), 1);
}

TEST(Promote, CrashRecoveryOfAPrimaryIsNoReasonToPromote) {
    Bench bench;
    bench.SetRecord(NodeState::kWaitPrimary);
    bench.MakeStandby();
    bench.world.facts.is_crash_recovery = true;
    bench.Begin();
    bench.world.monitor = PromoteReply();
    bench.NextReport();
    bench.RunFor(Milliseconds{2000});
    EXPECT_EQ(bench.world.Count("promote"), 0);
}

TEST(Promote, ARequestThatFailsIsRepeated) {
    Bench bench;
    BeginCandidate(bench);
    bench.world.throws = {"promote"};
    bench.world.monitor = PromoteReply();
    bench.NextReport();
    EXPECT_EQ(bench.world.Count("clean up"), 1);
    bench.world.throws.clear();
    bench.RunFor(Milliseconds{500});
    EXPECT_EQ(bench.world.Count("promote"), 2);
}

void BeginDrained(Bench &bench) {
    bench.SetRecord(NodeState::kDraining);
    bench.MakeWritable();
    bench.world.fence = Fence::kDraining;
    bench.Begin();
}

TEST(Unfence, ADrainedPrimaryGoesOnWithAGrant) {
    Bench bench;
    BeginDrained(bench);
    bench.Answer(Bench::GrantOf(NodeState::kPrimary));
    bench.RunFor(Milliseconds{100});
    EXPECT_EQ(bench.world.fence, Fence::kOpen);
    EXPECT_EQ(bench.State(), NodeState::kPrimary);
}

TEST(Unfence, WithoutAGrantItWaits) {
    Bench bench;
    BeginDrained(bench);
    bench.Answer(Bench::ReplyOf(NodeState::kPrimary));
    bench.RunFor(Milliseconds{5000});
    EXPECT_EQ(bench.world.fence, Fence::kDraining);
    EXPECT_EQ(bench.State(), NodeState::kDraining);
    EXPECT_EQ(bench.NextReport().problem, "waiting for a grant");
}

TEST(Unfence, AGrantThatHasRunOutIsNone) {
    Bench bench;
    BeginDrained(bench);
    bench.world.now = bench.world.now + Milliseconds{3000};
    bench.Answer(Bench::GrantOf(NodeState::kPrimary));
    bench.RunFor(Milliseconds{1000});
    EXPECT_EQ(bench.world.fence, Fence::kDraining);
}

TEST(Unfence, AServerInRecoveryWaitsForItsEnd) {
    Bench bench;
    BeginDrained(bench);
    bench.world.facts.in_recovery = true;
    bench.world.monitor = Bench::GrantOf(NodeState::kPrimary);
    bench.NextReport();
    bench.RunFor(Milliseconds{5000});
    EXPECT_EQ(bench.NextReport().problem, "PostgreSQL is in recovery");
    EXPECT_EQ(bench.world.fence, Fence::kDraining);
    bench.world.facts.in_recovery = false;
    bench.RunFor(Milliseconds{500});
    EXPECT_EQ(bench.world.fence, Fence::kOpen);
}

TEST(Unfence, TheSynchronousSetIsReadBeforeTheGateOpens) {
    Bench bench;
    BeginDrained(bench);
    bench.world.reload_takes = false;
    core::Reply reply = Bench::GrantOf(NodeState::kPrimary);
    reply.sync_version = 2;
    reply.sync_names = core::ToSetting({.k = 1, .members = {{3}}});
    bench.world.monitor = reply;
    bench.NextReport();
    bench.RunFor(Milliseconds{500});
    EXPECT_EQ(bench.world.fence, Fence::kDraining);
    bench.world.UseSet({.k = 1, .members = {{3}}});
    bench.RunFor(Milliseconds{500});
    EXPECT_EQ(bench.world.fence, Fence::kOpen);
}

TEST(Timelines, TooManyReservedNumbersAreRefused) {
    FakeWorld world;
    EXPECT_FALSE(
        ReserveTimelines(PortsOf(world), "/data", {2, {0x5000}, {}}, 3 + core::kReservedMost));
    EXPECT_TRUE(world.journal.empty());
    EXPECT_TRUE(
        ReserveTimelines(PortsOf(world), "/data", {2, {0x5000}, {}}, 2 + core::kReservedMost));
    EXPECT_EQ(world.journal.size(), 2U * (core::kReservedMost - 1))
        << "each is written and archived";
}

TEST(Timelines, AReservedNumberCarriesTheWholeHistory) {
    FakeWorld world;
    ASSERT_TRUE(ReserveTimelines(PortsOf(world), "/data", {2, {0x5000}, {{1, {0x3000}}}}, 4));
    EXPECT_EQ(world.files.at("/data/pg_wal/00000003.history"),
              "1\t0/3000\tbefore\n2\t0/5000\tnumber reserved by pgautofailover\n");
}

TEST(Timelines, AHistoryThatIsNotThereYetIsLookedForNowAndThen) {
    FakeWorld world;
    HistoryReader reader;
    const std::string path = "/data/pg_wal/00000002.history";
    reader.Update(world, "/data", 2, world.now);
    EXPECT_TRUE(reader.Of(2).empty());
    world.files[path] = "1\t0/3000\tx\n";
    reader.Update(world, "/data", 2, world.now + Milliseconds{499});
    EXPECT_TRUE(reader.Of(2).empty());
    reader.Update(world, "/data", 2, world.now + Milliseconds{500});
    EXPECT_EQ(reader.Of(2), (core::TimelineHistory{{1, {0x3000}}}));
    EXPECT_TRUE(reader.Of(3).empty());
    world.files[path] = "1\t0/4000\tx\n";
    reader.Update(world, "/data", 2, world.now + Milliseconds{5000});
    EXPECT_EQ(reader.Of(2), (core::TimelineHistory{{1, {0x3000}}}));
}

TEST(Timelines, TheFirstTimelineHasNoHistoryAndAnotherOneIsReadAtOnce) {
    FakeWorld world;
    HistoryReader reader;
    world.files["/data/pg_wal/00000002.history"] = "1\t0/3000\tx\n";
    reader.Update(world, "/data", 1, world.now);
    EXPECT_TRUE(reader.Of(1).empty());
    reader.Update(world, "/data", 2, world.now);
    EXPECT_EQ(reader.Of(2).size(), 1U);
    EXPECT_TRUE(reader.Of(1).empty());
}

}  // namespace
}  // namespace pgaf::worker
