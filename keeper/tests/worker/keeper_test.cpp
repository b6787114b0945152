// Goal: the keeper acts only with the baton and a durable record, and obeys only its own monitor's
// newest orders. Method: the keeper over fakes, in virtual time.
#include "bench.hpp"

namespace pgaf::worker {
namespace {

TEST(Baton, WithoutItNothingIsDone) {
    Bench bench;
    bench.SetRecord(NodeState::kSingle, false);
    bench.MakeWritable();
    bench.world.is_baton_busy = true;
    bench.Begin();
    bench.RunFor(Milliseconds{5000});
    EXPECT_TRUE(bench.world.journal.empty());
    EXPECT_TRUE(bench.world.sent.empty());
    EXPECT_EQ(bench.world.fence, Fence::kClosed);
    EXPECT_EQ(bench.world.Record().keeper_epoch, 10);
    EXPECT_GT(bench.world.beats, 100);  // it is alive all the same
}

TEST(Baton, IsLookedForOften) {
    Bench bench;
    bench.SetRecord(NodeState::kPrimary);
    bench.MakeWritable();
    bench.world.is_baton_busy = true;
    bench.Begin();
    bench.RunFor(Milliseconds{1000});
    bench.world.is_baton_busy = false;
    bench.RunFor(Milliseconds{20});
    EXPECT_EQ(bench.world.sent.size(), 1U);
}

TEST(Baton, TheEpochIsRaisedAndDurableBeforeTheFirstReport) {
    Bench bench;
    bench.SetRecord(NodeState::kPrimary);
    bench.MakeWritable();
    bench.world.unwritable = {kRecordFile};
    bench.Begin();
    bench.RunFor(Milliseconds{5000});
    EXPECT_TRUE(bench.world.sent.empty());
    bench.world.unwritable.clear();
    bench.RunFor(Milliseconds{500});
    ASSERT_FALSE(bench.world.sent.empty());
    EXPECT_EQ(bench.world.Record().keeper_epoch, 11);
    EXPECT_EQ(bench.world.sent.front().keeper_epoch, 11);
    EXPECT_EQ(bench.world.sent.front().sequence, 1);
}

TEST(Record, IsAwaitedAndItsFaultIsSaidOnce) {
    Bench bench;
    bench.SetRecord(NodeState::kPrimary);
    bench.MakeWritable();
    bench.world.files[kRecordFile] = "rubbish";
    bench.Begin();
    bench.RunFor(Milliseconds{10'000});
    EXPECT_TRUE(bench.world.sent.empty());
    EXPECT_EQ(bench.world.warnings.size(), 1U);
    bench.SetRecord(NodeState::kPrimary);
    bench.RunFor(Milliseconds{500});
    EXPECT_FALSE(bench.world.sent.empty());
}

TEST(Record, ANodeThatRestsRemembersThatItWrote) {
    Bench bench;
    bench.SetRecord(NodeState::kMaintenance);
    bench.MakeStandby();
    bench.Begin();
    EXPECT_FALSE(bench.world.Record().has_own_writes);
    Bench other;
    other.SetRecord(NodeState::kMaintenance);
    other.MakeWritable();
    other.Begin();
    EXPECT_TRUE(other.world.Record().has_own_writes) << "also without the monitor";
}

TEST(Record, LearnsTheSystemIdentifierOnce) {
    Bench bench;
    bench.SetRecord(NodeState::kPrimary);
    core::NodeRecord record = bench.world.Record();
    record.system_identifier = 0;
    bench.world.files[kRecordFile] = core::Encode(record);
    bench.Begin();
    EXPECT_EQ(bench.world.Record().system_identifier, 42U);

    Bench other;
    other.SetRecord(NodeState::kPrimary);
    record.system_identifier = 7;
    other.world.files[kRecordFile] = core::Encode(record);
    other.Begin();
    EXPECT_EQ(other.world.Record().system_identifier, 7U);
}

TEST(Record, ThatCannotBeWrittenKeepsTheAnswerFromHavingAnEffect) {
    Bench bench;
    bench.BeginPrimary();
    const BootTime deadline = bench.world.deadline;
    bench.RunFor(Milliseconds{600});
    bench.NextReport();
    bench.world.unwritable = {kRecordFile};
    core::Reply reply = Bench::GrantOf(NodeState::kDraining);
    reply.term = 5;
    bench.Answer(reply);
    bench.RunFor(Milliseconds{200});
    EXPECT_EQ(bench.world.deadline, deadline);
    EXPECT_EQ(bench.world.Count("start checkpoint"), 0);
    EXPECT_EQ(bench.world.Record().term, 4);
    EXPECT_EQ(bench.NextReport().problem, "disk full");
    EXPECT_EQ(bench.LastReport().term, 4);
    EXPECT_EQ(std::count(bench.world.lines.begin(), bench.world.lines.end(), "keeper: disk full"),
              1);
}

TEST(Record, TheProblemIsOverWhenItCanBeWrittenAgain) {
    Bench bench;
    bench.BeginPrimary();
    bench.world.unwritable = {kRecordFile};
    core::Reply reply = Bench::GrantOf(NodeState::kPrimary);
    reply.term = 5;
    bench.NextReport();
    bench.Answer(reply);
    ASSERT_EQ(bench.NextReport().problem, "disk full");
    bench.world.unwritable.clear();
    bench.Answer(reply);
    EXPECT_EQ(bench.NextReport().problem, "");
    EXPECT_EQ(bench.LastReport().term, 5);
}

TEST(Record, AStateThatCannotBeWrittenIsNotReached) {
    Bench bench;
    bench.BeginPrimary();
    bench.world.reload_takes = false;
    core::Reply reply = Bench::GrantOf(NodeState::kWaitPrimary);
    reply.sync_names = "";
    reply.sync_version = 2;
    bench.Answer(reply);
    bench.world.unwritable = {kRecordFile};
    bench.world.UseSet({});
    bench.RunFor(Milliseconds{2000});
    EXPECT_EQ(bench.State(), NodeState::kPrimary);
    EXPECT_EQ(bench.NextReport().state, NodeState::kPrimary);
    bench.world.unwritable.clear();
    bench.RunFor(Milliseconds{500});
    EXPECT_EQ(bench.State(), NodeState::kWaitPrimary);
}

TEST(Reply, OfAnotherNodeChangesNothing) {
    Bench bench;
    bench.BeginPrimary();
    const BootTime deadline = bench.world.deadline;
    const core::NodeRecord record = bench.world.Record();
    bench.RunFor(Milliseconds{600});
    bench.NextReport();
    core::Reply reply = Bench::GrantOf(NodeState::kDraining);
    reply.node = {9};
    reply.term = 5;
    bench.Answer(reply);
    EXPECT_EQ(bench.world.deadline, deadline);
    EXPECT_EQ(bench.world.Record(), record);
    EXPECT_TRUE(bench.world.journal.empty());
}

TEST(Reply, OfAnOlderTermChangesNothingAndIsSaidOnce) {
    Bench bench;
    bench.BeginPrimary();
    const BootTime deadline = bench.world.deadline;
    const core::NodeRecord record = bench.world.Record();
    core::Reply reply = Bench::GrantOf(NodeState::kDraining);
    reply.term = 3;
    for (int i = 0; i < 3; ++i) {
        bench.RunFor(Milliseconds{500});
        bench.NextReport();
        bench.Answer(reply);
    }
    EXPECT_EQ(bench.world.deadline, deadline);
    EXPECT_EQ(bench.world.Record(), record);
    for (const std::string &done : bench.world.journal)
        EXPECT_EQ(done, "marker") << "a monitor that has forgotten is a silent one";
    EXPECT_FALSE(bench.world.journal.empty()) << "its standbys are asked to extend the lease";
    ASSERT_EQ(bench.world.warnings.size(), 1U);
    EXPECT_NE(bench.world.warnings.front().find("term 3, set"), std::string::npos);
}

TEST(Reply, OfANewerTermIsDurableAtOnce) {
    Bench bench;
    bench.BeginPrimary();
    bench.NextReport();
    core::Reply reply = Bench::GrantOf(NodeState::kPrimary);
    reply.term = 6;
    bench.Answer(reply);
    EXPECT_EQ(bench.world.Record().term, 6);
    EXPECT_EQ(bench.NextReport().term, 6);
}

// An impostor could otherwise make the true monitor look old for ever.
TEST(Reply, ThatLeapsLeavesNothingBehind) {
    Bench bench;
    bench.BeginPrimary();
    bench.NextReport();
    const core::NodeRecord record = bench.world.Record();
    const BootTime deadline = bench.world.deadline;
    core::Reply reply = Bench::GrantOf(NodeState::kPrimary);
    reply.term = std::int64_t{1} << 61;
    bench.Answer(reply);
    EXPECT_EQ(bench.world.Record(), record);
    EXPECT_EQ(bench.world.deadline, deadline);
    ASSERT_FALSE(bench.world.lines.empty());
    EXPECT_NE(bench.world.lines.back().find("is not believed: it has term"), std::string::npos);
    bench.RunFor(Milliseconds{600});
    bench.NextReport();
    bench.Answer(Bench::GrantOf(NodeState::kPrimary));
    EXPECT_GT(bench.world.deadline, deadline) << "the true one is obeyed as before";
}

TEST(Reply, ThatIsNotUnderstoodIsAProblem) {
    Bench bench;
    bench.BeginPrimary();
    bench.NextReport();
    const std::string word = "there is no goal";
    bench.world.AnswerWith(core::Fail(core::ProblemCode::kCorrupt, word));
    bench.Turn();
    ASSERT_FALSE(bench.world.lines.empty());
    EXPECT_NE(bench.world.lines.back().find(word), std::string::npos);
    EXPECT_EQ(bench.world.fence, Fence::kOpen);
}

TEST(Reply, PeersAreRememberedAcrossRestarts) {
    Bench bench;
    bench.SetRecord(NodeState::kSingle, false);
    bench.MakeWritable();
    bench.Begin();
    EXPECT_FALSE(bench.world.Record().had_peer);
    bench.Answer(Bench::GrantOf(NodeState::kSingle));
    EXPECT_TRUE(bench.world.Record().had_peer);
}

TEST(Single, WithoutAPeerEverOpensByItself) {
    Bench bench;
    bench.SetRecord(NodeState::kSingle, false);
    bench.MakeWritable();
    bench.Begin();
    bench.RunFor(Milliseconds{60'000});
    EXPECT_EQ(bench.world.fence, Fence::kOpen);
    EXPECT_EQ(bench.world.deadline, core::kForever);
    EXPECT_EQ(bench.world.Count("stop"), 0);
    EXPECT_FALSE(bench.NextReport().lease_mode);
}

TEST(Single, ThatHasHadAPeerWaitsForAGrant) {
    Bench bench;
    bench.SetRecord(NodeState::kSingle, true);
    bench.MakeWritable();
    bench.Begin();
    bench.RunFor(Milliseconds{60'000});
    EXPECT_EQ(bench.world.fence, Fence::kClosed);
    bench.NextReport();
    core::Reply reply = Bench::ReplyOf(NodeState::kSingle);
    reply.grant = GrantKind::kUnlimited;
    bench.Answer(reply);
    EXPECT_EQ(bench.world.fence, Fence::kOpen);
    EXPECT_EQ(bench.world.deadline, core::kForever);
}

TEST(Single, OnlyThatStateOpensByItself) {
    Bench bench;
    bench.SetRecord(NodeState::kPrimary, false);
    bench.MakeWritable();
    bench.Begin();
    EXPECT_EQ(bench.world.fence, Fence::kClosed);
}

// Somebody has answered in the monitor's place, and has given a grant without a limit.
TEST(Grant, WhoMayWriteAndIsKnownAsAStandbyIsFenced) {
    Bench bench;
    bench.BeginPrimary(NodeState::kWaitPrimary);
    core::Reply reply = Bench::GrantOf(NodeState::kWaitPrimary);
    reply.grant = GrantKind::kUnlimited;
    bench.world.monitor = reply;
    bench.NextReport();
    ASSERT_EQ(bench.world.fence, Fence::kOpen);
    ASSERT_EQ(bench.world.deadline, core::kForever);
    bench.world.monitor = Bench::ReplyOf(NodeState::kSecondary);
    bench.NextReport();
    EXPECT_EQ(bench.world.fence, Fence::kClosed);
    EXPECT_EQ(bench.world.Count("terminate clients"), 1);
    EXPECT_TRUE(bench.NextReport().fenced);
    bench.RunFor(Milliseconds{5000});
    EXPECT_EQ(bench.world.fence, Fence::kClosed) << "the old grant opens it no more";
    bench.world.monitor = reply;
    bench.NextReport();
    EXPECT_EQ(bench.world.fence, Fence::kOpen) << "what it was told was a mistake";
}

TEST(Config, IsReadAgainWhenItHasChanged) {
    Bench bench;
    bench.BeginPrimary();
    bench.RunFor(Milliseconds{2000});
    EXPECT_EQ(bench.world.Count("connect host=monitor"), 0);
    core::KeeperConfig config = SomeConfig();
    config.monitor_conninfo = "host=other";
    bench.world.files[kConfigFile] = core::Encode(config).value();
    bench.RunFor(Milliseconds{1000});
    EXPECT_EQ(bench.world.Count("connect host=other"), 1);
}

TEST(Config, IsLookedAtTwiceASecondWhateverTheNumberOfTurns) {
    Bench bench;
    bench.BeginPrimary();
    core::KeeperConfig config = SomeConfig();
    config.monitor_conninfo = "host=other";
    bench.world.files[kConfigFile] = core::Encode(config).value();
    bench.RunFor(Milliseconds{499});
    bench.Turn();
    EXPECT_EQ(bench.world.Count("connect host=other"), 0);
    bench.RunFor(Milliseconds{1});
    bench.Turn();
    EXPECT_EQ(bench.world.Count("connect host=other"), 1);
}

TEST(Config, ThatCannotBeReadLeavesTheOldOneInForce) {
    Bench bench;
    bench.BeginPrimary();
    bench.world.files[kConfigFile] = "port = many\n";
    bench.RunFor(Milliseconds{5000});
    EXPECT_EQ(std::count_if(bench.world.warnings.begin(), bench.world.warnings.end(),
                            [](const std::string &text) {
                                return text.find("configuration") != std::string::npos;
                            }),
              1);
    EXPECT_EQ(bench.NextReport().formation, "default");
}

TEST(FailedIteration, IsCleanedUpAndTheStepBegunAgainLater) {
    Bench bench;
    bench.BeginPrimary();
    bench.world.monitor = Bench::GrantOf(NodeState::kDraining);
    bench.world.throws = {"start checkpoint"};
    bench.NextReport();
    EXPECT_EQ(bench.world.Count("clean up"), 1);
    bench.world.throws.clear();
    bench.RunFor(Milliseconds{499});
    EXPECT_EQ(bench.world.Count("start checkpoint"), 1);
    bench.RunFor(Milliseconds{1});
    EXPECT_EQ(bench.world.Count("start checkpoint"), 2);
}

TEST(StopServer, IsRepeatedEverySecondUntilTheServerIsGone) {
    Bench bench;
    bench.BeginPrimary();
    bench.Answer(Bench::ReplyOf(NodeState::kDemoted));
    EXPECT_EQ(bench.world.Count("stop"), 1);
    EXPECT_EQ(bench.world.fence, Fence::kClosed);
    EXPECT_EQ(bench.State(), NodeState::kDemoted);
    bench.RunFor(Milliseconds{3000});
    EXPECT_EQ(bench.world.PausesBetween("stop"), (std::vector<std::int64_t>{1000, 1000, 1000}));
}

TEST(StopServer, LeavesTheReportOfTheNewStateToTheSupervisor) {
    Bench bench;
    bench.BeginPrimary();
    bench.Answer(Bench::ReplyOf(NodeState::kDemoted));
    const std::size_t sent = bench.world.sent.size();
    bench.world.GiveUpReport();
    bench.RunFor(Milliseconds{5000});
    EXPECT_EQ(bench.world.sent.size(), sent);
}

TEST(StopServer, WaitsUntilTheNewStateIsDurableButFencesAtOnce) {
    Bench bench;
    bench.BeginPrimary();
    core::Reply reply = Bench::ReplyOf(NodeState::kDemoted);
    bench.NextReport();
    bench.Answer(Bench::GrantOf(NodeState::kPrimary));
    bench.world.unwritable = {kRecordFile};
    bench.RunFor(Milliseconds{3000});
    EXPECT_EQ(bench.world.fence, Fence::kClosed);  // the grant has run out
    bench.RunFor(Milliseconds{10'000});
    EXPECT_EQ(bench.world.Count("stop"), 0);
    bench.world.unwritable.clear();
    bench.RunFor(Milliseconds{500});
    EXPECT_EQ(bench.world.Count("stop"), 1);
    EXPECT_EQ(bench.State(), NodeState::kDemoteTimeout);
}

TEST(StopServer, AnOldPrimaryThatMustRejoinIsStoppedFirst) {
    Bench bench;
    bench.BeginPrimary();
    bench.Answer(Bench::ReplyOf(NodeState::kCatchingup));
    EXPECT_EQ(bench.State(), NodeState::kDemoted);
    EXPECT_EQ(bench.world.Count("stop"), 1);
}

TEST(StopServer, AServerThatRunsInAStoppedStateIsStopped) {
    for (const NodeState state : {NodeState::kDemoted, NodeState::kDemoteTimeout}) {
        Bench bench;
        bench.SetRecord(state);
        bench.MakeWritable();
        bench.Begin();
        bench.Answer(Bench::ReplyOf(state));
        EXPECT_EQ(bench.world.Count("stop"), 1);
        EXPECT_EQ(bench.State(), state);
    }
}

TEST(Drop, WithoutACandidateTheServerStopsAtOnce) {
    Bench bench;
    bench.BeginPrimary();
    core::Reply reply = Bench::GrantOf(NodeState::kDropped);
    for (core::Peer &peer : reply.peers)
        peer.is_promotable = false;
    bench.Answer(reply);
    EXPECT_EQ(bench.world.Count("stop"), 1);
    EXPECT_EQ(bench.State(), NodeState::kDropped);
    EXPECT_EQ(bench.world.Count("start checkpoint"), 0);
}

TEST(Drop, AStandbyStopsAtOnce) {
    Bench bench;
    bench.BeginStandby();
    bench.Answer(Bench::ReplyOf(NodeState::kDropped));
    EXPECT_EQ(bench.world.Count("stop"), 1);
    EXPECT_EQ(bench.State(), NodeState::kDropped);
}

TEST(Drop, APrimaryWithACandidateHandsOverFirst) {
    Bench bench;
    bench.BeginPrimary();
    bench.world.monitor = Bench::GrantOf(NodeState::kDropped);
    bench.NextReport();
    EXPECT_EQ(bench.world.Count("start checkpoint"), 1);
    EXPECT_EQ(bench.world.fence, Fence::kOpen);
    bench.world.facts.lsn = {0x6000};
    ++bench.world.checkpoints_done;
    bench.Turn();
    EXPECT_EQ(bench.world.fence, Fence::kDraining);
    EXPECT_EQ(bench.world.Count("stop"), 0);
    for (SenderFact &sender : bench.world.facts.senders)
        sender.flush_lsn = {0x6000};
    bench.Turn();
    bench.RunFor(Milliseconds{500});
    EXPECT_EQ(bench.world.Count("stop"), 1);
    EXPECT_EQ(bench.State(), NodeState::kDropped);
    EXPECT_EQ(bench.world.fence, Fence::kClosed);
}

TEST(Drop, DoesNotWaitForThePauseOfAnotherStep) {
    Bench bench;
    bench.BeginPrimary();
    bench.world.has_free_process = false;
    bench.world.monitor = Bench::GrantOf(NodeState::kDraining);
    bench.NextReport();
    bench.RunFor(Milliseconds{10'000});
    const int before = bench.world.Count("start checkpoint");
    bench.world.monitor = Bench::GrantOf(NodeState::kDropped);
    bench.NextReport();
    EXPECT_EQ(bench.world.Count("start checkpoint"), before + 1);
}

TEST(Drop, AHandOverThatFailsIsRepeatedAfterAPause) {
    Bench bench;
    bench.BeginPrimary();
    bench.world.has_free_process = false;
    bench.world.monitor = Bench::GrantOf(NodeState::kDropped);
    bench.NextReport();
    EXPECT_EQ(bench.NextReport().problem, "no background worker slot is free");
    bench.RunFor(Milliseconds{4000});
    EXPECT_EQ(bench.world.PausesBetween("start checkpoint"),
              (std::vector<std::int64_t>{250, 500, 1000, 2000}));
    EXPECT_EQ(bench.world.Count("stop"), 0);
    EXPECT_EQ(bench.State(), NodeState::kPrimary);
}

}  // namespace
}  // namespace pgaf::worker
