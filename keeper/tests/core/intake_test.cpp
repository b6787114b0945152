#include "pgaf/core/intake.hpp"

#include "group_builder.hpp"

/// What the monitor makes of a report before it decides.
namespace pgaf::core::test {
namespace {

using enum NodeState;

Report ReportOf(std::int64_t epoch, std::int64_t sequence) {
    Report report;
    report.node = kB;
    report.keeper_epoch = epoch;
    report.sequence = sequence;
    report.state = kSecondary;
    report.timeline = 1;
    return report;
}

ReporterRow RowWith(const Report &last) {
    return {.who = "node 2 \"b\"",
            .keeper_epoch = last.keeper_epoch,
            .system_identifier = 7,
            .reported = last.state,
            .last = &last};
}

Refusal Check(const ReporterRow &row, const Report &report) {
    const auto checked = CheckKeeper(row, report, Reporter::kOurs);
    EXPECT_TRUE(checked.has_value());
    return checked.value_or(Refusal::kNone);
}

// Of a keeper that was replaced, or of a node on an old disk.
TEST(Intake, AnOlderEpochIsTold) {
    const Report last = ReportOf(5, 10);
    EXPECT_EQ(Check(RowWith(last), ReportOf(4, 11)), Refusal::kOldMemory);
    EXPECT_EQ(RefusalReply(RowWith(last), ReportOf(4, 11), Refusal::kOldMemory).known_epoch, 5);
    EXPECT_EQ(Check(RowWith(last), ReportOf(5, 11)), Refusal::kNone);
    EXPECT_EQ(Check(RowWith(last), ReportOf(6, 1)), Refusal::kNone)
        << "a new keeper counts from the start";
    ReporterRow forgotten = RowWith(last);
    forgotten.last = nullptr;
    EXPECT_EQ(Check(forgotten, ReportOf(4, 11)), Refusal::kOldMemory)
        << "the epoch is on record, whatever shared memory has lost";
}

TEST(Intake, ACopyIsRefusedWhileTheOriginalLives) {
    Report last = ReportOf(5, 10);
    last.instance = 1;
    Report copy = ReportOf(6, 1);
    copy.instance = 2;
    ReporterRow row = RowWith(last);
    row.instance = 1;
    row.is_connected = true;
    EXPECT_EQ(Check(row, copy), Refusal::kSecondInstance);
    row.silent_age = Milliseconds{6000};
    EXPECT_EQ(Check(row, copy), Refusal::kNone) << "it hangs, and its lease has run out";
    row.lease_left = Milliseconds{1};
    EXPECT_EQ(Check(row, copy), Refusal::kSecondInstance);
    row.lease_left = kNoLimit;
    EXPECT_EQ(Check(row, copy), Refusal::kSecondInstance) << "its session is open";
    row.is_connected = false;
    EXPECT_EQ(Check(row, copy), Refusal::kNone) << "the machine was started anew";
    row.silent_age = Milliseconds{100};
    EXPECT_EQ(Check(row, copy), Refusal::kSecondInstance) << "it may be about to connect again";
    row.lease_left = {};
    EXPECT_EQ(Check(row, copy), Refusal::kSecondInstance) << "so may a standby, which confirms";
    copy.instance = 1;
    EXPECT_EQ(Check(row, copy), Refusal::kNone);
}

TEST(Intake, WhatACopySaysOfItsFenceProvesNothingOfTheOriginal) {
    LeaseRecord lease;
    Reply reply;
    reply.grant = GrantKind::kTimed;
    reply.lease = Milliseconds{3000};
    NoteGrant(lease, reply, BootTime{1}, 1);
    Report report = ReportOf(6, 1);
    report.fenced = true;
    report.instance = 2;
    NoteReport(lease, report);
    EXPECT_FALSE(lease.proved_fenced);
    EXPECT_GT(LeaseLeft(lease, BootTime{2}), Milliseconds{0});
    report.instance = 1;
    NoteReport(lease, report);
    EXPECT_TRUE(lease.proved_fenced);
    EXPECT_EQ(LeaseLeft(lease, BootTime{2}), Milliseconds{0});
}

TEST(Intake, NumbersThatNobodyCanHaveReachedAreRefused) {
    const Report last = ReportOf(5, 10);
    EXPECT_FALSE(CheckKeeper(RowWith(last), ReportOf(2'000'000, 1), Reporter::kOurs).has_value());
    EXPECT_FALSE(CheckKeeper(RowWith(last), ReportOf(5, 2'000'000), Reporter::kOurs).has_value());
    Report negative = ReportOf(5, 11);
    negative.term = -1;
    EXPECT_FALSE(CheckKeeper(RowWith(last), negative, Reporter::kOurs).has_value());
}

// What an overtaken report says, that the node is fenced above all, may be untrue by now.
TEST(Intake, OvertakenReportIsRefused) {
    const Report last = ReportOf(5, 10);
    const auto late = AdmitReport(RowWith(last), ReportOf(5, 9), Reporter::kOurs);
    ASSERT_FALSE(late.has_value());
    EXPECT_EQ(late.error().code, ProblemCode::kRefused);
    EXPECT_EQ(late.error().message, "report of node 2 \"b\" was overtaken by a later one");
    EXPECT_TRUE(AdmitReport(RowWith(last), ReportOf(5, 10), Reporter::kOurs).has_value())
        << "the same one comes again when its answer was lost";
    ReporterRow fresh = RowWith(last);
    fresh.last = nullptr;
    EXPECT_TRUE(AdmitReport(fresh, ReportOf(5, 9), Reporter::kOurs).has_value());
}

// A foreign keeper has neither epochs nor numbers, and no gate.
TEST(Intake, ForeignReportIsCompleted) {
    const Report last = ReportOf(5, 10);
    Report report = ReportOf(0, 0);
    report.pg_running = true;
    auto admitted = AdmitReport(RowWith(last), report, Reporter::kForeign);
    ASSERT_TRUE(admitted.has_value());
    EXPECT_EQ(admitted->keeper_epoch, 5);
    EXPECT_TRUE(admitted->in_recovery);
    EXPECT_FALSE(admitted->fenced);
    report.state = kDemoted;
    EXPECT_FALSE(AdmitReport(RowWith(last), report, Reporter::kForeign)->fenced)
        << "PostgreSQL still runs";
    report.pg_running = false;
    admitted = AdmitReport(RowWith(last), report, Reporter::kForeign);
    EXPECT_TRUE(admitted->fenced);
    EXPECT_FALSE(admitted->in_recovery);
    report.state = kPrimary;
    EXPECT_FALSE(AdmitReport(RowWith(last), report, Reporter::kForeign)->fenced)
        << "a primary that is down for a moment is started again";
}

TEST(Intake, UnknownIsNoStateToReport) {
    EXPECT_TRUE(CheckReportedState(kSecondary).has_value());
    const auto unknown = CheckReportedState(kUnknown);
    ASSERT_FALSE(unknown.has_value());
    EXPECT_EQ(unknown.error().code, ProblemCode::kBadArgument);
}

// The monitor writes for decisions, not for reports.
TEST(Intake, ReportThatChangesNothingWritesNothing) {
    const Report last = ReportOf(5, 10);
    Report report = ReportOf(5, 11);
    report.system_identifier = 7;
    report.lsn = Lsn{0x5000000};
    EXPECT_FALSE(ChangeBy(RowWith(last), report).ChangesNode());
    EXPECT_FALSE(ChangeBy(RowWith(last), report).timeline);
    report.system_identifier = 0;
    EXPECT_FALSE(ChangeBy(RowWith(last), report).identity) << "it does not know it now";
    report.system_identifier = 8;
    EXPECT_TRUE(ChangeBy(RowWith(last), report).identity);
    EXPECT_TRUE(ChangeBy(RowWith(last), report).ChangesNode());
    report = ReportOf(6, 1);
    EXPECT_TRUE(ChangeBy(RowWith(last), report).epoch);
    EXPECT_TRUE(ChangeBy(RowWith(last), report).ChangesNode());
    report = ReportOf(5, 11);
    report.state = kReportLsn;
    EXPECT_TRUE(ChangeBy(RowWith(last), report).state);
    EXPECT_TRUE(ChangeBy(RowWith(last), report).ChangesNode());
    report = ReportOf(5, 11);
    report.timeline = 2;
    EXPECT_TRUE(ChangeBy(RowWith(last), report).timeline);
    EXPECT_FALSE(ChangeBy(RowWith(last), report).ChangesNode());
    ReporterRow fresh = RowWith(last);
    fresh.last = nullptr;
    EXPECT_TRUE(ChangeBy(fresh, ReportOf(5, 11)).timeline) << "who knows what was stored";
    fresh.system_identifier = std::nullopt;
    report = ReportOf(5, 11);
    report.system_identifier = 7;
    EXPECT_TRUE(ChangeBy(fresh, report).identity) << "the first time";
}

TEST(Intake, ForeignNodeThatMayWriteHasNoLimit) {
    NodeView node = MakeNode(kA, kPrimary);
    Report report;
    EXPECT_TRUE(MayWriteForEver(node, report));
    node.goal = kDemoted;
    EXPECT_TRUE(MayWriteForEver(node, report)) << "it has not stopped yet";
    node.reported = kSecondary;
    node.goal = kWaitPrimary;
    EXPECT_TRUE(MayWriteForEver(node, report)) << "it is about to";
    report.fenced = true;
    EXPECT_FALSE(MayWriteForEver(node, report));
    EXPECT_FALSE(MayWriteForEver(MakeNode(kB, kSecondary), Report{}));
}

// A monitor that has just started knows of no grant, and must not take that for there being none.
TEST(Intake, GrantsFromBeforeARestartAreAssumed) {
    EXPECT_EQ(OldGrantOf(kSecondary, kSecondary), OldGrant::kNone);
    EXPECT_EQ(OldGrantOf(kDemoted, kCatchingup), OldGrant::kNone);
    EXPECT_EQ(OldGrantOf(kPrimary, kPrimary), OldGrant::kTimed);
    EXPECT_EQ(OldGrantOf(kPrimary, kDemoted), OldGrant::kTimed);
    EXPECT_EQ(OldGrantOf(kDemoted, kPrimary), OldGrant::kTimed);
    for (const NodeState state : {kSingle, kWaitPrimary}) {
        EXPECT_EQ(OldGrantOf(state, kPrimary), OldGrant::kUnlimited) << ToString(state);
        EXPECT_EQ(OldGrantOf(kSecondary, state), OldGrant::kUnlimited) << ToString(state);
    }
    constexpr Milliseconds lease{3000};
    constexpr BootTime now{1'000'000'000};
    const LeaseRecord none = LeaseAfterRestart(OldGrant::kNone, lease, now);
    EXPECT_EQ(LeaseLeft(none, now), Milliseconds{0});
    EXPECT_FALSE(none.proved_fenced) << "that nothing was granted is no word of the node's";
    const LeaseRecord timed = LeaseAfterRestart(OldGrant::kTimed, lease, now);
    EXPECT_GT(LeaseLeft(timed, now + lease), Milliseconds{0});
    EXPECT_EQ(LeaseLeft(timed, now + MonitorLease(lease)), Milliseconds{0});
    LeaseRecord unlimited = LeaseAfterRestart(OldGrant::kUnlimited, lease, now);
    EXPECT_EQ(LeaseLeft(unlimited, now + lease), kNoLimit);
    Report obeys;
    obeys.lease_mode = true;
    NoteReport(unlimited, obeys);
    EXPECT_GT(LeaseLeft(unlimited, now + lease), Milliseconds{0})
        << "it may have been given a timed grant after the unlimited one";
}

}  // namespace
}  // namespace pgaf::core::test
