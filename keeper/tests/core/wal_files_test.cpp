#include "pgaf/core/wal_files.hpp"

#include <gtest/gtest.h>

#include "pgaf/core/pg_files.hpp"

namespace pgaf::core {
namespace {

constexpr std::uint64_t kMega = 1ULL << 20;

UpstreamWal Upstream(std::vector<std::string> files, Lsn end) {
    return {.timeline = 1, .history = {}, .end = end, .files = std::move(files)};
}

TEST(WalFiles, NamesAreReadAsPostgresWritesThem) {
    const auto file = ParseWalFile("00000002000000010000000A", 16 * kMega);
    ASSERT_TRUE(file);
    EXPECT_EQ(file->timeline, 2);
    EXPECT_EQ(file->segment, 256U + 10U);
    const auto large = ParseWalFile("000000010000000200000003", 1024 * kMega);
    ASSERT_TRUE(large);
    EXPECT_EQ(large->segment, 2U * 4U + 3U);
}

TEST(WalFiles, OtherNamesAreNone) {
    for (const char *name :
         {"", "archive_status", "00000002.history", "00000002000000010000000A.partial",
          "00000002000000010000000a", "0000000200000001000001FF", "xlogtemp.12345678901234"}) {
        EXPECT_FALSE(ParseWalFile(name, 16 * kMega)) << name;
    }
    EXPECT_FALSE(ParseWalFile("000000010000000200000004", 1024 * kMega));
}

TEST(WalFiles, StandbyWhoseNextSegmentIsThereCanFollow) {
    const WalPosition position{1, Lsn{5 * 16 * kMega + 40}, {}};
    EXPECT_EQ(
        JudgeFollowing(position, Upstream({"000000010000000000000005", "000000010000000000000006"},
                                          Lsn{7 * 16 * kMega})),
        Following::kPossible);
}

TEST(WalFiles, StandbyWhoseNextSegmentWasRemovedCannot) {
    const WalPosition position{1, Lsn{5 * 16 * kMega + 40}, {}};
    EXPECT_EQ(JudgeFollowing(position, Upstream({"000000010000000000000006"}, Lsn{7 * 16 * kMega})),
              Following::kWalIsGone);
}

TEST(WalFiles, NothingIsNeededFromAnUpstreamThatHasNoMore) {
    const WalPosition position{1, Lsn{5 * 16 * kMega}, {}};
    EXPECT_EQ(JudgeFollowing(position, Upstream({}, Lsn{5 * 16 * kMega})), Following::kPossible);
}

TEST(WalFiles, SegmentOfTheNextTimelineServesToo) {
    const WalPosition position{1, Lsn{5 * 16 * kMega + 40}, {}};
    UpstreamWal upstream = Upstream({"000000020000000000000005"}, Lsn{6 * 16 * kMega});
    upstream.timeline = 2;
    upstream.history = {{1, Lsn{5 * 16 * kMega + 4000}}};
    EXPECT_EQ(JudgeFollowing(position, upstream), Following::kPossible);
}

TEST(WalFiles, StandbyBeyondTheForkHasDiverged) {
    const WalPosition position{1, Lsn{5 * 16 * kMega + 4001}, {}};
    UpstreamWal upstream = Upstream({"000000020000000000000005"}, Lsn{6 * 16 * kMega});
    upstream.timeline = 2;
    upstream.history = {{1, Lsn{5 * 16 * kMega + 4000}}};
    EXPECT_EQ(JudgeFollowing(position, upstream), Following::kDiverged);
}

TEST(WalFiles, WhatIsNotKnownIsNoReasonToCopy) {
    EXPECT_EQ(JudgeFollowing({}, Upstream({}, Lsn{16 * kMega})), Following::kPossible);
}

TEST(WalFiles, SegmentsBeyondAForkBeginWithTheOneThatHoldsIt) {
    const std::vector<std::string> files{"000000010000000000000007", "000000010000000000000005",
                                         "000000010000000000000004", "000000020000000000000006",
                                         "000000010000000000000008", "00000002.history"};
    EXPECT_EQ(SegmentsBetween(files, Lsn{5 * 16 * kMega + 8}, Lsn{7 * 16 * kMega + 1}, 16 * kMega),
              (std::vector<std::string>{"000000010000000000000005", "000000010000000000000007",
                                        "000000020000000000000006"}));
}

TEST(WalFiles, PartingOfAnOldPrimaryIsWhereItsTimelineWasLeft) {
    EXPECT_EQ(PartingOf({1, Lsn{900}, {}}, 2, {{1, Lsn{500}}}), Lsn{500});
}

TEST(WalFiles, PartingOfTwoPromotionsIsTheEarlierOne) {
    EXPECT_EQ(PartingOf({2, Lsn{900}, {{1, Lsn{600}}}}, 3, {{1, Lsn{500}}}), Lsn{500});
    EXPECT_EQ(
        PartingOf({3, Lsn{900}, {{1, Lsn{400}}, {2, Lsn{600}}}}, 4, {{1, Lsn{400}}, {2, Lsn{700}}}),
        Lsn{600});
}

TEST(WalFiles, PartingOfANumberGivenTwiceIsItsBegin) {
    EXPECT_EQ(PartingOf({2, Lsn{900}, {{1, Lsn{400}}}}, 2, {{1, Lsn{400}}}), Lsn{400});
    EXPECT_EQ(PartingOf({1, Lsn{900}, {}}, 1, {}), Lsn{0});
}

TEST(WalFiles, WalKeptForTheAbsentIsAQuarterOfTheDisk) {
    EXPECT_EQ(SlotWalMb(8ULL << 30), 2048);
    EXPECT_EQ(SlotWalMb(1ULL << 40), kSlotWalMostMb);
    EXPECT_EQ(SlotWalMb(0), 64);
}

TEST(WalFiles, SettingsAreReadBackAsTheyWereWritten) {
    const std::string value = "host=a password='it\\'s \\\\ x'";
    const std::string text = "# x\nother = 'y'\nprimary_conninfo = " + QuoteSetting(value) +
                             "\nprimary_slot_name = 's'\n";
    EXPECT_EQ(SettingOf(text, "primary_conninfo"), value);
    EXPECT_EQ(SettingOf(text, "other"), "y");
    EXPECT_EQ(SettingOf("other = ''\n", "other"), "");
    EXPECT_EQ(SettingOf(text, "missing"), "");
}

}  // namespace
}  // namespace pgaf::core
