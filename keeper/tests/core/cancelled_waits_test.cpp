// Goal: commits that were cancelled while they waited are told once, not too often, and named after
// a failover. Method: reports in a row; a promotion of a group whose primary had some.
#include "pgaf/core/cancelled_waits.hpp"

#include "group_builder.hpp"

namespace pgaf::core::test {
namespace {

constexpr BootTime kStart{1'000'000'000};

Report Counting(std::int64_t cancelled, std::int64_t unconfirmed, std::int64_t start = 7) {
    Report report;
    report.pg_running = true;
    report.server_start = start;
    report.cancelled_waits = cancelled;
    report.unconfirmed_waits = unconfirmed;
    return report;
}

TEST(CancelledWaits, AreToldOnce) {
    CancelledWaits record;
    EXPECT_EQ(NoteWaits(record, Counting(0, 0), kStart), 0);
    EXPECT_EQ(NoteWaits(record, Counting(2, 2), kStart), 2);
    EXPECT_EQ(NoteWaits(record, Counting(2, 2), kStart + Milliseconds{60'000}), 0);
    EXPECT_EQ(record.unconfirmed, 2);
}

TEST(CancelledWaits, AreToldTogetherWhenThereAreMany) {
    CancelledWaits record;
    (void)NoteWaits(record, Counting(0, 0), kStart);
    EXPECT_EQ(NoteWaits(record, Counting(1, 1), kStart), 1);
    EXPECT_EQ(NoteWaits(record, Counting(900, 2), kStart + (kTellWaitsEvery - Milliseconds{1})), 0);
    EXPECT_EQ(NoteWaits(record, Counting(900, 2), kStart + kTellWaitsEvery), 899);
}

TEST(CancelledWaits, AMonitorThatHasJustStartedDoesNotTellTheOldOnes) {
    CancelledWaits record;
    EXPECT_EQ(NoteWaits(record, Counting(5, 1), kStart), 0);
    EXPECT_EQ(record.unconfirmed, 1);
    EXPECT_EQ(NoteWaits(record, Counting(6, 2), kStart), 1);
}

TEST(CancelledWaits, AServerCountsAnew) {
    CancelledWaits record;
    (void)NoteWaits(record, Counting(5, 1), kStart);
    EXPECT_EQ(NoteWaits(record, Counting(1, 1, 8), kStart), 1);
}

TEST(CancelledWaits, ASupervisorDoesNotForgetThem) {
    CancelledWaits record;
    (void)NoteWaits(record, Counting(5, 3), kStart);
    Report down;
    down.holder = KeeperHolder::kSupervisor;
    EXPECT_EQ(NoteWaits(record, down, kStart), 0);
    EXPECT_EQ(record.unconfirmed, 3);
}

TEST(CancelledWaits, AreSaidInWholeSentences) {
    EXPECT_EQ(DescribeUnconfirmed(1),
              "1 commit whose wait for standbys was cancelled there may be missing");
    EXPECT_TRUE(DescribeUnconfirmed(2).starts_with("2 commits whose wait"));
    EXPECT_TRUE(DescribeWaits(2).starts_with("2 commits were cancelled"));
}

}  // namespace
}  // namespace pgaf::core::test
