// Goal: damage that PostgreSQL has told of is in every report until the data are others, or the
// operator has asked for a restart; and the advice never gives up whole data.
#include "bench.hpp"

namespace pgaf::worker {
namespace {

const std::string kSaid = "could not read block 0 in file \"base/5/16384\"";
const std::string kNote = "/node/damage";

/// The primary is node 2; `is_promotable` speaks of node 3.
core::Reply ReplyTo(NodeState state, bool is_promotable, bool is_other_damaged) {
    core::Reply reply = core::IsWritable(state) ? Bench::GrantOf(state) : Bench::ReplyOf(state);
    if (core::IsStandby(state)) reply.upstream = {2};
    reply.peers.at(0).is_primary = core::IsStandby(state);
    for (core::Peer &peer : reply.peers) {
        peer.is_promotable = is_promotable;
        peer.is_damaged = is_other_damaged;
    }
    return reply;
}

TEST(Damage, IsReportedWithAnEventThatIsSaidUntilItWasHeard) {
    Bench bench;
    bench.BeginStandby();
    EXPECT_FALSE(bench.NextReport().is_damaged);
    bench.world.facts.damage = kSaid;
    bench.NextReport();
    EXPECT_TRUE(bench.LastReport().is_damaged);
    EXPECT_EQ(bench.LastReport().event, "damaged data were seen: " + kSaid);
    EXPECT_NE(bench.NextReport().event, "") << "nobody has answered";
    bench.Answer(ReplyTo(NodeState::kSecondary, true, false));
    EXPECT_EQ(bench.NextReport().event, "");
    EXPECT_EQ(bench.LastReport().problem,
              "damaged data were seen: " + kSaid + "; copy it anew: pg_autoctl reinit --name a");
}

TEST(Damage, TheFirstOneIsRememberedOverRestartsUntilTheDataAreOthers) {
    Bench bench;
    bench.BeginStandby();
    bench.world.facts.damage = kSaid;
    bench.NextReport();
    bench.world.facts.damage = "another one";
    bench.NextReport();
    bench.world.facts.damage.clear();
    bench.Begin();  // another server
    bench.Answer(ReplyTo(NodeState::kSecondary, true, false));
    EXPECT_TRUE(bench.NextReport().is_damaged);
    EXPECT_NE(bench.LastReport().problem.find(kSaid), std::string::npos);
    core::NodeRecord copied = bench.world.Record();
    ++copied.copies;
    bench.world.files[kRecordFile] = core::Encode(copied);
    bench.Begin();
    EXPECT_FALSE(bench.NextReport().is_damaged);
}

TEST(Damage, APrimaryHandsOverOnlyToWhoIsWhole) {
    for (const bool is_whole : {true, false}) {
        Bench bench;
        bench.BeginPrimary();
        bench.world.facts.damage = kSaid;
        bench.NextReport();
        bench.Answer(ReplyTo(NodeState::kPrimary, true, !is_whole));
        const std::string problem = bench.NextReport().problem;
        EXPECT_EQ(problem.find("perform switchover") != std::string::npos, is_whole);
        EXPECT_EQ(problem.find("reinit") != std::string::npos, is_whole);
        EXPECT_EQ(problem.find("no other node is whole") != std::string::npos, !is_whole);
        EXPECT_LT(problem.size(), 256U) << "the monitor keeps no more";
    }
}

TEST(Damage, AStandbyOfADamagedPrimaryKeepsItsData) {
    Bench bench;
    bench.BeginStandby();
    bench.world.facts.damage = kSaid;
    bench.NextReport();
    bench.Answer(ReplyTo(NodeState::kSecondary, true, true));
    EXPECT_EQ(bench.NextReport().problem.find("reinit"), std::string::npos);
}

TEST(Damage, ARestartByCommandForgetsIt) {
    Bench bench;
    bench.BeginPrimary();
    bench.world.facts.damage = kSaid;
    bench.world.facts.started_at = 77;
    bench.NextReport();
    core::Reply reply = ReplyTo(NodeState::kPrimary, true, false);
    reply.restart_of = 77;
    bench.Answer(reply);
    EXPECT_EQ(bench.world.Count("stop in order"), 1);
    EXPECT_EQ(bench.world.files.at(kNote), "");
    bench.world.facts.damage.clear();
    bench.Begin();
    EXPECT_FALSE(bench.NextReport().is_damaged);
}

TEST(Receiver, WhyNoWalArrivesIsSaidInPostgresqlsWords) {
    Bench bench;
    bench.BeginStandby();
    const std::string why = "could not connect: role \"x\" is not permitted to log in";
    bench.world.facts.receiver_error = why;
    bench.RunFor(Milliseconds{10'000});
    EXPECT_EQ(bench.NextReport().problem, "") << "it is over: WAL streams";
    bench.world.facts.receiver.streaming = false;
    bench.world.facts.receiver.pid = 0;
    bench.RunFor(Milliseconds{4000});
    EXPECT_EQ(bench.NextReport().problem, "") << "the primary may have just gone";
    bench.RunFor(Milliseconds{2000});
    EXPECT_EQ(bench.NextReport().problem, "no WAL is received: " + why);
}

TEST(Damage, IsKnownAlsoWhenTheDiskIsFull) {
    Bench bench;
    bench.BeginStandby();
    bench.world.unwritable.insert(kNote);
    bench.world.facts.damage = kSaid;
    EXPECT_TRUE(bench.NextReport().is_damaged);
    EXPECT_TRUE(bench.NextReport().is_damaged);
}

}  // namespace
}  // namespace pgaf::worker
