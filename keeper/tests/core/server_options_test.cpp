// Goal: whatever an administrator preloads, our module is loaded as well, and nothing of theirs is
// lost. Method: the pure functions, over the ways in which a list can be written.
#include "pgaf/core/server_options.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace pgaf::core {
namespace {

TEST(MergeLibraries, OursIsLastAndOnceAndTheirsKeepTheirOrder) {
    struct Row {
        const char *why;
        const char *configured;
        const char *merged;
    };
    const Row rows[] = {
        {"nothing is configured", "", "k"},
        {"only blanks", "  ", "k"},
        {"theirs keep their order", "citus,pg_stat_statements", "citus, pg_stat_statements, k"},
        {"blanks do not count", "  a ,\tb  ", "a, b, k"},
        {"ours goes to the end", "k, a", "a, k"},
        {"ours was there twice", "k,a,k", "a, k"},
        {"ours with its directory and suffix", "$libdir/k, /usr/lib/k.so, a", "a, k"},
        {"a name that only begins like ours", "k2, xk", "k2, xk, k"},
        {"theirs twice", "a, b, a", "a, b, k"},
        {"quotes that are not needed", "\"a\", \"k\"", "a, k"},
        {"quotes protect commas and blanks", "\"a,b\", \"c d\"", "\"a,b\", \"c d\", k"},
        {"a quote in quotes is doubled", "\"a\"\"b\"", "\"a\"\"b\", k"},
        {"capital letters stay", "MyLib", "MyLib, k"},
        {"a list that PostgreSQL cannot read loads nothing", "a,,b", "k"},
        {"nor does one that ends in a comma", "a,", "k"},
        {"nor an open quote", "\"a", "k"},
        {"nor text after a quote", "\"a\" b", "k"},
    };
    for (const Row &row : rows)
        EXPECT_EQ(MergeLibraries(row.configured, "k"), row.merged) << row.why;
}

TEST(MergeLibraries, MergingAgainChangesNothing) {
    for (const char *configured : {"", "a", "\"a,b\", c", "x, pgautofailover_keeper, y"}) {
        const std::string once = MergeLibraries(configured, kKeeperLibrary);
        EXPECT_EQ(MergeLibraries(once, kKeeperLibrary), once);
    }
}

bool Has(const std::vector<std::string> &options, const std::string &what) {
    return std::find(options.begin(), options.end(), what) != options.end();
}

TEST(SafetyOptions, RespectWhatIsMoreThanNeeded) {
    EXPECT_TRUE(Has(SafetyOptions({.wal_level = "logical"}), "wal_level=logical"));
    EXPECT_TRUE(Has(SafetyOptions({.wal_level = "minimal"}), "wal_level=replica"));
    EXPECT_TRUE(Has(SafetyOptions({}), "wal_log_hints=on"));
    EXPECT_FALSE(Has(SafetyOptions({.has_checksums = true}), "wal_log_hints=on"));
}

TEST(SafetyOptions, NameEverySettingThatSafetyNeeds) {
    const auto options = SafetyOptions({.libraries = "a",
                                        .wal_level = "replica",
                                        .has_checksums = true,
                                        .keeper_directory = "/n"});
    EXPECT_EQ(options,
              (std::vector<std::string>{"-c", "shared_preload_libraries=a, pgautofailover_keeper",
                                        "-c", "pgautofailover_keeper.directory=/n",
                                        "-c", "restart_after_crash=off",
                                        "-c", "hot_standby=on",
                                        "-c", "recovery_target=",
                                        "-c", "recovery_target_lsn=",
                                        "-c", "recovery_target_name=",
                                        "-c", "recovery_target_time=",
                                        "-c", "recovery_target_xid=",
                                        "-c", "wal_level=replica",
                                        "-c", "max_wal_senders=72",
                                        "-c", "max_replication_slots=72"}));
}

}  // namespace
}  // namespace pgaf::core
