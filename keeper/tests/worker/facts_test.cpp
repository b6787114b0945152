// Goal: ages count from what was really heard, and a standby without its stream is noticed.
// Method: the ages alone, and the keeper over fakes.
#include "worker/facts.hpp"

#include "bench.hpp"

namespace pgaf::worker {
namespace {

ReceiverState Hearing(int pid, std::int64_t receipt, Lsn lsn) {
    return {.pid = pid,
            .stopped = false,
            .streaming = true,
            .received_lsn = lsn,
            .receipt_time = receipt,
            .host = {}};
}

constexpr BootTime kStart{1'000'000'000};
constexpr BootTime kLater = kStart + Milliseconds{100};

TEST(Ages, TheStreamIsAsOldAsTheLastMessageOfTheSameReceiver) {
    Ages ages;
    EXPECT_EQ(ages.StreamAge(kLater), Milliseconds{0});
    ages.UpdateReceiver(Hearing(5, 1, {0x100}), kStart);
    EXPECT_EQ(ages.StreamAge(kLater), Milliseconds{100});
    ages.UpdateReceiver(Hearing(5, 1, {0x100}), kLater);
    EXPECT_EQ(ages.StreamAge(kLater), Milliseconds{100});
    ages.UpdateReceiver(Hearing(5, 2, {0x100}), kLater);
    EXPECT_EQ(ages.StreamAge(kLater), Milliseconds{0});
}

TEST(Ages, AReceiverThatStartsOrEndsHasHeardNothing) {
    Ages ages;
    ages.UpdateReceiver(Hearing(5, 1, {0x100}), kStart);
    ages.UpdateReceiver(Hearing(6, 9, {0x100}), kLater);
    EXPECT_EQ(ages.StreamAge(kLater), Milliseconds{100});
    ages.UpdateReceiver({.received_lsn = {0x100}, .host = {}}, kLater);
    EXPECT_EQ(ages.StreamAge(kLater), Milliseconds{100});
    ages.UpdateReceiver({.received_lsn = {0x100}, .receipt_time = 7, .host = {}}, kLater);
    EXPECT_EQ(ages.StreamAge(kLater), Milliseconds{100});
}

TEST(Ages, NewWalWasHeardWhoeverReceivedIt) {
    Ages ages;
    ages.UpdateReceiver(Hearing(5, 1, {0x100}), kStart);
    ages.UpdateReceiver(Hearing(6, 9, {0x200}), kLater);
    EXPECT_EQ(ages.StreamAge(kLater), Milliseconds{0});
}

TEST(Ages, AStandbyHasAnsweredWhenItsReplyTimeOrItsPositionMoves) {
    Ages ages;
    ServerFacts facts;
    facts.senders.push_back(
        {.pid = 7, .node = {2}, .flush_lsn = {0x100}, .reply_time = 1, .sync_mark = {}});
    SenderFact &sender = facts.senders.at(0);
    EXPECT_EQ(ages.ReplyAge(sender, kLater), Milliseconds{0});
    ages.Update(facts, kStart);
    ages.Update(facts, kLater);
    EXPECT_EQ(ages.ReplyAge(sender, kLater), Milliseconds{100});
    sender.reply_time = 2;
    ages.Update(facts, kLater);
    EXPECT_EQ(ages.ReplyAge(sender, kLater + Milliseconds{5}), Milliseconds{5});
    sender.flush_lsn = {0x200};
    ages.Update(facts, kLater + Milliseconds{50});
    EXPECT_EQ(ages.ReplyAge(sender, kLater + Milliseconds{50}), Milliseconds{0});
}

TEST(Ages, AnotherWalsenderOfTheSameNodeBeginsAnew) {
    Ages ages;
    ServerFacts facts;
    facts.senders.push_back(
        {.pid = 7, .node = {2}, .flush_lsn = {0x100}, .reply_time = 1, .sync_mark = {}});
    ages.Update(facts, kStart);
    facts.senders.at(0).pid = 8;
    ages.Update(facts, kLater);
    EXPECT_EQ(ages.ReplyAge(facts.senders.at(0), kLater), Milliseconds{0});
    facts.senders.at(0).pid = 7;  // forgotten meanwhile
    ages.Update(facts, kLater);
    EXPECT_EQ(ages.ReplyAge(facts.senders.at(0), kLater), Milliseconds{0});
}

TEST(Marks, OnlyTheEmptyTextHasNone) {
    EXPECT_EQ(Mark(""), 0U);
    EXPECT_NE(Mark("a"), 0U);
    EXPECT_NE(Mark("a"), Mark("b"));
    EXPECT_NE(Mark("ab"), Mark("ba"));
    EXPECT_EQ(Mark("a"), 0xaf63dc4c8601ec8cU);  // FNV-1a, as published
}

TEST(Glance, SeesMessagesThatWakeNobody) {
    Bench bench;
    bench.BeginStandby();
    bench.RunFor(Milliseconds{150});  // a report, and then nothing until the next tick
    const int turns = bench.world.beats;
    for (int i = 0; i < 6; ++i) {
        ++bench.world.facts.receiver.receipt_time;
        bench.RunFor(Milliseconds{50});
    }
    EXPECT_EQ(bench.world.beats, turns);  // looks, not turns
    EXPECT_LE(bench.NextReport().receiver.stream_age, Milliseconds{50});
}

TEST(Glance, MakesATurnWhenTheStreamHasEnded) {
    Bench bench;
    bench.BeginStandby();
    bench.RunFor(Milliseconds{10});
    const int turns = bench.world.beats;
    bench.world.facts.receiver.streaming = false;
    bench.RunFor(Milliseconds{50});
    EXPECT_GT(bench.world.beats, turns);
}

TEST(StreamNote, SaysSinceWhenAStandbyHasNotHadItsStream) {
    Bench bench;
    bench.BeginStandby();
    bench.RunFor(Milliseconds{2000});
    EXPECT_EQ(bench.world.no_stream_since, BootTime{});
    bench.world.facts.receiver.streaming = false;
    const BootTime since = bench.world.now;
    bench.Turn();
    bench.RunFor(Milliseconds{5000});
    EXPECT_EQ(bench.world.no_stream_since, since);
}

TEST(StreamNote, AReceiverThatStreamsForAnInstantAgainAndAgainIsNoStream) {
    Bench bench;
    bench.BeginStandby();
    bench.RunFor(Milliseconds{2000});
    const BootTime since = bench.world.now;
    for (int i = 0; i < 20; ++i) {
        bench.world.facts.receiver.streaming = i % 2 == 1;
        bench.world.facts.receiver.pid = 60 + i;
        bench.Turn();
        bench.RunFor(Milliseconds{400});
    }
    EXPECT_EQ(bench.world.no_stream_since, since);
    bench.RunFor(Milliseconds{1000});  // the last one goes on
    EXPECT_EQ(bench.world.no_stream_since, BootTime{});
}

TEST(StreamNote, WhoeverIsNotToStreamMissesNothing) {
    const struct {
        const char *what;
        void (*make)(ServerFacts &);
    } cases[] = {
        {"a primary", [](ServerFacts &f) { f.in_recovery = false; }},
        {"crash recovery", [](ServerFacts &f) { f.is_crash_recovery = true; }},
        {"nobody to follow", [](ServerFacts &f) { f.primary_conninfo.clear(); }},
    };
    for (const auto &one : cases) {
        Bench bench;
        bench.SetRecord(NodeState::kSecondary);
        bench.MakeStandby();
        bench.world.facts.receiver.streaming = false;
        one.make(bench.world.facts);
        bench.Begin();
        bench.RunFor(Milliseconds{2000});
        EXPECT_EQ(bench.world.no_stream_since, BootTime{}) << one.what;
    }
}

}  // namespace
}  // namespace pgaf::worker
