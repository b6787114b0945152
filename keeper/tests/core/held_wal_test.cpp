// Goal: a node that has less than it had is recognised by its position, and never by a guess.
// Method: reports in a row.
#include "pgaf/core/held_wal.hpp"
#include "group_builder.hpp"
#include "pgaf/core/intake.hpp"

namespace pgaf::core::test {
namespace {

Report Primary(std::uint64_t lsn, std::uint64_t begun_at = 0x1000) {
    Report report;
    report.state = NodeState::kPrimary;
    report.pg_running = true;
    report.timeline = 1;
    report.lsn = {lsn};
    report.begun_at = {begun_at};
    return report;
}

Report Standby(std::uint64_t lsn, bool is_sealed = false) {
    Report report;
    report.state = NodeState::kSecondary;
    report.pg_running = report.in_recovery = true;
    report.timeline = 1;
    report.lsn = report.receiver.replay_lsn = {lsn};
    report.receiver.streaming = !is_sealed;
    report.receiver.sealed = is_sealed;
    return report;
}

TEST(HeldWal, APrimaryThatBeginsBeforeWhatOthersHaveIsBehindThem) {
    HeldWal held;
    NoteHeld(held, Primary(0x5000), {});
    NoteHeld(held, Primary(0x4800, 0x4000), Lsn{0x5000});
    EXPECT_TRUE(held.is_behind_others);
    EXPECT_EQ(held.lost_from, Lsn{0x4000});
    // What it writes later does not make up for it.
    NoteHeld(held, Primary(0x9000, 0x4000), Lsn{0x5000});
    EXPECT_TRUE(held.is_behind_others);
}

TEST(HeldWal, WhatNobodyHasIsGoneAndIsNoReasonToStop) {
    HeldWal held;
    NoteHeld(held, Primary(0x5000), {});
    NoteHeld(held, Primary(0x4800, 0x4000), Lsn{0x3000});
    EXPECT_FALSE(held.is_behind_others);
    EXPECT_FALSE(held.lost_from.IsValid());
}

TEST(HeldWal, ARestartWithEverythingIsNone) {
    HeldWal held;
    NoteHeld(held, Primary(0x5000), {});
    NoteHeld(held, Primary(0x5100, 0x5000), Lsn{0x5000});
    EXPECT_FALSE(held.is_behind_others);
}

TEST(HeldWal, AStandbyThatStreamsGetsBackWhatItHadLost) {
    HeldWal held;
    NoteHeld(held, Standby(0x5000), {});
    NoteHeld(held, Standby(0x3000, true), {});
    EXPECT_EQ(held.lost_from, Lsn{0x3000});
    EXPECT_FALSE(held.is_behind_others);
    NoteHeld(held, Standby(0x5000), {});
    EXPECT_FALSE(held.lost_from.IsValid());
}

TEST(HeldWal, PartOfARecordIsNothingThatCanBeLost) {
    HeldWal held;
    Report middle = Standby(0x5000);
    middle.lsn = {0x5800};  // received, and not a whole record
    NoteHeld(held, middle, {});
    NoteHeld(held, Standby(0x5000, true), {});
    EXPECT_FALSE(held.lost_from.IsValid());
}

// Between the end of recovery and what follows it: the primary would seem to have lost that.
TEST(HeldWal, AStandbyThatIsPromotedByHandHasNoMoreThanItSays) {
    HeldWal held;
    Report report = Standby(0x5000);
    report.receiver.replay_lsn = {0x5100};
    NoteHeld(held, report, {});
    EXPECT_EQ(held.lsn, Lsn{0x5000});
}

TEST(HeldWal, ACopyBeginsAnew) {
    HeldWal held;
    NoteHeld(held, Primary(0x5000), {});
    NoteHeld(held, Primary(0x4800, 0x4000), Lsn{0x5000});
    Report copied = Standby(0x4900);
    copied.copies = 1;
    NoteHeld(held, copied, {});
    EXPECT_FALSE(held.is_behind_others);
    EXPECT_EQ(held.lsn, Lsn{0x4900});
}

TEST(HeldWal, ASupervisorsControlFileAndAStandbyThatStillReadsSayNothing) {
    HeldWal held;
    NoteHeld(held, Standby(0x5000), {});
    Report down = Standby(0x1000);
    down.holder = KeeperHolder::kSupervisor;
    down.pg_running = false;
    NoteHeld(held, down, {});
    Report starting = Standby(0x1000);
    starting.receiver.streaming = false;
    NoteHeld(held, starting, {});
    EXPECT_FALSE(held.lost_from.IsValid());
}

TEST(HeldWal, AStandbyThatLostItsStreamSaysHowMuchItHas) {
    HeldWal held;
    NoteHeld(held, Standby(0x5000), {});
    Report cut = Standby(0x6000);
    cut.receiver.streaming = false;
    NoteHeld(held, cut, {});
    EXPECT_EQ(held.lsn, Lsn{0x6000});
}

TEST(HeldWal, OthersAreComparedButForTheLastRecordOfAnOrderlyEnd) {
    GroupView view = Steady(2);
    view.Find(kB)->held.timeline = 1;
    view.Find(kB)->held.lsn = Lsn{0x5000};
    Report report = Primary(0x6000, 0x4000);
    report.node = kA;
    EXPECT_EQ(HeldByOthers(view, report), Lsn{0x5000 - 512});
    view.Find(kB)->held.timeline = 2;
    EXPECT_FALSE(HeldByOthers(view, report).IsValid());
}

TEST(Behind, APrimaryThatIsGetsNoGrantAndItsStandbyTakesOver) {
    GroupView view = Steady(2);
    view.Find(kA)->held.lost_from = Lsn{0x2000000};
    view.Find(kA)->held.is_behind_others = true;
    EXPECT_EQ(BuildReply(view, kA, KeeperHolder::kWorker).grant, GrantKind::kNone);
    EXPECT_EQ(HealthOf(view, *view.Find(kA)), 0);
    Apply(Decide(view), view);
    EXPECT_EQ(view.Find(kB)->goal, NodeState::kPreparePromotion);
    EXPECT_EQ(view.Find(kA)->goal, NodeState::kDemoteTimeout);
    EXPECT_EQ(BuildReply(view, kB, KeeperHolder::kWorker).needed_copy, 0);
}

TEST(Stall, APrimaryWhoseWalDoesNotReachItsDiskIsReplaced) {
    GroupView view = Steady(2);
    view.Find(kA)->report.stall_age = Milliseconds{7'900};
    EXPECT_TRUE(Decide(view).assignments.empty());
    view.Find(kA)->report.stall_age = Milliseconds{8'000};
    EXPECT_EQ(HealthOf(view, *view.Find(kA)), 0);
    Apply(Decide(view), view);
    EXPECT_EQ(view.Find(kB)->goal, NodeState::kPreparePromotion);
}

TEST(Stall, WithoutASuccessorThePrimaryStays) {
    GroupView view = Steady(2);
    view.Find(kB)->candidate_priority = 0;
    view.Find(kA)->report.stall_age = Milliseconds{60'000};
    EXPECT_TRUE(Decide(view).assignments.empty());
}

void LetNobodyIn(NodeView &node, Milliseconds age) {
    node.probe = ProbeFact::kBroken;
    node.broken_age = age;
    node.broken = "a map is damaged";
}

TEST(Broken, APrimaryThatLetsNobodyInIsReplacedAndCopiedAnew) {
    GroupView view = Steady(2);
    LetNobodyIn(*view.Find(kA), Milliseconds{7'900});
    EXPECT_TRUE(Decide(view).assignments.empty());
    LetNobodyIn(*view.Find(kA), Milliseconds{8'000});
    EXPECT_EQ(HealthOf(view, *view.Find(kA)), 0);
    const Decision decision = Decide(view);
    ASSERT_FALSE(decision.assignments.empty());
    EXPECT_NE(decision.assignments.front().reason.find("lets no session in: a map is damaged"),
              std::string::npos);
    Apply(decision, view);
    EXPECT_EQ(view.Find(kB)->goal, NodeState::kPreparePromotion);

    GroupView later = Steady(2);
    LetNobodyIn(*later.Find(kB), Milliseconds{8'000});
    later.Find(kB)->goal = NodeState::kCatchingup;
    later.Find(kB)->report.copies = 3;
    const Reply reply = BuildReply(later, kB, KeeperHolder::kSupervisor);
    EXPECT_EQ(reply.needed_copy, 4);
    EXPECT_NE(reply.copy_reason.find("a map is damaged"), std::string::npos);
    EXPECT_EQ(BuildReply(later, kA, KeeperHolder::kWorker).needed_copy, 0);
}

TEST(Broken, WithoutASoundSuccessorThePrimaryStays) {
    GroupView view = Steady(2);
    LetNobodyIn(*view.Find(kA), Milliseconds{60'000});
    LetNobodyIn(*view.Find(kB), Milliseconds{60'000});
    EXPECT_TRUE(Decide(view).assignments.empty()) << "neither would do better, nor can be copied";
    GroupView single;
    single.primary = kA;
    single.nodes = {MakeNode(kA, NodeState::kSingle)};
    LetNobodyIn(single.nodes[0], Milliseconds{60'000});
    EXPECT_TRUE(Decide(single).assignments.empty());
}

TEST(Broken, AStandbyThatLetsNobodyInIsCopiedAnewAndNotHandedOverTo) {
    GroupView view = Steady(3);
    view.Find(kB)->candidate_priority = 90;
    LetNobodyIn(*view.Find(kB), Milliseconds{8'000});
    EXPECT_EQ(OutlookOf(view).candidate, kC);
    EXPECT_FALSE(IsPromotable(view, *view.Find(kB)));
    EXPECT_EQ(GoalAfter(view, kB), NodeState::kCatchingup);
    EXPECT_EQ(GoalAfter(view, kC), NodeState::kSecondary);
}

TEST(Replay, OneThatIsPausedIsChosenLastAndNotHandedOverTo) {
    GroupView view = Steady(3);
    view.Find(kB)->candidate_priority = 90;
    view.Find(kB)->report.receiver.replay_paused = true;
    EXPECT_EQ(OutlookOf(view).candidate, kC);
    EXPECT_FALSE(IsPromotable(view, *view.Find(kB)));
    const auto to_b = RequestFailover(view, {.preferred = kB});
    ASSERT_FALSE(to_b);
    EXPECT_EQ(to_b.error().code, ProblemCode::kRefused);
    EXPECT_TRUE(RequestFailover(view, {.preferred = kC}));
}

TEST(Replay, AHandOverIsRefusedWhileItsCandidateHasMuchToReplay) {
    GroupView view = Steady(2);
    ReceiverFact &receiver = view.Find(kB)->report.receiver;
    view.Find(kB)->report.lsn = view.Find(kA)->report.lsn = Lsn{0x10000000};
    Stream(view, kA, kB);
    receiver.replay_lsn = Lsn{0x10000000 - 64 * 1024 * 1024};
    EXPECT_TRUE(RequestFailover(view));
    receiver.replay_lsn = Lsn{0x10000000 - 64 * 1024 * 1024 - 1};
    EXPECT_FALSE(RequestFailover(view));
    EXPECT_FALSE(RequestMaintenance(view, kA, nullptr));
    EXPECT_FALSE(RequestRemoval(view, kA, false));
}

TEST(Stream, AReceiverThatWaitsForAStreamThatHasEndedConfirmsNothing) {
    GroupView view = Steady(2);
    view.Find(kA)->report.standbys.clear();
    view.Find(kB)->report.receiver.stream_age = Milliseconds{2'900};
    EXPECT_TRUE(Decide(view).assignments.empty());
    view.Find(kB)->report.receiver.stream_age = Milliseconds{3'000};
    Apply(Decide(view), view);
    EXPECT_EQ(view.Find(kB)->goal, NodeState::kCatchingup);
    EXPECT_EQ(view.Find(kA)->goal, NodeState::kWaitPrimary);
}

TEST(Removal, AMemberIsNotDroppedWhileThePrimaryIsAway) {
    GroupView view = Steady(3);
    view.Find(kA)->report_age = Milliseconds{60'000};
    EXPECT_FALSE(RequestRemoval(view, kB, false));
}

TEST(Settings, WhoCannotReadThemIsNoCandidateAndTakesNothingOver) {
    GroupView view = Steady();
    ASSERT_TRUE(IsPromotable(view, *view.Find(kB)));
    view.Find(kB)->report.cannot_reload = true;
    view.Find(kB)->report.problem = "postgresql.conf, line 7: syntax error";
    EXPECT_FALSE(IsPromotable(view, *view.Find(kB)));
    EXPECT_EQ(HealthOf(view, *view.Find(kB)), 0);
    const auto refused = RequestFailover(view, {.preferred = kB});
    ASSERT_FALSE(refused.has_value());
    EXPECT_NE(refused.error().detail.find("line 7"), std::string::npos);
    // One that is down is not healthy either.
    view.Find(kB)->report.pg_running = false;
    EXPECT_EQ(HealthOf(view, *view.Find(kB)), 0);
}

}  // namespace
}  // namespace pgaf::core::test
