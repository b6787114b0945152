#include "group_builder.hpp"

/// Groups of three and four nodes: who is promoted when the primary is gone, and who is not.
namespace pgaf::core::test {
namespace {

using enum NodeState;

TEST(Election, AllStandbysStopReceivingBeforeOneIsPromoted) {
    GroupView view = Steady(3);
    KillPrimary(view);
    const Decision begun = Advance(view);
    EXPECT_EQ(begun.assignments.front().rule, "primary_lost_election");
    EXPECT_EQ(view.Find(kA)->goal, kDemoteTimeout);
    EXPECT_EQ(view.Find(kB)->goal, kReportLsn);
    EXPECT_EQ(view.Find(kC)->goal, kReportLsn);
    ReachSealed(view, kB);
    EXPECT_TRUE(Decide(view).IsEmpty()) << "with ANY 1 of 2 either may hold the last commit";
    ReachSealed(view, kC, Lsn{0x3000100});
    const Decision elected = Advance(view);
    EXPECT_EQ(view.Find(kC)->goal, kPreparePromotion) << elected.assignments.front().reason;
    EXPECT_EQ(view.Find(kB)->goal, kReportLsn);
    ReachSealed(view, kC);
    Advance(view);
    EXPECT_EQ(view.Find(kC)->goal, kWaitPrimary);
    EXPECT_EQ(view.Find(kA)->goal, kDemoted);
    EXPECT_EQ(view.Find(kB)->goal, kJoinSecondary);
    EXPECT_EQ(view.primary, kC);
    EXPECT_EQ(view.term, 1);
}

// S23: the preferred standby lags behind another one.
TEST(Election, HigherPriorityFetchesWhatItLacks) {
    GroupView view = Steady(3);
    view.Find(kB)->candidate_priority = 90;
    KillPrimary(view);
    Advance(view);
    ReachSealed(view, kB, Lsn{0x3000000});
    ReachSealed(view, kC, Lsn{0x3000200});
    Advance(view);
    EXPECT_EQ(view.Find(kB)->goal, kFastForward);
    const Reply reply = BuildReply(view, kB, KeeperHolder::kWorker);
    EXPECT_EQ(reply.upstream, kC) << "never itself, never the old primary";
    EXPECT_EQ(reply.target_lsn, Lsn{0x3000200});
    ReachSealed(view, kB, Lsn{0x3000200});
    Advance(view);
    EXPECT_EQ(view.Find(kB)->goal, kPreparePromotion);
    ReachSealed(view, kB);
    Advance(view);
    EXPECT_EQ(view.Find(kB)->goal, kWaitPrimary);
}

// S23: the source dies while the winner still lacks WAL.
TEST(Election, LostSourceRestartsTheElection) {
    GroupView view = Steady(3, 2);
    view.Find(kB)->candidate_priority = 90;
    KillPrimary(view);
    Advance(view);
    ReachSealed(view, kB, Lsn{0x3000000});
    ReachSealed(view, kC, Lsn{0x3000200});
    Advance(view);
    ASSERT_EQ(view.Find(kB)->goal, kFastForward);
    LoseProcess(*view.Find(kC));
    view.Find(kB)->report.goal_version = view.Find(kB)->goal_version;
    EXPECT_EQ(Advance(view).assignments.front().rule, "source_lost");
    EXPECT_EQ(view.target_lsn, Lsn{});
    // With ANY 2 of 2 every commit is on each of them: what c has more was never acknowledged.
    ReachSealed(view, kB);
    Advance(view);
    EXPECT_EQ(view.Find(kB)->goal, kPreparePromotion);
}

TEST(Election, PriorityZeroIsNeverPromoted) {
    GroupView view = Steady(3);
    view.Find(kB)->candidate_priority = 0;
    KillPrimary(view);
    Advance(view);
    ReachSealed(view, kB, Lsn{0x3000200});
    ReachSealed(view, kC, Lsn{0x3000100});
    Advance(view);
    EXPECT_EQ(view.Find(kC)->goal, kFastForward) << "b holds more, and gives it";
    EXPECT_EQ(view.Find(kB)->goal, kReportLsn);
}

// Seen in a test run: who asked right after two nodes had died was told to wait for a secondary.
TEST(Override, WhoAsksBeforeTheDeathIsKnownIsToldToAskAgain) {
    GroupView view = Steady(3);
    LoseProcess(*view.Find(kC));
    const auto alive = RequestFailover(view, {.preferred = kB});
    ASSERT_FALSE(alive.has_value());
    EXPECT_EQ(alive.error().hint.find("--allow-data-loss"), std::string::npos)
        << "the primary serves: nobody needs to lose anything";
    const auto expect_doubt = [](const GroupView &now, const char *why) {
        const auto refused = RequestFailover(now);
        ASSERT_FALSE(refused.has_value()) << why;
        EXPECT_NE(refused.error().detail.find("node 1 \"a\" may be gone"), std::string::npos)
            << why;
        EXPECT_NE(refused.error().hint.find("Ask again"), std::string::npos) << why;
        EXPECT_NE(refused.error().hint.find("--allow-data-loss"), std::string::npos) << why;
        EXPECT_FALSE(RequestFailover(now, {.allow_data_loss = true}).has_value()) << why;
    };
    GroupView lost = view;
    lost.Find(kA)->session = SessionFact::kLost;
    expect_doubt(lost, "its session has ended, and its port has not answered yet");
    GroupView late = view;
    late.Find(kA)->report_age = Milliseconds{1500};
    expect_doubt(late, "reports are missing");
    std::erase_if(lost.Find(kA)->report.standbys,
                  [](const StandbyFact &fact) { return fact.node == kC; });
    Advance(lost);  // c leaves the set: the primary is told to use another one
    ASSERT_EQ(lost.Find(kA)->goal, kApplySettings);
    expect_doubt(lost, "and what it was told last does not matter");
}

// A standby reports only every half a second: its last word may be older than the death.
TEST(Override, FencedPrimaryNeedsNoWordOfAStandby) {
    GroupView view = Steady(3);
    LoseProcess(*view.Find(kC));
    LoseProcess(*view.Find(kA));
    const auto heard = RequestFailover(view, {.allow_data_loss = true});
    ASSERT_FALSE(heard.has_value());
    EXPECT_NE(heard.error().hint.find("Ask again"), std::string::npos);
    EXPECT_NE(heard.error().detail.find("hears it"), std::string::npos);
    view.Find(kA)->proved_fenced = true;
    EXPECT_TRUE(RequestFailover(view, {.allow_data_loss = true}).has_value());
}

// S16, S19: with the primary and a member of the quorum gone nobody knows the last commit.
TEST(Election, DoubleFailureIsBlockedAndSaysWhy) {
    GroupView view = Steady(3);
    KillPrimary(view);
    LoseProcess(*view.Find(kC));
    const Decision decision = Decide(view);
    EXPECT_TRUE(decision.assignments.empty());
    EXPECT_NE(decision.blocked.find("missing: node 3 \"c\""), std::string::npos)
        << decision.blocked;
    // The node's return unblocks.
    GroupView back = view;
    back.Find(kC)->session = SessionFact::kConnected;
    back.Find(kC)->probe = ProbeFact::kAlive;
    EXPECT_EQ(GoalAfter(back, kB), kReportLsn);
    // So does the operator.
    const auto forced = RequestFailover(view, {.allow_data_loss = true});
    ASSERT_TRUE(forced.has_value());
    EXPECT_NE(forced->assignments.front().reason.find("c\""), std::string::npos);
    Apply(*forced, view);
    ReachSealed(view, kB);
    Advance(view);
    EXPECT_EQ(view.Find(kB)->goal, kPreparePromotion);
    ReachSealed(view, kB);
    Advance(view);
    EXPECT_EQ(view.Find(kB)->goal, kWaitPrimary);
    EXPECT_FALSE(view.accepts_data_loss) << "accepted once, not for ever";
}

// With ANY 2 of 3 one missing member does not matter: two of three hold every commit.
TEST(Election, QuorumSufficesWithoutEverybody) {
    GroupView view = Steady(4, 2);
    KillPrimary(view);
    LoseProcess(*view.Find(kD));
    Advance(view);
    EXPECT_EQ(view.Find(kD)->goal, kSecondary);
    ReachSealed(view, kB);
    ReachSealed(view, kC);
    Advance(view);
    EXPECT_EQ(view.Find(kB)->goal, kPreparePromotion);
}

// S13: of P, S1, S2 with ANY 1 the stale S2 comes back alone.
TEST(Election, StaleNodeAloneIsNotPromoted) {
    GroupView view = Steady(3);
    view.sync.goal = view.sync.confirmed = {1, {kB}};
    view.Find(kC)->goal = kCatchingup;
    Reach(view, kC);
    KillPrimary(view);
    LoseProcess(*view.Find(kB));
    EXPECT_TRUE(Decide(view).assignments.empty());
    EXPECT_NE(Decide(view).blocked, "");
}

// S14: an unconfirmed smaller set must not be believed.
TEST(Election, EverySetInDoubtMustBeCovered) {
    GroupView view = Steady(3);
    ReplaceGoal(view.sync, {1, {kB}});
    KillPrimary(view);
    LoseProcess(*view.Find(kC));
    EXPECT_TRUE(Decide(view).assignments.empty());
    ConfirmGoal(view.sync);
    EXPECT_EQ(GoalAfter(view, kB), kReportLsn);
}

// Proof of sealing counts for the goal under which it was given.
TEST(Election, SealOfAnEarlierGoalProvesNothing) {
    GroupView view = Steady(3);
    KillPrimary(view);
    Advance(view);
    ReachSealed(view, kB);
    ReachSealed(view, kC);
    // Told to follow again, and then to stop again, before it reported.
    view.Find(kC)->goal_version += 2;
    EXPECT_TRUE(Decide(view).IsEmpty());
    ReachSealed(view, kC);
    EXPECT_FALSE(Decide(view).IsEmpty());
}

// S24: a standby of another history does not win, whatever its timeline's number or its position.
TEST(Election, DivergedStandbyIsNotCounted) {
    GroupView view = Steady(3, 2);
    view.timeline = 3;
    for (NodeView &node : view.nodes) {
        node.report.timeline = 3;
        node.report.history = {{1, Lsn{0x2000000}}};
    }
    KillPrimary(view);
    Advance(view);
    view.Find(kC)->report.timeline = 2;
    view.Find(kC)->report.history = {{1, Lsn{0x2500000}}};
    ReachSealed(view, kC, Lsn{0x9000000});
    ReachSealed(view, kB);
    Advance(view);
    EXPECT_EQ(view.Find(kB)->goal, kPreparePromotion);
    // The operator knows better.
    view.Find(kB)->goal = kReportLsn;
    Reach(view, kB);
    view.target_lsn = {};
    view.accepted_timeline = 2;
    EXPECT_EQ(GoalAfter(view, kC), kPreparePromotion);
}

/// c was promoted by hand at `parting`, was stopped, and has joined the election as a standby.
GroupView PromotedByHand(Lsn end_of_b, Lsn parting) {
    GroupView view = Steady(3);
    KillPrimary(view);
    NodeView &c = *view.Find(kC);
    c.reported = c.report.state = kDemoted;
    c.report.holder = KeeperHolder::kSupervisor;
    c.report.pg_running = c.report.in_recovery = false;
    c.report.timeline = 2;
    c.report.history = {{1, parting}};
    c.report.lsn = parting;
    Advance(view);
    EXPECT_EQ(view.Find(kC)->goal, kReportLsn);
    c.report.holder = KeeperHolder::kWorker;
    c.report.pg_running = c.report.in_recovery = true;
    ReachSealed(view, kB, end_of_b);
    ReachSealed(view, kC, Lsn{parting.value + 0x1000});
    return view;
}

TEST(Election, WhoWasPromotedByHandTellsWhatItHadConfirmed) {
    GroupView view = PromotedByHand(Lsn{0x4000000}, Lsn{0x3000000});
    // Its own end is beyond that of b, and nobody was told of what is there.
    view.Find(kC)->report.lsn = Lsn{0x5000000};
    Advance(view);
    EXPECT_EQ(view.Find(kB)->goal, kPreparePromotion);
    EXPECT_EQ(view.target_lsn, Lsn{0x4000000});
}

TEST(Election, WhoWasPromotedByHandWinsWithMore) {
    GroupView view = PromotedByHand(Lsn{0x3000000}, Lsn{0x4000000});
    Advance(view);
    EXPECT_EQ(view.Find(kC)->goal, kPreparePromotion);
}

TEST(Election, WhoWasPromotedByHandTellsNothingBeforeItsHistoryIsKnown) {
    GroupView view = PromotedByHand(Lsn{0x3000000}, Lsn{0x4000000});
    view.Find(kC)->report.history.clear();
    EXPECT_FALSE(IsBeingPromoted(GoalAfter(view, kB)));
}

/// b has taken over from a, which is stopped, and is lost before a has followed it.
GroupView LostBeforeAnybodyFollowed() {
    GroupView view = Steady();
    view.number_sync_standbys = 1;
    NodeView &a = *view.Find(kA);
    NodeView &b = *view.Find(kB);
    a.reported = a.goal = a.report.state = kDemoted;
    a.report.holder = KeeperHolder::kSupervisor;
    a.report.pg_running = false;
    b.reported = b.goal = b.report.state = kWaitPrimary;
    b.report.in_recovery = false;
    view.primary = kB;
    view.sync.goal = view.sync.confirmed = {1, {kA}};
    b.report.holder = KeeperHolder::kSupervisor;
    b.report.pg_running = false;
    b.report.fenced = b.proved_fenced = true;
    return view;
}

TEST(Election, AFormerPrimaryThatHoldsEverythingReturns) {
    GroupView view = LostBeforeAnybodyFollowed();
    Advance(view);
    EXPECT_EQ(view.Find(kA)->goal, kPreparePromotion);
}

TEST(Election, NotWithAnIncompleteCopyNorWhereNothingIsConfirmed) {
    GroupView view = LostBeforeAnybodyFollowed();
    view.Find(kA)->report.timeline = 0;
    EXPECT_EQ(GoalAfter(view, kA), kDemoted);
    view = LostBeforeAnybodyFollowed();
    view.sync.goal = view.sync.confirmed = {};
    view.Find(kA)->replication_quorum = false;
    view.timeline = 2;
    EXPECT_EQ(GoalAfter(view, kA), kDemoted);
}

TEST(Election, WhoIsSetBackBeforeItWasChosenIsNoPrimary) {
    GroupView view = LostBeforeAnybodyFollowed();
    NodeView &b = *view.Find(kB);
    b.reported = b.report.state = kSecondary;
    b.report.holder = KeeperHolder::kWorker;
    b.report.pg_running = b.report.in_recovery = true;
    const Decision decision = Advance(view);
    EXPECT_EQ(view.Find(kB)->goal, kReportLsn);
    EXPECT_EQ(decision.primary, NodeId{});
    EXPECT_EQ(view.Find(kA)->goal, kReportLsn);
}

TEST(Election, StandbyThatReportsButIsNotThereYetIsWaitedForALittle) {
    GroupView view = Steady(4, 2);
    view.Find(kD)->candidate_priority = 90;
    KillPrimary(view);
    Advance(view);
    ReachSealed(view, kB);
    ReachSealed(view, kC);
    const Decision waiting = Decide(view);
    EXPECT_TRUE(waiting.IsEmpty());
    EXPECT_LE(waiting.again_in, Milliseconds{501});
    for (NodeView &node : view.nodes)
        node.goal_age = Milliseconds{501};
    Advance(view);
    EXPECT_EQ(view.Find(kB)->goal, kPreparePromotion);
}

// S47: the candidate dies before it is promoted.
TEST(Election, LostCandidateIsReplaced) {
    GroupView view = Steady(4, 2);
    KillPrimary(view);
    Advance(view);
    for (const NodeId id : {kB, kC, kD})
        ReachSealed(view, id);
    Advance(view);
    ASSERT_EQ(view.Find(kB)->goal, kPreparePromotion);
    LoseProcess(*view.Find(kB));
    Advance(view);
    EXPECT_EQ(view.Find(kB)->goal, kReportLsn);
    EXPECT_EQ(view.Find(kC)->goal, kPreparePromotion);
}

// S47: a standby that was away during the election joins it, or follows its winner.
TEST(Election, LatecomersJoinOrFollow) {
    GroupView view = Steady(4, 2);
    KillPrimary(view);
    LoseProcess(*view.Find(kD));
    Advance(view);
    GroupView during = view;
    during.Find(kD)->session = SessionFact::kConnected;
    during.Find(kD)->probe = ProbeFact::kAlive;
    EXPECT_EQ(GoalAfter(during, kD), kReportLsn);
    ReachSealed(view, kB);
    ReachSealed(view, kC);
    Advance(view);
    ReachSealed(view, kB);
    Advance(view);
    Reach(view, kB);
    view.Find(kB)->report.in_recovery = false;
    Advance(view);
    EXPECT_EQ(view.Find(kC)->goal, kCatchingup);
}

// S19: the old primary comes back before its standbys could elect anybody.
TEST(Election, OldPrimaryGoesOnWhenTheElectionCannotEnd) {
    GroupView view = Steady(3);
    KillPrimary(view);
    Advance(view);
    ReachSealed(view, kB);
    Silence(*view.Find(kC), Milliseconds{5000});
    NodeView *old = view.Find(kA);
    old->session = SessionFact::kConnected;
    old->probe = ProbeFact::kAlive;
    old->reported = old->report.state = kDemoteTimeout;
    old->report.holder = KeeperHolder::kSupervisor;
    old->report.pg_running = false;
    old->report.fenced = old->proved_fenced = true;
    Advance(view);
    EXPECT_EQ(view.Find(kA)->goal, kPrimary);
    EXPECT_EQ(view.Find(kB)->goal, kJoinSecondary) << "it follows when the primary is there";
    ReachSealed(view, kB);
    Reach(view, kA);
    old = view.Find(kA);
    old->report.holder = KeeperHolder::kWorker;
    old->report.pg_running = true;
    old->report.standbys.clear();
    Advance(view);
    EXPECT_EQ(view.Find(kB)->goal, kCatchingup);
}

TEST(Election, SwitchoverGoesToThePreferredStandby) {
    GroupView view = Steady(3);
    Apply(*RequestFailover(view, {.preferred = kC}), view);
    EXPECT_EQ(view.Find(kA)->goal, kDraining);
    Reach(view, kA);
    view.Find(kA)->report.fenced = view.Find(kA)->proved_fenced = true;
    view.Find(kA)->report.sealed_lsn = Lsn{0x4000000};
    view.Find(kA)->lease_left = Milliseconds{0};
    Advance(view);
    EXPECT_EQ(view.Find(kC)->goal, kPreparePromotion);
    EXPECT_EQ(view.Find(kB)->goal, kSecondary) << "the others need not stop: the end is known";
    ReachSealed(view, kC, Lsn{0x4000000});
    Advance(view);
    EXPECT_EQ(view.Find(kC)->goal, kWaitPrimary);
    EXPECT_FALSE(view.preferred.IsValid());
}

// S47 for switchovers: the candidate never gets the last bytes.
TEST(Election, SwitchoverFindsAnotherCandidate) {
    GroupView view = Steady(3);
    Apply(*RequestFailover(view, {.preferred = kC}), view);
    Reach(view, kA);
    view.Find(kA)->report.fenced = view.Find(kA)->proved_fenced = true;
    view.Find(kA)->report.sealed_lsn = Lsn{0x4000000};
    Advance(view);
    view.Find(kC)->goal_age = Milliseconds{3001};
    Advance(view);
    EXPECT_EQ(view.Find(kC)->goal, kReportLsn);
    EXPECT_EQ(view.Find(kB)->goal, kReportLsn);
    ReachSealed(view, kB, Lsn{0x4000000});
    ReachSealed(view, kC);
    Advance(view);
    EXPECT_EQ(view.Find(kC)->goal, kFastForward) << "still the preferred one, from b";
}

// S5: a primary that is cut off may still write; only its end, or the operator's word, allows
// another.
TEST(Override, DataLossIsRefusedWhileTheOldPrimaryMayWrite) {
    GroupView view = Steady(3);
    EXPECT_EQ(RequestFailover(view, {.allow_data_loss = true})->assignments.front().goal, kDraining)
        << "a healthy primary hands over, and nothing is lost";
    LoseProcess(*view.Find(kC));
    Silence(*view.Find(kA), Milliseconds{3000});
    view.Find(kA)->lease_left = Milliseconds{60};
    EXPECT_FALSE(RequestFailover(view, {.allow_data_loss = true}).has_value()) << "b hears it";
    StopStream(view, kB);
    const auto unsure = RequestFailover(view, {.allow_data_loss = true});
    ASSERT_FALSE(unsure.has_value()) << "c may be with it, and extend its lease without end";
    EXPECT_NE(unsure.error().hint.find("--primary-is-off"), std::string::npos);

    GroupView alone = Steady(3);
    alone.Find(kA)->goal = kWaitPrimary;
    Reach(alone, kA);
    for (const NodeId id : {kB, kC})
        StopStream(alone, id);
    Silence(*alone.Find(kA), Milliseconds{60'000});
    alone.Find(kA)->lease_left = kNoLimit;
    const auto refused = RequestFailover(alone, {.allow_data_loss = true});
    ASSERT_FALSE(refused.has_value());
    EXPECT_NE(refused.error().hint.find("--primary-is-off"), std::string::npos);
    const auto answered = RequestFailover(alone, {.allow_data_loss = true, .primary_is_off = true});
    ASSERT_TRUE(answered.has_value());
    EXPECT_EQ(answered->known_off, kA);
}

// Found by the simulation: the primary and c are cut off together, and c's answers extend its
// lease.
TEST(Override, LeaseThatAnUnheardStandbyMayExtendIsNotTakenForExpired) {
    GroupView view = Steady(3);
    Silence(*view.Find(kA), Milliseconds{60'000});
    Silence(*view.Find(kC), Milliseconds{60'000});
    view.Find(kA)->goal = kDemoteTimeout;
    view.accepts_data_loss = true;
    view.Find(kB)->goal = kPreparePromotion;
    ReachSealed(view, kB);
    view.Find(kB)->report.receiver.stream_age = Milliseconds{60'000};
    Advance(view);
    EXPECT_EQ(view.Find(kB)->goal, kStopReplication);
    ReachSealed(view, kB);
    EXPECT_EQ(GoalAfter(view, kB), kStopReplication);
    // c has sealed too: nobody is left to extend it.
    view.Find(kC)->goal = kReportLsn;
    ReachSealed(view, kC);
    view.Find(kC)->report.receiver.stream_age = Milliseconds{60'000};
    EXPECT_EQ(GoalAfter(view, kB), kWaitPrimary);
}

// An asynchronous standby may lose what it did not get, but not more than the limit.
TEST(Election, AsynchronousByChoiceWaitsForTheLeaseAndForTheLag) {
    GroupView view = Steady(2);
    view.Find(kB)->replication_quorum = false;
    view.sync.goal = view.sync.confirmed = {};
    view.Find(kA)->report.lsn = Lsn{0x9000000};
    view.Find(kB)->report.lsn = Lsn{0x3000000};
    KillPrimary(view);
    EXPECT_TRUE(Decide(view).assignments.empty()) << "96 MB behind";
    view.Find(kB)->report.lsn = Lsn{0x8ff0000};
    EXPECT_EQ(GoalAfter(view, kB), kPreparePromotion);
}

}  // namespace
}  // namespace pgaf::core::test
