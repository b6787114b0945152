// Goal: every peer finds its slot and its line of pg_hba.conf, and nothing is kept for nobody.
// Method: the keeper over fakes, in virtual time.
#include "bench.hpp"

namespace pgaf::worker {
namespace {

const std::string kSlotTwo = core::StandbyName({2});
const std::string kSlotThree = core::StandbyName({3});
const std::string kSlotNine = core::StandbyName({9});

/// A primary with an answering monitor and these slots.
void BeginWith(Bench &bench, std::vector<SlotFact> slots) {
    bench.SetRecord(NodeState::kPrimary);
    bench.MakeWritable();
    bench.world.facts.slots = std::move(slots);
    bench.world.monitor = Bench::GrantOf(NodeState::kPrimary);
    bench.Begin();
    bench.RunFor(Milliseconds{10});
}

SlotFact SlotOf(const std::string &name, bool active) {
    return {.name = name, .active = active, .restart_lsn = {0x1000}};
}

TEST(Slots, EveryPeerHasOne) {
    Bench bench;
    BeginWith(bench, {});
    EXPECT_EQ(bench.world.Count("create " + kSlotTwo), 1);
    EXPECT_EQ(bench.world.Count("create " + kSlotThree), 1);
    bench.RunFor(Milliseconds{20'000});
    EXPECT_EQ(bench.world.Count("create " + kSlotTwo), 1);
    EXPECT_EQ(bench.world.Count("drop " + kSlotTwo), 0);
}

TEST(Slots, ANewPeerGetsOneAtOnceAndALostOneSoon) {
    Bench bench;
    BeginWith(bench, {});
    bench.world.monitor->peers.push_back(PeerOf(9));
    bench.NextReport();
    EXPECT_EQ(bench.world.Count("create " + kSlotNine), 1);
    bench.world.facts.slots.pop_back();
    bench.RunFor(Milliseconds{5000});
    EXPECT_EQ(bench.world.Count("create " + kSlotNine), 2);
}

TEST(Slots, OfStrangersAreDroppedOnlyWhenNobodyUsesThem) {
    Bench bench;
    BeginWith(bench, {SlotOf(kSlotTwo, true), SlotOf(kSlotThree, true), SlotOf(kSlotNine, true),
                      SlotOf("backup", false)});
    bench.RunFor(Milliseconds{10'000});
    EXPECT_EQ(bench.world.Count("drop " + kSlotNine), 0);
    bench.world.facts.slots.at(2).active = false;
    bench.RunFor(Milliseconds{5000});
    EXPECT_EQ(bench.world.Count("drop " + kSlotNine), 1);
    EXPECT_EQ(bench.world.Count("drop backup"), 0);  // not one of ours
}

TEST(Slots, OneOfAUserThatIsNearTheLimitIsAProblemWithAName) {
    Bench bench;
    bench.world.facts.slot_wal_limit = 100 << 20;
    BeginWith(bench, {SlotOf("barman", false)});
    bench.world.facts.lsn = {0x1000 + (79 << 20)};
    bench.RunFor(Milliseconds{6000});
    EXPECT_EQ(bench.LastReport().problem, "");
    bench.world.facts.lsn = {0x1000 + (80 << 20)};
    bench.RunFor(Milliseconds{6000});
    EXPECT_NE(bench.LastReport().problem.find("\"barman\""), std::string::npos);
    EXPECT_EQ(bench.world.Count("drop barman"), 0);
}

TEST(Slots, OneThatHasLostItsWalIsMadeAnew) {
    Bench bench;
    BeginWith(bench, {SlotOf(kSlotTwo, true), SlotOf(kSlotThree, false)});
    bench.world.facts.slots.at(1).restart_lsn = {};
    bench.RunFor(Milliseconds{10'000});
    EXPECT_EQ(bench.world.Count("drop " + kSlotThree), 1);
    EXPECT_EQ(bench.world.Count("create " + kSlotThree), 1);
    ASSERT_NE(bench.world.facts.FindSlot(kSlotThree), nullptr);
    EXPECT_TRUE(bench.world.facts.FindSlot(kSlotThree)->restart_lsn.IsValid());
}

TEST(Slots, AreLeftAloneUntilTheServerHasLoadedThem) {
    Bench bench;
    bench.SetRecord(NodeState::kSecondary);
    bench.world.facts.slots_ready = false;
    bench.world.monitor = Bench::ReplyOf(NodeState::kSecondary);
    bench.Begin();
    bench.RunFor(Milliseconds{10'000});
    EXPECT_EQ(bench.world.Count("create " + kSlotTwo), 0);
    bench.world.facts.slots_ready = true;
    bench.RunFor(Milliseconds{500});
    EXPECT_EQ(bench.world.Count("create " + kSlotTwo), 1);
}

TEST(Slots, TheXminOfAnAbsentStandbyIsReleasedAfterAMinuteOnAPrimary) {
    Bench bench;
    BeginWith(bench, {SlotOf(kSlotTwo, true), SlotOf(kSlotThree, false)});
    bench.world.facts.slots.at(0).holds_xmin = true;
    bench.world.facts.slots.at(1).holds_xmin = true;
    bench.RunFor(Milliseconds{59'000});
    EXPECT_EQ(bench.world.Count("release " + kSlotThree), 0);
    bench.RunFor(Milliseconds{10'000});
    EXPECT_EQ(bench.world.Count("release " + kSlotThree), 1);
    EXPECT_EQ(bench.world.Count("release " + kSlotTwo), 0);
}

TEST(Slots, AStandbyThatCameBackBeginsAnotherMinute) {
    Bench bench;
    BeginWith(bench, {SlotOf(kSlotTwo, true), SlotOf(kSlotThree, false)});
    bench.world.facts.slots.at(1).holds_xmin = true;
    bench.RunFor(Milliseconds{40'000});
    bench.world.facts.slots.at(1).active = true;
    bench.RunFor(Milliseconds{10'000});
    bench.world.facts.slots.at(1).active = false;
    bench.RunFor(Milliseconds{50'000});
    EXPECT_EQ(bench.world.Count("release " + kSlotThree), 0);
    bench.RunFor(Milliseconds{20'000});
    EXPECT_EQ(bench.world.Count("release " + kSlotThree), 1);
}

TEST(Slots, TheXminIsReleasedAtOnceOnAStandby) {
    Bench bench;
    bench.BeginStandby();
    bench.world.facts.slots.at(1).holds_xmin = true;
    bench.RunFor(Milliseconds{6000});
    EXPECT_EQ(bench.world.Count("release " + kSlotThree), 1);
}

TEST(Slots, WithoutAnXminThereIsNothingToRelease) {
    Bench bench;
    bench.BeginStandby();
    bench.RunFor(Milliseconds{6000});
    EXPECT_EQ(bench.world.Count("release " + kSlotTwo), 0);
}

TEST(Slots, AreNotTouchedWhileAStandbySealsOrFetches) {
    for (const NodeState goal : {NodeState::kReportLsn, NodeState::kFastForward}) {
        Bench bench;
        bench.BeginStandby(goal == NodeState::kReportLsn ? NodeState::kSecondary
                                                         : NodeState::kReportLsn);
        core::Reply reply = Bench::ReplyOf(goal);
        reply.upstream = {2};
        reply.target_lsn = {0x6000};
        bench.Answer(reply);
        bench.world.facts.slots.clear();
        bench.RunFor(Milliseconds{9000});
        EXPECT_EQ(bench.world.Count("create " + kSlotTwo), 0) << core::ToString(goal);
    }
}

TEST(Slots, AreMovedAlongOnAStandbyButNotBeyondWhatItHas) {
    Bench bench;
    bench.SetRecord(NodeState::kSecondary);
    bench.MakeStandby();
    bench.world.monitor = Bench::ReplyOf(NodeState::kSecondary);
    bench.world.monitor->upstream = {2};
    bench.world.monitor->peers.at(0).lsn = {0x4000};
    bench.world.monitor->peers.at(1).lsn = {0x9000};
    bench.Begin();
    EXPECT_EQ(bench.world.Count("advance " + kSlotTwo + " 0/4000"), 1);
    EXPECT_EQ(bench.world.Count("advance " + kSlotThree + " 0/5000"), 1);
    bench.world.monitor->peers.at(0).lsn = {0x3000};  // never backwards
    bench.RunFor(Milliseconds{11'000});
    EXPECT_EQ(bench.world.facts.slots.at(0).restart_lsn, Lsn{0x4000});
}

TEST(Slots, OneThatIsInUseOnAStandbyIsMovedByItsWalsender) {
    Bench bench;
    bench.SetRecord(NodeState::kSecondary);
    bench.MakeStandby();
    bench.world.facts.slots.at(1).active = true;
    bench.world.monitor = Bench::ReplyOf(NodeState::kSecondary);
    bench.Begin();
    bench.RunFor(Milliseconds{11'000});
    EXPECT_EQ(bench.world.facts.slots.at(1).restart_lsn, Lsn{0x1000});
}

TEST(Slots, OfAPrimaryAreMovedByItsWalsendersOnly) {
    Bench bench;
    BeginWith(bench, {SlotOf(kSlotTwo, false), SlotOf(kSlotThree, false)});
    bench.world.monitor->peers.at(0).lsn = {0x4000};
    bench.RunFor(Milliseconds{10'000});
    EXPECT_EQ(bench.world.facts.slots.at(0).restart_lsn, Lsn{0x1000});
}

TEST(Slots, AnOperationThatFailsIsAProblemAndTheKeeperGoesOn) {
    Bench bench;
    bench.world.throws = {"create " + kSlotThree};
    BeginWith(bench, {SlotOf(kSlotTwo, true)});
    bench.RunFor(Milliseconds{10'000});
    EXPECT_EQ(bench.world.fence, Fence::kOpen);
    EXPECT_EQ(bench.LastReport().problem, "it fails: create " + kSlotThree);
    EXPECT_GE(bench.world.Count("clean up"), 1);
    bench.world.throws.clear();
    bench.RunFor(Milliseconds{5500});
    EXPECT_EQ(bench.LastReport().problem, "");
    EXPECT_NE(bench.world.facts.FindSlot(kSlotThree), nullptr);
}

TEST(Slots, NothingIsDoneInTheUrgentPartsOfAStep) {
    Bench bench;
    bench.BeginPrimary();
    bench.world.sessions = 1;
    bench.world.monitor = Bench::GrantOf(NodeState::kDraining);
    bench.NextReport();
    ++bench.world.checkpoints_done;
    bench.Turn();
    ASSERT_EQ(bench.world.fence, Fence::kDraining);
    bench.world.facts.slots.pop_back();
    bench.RunFor(Milliseconds{4500});
    EXPECT_EQ(bench.world.Count("create " + kSlotThree), 0);
}

TEST(Slots, AreKeptDuringTheLongPartsOfAStep) {
    Bench bench;
    bench.BeginPrimary();
    bench.world.monitor = Bench::GrantOf(NodeState::kDraining);
    bench.NextReport();
    ASSERT_EQ(bench.world.Count("start checkpoint"), 1);
    bench.world.facts.slots.pop_back();
    bench.RunFor(Milliseconds{5500});
    EXPECT_EQ(bench.world.Count("create " + kSlotThree), 1);
}

TEST(Hba, GetsTheLinesOfPeersOnceAndIsReadAgain) {
    Bench bench;
    bench.world.hba_file = "/data/pg_hba.conf";
    bench.world.files[bench.world.hba_file] = "local all all trust\n";
    BeginWith(bench, {});
    const std::string text = bench.world.files.at(bench.world.hba_file);
    EXPECT_EQ(text.find("local all all trust\n"), 0U);
    EXPECT_NE(text.find("10.0.0.2"), std::string::npos);
    EXPECT_NE(text.find("10.0.0.3"), std::string::npos);
    EXPECT_EQ(bench.world.Count("reload"), 1);
    bench.RunFor(Milliseconds{20'000});
    EXPECT_EQ(bench.world.Count("write /data/pg_hba.conf"), 1);
    bench.world.monitor->peers.at(1).host = "10.0.0.33";
    bench.RunFor(Milliseconds{1000});
    EXPECT_EQ(bench.world.Count("write /data/pg_hba.conf"), 2);
    EXPECT_EQ(bench.world.Count("reload"), 2);
}

TEST(Hba, ThatCannotBeReadOrWrittenIsAProblemUntilItCan) {
    Bench bench;
    bench.world.hba_file = "/data/pg_hba.conf";
    BeginWith(bench, {});
    EXPECT_EQ(bench.NextReport().problem, "no file /data/pg_hba.conf");
    bench.world.files[bench.world.hba_file] = "";
    bench.world.unwritable = {bench.world.hba_file};
    bench.RunFor(Milliseconds{5500});
    EXPECT_EQ(bench.NextReport().problem, "disk full");
    EXPECT_EQ(bench.world.Count("reload"), 0);
    bench.world.unwritable.clear();
    bench.RunFor(Milliseconds{5500});
    EXPECT_EQ(bench.NextReport().problem, "");
    EXPECT_EQ(bench.world.Count("reload"), 1);
}

}  // namespace
}  // namespace pgaf::worker
