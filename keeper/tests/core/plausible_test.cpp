#include "pgaf/core/plausible.hpp"

#include <climits>

#include "group_builder.hpp"
#include "pgaf/core/intake.hpp"
#include "pgaf/core/learn.hpp"

/// Numbers that nobody can have reached.
namespace pgaf::core::test {
namespace {

using enum NodeState;

GroupView OnTimeline(int timeline, std::int64_t term) {
    GroupView view = Steady(3);
    view.timeline = view.highest_timeline = timeline;
    view.term = term;
    for (NodeView &node : view.nodes) {
        node.report.timeline = timeline;
        node.report.term = term;
    }
    return view;
}

bool IsBelieved(const GroupView &view, const Report &report) {
    const auto checked = CheckNumbers(view, "node 2", report);
    EXPECT_TRUE(checked || checked.error().code == ProblemCode::kBadArgument);
    return checked.has_value();
}

// Every number that a reader could be led by, with how to set it.
struct Number {
    const char *what;
    void (*set)(Report &, std::int64_t);
};
constexpr Number kOfReports[] = {
    {"term", [](Report &r, std::int64_t n) { r.term = n; }},
    {"set", [](Report &r, std::int64_t n) { r.sync_version = n; }},
    {"recorded set", [](Report &r, std::int64_t n) { r.recorded_sync_version = n; }},
    {"known set", [](Report &r, std::int64_t n) { r.known_sync_version = n; }},
};

TEST(Plausible, AReportMayHaveMissedOrKnowMoreAndLeapsNotAtAll) {
    GroupView view = OnTimeline(7, 5);
    view.sync.goal_version = 5;
    for (const auto &[what, set] : kOfReports) {
        for (const std::int64_t number : {std::int64_t{0}, std::int64_t{5}, 5 + kStepMost}) {
            Report report = view.Find(kB)->report;
            set(report, number);
            EXPECT_TRUE(IsBelieved(view, report)) << what << " " << number;
        }
        for (const std::int64_t number : {6 + kStepMost, std::int64_t{1} << 61, std::int64_t{-1}}) {
            Report report = view.Find(kB)->report;
            set(report, number);
            EXPECT_FALSE(IsBelieved(view, report)) << what << " " << number;
        }
    }
}

TEST(Plausible, WhatIsSaidNamesTheNumber) {
    Report report = OnTimeline(7, 5).Find(kB)->report;
    report.timeline = 5000;
    const auto checked = CheckNumbers(OnTimeline(7, 5), "node 2 \"b\"", report);
    ASSERT_FALSE(checked.has_value());
    EXPECT_EQ(checked.error().message, "implausible report of node 2 \"b\"");
    EXPECT_EQ(checked.error().detail,
              "It has timeline 5000 after 7, which this group cannot have reached.");
}

// The next primary would have to write a history file for every number in between.
TEST(Plausible, OneTimelineOfElsewhereDoesNotKeepTheNextPrimaryFromPromoting) {
    const GroupView view = OnTimeline(7, 5);
    Report report = view.Find(kB)->report;
    for (int round = 0; round < 10'000; ++round) {  // however often somebody tries
        GroupView next = view;
        report.timeline = next.highest_timeline + kTimelineStepMost;
        if (IsBelieved(next, report)) next.Find(kB)->report = report;
        const Decision decision = Decide(next);
        Apply(decision, next);
        ASSERT_LE(next.highest_timeline - next.timeline, kTimelineStepMost);
        report.timeline = next.highest_timeline + 1;
    }
    static_assert(kTimelineStepMost * 2 < kReservedMost, "promotions may fail as often again");
}

TEST(Plausible, ATimelineThatTheGroupCanComeToIsBelieved) {
    GroupView view = OnTimeline(7, 5);
    Report report = view.Find(kB)->report;
    report.timeline = 8;  // promoted by hand
    EXPECT_TRUE(IsBelieved(view, report));
    report.timeline = 6000;
    EXPECT_FALSE(IsBelieved(view, report));
    view.highest_timeline = 6000;  // promotions that failed, over and over
    EXPECT_TRUE(IsBelieved(view, report));
    view.highest_timeline = 7;
    view.accepted_timeline = 6000;
    EXPECT_TRUE(IsBelieved(view, report)) << "the operator says that it is right";
    view.accepted_timeline = 0;
    view.timeline = 0;
    EXPECT_TRUE(IsBelieved(view, report)) << "nothing is known yet: the group was adopted";
}

// The only copy of the group's memory is with the nodes then.
TEST(Plausible, AMonitorThatWasMadeAnewOrRestoredLearnsWhateverPromotionsThereWere) {
    const GroupView before = OnTimeline(4711, 90'000);
    for (const bool is_new : {true, false}) {
        GroupView view = before;
        view.term = is_new ? 0 : 3;
        view.timeline = view.highest_timeline = is_new ? 0 : 3;
        view.sync = {};
        for (const NodeView &node : before.nodes)
            EXPECT_TRUE(IsBelieved(view, node.report)) << node.name;
    }
}

NodeRecord RecordOf(std::int64_t term, std::int64_t version) {
    NodeRecord record;
    record.node = kA;
    record.term = term;
    record.known_sync_version = version;
    record.keeper_epoch = 4;
    return record;
}

TEST(Plausible, AMonitorThatLeapsIsNotObeyed) {
    Reply reply;
    reply.node = kA;
    reply.term = 5;
    reply.sync_version = 9;
    const NodeRecord record = RecordOf(5, 9);
    EXPECT_EQ(ImplausibleOrder(record, reply), "");
    EXPECT_EQ(ImplausibleOrder(RecordOf(0, 0), reply), "") << "a node that is new";
    const std::pair<const char *, void (*)(Reply &, std::int64_t)> leaps[] = {
        {"term", [](Reply &r, std::int64_t n) { r.term = n; }},
        {"set", [](Reply &r, std::int64_t n) { r.sync_version = n; }},
        {"epoch", [](Reply &r, std::int64_t n) { r.known_epoch = n; }},
        {"copy", [](Reply &r, std::int64_t n) { r.needed_copy = n; }}};
    for (const auto &[what, set] : leaps) {
        Reply late = reply;
        set(late, 900'000);
        EXPECT_EQ(ImplausibleOrder(record, late), "") << what;
        for (const std::int64_t number : {std::int64_t{2'000'000}, std::int64_t{1} << 61}) {
            Reply leap = reply;
            set(leap, number);
            EXPECT_EQ(ImplausibleOrder(record, leap).find(std::string("it has ") + what), 0U)
                << what;
        }
    }
}

// What the monitor believes of one node, the others must be able to obey.
TEST(Plausible, WhatTheMonitorLearnsIsObeyedByTheOtherNodes) {
    const GroupView view = OnTimeline(7, 5);
    Report report = view.Find(kA)->report;
    report.term = view.term + kStepMost;
    ASSERT_TRUE(IsBelieved(view, report));
    Reply reply;
    reply.term = report.term;
    EXPECT_EQ(ImplausibleOrder(RecordOf(view.term, 0), reply), "");
}

// Otherwise the keeper itself would be overtaken for days.
TEST(Plausible, TheNumberOfAReportGrowsWithTime) {
    Report last = OnTimeline(7, 5).Find(kB)->report;
    last.keeper_epoch = 3;
    last.sequence = 10;
    ReporterRow row;
    row.keeper_epoch = 3;
    row.last = &last;
    Report report = last;
    report.sequence = 50;
    EXPECT_TRUE(CheckKeeper(row, report, Reporter::kOurs).has_value());
    report.sequence = 500;
    EXPECT_FALSE(CheckKeeper(row, report, Reporter::kOurs).has_value());
    row.silent_age = Milliseconds{1000};
    EXPECT_TRUE(CheckKeeper(row, report, Reporter::kOurs).has_value());
}

// A lease of years would be a grant without limit, and an interval of none a loop without pause.
TEST(Plausible, NumbersOfAnAnswerHaveTheirRange) {
    Reply good;
    good.node = kA;
    good.lease = Milliseconds{600'000};
    good.report_interval = Milliseconds{60'000};
    ASSERT_TRUE(DecodeReply(Encode(good)).has_value());
    constexpr std::int64_t kLow = INT64_MIN;
    constexpr std::int64_t kHigh = INT64_MAX;
    const std::pair<const char *, void (*)(Reply &, std::int64_t)> numbers[] = {
        {"term", [](Reply &r, std::int64_t n) { r.term = n; }},
        {"goal_version", [](Reply &r, std::int64_t n) { r.goal_version = n; }},
        {"sync_version", [](Reply &r, std::int64_t n) { r.sync_version = n; }},
        {"lease_ms", [](Reply &r, std::int64_t n) { r.lease = Milliseconds{n}; }},
        {"report_interval_ms",
         [](Reply &r, std::int64_t n) { r.report_interval = Milliseconds{n}; }},
        {"needed_copy", [](Reply &r, std::int64_t n) { r.needed_copy = n < 0 ? INT64_MAX : n; }},
        {"known_epoch", [](Reply &r, std::int64_t n) { r.known_epoch = n; }},
        {"next_timeline",
         [](Reply &r, std::int64_t n) { r.next_timeline = n < 0 ? INT_MIN : INT_MAX; }}};
    for (const auto &[name, set] : numbers) {
        for (const std::int64_t number : {kLow, std::int64_t{-1}, kHigh}) {
            Reply bad = good;
            set(bad, number);
            const auto decoded = DecodeReply(Encode(bad));
            ASSERT_FALSE(decoded.has_value()) << name << " " << number;
            EXPECT_NE(decoded.error().message.find(name), std::string::npos);
        }
    }
}

}  // namespace
}  // namespace pgaf::core::test
