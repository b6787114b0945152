#include "group_builder.hpp"

/// Each condition of a guard that protects acknowledged commits is needed: a mutant without it was
/// once noticed by nothing.
namespace pgaf::core::test {
namespace {

using enum NodeState;

// A firewall, a balancer or a moved address answers for a living server (F3): a lost session and a
// refused port begin the election, and prove nothing.
TEST(Guards, RefusedPortIsNoProofThatTheServerIsFenced) {
    GroupView view = Steady(3);
    view.Find(kA)->lease_left = Milliseconds{2500};
    LoseProcess(*view.Find(kA));
    StopStream(view, kB);
    StopStream(view, kC);
    std::string why;
    EXPECT_EQ(LivenessOf(view, *view.Find(kA), nullptr), Liveness::kGone);
    EXPECT_FALSE(IsProvedFenced(view, *view.Find(kA), &why)) << why;
    EXPECT_EQ(GoalAfter(view, kB), kReportLsn) << "the election does not wait";
    EXPECT_FALSE(RequestFailover(view, {.allow_data_loss = true})->term.has_value());
}

// Promoted past us: it accepts no WAL any more, whatever its walsender says (F10).
TEST(Guards, StandbyOutOfRecoveryIsLostAndStopped) {
    GroupView view = Steady();
    StopStream(view, kB);
    view.Find(kB)->report.receiver.stream_age = Milliseconds{0};
    EXPECT_EQ(GoalAfter(view, kB), kSecondary);
    view.Find(kB)->report.in_recovery = false;
    EXPECT_EQ(GoalAfter(view, kB), kDemoted);
}

// The end of the lease is a moment at which the answer changes (P3).
TEST(Guards, EndOfTheLeaseIsADeadline) {
    GroupView view = Steady();
    view.Find(kA)->silent_age = view.Find(kA)->report_age = Milliseconds{3001};
    view.Find(kA)->session = SessionFact::kNone;
    view.Find(kA)->lease_left = Milliseconds{67};
    view.Find(kB)->silent_age = Milliseconds{0};
    EXPECT_LE(Decide(view).again_in, Milliseconds{68});
}

// A standby that is down hears nothing, whatever it said when it was up.
TEST(Guards, StandbyThatIsDownDoesNotHearThePrimary) {
    GroupView view = Steady(3);
    LoseProcess(*view.Find(kA));
    StopStream(view, kB);
    ASSERT_EQ(LivenessOf(view, *view.Find(kA), nullptr), Liveness::kUnsure) << "c hears it";
    view.Find(kC)->report.pg_running = false;
    EXPECT_EQ(LivenessOf(view, *view.Find(kA), nullptr), Liveness::kGone);
}

// A supervisor that finds processes of a dead server left over says: down, and not fenced.
TEST(Guards, ReportedDeathNeedsTheSupervisorAndTheFence) {
    GroupView view = Steady();
    NodeView *a = view.Find(kA);
    a->report.pg_running = false;
    a->report.holder = KeeperHolder::kSupervisor;
    a->report.fenced = false;
    EXPECT_EQ(LivenessOf(view, *a, nullptr), Liveness::kUnsure) << "processes are left";
    EXPECT_TRUE(Decide(view).assignments.empty());
    a->report.fenced = true;
    EXPECT_EQ(LivenessOf(view, *a, nullptr), Liveness::kGone);
    a->report.holder = KeeperHolder::kWorker;
    EXPECT_EQ(LivenessOf(view, *a, nullptr), Liveness::kUnsure) << "who says so runs inside";
    a->report.holder = KeeperHolder::kSupervisor;
    a->report.pg_running = true;
    EXPECT_EQ(LivenessOf(view, *a, nullptr), Liveness::kUnsure) << "it has just started it";
}

// It was granted a lease after it had said that it is fenced: its position means nothing.
TEST(Guards, SealedPositionCountsOnlyWhileFenced) {
    GroupView view = Steady();
    Apply(*RequestFailover(view), view);
    Reach(view, kA);
    view.Find(kA)->report.sealed_lsn = Lsn{0x4000000};
    EXPECT_TRUE(Decide(view).assignments.empty());
    view.Find(kA)->proved_fenced = true;
    EXPECT_EQ(GoalAfter(view, kB), kPreparePromotion);
}

// Nobody is told that nothing is lost when that was not proved, nor the contrary.
TEST(Guards, ReasonOfAPromotionSaysWhetherItWasProved) {
    for (const bool accepts_data_loss : {false, true}) {
        GroupView view = Steady();
        KillPrimary(view);
        Advance(view);
        ReachSealed(view, kB);
        view.accepts_data_loss = accepts_data_loss;
        const std::string reason = Advance(view).assignments.front().reason;
        EXPECT_EQ(reason.find("holds every acknowledged commit") == std::string::npos,
                  accepts_data_loss)
            << reason;
        EXPECT_EQ(reason.find("may be lost") != std::string::npos, accepts_data_loss) << reason;
    }
}

// The operator decides by what he is told.
TEST(Guards, LossIsDescribedByWhoReports) {
    GroupView view = Steady(3);
    view.Find(kA)->report.lsn = Lsn{0x3000800};
    KillPrimary(view);
    LoseProcess(*view.Find(kC));
    const auto forced = RequestFailover(view, {.allow_data_loss = true});
    ASSERT_TRUE(forced.has_value());
    const std::string &reason = forced->assignments.front().reason;
    EXPECT_NE(reason.find("missing: node 3 \"c\";"), std::string::npos) << reason;
    EXPECT_NE(reason.find("the best standby, node 2 \"b\", holds 0/3000000: 2048 bytes"),
              std::string::npos)
        << reason;
}

// A server out of recovery writes: whatever it says about sealing, it is no standby.
TEST(Guards, ServerOutOfRecoveryHasNotSealed) {
    GroupView view = Steady();
    KillPrimary(view);
    Advance(view);
    ReachSealed(view, kB);
    view.Find(kB)->report.in_recovery = false;
    EXPECT_EQ(GoalAfter(view, kB), kPreparePromotion);
    view.Find(kB)->report.in_recovery = true;
    EXPECT_EQ(GoalAfter(view, kB), kWaitPrimary);
}

// From the confirmation on a standby can be promoted, or writes need none: the primary must be in
// a state in which PostgreSQL has the set.
TEST(Guards, SetIsConfirmedOnlyByAPrimaryThatUsesIt) {
    GroupView view = Steady();
    view.sync.goal_version = 6;
    Report report = view.Find(kA)->report;
    report.sync_version = 6;
    for (const NodeState state : {kWaitPrimary, kDraining, kDemoteTimeout, kSecondary}) {
        report.state = state;
        EXPECT_FALSE(ConfirmSync(view, report).has_value()) << ToString(state);
    }
    for (const NodeState state : {kPrimary, kApplySettings}) {
        report.state = state;
        EXPECT_TRUE(ConfirmSync(view, report).has_value()) << ToString(state);
    }
    view.sync.goal = {};
    report.state = kWaitPrimary;
    EXPECT_TRUE(ConfirmSync(view, report).has_value()) << "without members";
    report.state = kDraining;
    EXPECT_FALSE(ConfirmSync(view, report).has_value()) << "it is on its way out";
    report.state = kPrimary;
    report.node = kB;
    EXPECT_FALSE(ConfirmSync(view, report).has_value()) << "who is not the primary says nothing";
}

// S5: an operator who removes a primary by force must not make a second one possible.
TEST(Guards, ForceWaitsForTheLeaseOfASilentPrimary) {
    GroupView view = Steady();
    Silence(*view.Find(kA), Milliseconds{3000});
    ASSERT_GT(view.Find(kA)->lease_left, Milliseconds{0});
    const auto early = RequestRemoval(view, kA, true);
    ASSERT_FALSE(early.has_value());
    EXPECT_NE(early.error().hint.find("after the lease"), std::string::npos);
    Silence(*view.Find(kA), Milliseconds{4000});
    EXPECT_FALSE(RequestRemoval(view, kA, true).has_value()) << "b may have extended it";
    view.Find(kB)->report.receiver.stream_age = Milliseconds{4000};
    EXPECT_TRUE(RequestRemoval(view, kA, true).has_value());
}

// Who has just fallen silent may be there again in a moment, with what the election needs.
TEST(Guards, OldPrimaryIsBackOnlyWhenTheOthersAreOutOfReach) {
    GroupView view = Steady(3);
    KillPrimary(view);
    Advance(view);
    ReachSealed(view, kB);
    LoseProcess(*view.Find(kC));
    view.Find(kC)->silent_age = Milliseconds{2900};
    NodeView *a = view.Find(kA);
    *a = MakeNode(kA, kDemoteTimeout);
    a->report.pg_running = false;
    a->report.holder = KeeperHolder::kSupervisor;
    EXPECT_EQ(GoalAfter(view, kA), kDemoteTimeout);
    view.Find(kC)->silent_age = Milliseconds{3000};
    EXPECT_EQ(GoalAfter(view, kA), kPrimary);
    a->report_age = Milliseconds{3000};
    EXPECT_EQ(GoalAfter(view, kA), kDemoteTimeout) << "it must be there itself";
}

// As a member of the set it would make every write wait until it has caught up.
TEST(Guards, StandbyThatIsFarBehindHasNotCaughtUp) {
    GroupView view = Steady();
    view.Find(kA)->goal = kWaitPrimary;
    Reach(view, kA);
    view.Find(kB)->goal = kCatchingup;
    Reach(view, kB);
    view.sync.goal = view.sync.confirmed = {};
    const std::uint64_t limit = view.timeouts.enable_sync_lag_bytes;
    const Lsn at = view.Find(kB)->report.lsn;
    view.Find(kA)->report.lsn = Lsn{at.value + limit + 1};
    EXPECT_EQ(GoalAfter(view, kB), kCatchingup);
    view.Find(kA)->report.lsn = Lsn{at.value + limit};
    EXPECT_EQ(GoalAfter(view, kB), kSecondary);
}

// A session that cannot be ended must not keep the group without service for ever.
TEST(Guards, DrainThatDoesNotEndIsCalledOff) {
    GroupView view = Steady();
    Apply(*RequestFailover(view), view);
    Reach(view, kA);
    view.Find(kA)->goal_age = view.timeouts.drain;
    EXPECT_EQ(GoalAfter(view, kA), kDraining);
    view.Find(kA)->goal_age = view.timeouts.drain + Milliseconds{1};
    EXPECT_EQ(GoalAfter(view, kA), kPrimary);
    view.Find(kA)->report.pg_running = false;
    EXPECT_EQ(GoalAfter(view, kA), kDraining) << "there is nothing to go on with";
}

}  // namespace
}  // namespace pgaf::core::test
