// Goal: the supervisor of a node decides nothing without the baton, a durable record and, where it
// could do harm, the monitor's word. Method: the machine over fakes, in virtual time.
#include <gtest/gtest.h>

#include "fake_world.hpp"

namespace pgaf::supervisor {
namespace {

using Journal = std::vector<std::string>;

TEST(Keeper, DoesNothingBeforeItHasTheBaton) {
    Bench bench;
    bench.world.is_baton_busy = true;
    bench.Begin();
    bench.RunFor(Milliseconds{10'000});
    EXPECT_EQ(bench.world.journal, Journal{"kill leftovers"});
    bench.world.is_baton_busy = false;
    bench.RunFor(Milliseconds{20});
    EXPECT_TRUE(bench.world.is_running);
}

TEST(Keeper, ItsEpochIsDurableBeforeTheFirstReport) {
    Bench bench;
    bench.world.disk.state = NodeState::kPrimary;
    bench.Begin();
    EXPECT_EQ(bench.world.journal, (Journal{"kill leftovers", "take baton", "save", "send"}));
    EXPECT_EQ(bench.world.disk.keeper_epoch, 11);
    EXPECT_EQ(bench.world.sent.at(0).report.keeper_epoch, 11);
}

TEST(Keeper, WithoutADurableEpochItGivesTheBatonBackAndTriesAgain) {
    Bench bench;
    bench.world.is_disk_full = true;
    bench.Begin();
    bench.RunFor(Milliseconds{900});
    EXPECT_EQ(bench.world.journal, (Journal{"kill leftovers", "take baton", "release baton"}));
    bench.world.is_disk_full = false;
    bench.RunFor(Milliseconds{200});
    bench.MonitorIsAway();
    EXPECT_EQ(bench.world.disk.keeper_epoch, 11);
    EXPECT_TRUE(bench.world.is_running);
}

TEST(Keeper, APrimaryIsNotStartedWithoutTheMonitorsWord) {
    Bench bench;
    bench.world.disk.state = NodeState::kPrimary;
    bench.world.disk.had_peer = true;
    bench.Begin();
    bench.RunFor(Milliseconds{600'000});
    EXPECT_TRUE(bench.world.starts.empty());
    bench.Answer(NodeState::kPrimary);
    EXPECT_TRUE(bench.world.is_running);
}

// The answer says whether this node is a copy of another one.
TEST(Keeper, TheFirstStartWaitsForTheMonitorAndNotForEver) {
    Bench bench;
    bench.Begin();
    bench.RunFor(Milliseconds{2900});
    EXPECT_FALSE(bench.world.is_running);
    bench.RunFor(Milliseconds{200});
    EXPECT_TRUE(bench.world.is_running);
}

// A promotion that was killed has removed the file.
TEST(Keeper, TheRoleIsOnTheDiskBeforeAnybodyElseCanStartAServer) {
    Bench bench;
    bench.world.disk.state = NodeState::kPreparePromotion;
    bench.Begin();
    EXPECT_EQ(bench.world.kept_role, NodeState::kPreparePromotion);
    EXPECT_FALSE(bench.world.is_running);
}

TEST(Keeper, ACopyOfANodeThatLivesWaits) {
    Bench bench;
    bench.world.disk.state = NodeState::kPrimary;
    bench.Begin();
    core::Reply reply;
    reply.node = bench.world.disk.node;
    reply.refusal = core::Refusal::kSecondInstance;
    reply.reason = "was heard less than 5 s ago";
    bench.Loop().OnReply(reply, bench.world.sent.back().tag);
    bench.RunFor(Milliseconds{600'000});
    EXPECT_FALSE(bench.world.is_running);
    const std::string said = bench.world.sent.back().report.problem;
    EXPECT_NE(said.find("was heard less than 5 s ago: this one waits"), std::string::npos);
    EXPECT_NE(said.find("are a copy"), std::string::npos);
    bench.Answer(NodeState::kPrimary);
    EXPECT_TRUE(bench.world.is_running);
}

TEST(Keeper, ANodeFromAnOldDiskTakesANewEpochAndIsNoPrimary) {
    Bench bench;
    bench.world.disk.state = NodeState::kPrimary;
    bench.Begin();
    core::Reply reply;
    reply.node = bench.world.disk.node;
    reply.refusal = core::Refusal::kOldMemory;
    reply.known_epoch = 40;
    bench.Loop().OnReply(reply, bench.world.sent.back().tag);
    EXPECT_EQ(bench.world.sent.back().report.keeper_epoch, 41);
    EXPECT_EQ(bench.world.sent.back().report.state, NodeState::kDemoted);
    EXPECT_EQ(bench.world.disk.keeper_epoch, 41);
    EXPECT_FALSE(bench.world.is_running);
}

// The true monitor would refuse the report of such a keeper for ever.
TEST(Keeper, AMonitorThatLeapsIsNotObeyed) {
    for (const bool is_epoch : {true, false}) {
        Bench bench;
        bench.world.disk.state = NodeState::kSecondary;
        bench.Begin();
        const core::NodeRecord before = bench.world.disk;
        core::Reply reply;
        reply.node = bench.world.disk.node;
        reply.goal = NodeState::kPreparePromotion;
        if (is_epoch) reply.refusal = core::Refusal::kOldMemory;
        (is_epoch ? reply.known_epoch : reply.term) = std::int64_t{1} << 61;
        bench.Loop().OnReply(reply, bench.world.sent.back().tag);
        EXPECT_EQ(bench.world.disk, before);
        EXPECT_EQ(bench.Loop().Record(), before);
        bench.RunFor(Milliseconds{1000});
        EXPECT_NE(bench.world.sent.back().report.problem.find("is not believed"),
                  std::string::npos);
        bench.Answer(NodeState::kSecondary);
        EXPECT_TRUE(bench.world.is_running) << "the true one is";
    }
}

TEST(Keeper, APrimaryThatCrashesWhileTheMonitorIsAwayStartsAndIsToAskItsStandbys) {
    Bench bench;
    bench.world.disk.state = bench.world.disk.goal = NodeState::kPrimary;
    bench.world.disk.had_peer = true;
    bench.world.disk.instance = bench.world.Instance();
    bench.Begin();
    bench.MonitorIsAway();
    EXPECT_TRUE(bench.world.is_running);
    EXPECT_TRUE(bench.world.disk.resumes);
}

TEST(Keeper, NotWhenItsReportMayHaveArrivedOrTheMachineWasStartedAnew) {
    for (const bool is_new_run : {false, true}) {
        Bench bench;
        bench.world.disk.state = bench.world.disk.goal = NodeState::kPrimary;
        bench.world.disk.had_peer = true;
        bench.world.disk.instance = bench.world.Instance() + (is_new_run ? 1 : 0);
        bench.Begin();
        bench.MonitorIsAway();
        if (is_new_run) {
            EXPECT_FALSE(bench.world.is_running);
            continue;
        }
        bench.EndServer();
        bench.world.is_link_down = false;
        bench.Loop().OnLinkProblem({core::ProblemCode::kMonitor, "no answer", {}, {}});
        bench.RunFor(Milliseconds{60'000});
        EXPECT_FALSE(bench.world.is_running);
    }
}

TEST(Keeper, LetsGoOfTheBatonRightBeforeTheStart) {
    Bench bench;
    bench.Begin();
    bench.MonitorIsAway();
    EXPECT_EQ(bench.world.journal, (Journal{"kill leftovers", "take baton", "save", "send",
                                            "prepare", "release baton", "start"}));
    EXPECT_FALSE(bench.Loop().IsKeeper());
}

TEST(Keeper, AServerThatRunsIsTakenOverWithoutTheBaton) {
    Bench bench;
    bench.world.runs_already = true;
    bench.Begin();
    bench.RunFor(Milliseconds{5000});
    EXPECT_EQ(bench.world.journal, Journal{});
    bench.EndServer();
    EXPECT_EQ(bench.world.sent.at(0).report.keeper_epoch, 11);
}

TEST(Keeper, IgnoresAnAnswerOfAnotherRound) {
    Bench bench;
    bench.world.disk.state = NodeState::kPrimary;
    bench.Begin();
    bench.Answer(NodeState::kPrimary);
    const int old_tag = bench.world.sent.back().tag;
    bench.EndServer();
    bench.world.starts.clear();
    bench.Loop().OnReply(ReplyOf(NodeState::kPrimary), old_tag);
    EXPECT_TRUE(bench.world.starts.empty());
    bench.Answer(NodeState::kPrimary);
    EXPECT_EQ(bench.world.starts.size(), 1U);
}

// A promotion by hand that was killed has removed the signal file.
TEST(Keeper, AStandbyWhoseSignalFileIsGoneComparesItselfBeforeItFollows) {
    Bench bench;
    bench.world.disk.state = NodeState::kSecondary;
    bench.world.is_signal_missing = true;
    bench.Begin();
    EXPECT_TRUE(bench.world.disk.has_own_writes);
    bench.Answer(NodeState::kSecondary);
    EXPECT_TRUE(bench.world.starts.empty());
}

TEST(Keeper, IgnoresTheOrdersOfAnOldTerm) {
    Bench bench;
    bench.world.disk.state = NodeState::kDemoted;
    bench.world.disk.term = 5;
    bench.Begin();
    bench.Answer(NodeState::kPrimary, 4);
    EXPECT_TRUE(bench.world.starts.empty());
    EXPECT_EQ(bench.world.disk.term, 5);
    bench.Answer(NodeState::kPrimary, 5);
    EXPECT_EQ(bench.world.starts.size(), 1U);
}

// Fenced: its worker asks for a grant, and the monitor learns from it when its standbys follow.
TEST(Keeper, APrimaryOfANewerTermShowsItselfToAMonitorThatHasForgotten) {
    Bench bench;
    bench.world.disk.state = NodeState::kPrimary;
    bench.world.disk.term = 5;
    bench.Begin();
    bench.Answer(NodeState::kDemoted, 4);
    ASSERT_EQ(bench.world.starts.size(), 1U);
    EXPECT_EQ(bench.world.disk.state, NodeState::kPrimary);
    EXPECT_FALSE(bench.world.disk.resumes);
}

TEST(Keeper, ARecordThatCannotBeSavedChangesNothing) {
    Bench bench;
    bench.world.disk.state = NodeState::kPrimary;
    bench.Begin();
    bench.world.is_disk_full = true;
    bench.Answer(NodeState::kPrimary, 3);
    EXPECT_EQ(bench.Loop().Record(), bench.world.disk);
    EXPECT_EQ(bench.Loop().Record().term, 0);
    EXPECT_TRUE(bench.world.starts.empty());
    bench.RunFor(Milliseconds{1000});
    EXPECT_EQ(bench.world.sent.back().report.problem, "the disk is full");
    bench.world.is_disk_full = false;
    bench.Answer(NodeState::kPrimary, 3);
    EXPECT_EQ(bench.world.disk.term, 3);
    EXPECT_EQ(bench.world.starts.size(), 1U);
}

TEST(Keeper, AStateThatCannotBeSavedIsTakenLater) {
    Bench bench;
    bench.world.disk.state = NodeState::kPrimary;
    bench.world.disk.goal = NodeState::kDemoted;
    bench.Begin();
    bench.world.is_disk_full = true;
    bench.Answer(NodeState::kDemoted);
    EXPECT_EQ(bench.Loop().Record().state, NodeState::kPrimary);
    bench.world.is_disk_full = false;
    bench.RunFor(Milliseconds{1000});
    EXPECT_EQ(bench.world.disk.state, NodeState::kDemoted);
    EXPECT_EQ(bench.world.sent.back().report.state, NodeState::kDemoted);
}

TEST(Keeper, ReportsAsOftenAsTheMonitorWants) {
    Bench bench;
    bench.world.disk.state = NodeState::kDemoted;
    bench.Begin();
    core::Reply reply = ReplyOf(NodeState::kDemoted);
    reply.report_interval = Milliseconds{100};
    bench.Loop().OnReply(reply, bench.world.sent.back().tag);
    bench.RunFor(Milliseconds{500});  // the first interval is still the usual one
    const auto before = bench.world.sent.size();
    bench.RunFor(Milliseconds{1000});
    EXPECT_EQ(bench.world.sent.size(), before + 10);
    EXPECT_EQ(bench.world.sent.back().report.sequence,
              static_cast<std::int64_t>(bench.world.sent.size()));
}

TEST(Keeper, ReportsAtOnceWhenItIsNotifiedAndOnlyAsTheKeeper) {
    Bench bench;
    bench.world.disk.state = NodeState::kPrimary;
    bench.Begin();
    bench.Loop().OnNotify();
    EXPECT_EQ(bench.world.sent.size(), 2U);
    bench.Answer(NodeState::kPrimary);
    bench.Loop().OnNotify();
    EXPECT_EQ(bench.world.sent.size(), 2U);
}

TEST(Keeper, WithoutARecordItEnds) {
    Bench bench;
    bench.world.is_record_lost = true;
    bench.Begin();
    bench.RunFor(Milliseconds{0});
    EXPECT_EQ(bench.world.exit_status, kExitKeeperInit);
    EXPECT_TRUE(bench.world.journal.empty());
}

TEST(Keeper, ADroppedNodeSaysSoOnceMoreAndEnds) {
    for (const bool is_answered : {true, false}) {
        Bench bench;
        bench.world.disk.state = NodeState::kDropped;
        bench.Begin();
        EXPECT_EQ(bench.world.sent.back().report.state, NodeState::kDropped);
        EXPECT_FALSE(bench.world.exit_status.has_value());
        if (is_answered) {
            bench.Answer(NodeState::kDropped);
        } else {
            bench.Loop().OnLinkProblem({});  // it forgot us, and says so
        }
        EXPECT_EQ(bench.world.exit_status, kExitDropped);
    }
}

TEST(Keeper, ANodeThatIsDroppedEndsWithoutAnAnswerAfterAWhile) {
    Bench bench;
    bench.world.disk.state = NodeState::kDemoted;
    bench.Begin();
    bench.Answer(NodeState::kDropped);
    EXPECT_EQ(bench.world.disk.state, NodeState::kDropped);
    EXPECT_EQ(bench.world.sent.back().report.state, NodeState::kDropped);
    bench.RunFor(Milliseconds{1400});
    EXPECT_FALSE(bench.world.exit_status.has_value());
    bench.RunFor(Milliseconds{100});
    EXPECT_EQ(bench.world.exit_status, kExitDropped);
}

TEST(Keeper, InitOnlyEndsWhenTheMonitorKnowsTheFirstState) {
    Bench bench;
    bench.world.disk.state = NodeState::kInit;
    bench.is_init_only = true;
    bench.Begin();
    bench.Answer(NodeState::kSingle);
    ASSERT_EQ(bench.world.step, core::Step::kInitPrimary);
    bench.EndStep({.result = 42});
    EXPECT_TRUE(bench.world.starts.empty());
    EXPECT_EQ(bench.world.sent.back().report.state, NodeState::kSingle);
    EXPECT_EQ(bench.world.sent.back().report.system_identifier, 42U);
    bench.Answer(NodeState::kSingle);
    EXPECT_EQ(bench.world.exit_status, 0);
}

TEST(Keeper, InitOnlyGivesUpWhenTheMonitorIsSilent) {
    Bench bench;
    bench.world.disk.state = NodeState::kInit;
    bench.is_init_only = true;
    bench.Begin();
    bench.RunFor(Milliseconds{29'000});
    EXPECT_FALSE(bench.world.exit_status.has_value());
    bench.RunFor(Milliseconds{3'000});
    EXPECT_EQ(bench.world.exit_status, kExitMonitor);
}

TEST(Keeper, ReadsTheConfigurationAgain) {
    Bench bench;
    bench.world.runs_already = true;
    bench.Begin();
    bench.Loop().OnReload();
    EXPECT_EQ(bench.world.journal, (Journal{"write settings", "reload"}));
    EXPECT_EQ(bench.world.monitor, "host=other");
    bench.EndServer();
    EXPECT_EQ(bench.world.sent.back().report.formation, "other");
}

TEST(Keeper, ANewStateIsLoggedOnce) {
    Bench bench;
    bench.world.disk.state = NodeState::kDraining;
    bench.world.is_ready = false;
    bench.Begin();
    bench.Answer(NodeState::kDemoteTimeout);
    bench.RunFor(Milliseconds{1000});
    bench.Answer(NodeState::kDemoteTimeout);
    const std::string wanted = "Node 7 \"a\": draining -> demote_timeout";
    EXPECT_EQ(std::count(bench.world.lines.begin(), bench.world.lines.end(), wanted), 1);
}

TEST(Keeper, ReportsWhereAStoppedServerEnds) {
    Bench bench;
    bench.world.disk.state = NodeState::kDraining;
    ControlFacts control;
    control.timeline = 3;
    control.checkpoint = {0x500};
    control.min_recovery = {0x400};
    control.system_identifier = 42;
    bench.world.control = control;
    bench.Begin();
    ASSERT_FALSE(bench.world.sent.empty());
    EXPECT_EQ(bench.world.sent.back().report.timeline, 3);
    EXPECT_EQ(bench.world.sent.back().report.lsn, core::Lsn{0x500});
    EXPECT_EQ(bench.world.sent.back().report.system_identifier, 42U);
    EXPECT_TRUE(bench.world.sent.back().report.fenced);
}

TEST(Keeper, ReportsTwiceASecondUntilTheMonitorSaysHowOften) {
    Bench bench;
    bench.world.disk.state = NodeState::kDraining;
    bench.Begin();
    bench.RunFor(Milliseconds{10'000});
    EXPECT_EQ(bench.world.sent.size(), 21U);
}

TEST(Keeper, ReportsWhyItWaits) {
    Bench bench;
    bench.world.disk.state = NodeState::kPrimary;
    bench.world.is_marked = true;
    bench.Begin();
    bench.Answer(NodeState::kPrimary);
    bench.RunFor(Milliseconds{1000});
    EXPECT_EQ(bench.world.sent.back().report.problem,
              "the data directory is incomplete; a copy must be made first");
    EXPECT_TRUE(bench.world.starts.empty());
}

TEST(Keeper, AStartThatIsPutOffIsCancelledWhenTheServerMustStayDown) {
    Bench bench;
    bench.world.disk.state = NodeState::kPrimary;
    bench.world.can_start = false;
    bench.Begin();
    for (std::size_t i = 0; i < 5; ++i) {
        bench.Answer(NodeState::kPrimary);
        bench.RunFor(Milliseconds{3000});
        ASSERT_EQ(bench.world.starts.size(), i + 1);
    }
    bench.Answer(NodeState::kPrimary);  // the next start is due in a while
    const std::size_t starts = bench.world.starts.size();
    bench.world.can_start = true;
    bench.Answer(NodeState::kDemoted);
    bench.RunFor(Milliseconds{30'000});
    EXPECT_EQ(bench.world.starts.size(), starts);
    EXPECT_FALSE(bench.world.is_running);
}

}  // namespace
}  // namespace pgaf::supervisor
