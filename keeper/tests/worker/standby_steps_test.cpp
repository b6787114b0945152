// Goal: a standby stops receiving before it says so, follows only whom it may, and gives up what
// does not come. Method: the keeper over fakes, in virtual time.
#include "bench.hpp"

namespace pgaf::worker {
namespace {

core::Reply SealReply(Lsn target) {
    core::Reply reply = Bench::ReplyOf(NodeState::kReportLsn);
    reply.target_lsn = target;
    return reply;
}

bool PointsAtNobody(const Bench &bench) {
    return core::SettingOf(bench.world.files.at(kStandbyPath), "primary_conninfo").empty();
}

TEST(Seal, WaitsForItsTargetBeforeItLeavesTheUpstream) {
    Bench bench;
    bench.BeginStandby();
    bench.Answer(SealReply({0x6000}));
    bench.world.facts.lsn = {0x5fff};
    bench.RunFor(Milliseconds{5000});
    EXPECT_FALSE(PointsAtNobody(bench));
    bench.world.facts.lsn = {0x6000};
    bench.RunFor(Milliseconds{5});
    EXPECT_TRUE(PointsAtNobody(bench));
    EXPECT_EQ(bench.world.Count("reload"), 1);
}

TEST(Seal, IsDoneOnlyWhenNothingMoreArrivesAndTheEndIsKnown) {
    Bench bench;
    bench.BeginStandby();
    bench.Answer(SealReply({}));
    EXPECT_TRUE(PointsAtNobody(bench));
    bench.RunFor(Milliseconds{1000});
    EXPECT_EQ(bench.State(), NodeState::kSecondary);
    bench.world.facts.receives_nothing = true;
    bench.Turn();
    EXPECT_EQ(bench.State(), NodeState::kSecondary);
    bench.Seal();
    bench.RunFor(Milliseconds{5});
    EXPECT_EQ(bench.State(), NodeState::kReportLsn);
    EXPECT_TRUE(bench.NextReport().receiver.sealed);
    EXPECT_EQ(bench.LastReport().problem, "");
}

TEST(Seal, BarsTheReceiverUntilTheSettingsHoldTheSame) {
    Bench bench;
    bench.BeginStandby();
    bench.world.reload_takes = false;  // another line of the files is wrong
    bench.Answer(SealReply({}));
    ASSERT_GE(bench.world.journal.size(), 2U);
    EXPECT_EQ(bench.world.journal.back(), "bar");
    EXPECT_EQ(*(bench.world.journal.end() - 2), "reload") << "the file first";
    bench.Seal();
    bench.Turn();
    bench.RunFor(Milliseconds{5});
    EXPECT_EQ(bench.State(), NodeState::kReportLsn);
    EXPECT_TRUE(bench.NextReport().receiver.sealed);
    EXPECT_TRUE(bench.world.facts.is_barred);
    bench.world.facts.primary_conninfo = "";
    bench.world.facts.has_no_upstream = true;
    bench.Turn();
    EXPECT_FALSE(bench.world.facts.is_barred);
}

TEST(Follow, ABarredReceiverIsAdmittedWhenTheStartupProcessKnowsWhomToFollow) {
    Bench bench;
    bench.BeginStandby(NodeState::kReportLsn);
    bench.Seal();
    bench.world.facts.is_barred = true;
    bench.world.reload_takes = false;
    core::Reply reply = Bench::ReplyOf(NodeState::kSecondary);
    reply.upstream = {3};
    bench.Answer(reply);
    bench.RunFor(Milliseconds{2000});
    EXPECT_EQ(bench.world.Count("admit receiver"), 0) << "the settings are not read";
    bench.world.facts.primary_conninfo = core::PrimaryConninfo(SomeConfig(), PeerOf(3));
    bench.world.facts.startup_upstream = Mark(core::UpstreamMark(PeerOf(2)));
    bench.RunFor(Milliseconds{100});
    EXPECT_EQ(bench.world.Count("admit receiver"), 0) << "the startup process is later";
    bench.world.facts.startup_upstream = Mark(core::UpstreamMark(PeerOf(3)));
    bench.world.facts.receiver.stopped = false;
    bench.RunFor(Milliseconds{100});
    EXPECT_EQ(bench.world.Count("admit receiver"), 0) << "one that was asked for before";
    bench.world.facts.receiver.stopped = true;
    bench.RunFor(Milliseconds{100});
    EXPECT_EQ(bench.world.Count("admit receiver"), 1);
}

TEST(Seal, FailsWhenTheTargetDoesNotArriveWithinTenSeconds) {
    Bench bench;
    bench.BeginStandby();
    bench.Answer(SealReply({0x6000}));
    bench.RunFor(Milliseconds{9999});
    EXPECT_EQ(bench.NextReport().problem, "");
    bench.RunFor(Milliseconds{1});
    EXPECT_EQ(bench.NextReport().problem, "the WAL of the old primary has not arrived within 10 s");
    EXPECT_EQ(bench.State(), NodeState::kSecondary);
    EXPECT_FALSE(PointsAtNobody(bench));
}

TEST(Seal, FailsWhenTheReceiverDoesNotEndWithinTenSeconds) {
    Bench bench;
    bench.BeginStandby();
    bench.Answer(SealReply({}));
    bench.RunFor(Milliseconds{9999});
    EXPECT_EQ(bench.NextReport().problem, "");
    bench.RunFor(Milliseconds{1});
    EXPECT_EQ(bench.NextReport().problem, "the WAL receiver has not ended within 10 s");
    EXPECT_EQ(bench.State(), NodeState::kSecondary);
}

TEST(Seal, AFailedStepIsRepeatedWithAGrowingBoundedPause) {
    Bench bench;
    bench.BeginStandby();
    bench.world.unwritable = {kStandbyPath};
    bench.Answer(SealReply({}));
    EXPECT_EQ(bench.NextReport().problem, "disk full");
    bench.RunFor(Milliseconds{32'000});
    EXPECT_EQ(bench.world.PausesBetween("write " + kStandbyPath),
              (std::vector<std::int64_t>{250, 500, 1000, 2000, 4000, 8000, 8000, 8000}));
}

TEST(Seal, ThePauseIsOverWhenTheMonitorWantsSomethingElse) {
    Bench bench;
    bench.BeginStandby();
    bench.world.unwritable = {kStandbyPath};
    bench.Answer(SealReply({}));
    bench.RunFor(Milliseconds{10'000});
    bench.world.unwritable.clear();
    bench.Seal();
    bench.NextReport();
    bench.Answer(Bench::ReplyOf(NodeState::kPreparePromotion));
    EXPECT_EQ(bench.State(), NodeState::kPreparePromotion);
}

TEST(Seal, AStandbyThatIsSealedAlreadyHasNothingToWrite) {
    Bench bench;
    bench.BeginStandby(NodeState::kReportLsn);
    bench.Seal();
    bench.RunFor(Milliseconds{1000});
    const int writes = bench.world.Count("write " + kStandbyPath);
    bench.NextReport();
    bench.Answer(Bench::ReplyOf(NodeState::kPreparePromotion));
    EXPECT_EQ(bench.State(), NodeState::kPreparePromotion);
    EXPECT_EQ(bench.world.Count("write " + kStandbyPath), writes);
}

TEST(Seal, AStandbyInAnElectionIsPointedAtNobodyWhateverAGivenUpStepLeft) {
    for (const NodeState state : {NodeState::kReportLsn, NodeState::kJoinSecondary,
                                  NodeState::kPreparePromotion, NodeState::kStopReplication}) {
        Bench bench;
        bench.BeginStandby(state);
        bench.RunFor(Milliseconds{1000});
        EXPECT_TRUE(PointsAtNobody(bench)) << core::ToString(state);
    }
}

TEST(Seal, AnOverriddenUpstreamIsEmptiedTwiceASecond) {
    Bench bench;
    bench.world.reload_takes = false;
    bench.BeginStandby(NodeState::kReportLsn);
    bench.RunFor(Milliseconds{10'000});
    EXPECT_NEAR(bench.world.Count("reload"), 20, 2);
}

TEST(Seal, AStandbyThatFetchesKeepsItsUpstream) {
    Bench bench;
    bench.BeginStandby(NodeState::kFastForward);
    bench.RunFor(Milliseconds{1000});
    EXPECT_FALSE(PointsAtNobody(bench));
}

core::Reply FollowReply(std::int64_t upstream) {
    core::Reply reply = Bench::ReplyOf(NodeState::kSecondary);
    reply.upstream = {upstream};
    return reply;
}

TEST(Follow, IsDoneWhenItStreamsFromTheUpstream) {
    Bench bench;
    bench.BeginStandby(NodeState::kCatchingup);
    bench.Answer(FollowReply(3));
    EXPECT_EQ(bench.world.facts.primary_conninfo, core::PrimaryConninfo(SomeConfig(), PeerOf(3)));
    bench.RunFor(Milliseconds{1000});
    EXPECT_EQ(bench.State(), NodeState::kCatchingup);  // still the old stream, of node 2
    EXPECT_EQ(bench.NextReport().problem, "not streaming from the upstream yet");
    bench.world.facts.receiver.host = "10.0.0.3";
    bench.world.facts.receiver.port = 5433;
    bench.RunFor(Milliseconds{100});
    EXPECT_EQ(bench.State(), NodeState::kCatchingup);  // another server of that host
    bench.world.facts.receiver.port = 5432;
    bench.world.facts.receiver.streaming = false;
    bench.RunFor(Milliseconds{100});
    EXPECT_EQ(bench.State(), NodeState::kCatchingup);
    bench.world.facts.receiver.streaming = true;
    bench.RunFor(Milliseconds{20});
    EXPECT_EQ(bench.State(), NodeState::kSecondary);
    EXPECT_EQ(bench.NextReport().problem, "");
}

TEST(Follow, RefusesAnUpstreamWhoseHistoryLacksWhatWeHave) {
    Bench bench;
    bench.BeginStandby(NodeState::kCatchingup);
    core::Reply reply = FollowReply(3);
    reply.peers.at(1).timeline = 2;
    reply.peers.at(1).history = {{.timeline = 1, .at = {0x4fff}}};
    bench.Answer(reply);
    bench.RunFor(Milliseconds{5000});
    EXPECT_EQ(bench.world.Count("write " + kStandbyPath), 0);
    EXPECT_EQ(bench.NextReport().problem,
              "this node is at 0/5000 of timeline 1, which node 3 on timeline 2 does not have");
    reply.peers.at(1).history = {{.timeline = 1, .at = {0x5000}}};
    bench.Answer(reply);
    bench.RunFor(Milliseconds{8000});
    EXPECT_EQ(bench.world.Count("write " + kStandbyPath), 1);
}

TEST(Follow, AnUpstreamThatIsNotAPeerIsAProblem) {
    Bench bench;
    bench.BeginStandby(NodeState::kCatchingup);
    bench.Answer(FollowReply(7));
    EXPECT_EQ(bench.NextReport().problem, "the upstream is not among the peers");
    EXPECT_EQ(bench.world.Count("write " + kStandbyPath), 0);
}

TEST(Follow, AnOverriddenSettingDoesNotMakeALoopOfReloads) {
    Bench bench;
    bench.BeginStandby(NodeState::kCatchingup);
    bench.world.reload_takes = false;
    bench.Answer(FollowReply(3));
    bench.RunFor(Milliseconds{3000});
    EXPECT_EQ(bench.world.Count("write " + kStandbyPath), 1);
    EXPECT_NEAR(bench.world.Count("reload"), 4, 1);
    for (const std::int64_t pause : bench.world.PausesBetween("reload"))
        EXPECT_NEAR(static_cast<double>(pause), 1000, 20);  // it looks now and then only
    EXPECT_EQ(bench.State(), NodeState::kCatchingup);
}

TEST(Follow, LooksFiftyTimesASecondWhetherTheStreamHasBegun) {
    Bench bench;
    bench.BeginStandby(NodeState::kCatchingup);
    bench.world.facts.receiver.streaming = false;
    bench.Answer(FollowReply(2));
    bench.RunFor(Milliseconds{200});
    const int turns = bench.world.beats;
    bench.RunFor(Milliseconds{1000});
    EXPECT_NEAR(bench.world.beats - turns, 50, 1);
}

TEST(Follow, CatchingupWithoutAnUpstreamIsReachedAtOnce) {
    Bench bench;
    bench.BeginStandby();
    bench.Answer(Bench::ReplyOf(NodeState::kCatchingup));
    EXPECT_EQ(bench.State(), NodeState::kCatchingup);
    EXPECT_EQ(bench.world.Count("write " + kStandbyPath), 0);
}

TEST(Follow, ANewUpstreamOfAStandbyIsWrittenWithoutAStep) {
    Bench bench;
    bench.BeginStandby();
    bench.Answer(FollowReply(3));
    EXPECT_EQ(bench.world.facts.primary_conninfo, core::PrimaryConninfo(SomeConfig(), PeerOf(3)));
    bench.RunFor(Milliseconds{5000});
    EXPECT_EQ(bench.world.Count("reload"), 1);
    EXPECT_EQ(bench.State(), NodeState::kSecondary);
    EXPECT_EQ(bench.NextReport().receiver.upstream, NodeId{3});
}

TEST(Follow, AnUpstreamThatIsOverriddenIsWrittenTwiceASecondAtMost) {
    Bench bench;
    bench.BeginStandby();
    bench.world.reload_takes = false;
    bench.Answer(FollowReply(3));
    bench.RunFor(Milliseconds{10'000});
    EXPECT_LE(bench.world.Count("reload"), 21);
    EXPECT_GE(bench.world.Count("reload"), 10);
    EXPECT_EQ(bench.world.Count("write " + kStandbyPath), 1);
}

TEST(Follow, AStandbyKeepsItsUpstreamWhenTheNewOneLacksWhatItHas) {
    Bench bench;
    bench.BeginStandby();
    core::Reply reply = FollowReply(3);
    reply.peers.at(1).timeline = 2;
    reply.peers.at(1).history = {{.timeline = 1, .at = {0x100}}};
    bench.world.monitor = reply;
    bench.NextReport();
    bench.RunFor(Milliseconds{5000});
    EXPECT_EQ(bench.world.Count("reload"), 0);
    EXPECT_TRUE(std::any_of(bench.world.sent.begin(), bench.world.sent.end(), [](const auto &r) {
        return r.problem.find("does not have") != std::string::npos;
    }));
}

core::Reply FetchReply() {
    core::Reply reply = Bench::ReplyOf(NodeState::kFastForward);
    reply.upstream = {3};
    reply.target_lsn = {0x6000};
    return reply;
}

void BeginSealed(Bench &bench) {
    bench.BeginStandby(NodeState::kReportLsn);
    bench.Seal();
    bench.RunFor(Milliseconds{1000});
    bench.world.journal.clear();
    bench.world.times.clear();
}

TEST(Fetch, GetsWhatIsMissingAndStopsReceivingAgain) {
    Bench bench;
    BeginSealed(bench);
    bench.Answer(FetchReply());
    EXPECT_EQ(bench.world.facts.primary_conninfo, core::PrimaryConninfo(SomeConfig(), PeerOf(3)));
    bench.world.facts.receives_nothing = false;
    bench.RunFor(Milliseconds{1000});
    EXPECT_FALSE(PointsAtNobody(bench));
    bench.world.facts.lsn = {0x6000};
    bench.RunFor(Milliseconds{5});
    EXPECT_TRUE(PointsAtNobody(bench));
    EXPECT_EQ(bench.State(), NodeState::kReportLsn);
    bench.world.facts.receives_nothing = true;
    bench.RunFor(Milliseconds{5});
    EXPECT_EQ(bench.State(), NodeState::kFastForward);
}

TEST(Fetch, WithoutASourceItSaysSoAndWaits) {
    Bench bench;
    BeginSealed(bench);
    core::Reply reply = FetchReply();
    reply.upstream = {};
    bench.Answer(reply);
    bench.RunFor(Milliseconds{5000});
    EXPECT_EQ(bench.NextReport().problem, "no standby has the missing WAL");
    EXPECT_TRUE(PointsAtNobody(bench));
    bench.Answer(FetchReply());
    bench.RunFor(Milliseconds{100});
    EXPECT_FALSE(PointsAtNobody(bench));
}

TEST(Fetch, FailsAfterAMinute) {
    Bench bench;
    BeginSealed(bench);
    bench.Answer(FetchReply());
    bench.RunFor(Milliseconds{59'999});
    EXPECT_EQ(bench.NextReport().problem, "");
    bench.RunFor(Milliseconds{1});
    EXPECT_EQ(bench.NextReport().problem, "the missing WAL has not arrived within 60 s");
    EXPECT_EQ(bench.State(), NodeState::kReportLsn);
}

TEST(Fetch, AnOverriddenSettingDoesNotMakeALoopOfReloads) {
    Bench bench;
    BeginSealed(bench);
    bench.world.reload_takes = false;
    bench.Answer(FetchReply());
    bench.RunFor(Milliseconds{3000});
    EXPECT_NEAR(bench.world.Count("reload"), 4, 1);
    for (const std::int64_t pause : bench.world.PausesBetween("reload"))
        EXPECT_NEAR(static_cast<double>(pause), 1000, 20);  // it looks now and then only
}

TEST(Fetch, RefusesASourceWhoseHistoryLacksWhatWeHave) {
    Bench bench;
    BeginSealed(bench);
    core::Reply reply = FetchReply();
    reply.peers.at(1).timeline = 2;
    reply.peers.at(1).history = {{.timeline = 1, .at = {0x100}}};
    bench.Answer(reply);
    EXPECT_TRUE(PointsAtNobody(bench));
    EXPECT_NE(bench.NextReport().problem.find("does not have"), std::string::npos);
}

TEST(Arrived, ACopyIsInPlaceOnlyWhenItsCrashRecoveryIsOver) {
    Bench bench;
    bench.SetRecord(NodeState::kDemoted);
    bench.MakeStandby();
    bench.world.facts.is_crash_recovery = true;
    bench.Begin();
    bench.Answer(Bench::ReplyOf(NodeState::kCatchingup));
    bench.RunFor(Milliseconds{5000});
    EXPECT_EQ(bench.State(), NodeState::kDemoted);
    bench.world.facts.is_crash_recovery = false;
    bench.Turn();
    EXPECT_EQ(bench.State(), NodeState::kCatchingup);
    EXPECT_EQ(bench.world.Count("stop"), 0);
}

TEST(Steps, AWayThatDoesNotExistIsAProblem) {
    Bench bench;
    bench.BeginStandby();
    bench.Answer(Bench::ReplyOf(NodeState::kDraining));
    EXPECT_EQ(bench.NextReport().problem, "there is no way from state secondary to draining");
    EXPECT_EQ(bench.State(), NodeState::kSecondary);
}

TEST(Steps, TheNewStateIsReportedAtOnceWithItsReasonInTheLog) {
    Bench bench;
    bench.BeginStandby();
    core::Reply reply = Bench::ReplyOf(NodeState::kMaintenance);
    reply.reason = "the operator asked for it";
    bench.world.monitor = reply;
    bench.NextReport();
    EXPECT_EQ(bench.LastReport().state, NodeState::kMaintenance);
    EXPECT_EQ(bench.world.lines.back(),
              "node 1 \"a\" group 0: secondary -> maintenance: the operator asked for it");
}

// What it streams is right, and what it has is damaged: only a stopped server can be copied anew.
TEST(Standby, OneThatMustBeCopiedIsStopped) {
    Bench bench;
    bench.world.monitor = Bench::ReplyOf(NodeState::kCatchingup);
    bench.world.monitor->upstream = {2};
    bench.world.monitor->needed_copy = 1;
    bench.BeginStandby();
    bench.NextReport();
    EXPECT_EQ(std::count(bench.world.journal.begin(), bench.world.journal.end(), "stop"), 0)
        << "without a reason it waits for its next state";
    bench.world.monitor->copy_reason = "PostgreSQL lets no session in on its data";
    bench.NextReport();
    bench.Turn();
    EXPECT_EQ(std::count(bench.world.journal.begin(), bench.world.journal.end(), "stop"), 1);
    EXPECT_EQ(bench.world.Record().state, NodeState::kCatchingup);
}

// Promoted by hand, or started without its signal file (F10): it must not write on.
TEST(Standby, OutOfRecoveryIsStopped) {
    Bench bench;
    bench.world.monitor = Bench::ReplyOf(NodeState::kSecondary);
    bench.world.monitor->upstream = {2};
    bench.BeginStandby();
    bench.world.facts.in_recovery = false;
    bench.Turn();
    EXPECT_EQ(std::count(bench.world.journal.begin(), bench.world.journal.end(), "stop"), 1);
    EXPECT_EQ(bench.world.fence, Fence::kClosed);
    EXPECT_EQ(bench.world.Record().state, NodeState::kDemoted) << "its data are compared first";
    EXPECT_NE(bench.world.files["/node/event"].find("although the node is a standby (secondary)"),
              std::string::npos);
}

// What it wrote may bear the number of a timeline of the group's.
TEST(OwnWrites, AreRememberedUntilTheDataWereCompared) {
    Bench bench;
    bench.BeginStandby(NodeState::kReportLsn);
    bench.world.monitor = Bench::ReplyOf(NodeState::kReportLsn);
    bench.world.facts.in_recovery = false;
    bench.NextReport();
    EXPECT_TRUE(bench.world.Record().has_own_writes);
    Bench again;
    again.BeginStandby(NodeState::kReportLsn);
    core::NodeRecord record = again.world.Record();
    record.has_own_writes = true;
    again.world.files[kRecordFile] = core::Encode(record);
    again.Begin();
    again.world.monitor = Bench::ReplyOf(NodeState::kCatchingup);
    again.NextReport();
    again.RunFor(Milliseconds{1000});
    EXPECT_EQ(again.State(), NodeState::kDemoted);
}

TEST(OwnWrites, BelongToTheGroupOnceItHasPromotedTheNode) {
    Bench bench;
    bench.SetRecord(NodeState::kPreparePromotion);
    core::NodeRecord record = bench.world.Record();
    record.has_own_writes = true;
    bench.world.files[kRecordFile] = core::Encode(record);
    bench.MakeStandby();
    bench.Begin();
    bench.Answer(Bench::GrantOf(NodeState::kWaitPrimary));
    bench.world.facts.in_recovery = false;
    bench.MakeWritable();
    bench.RunFor(Milliseconds{5000});
    EXPECT_EQ(bench.State(), NodeState::kWaitPrimary);
    EXPECT_FALSE(bench.world.Record().has_own_writes);
}

}  // namespace
}  // namespace pgaf::worker
