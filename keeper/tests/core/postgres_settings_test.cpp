#include "pgaf/core/postgres_settings.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "pgaf/core/server_options.hpp"

namespace pgaf::core {
namespace {

constexpr std::size_t kConnections = 0;

ServerSizes Sizes(int connections) { return {connections, 8, 72, 0, 64}; }

// Goal: a standby never has less than the primary uses, whatever is raised, lowered or down.
// Method: a table of one size, one row for each situation.
TEST(SizeAllowed, RaisesStandbysFirstAndLowersThePrimaryFirst) {
    struct Case {
        const char *what;
        bool is_primary;
        int wanted;
        std::optional<int> own, primary;
        std::vector<int> standbys;
        int allowed;
    };
    const std::array<Case, 13> cases{{
        {"a standby is raised at once", false, 200, 100, 100, {}, 200},
        {"a standby is not lowered before the primary", false, 50, 100, 100, {}, 100},
        {"a standby is lowered after the primary", false, 50, 100, 50, {}, 50},
        {"a standby gets what the primary uses, if that is more", false, 100, 100, 300, {}, 300},
        {"a standby without a primary", false, 200, 100, {}, {100}, 200},
        {"a primary waits for its standby", true, 200, 100, {}, {100}, 100},
        {"a primary follows its standby", true, 200, 100, {}, {200}, 200},
        {"a primary waits for the last of them", true, 200, 100, {}, {200, 150}, 150},
        {"a standby that uses more does not matter", true, 200, 100, {}, {400}, 200},
        {"a primary is lowered at once", true, 50, 100, {}, {100}, 50},
        {"a primary that uses more than a standby keeps it", true, 200, 150, {}, {100}, 150},
        {"a primary alone", true, 200, 100, {}, {}, 200},
        {"a primary of which nothing is known", true, 200, {}, {}, {100}, 200},
    }};
    for (const Case &c : cases) {
        SizeView view{.is_primary = c.is_primary, .own = {}, .primary = {}};
        if (c.own) view.own = Sizes(*c.own);
        if (c.primary) view.primary = Sizes(*c.primary);
        for (const int standby : c.standbys)
            view.standbys.push_back(Sizes(standby));
        EXPECT_EQ(SizeAllowed(kConnections, c.wanted, view), c.allowed) << c.what;
    }
}

TEST(GroupSettingsText, QuotesValuesAndSaysWhatIsStillToCome) {
    const PostgresSettings settings{
        7, {{"max_connections", "200"}, {"archive_command", "cp '%p' \\x"}}};
    const SizeView view{
        .is_primary = true, .own = Sizes(100), .primary = {}, .standbys = {Sizes(100)}};
    const std::string text = GroupSettingsText(settings, view);
    EXPECT_NE(text.find("max_connections = '100'  # is to be 200, when the standbys have it\n"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find("archive_command = 'cp ''%p'' \\\\x'\n"), std::string::npos) << text;
}

TEST(PostgresSettings, SurviveTheRoundTrip) {
    const PostgresSettings settings{12, {{"a.b", "x\"y\\z'ö"}, {"work_mem", ""}}};
    const auto decoded = DecodePostgresSettings(Encode(settings));
    ASSERT_TRUE(decoded.has_value());
    EXPECT_EQ(*decoded, settings);
    for (const char *bad : {"", "[]", "{", "{\"settings\": []}"})
        EXPECT_FALSE(DecodePostgresSettings(bad).has_value()) << bad;
}

// Who decides a setting is named, and what no file can hold is not taken.
TEST(CheckPostgresSetting, RefusesWhatIsDecidedElsewhere) {
    for (const char *owned :
         {"synchronous_standby_names", "Primary_ConnInfo", "recovery_target_lsn", "hot_standby",
          "port", "listen_addresses", "ssl_key_file", "data_directory", "restart_after_crash",
          "pgautofailover_keeper.directory", "wal_sender_timeout"}) {
        const auto checked = CheckPostgresSetting(owned, "x");
        ASSERT_FALSE(checked.has_value()) << owned;
        EXPECT_EQ(checked.error().code, ProblemCode::kRefused) << owned;
        EXPECT_FALSE(checked.error().hint.empty()) << owned;
    }
    for (const char *free : {"work_mem", "shared_preload_libraries", "max_wal_senders",
                             "recovery_min_apply_delay", "restore_command", "ssl_ciphers",
                             "hot_standby_feedback", "auto_explain.log_min_duration"}) {
        EXPECT_TRUE(CheckPostgresSetting(free, "1").has_value()) << free;
    }
    for (const char *bad : {"", "1a", "a b", "a'", "a.", ".a", "a..b", "work-mem", "x\n"})
        EXPECT_FALSE(CheckPostgresSetting(bad, "1").has_value()) << bad;
    EXPECT_FALSE(CheckPostgresSetting("archive_command", "a\nb").has_value());
    EXPECT_FALSE(CheckPostgresSetting("archive_command", std::string(4001, 'x')).has_value());
    EXPECT_FALSE(CheckPostgresSetting("wal_level", "Minimal").has_value());
    EXPECT_TRUE(CheckPostgresSetting("wal_level", "logical").has_value());
    for (const char *off : {"off", "OFF", "of", "0", "false", "no", ""})
        EXPECT_FALSE(CheckPostgresSetting("fsync", off).has_value()) << off;
    for (const char *on : {"on", "ON", "1", "true", "t", "yes"})
        EXPECT_TRUE(CheckPostgresSetting("Full_Page_Writes", on).has_value()) << on;
}

TEST(MissingSizes, NamesOnlyWhatIsTooSmall) {
    const ServerSizes configured{100, 8, 72, 10, 64};
    const ServerSizes required{200, 8, 10, 0, 128};
    const auto missing = MissingSizes(configured, required);
    ASSERT_EQ(missing.size(), 2U);
    EXPECT_EQ(missing.front(), (PostgresSetting{"max_connections", "200"}));
    EXPECT_EQ(missing.back(), (PostgresSetting{"max_locks_per_transaction", "128"}));
}

TEST(WithUnit, TakesTheLargestThatFits) {
    EXPECT_EQ(WithUnit(65536, "kB"), "64MB");
    EXPECT_EQ(WithUnit(16384, "8kB"), "128MB");
    EXPECT_EQ(WithUnit(3, "8kB"), "24kB");
    EXPECT_EQ(WithUnit(90'000, "ms"), "90s");
    EXPECT_EQ(WithUnit(3'600'000, "ms"), "1h");
    EXPECT_EQ(WithUnit(0, "ms"), "0");
    EXPECT_EQ(WithUnit(-1, "kB"), "-1");
    EXPECT_EQ(WithUnit(100, ""), "100");
}

// A standby must have what the WAL that it replays asks for; a primary decides for itself.
TEST(SafetyOptions, RaiseSizesOfAStandbyToItsControlFile) {
    ConfiguredServer server{.libraries = {},
                            .wal_level = "replica",
                            .has_checksums = true,
                            .keeper_directory = "/d",
                            .sizes = {100, 8, 10, 0, 64},
                            .replication_slots = 10};
    const auto has = [&server](const std::string &word) {
        const auto options = SafetyOptions(server);
        return std::find(options.begin(), options.end(), word) != options.end();
    };
    EXPECT_FALSE(has("max_connections=200"));
    EXPECT_TRUE(has("max_wal_senders=72"));
    EXPECT_TRUE(has("max_replication_slots=72"));
    server.required = {200, 8, 100, 0, 64};
    EXPECT_TRUE(has("max_connections=200"));
    EXPECT_TRUE(has("max_wal_senders=100"));
    EXPECT_FALSE(has("max_worker_processes=8"));
    server.sizes = {300, 8, 120, 0, 64};
    server.replication_slots = 100;
    for (const std::string &word : SafetyOptions(server)) {
        EXPECT_FALSE(word.starts_with("max_")) << word;
    }
}

// Whoever sets one of them is the user of PostgreSQL on every node, or loses commits for others.
TEST(PostgresSettings, WhatRunsProgramsNeedsAnOperator) {
    for (const char *name : {"archive_command",
                             "restore_command",
                             "archive_cleanup_command",
                             "ssl_passphrase_command",
                             "archive_library",
                             "shared_preload_libraries",
                             "session_preload_libraries",
                             "local_preload_libraries",
                             "oauth_validator_libraries",
                             "dynamic_library_path",
                             "extension_control_path",
                             "jit_provider",
                             "krb_server_keyfile",
                             "log_directory",
                             "log_filename",
                             "stats_temp_directory",
                             "ssl_dh_params_file",
                             "ssl_crl_dir",
                             "ssl_min_protocol_version",
                             "search_path",
                             "synchronous_commit",
                             "fsync",
                             "full_page_writes",
                             "zero_damaged_pages",
                             "plperl.on_init",
                             "plpython.x",
                             "cron.host"})
        EXPECT_TRUE(NeedsOperator(name)) << name;
    for (const char *name :
         {"work_mem", "max_connections", "wal_level", "log_statement", "autovacuum",
          "random_page_cost", "wal_keep_size", "statement_timeout"})
        EXPECT_FALSE(NeedsOperator(name)) << name;
}

}  // namespace
}  // namespace pgaf::core
