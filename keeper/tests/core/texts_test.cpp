#include <gtest/gtest.h>

#include "pgaf/core/hba.hpp"
#include "pgaf/core/keeper_config.hpp"
#include "pgaf/core/node_record.hpp"
#include "pgaf/core/pg_files.hpp"
#include "pgaf/core/protocol.hpp"
#include "pgaf/core/sync_set.hpp"

namespace pgaf::core {
namespace {

TEST(Lsn, ReadsAndWritesPostgresForm) {
    EXPECT_EQ(ToString(Lsn{0x16B374D848}), "16/B374D848");
    EXPECT_EQ(ParseLsn("16/B374D848"), Lsn{0x16B374D848});
    EXPECT_EQ(ParseLsn("0/0"), Lsn{});
    for (const char *bad : {"", "/", "1/", "x/1", "1/123456789", "1 /2"}) {
        EXPECT_EQ(ParseLsn(bad), std::nullopt) << bad;
    }
}

// Nothing has the value that a member which was forgotten would have.
TEST(Protocol, ReportSurvivesTheRoundTrip) {
    Report report;
    report.group = 2;
    report.goal_version = 8;
    report.term = 5;
    report.in_recovery = true;
    report.timeline = 4;
    report.history = {{3, Lsn{0x90}}};
    report.sealed_lsn = Lsn{0x500000040};
    report.sync_version = 6;
    report.lease_mode = true;
    report.event = "discarded";
    report.pg_version = "15.20";
    report.formation = "de\"fault";
    report.node = NodeId{7};
    report.keeper_epoch = 12;
    report.sequence = 44;
    report.holder = KeeperHolder::kSupervisor;
    report.state = NodeState::kDraining;
    report.pg_running = true;
    report.lsn = Lsn{0x500000060};
    report.system_identifier = 18'446'744'073'709'551'615ULL;
    report.fenced = true;
    report.promotion_term = 7;
    report.is_inconsistent = report.cannot_reload = true;
    report.standbys = {{NodeId{2}, true, true, Lsn{5}, Milliseconds{3}}};
    report.receiver = {NodeId{3}, true, Milliseconds{17}, true};
    report.problem = "no room";
    report.settings_version = 21;
    report.refused_settings = 22;
    report.refused_name = "work_mem";
    report.refusal = "too much";
    report.refused_at_start = true;
    report.server_start = 777;
    report.sizes = ServerSizes{100, 8, 72, 0, 64};
    report.settings_mark = 23;
    report.settings_state = "[]";
    const auto decoded = DecodeReport(Encode(report));
    ASSERT_TRUE(decoded.has_value());
    EXPECT_EQ(Encode(*decoded), Encode(report));
    EXPECT_EQ(decoded->system_identifier, report.system_identifier);
    EXPECT_EQ(decoded->history, report.history);
    EXPECT_EQ(decoded->sizes, report.sizes);
    EXPECT_EQ(decoded->refusal, report.refusal);
}

TEST(Protocol, ReportOfAGivenUpConnectionIsOvertaken) {
    Report last;
    last.keeper_epoch = 3;
    last.sequence = 9;
    Report report = last;
    EXPECT_FALSE(IsOvertaken(report, last));
    report.sequence = 8;
    EXPECT_TRUE(IsOvertaken(report, last));
    report.keeper_epoch = 4;  // another keeper counts anew
    EXPECT_FALSE(IsOvertaken(report, last));
}

TEST(Protocol, ReplySurvivesTheRoundTrip) {
    Reply reply;
    reply.node = NodeId{1};
    reply.group = 2;
    reply.goal_version = 8;
    reply.report_interval = Milliseconds{700};
    reply.sync_version = 6;
    reply.target_lsn = Lsn{0x40};
    reply.next_timeline = 9;
    reply.extension = {SyncSet{1, {NodeId{2}, NodeId{3}}}};
    reply.upstream = NodeId{2};
    reply.candidate_priority = 60;
    reply.replication_quorum = false;
    reply.reason = "why";
    reply.goal = NodeState::kPrimary;
    reply.term = 3;
    reply.grant = GrantKind::kTimed;
    reply.lease = Milliseconds{3000};
    reply.sync_names = "ANY 1 (pgautofailover_standby_2)";
    reply.peers = {Peer{NodeId{2}, "b", "h", 5432, NodeState::kSecondary, false, true, Lsn{9}}};
    reply.channel = "c";
    reply.peers.at(0).sizes = ServerSizes{200, 8, 72, 0, 64};
    reply.settings_version = 21;
    reply.settings = std::vector<PostgresSetting>{{"work_mem", "64MB"}};
    reply.settings_mark = 23;
    reply.restart_of = 777;
    reply.copy_reason = "somebody wants it";
    const auto decoded = DecodeReply(Encode(reply));
    ASSERT_TRUE(decoded.has_value());
    EXPECT_EQ(Encode(*decoded), Encode(reply));
    EXPECT_TRUE(decoded->peers.at(0).is_promotable);
    EXPECT_EQ(decoded->peers.at(0).sizes, reply.peers.at(0).sizes);
    EXPECT_EQ(decoded->settings, reply.settings);
    EXPECT_EQ(decoded->copy_reason, "somebody wants it");
}

TEST(Protocol, AReportSaysHowFarACopyHasCome) {
    Report report;
    report.copying = {.done = 41, .total = 100, .per_second = 7};
    EXPECT_EQ(DecodeReport(Encode(report)).value().copying, report.copying);
    EXPECT_EQ(DecodeReport(Encode(Report{})).value().copying, CopyProgress{});
}

TEST(Protocol, BadTextIsRefusedAndNamed) {
    for (const char *bad :
         {"", "{", "[]", "null", "{}", "{\"version\":\"1\"}", "{\"version\":0}"}) {
        EXPECT_FALSE(DecodeReport(bad).has_value()) << bad;
        EXPECT_FALSE(DecodeReply(bad).has_value()) << bad;
    }
    Report report;
    report.formation = "default";
    std::string text = Encode(report);
    text.replace(text.find("\"init\""), 6, "\"nonsense\"");
    const auto decoded = DecodeReport(text);
    ASSERT_FALSE(decoded.has_value());
    EXPECT_NE(decoded.error().message.find("\"state\""), std::string::npos);
    EXPECT_FALSE(DecodeReport(std::string(100'000, '[')).has_value());
}

/// The same text with one key that nobody knows, each time another one of that name.
std::vector<std::string> WithoutKey(const std::string &text, const std::string &name) {
    const std::string key = "\"" + name + "\":";
    std::vector<std::string> texts;
    for (std::size_t at = text.find(key); at != std::string::npos; at = text.find(key, at + 1)) {
        texts.push_back(text);
        texts.back().insert(at + 1, "not_");
    }
    return texts;
}

TEST(Protocol, WhatNobodyCanGuessMustBeThere) {
    Report report;
    report.formation = "default";
    report.node = NodeId{1};
    report.standbys = {{NodeId{2}, true, true, Lsn{5}, Milliseconds{3}}};
    const std::string report_text = Encode(report);
    ASSERT_TRUE(DecodeReport(report_text).has_value());
    for (const char *name :
         {"version", "formation", "node_id", "keeper_epoch", "state", "pg_running"}) {
        const auto texts = WithoutKey(report_text, name);
        EXPECT_EQ(texts.size(), name == std::string("node_id") ? 2U : 1U) << name;
        for (const std::string &text : texts)
            EXPECT_FALSE(DecodeReport(text).has_value()) << text;
    }
    Reply reply;
    reply.node = NodeId{1};
    reply.peers = {Peer{NodeId{2}, "b", "h", 5432, NodeState::kSecondary, false, true, Lsn{9}}};
    const std::string reply_text = Encode(reply);
    ASSERT_TRUE(DecodeReply(reply_text).has_value());
    for (const char *name : {"version", "node_id", "goal", "term", "grant", "lease_ms"}) {
        const auto texts = WithoutKey(reply_text, name);
        EXPECT_EQ(texts.size(), name == std::string("node_id") ? 2U : 1U) << name;
        for (const std::string &text : texts)
            EXPECT_FALSE(DecodeReply(text).has_value()) << text;
    }
}

TEST(NodeRecord, SurvivesTheRoundTripAndDetectsDamage) {
    NodeRecord record;
    record.node = NodeId{4};
    record.state = NodeState::kDemoted;
    record.goal = NodeState::kCatchingup;
    record.term = 9;
    record.had_peer = true;
    record.system_identifier = 7'000'000'000'000'000'001ULL;
    const std::string text = Encode(record);
    ASSERT_TRUE(DecodeNodeRecord(text).has_value());
    EXPECT_EQ(*DecodeNodeRecord(text), record);
    for (std::size_t i = 0; i < text.size(); ++i) {
        std::string damaged = text;
        damaged[i] = damaged[i] == 'x' ? 'y' : 'x';
        EXPECT_FALSE(DecodeNodeRecord(damaged).has_value()) << "byte " << i;
        EXPECT_FALSE(DecodeNodeRecord(text.substr(0, i)).has_value()) << "cut at " << i;
    }
}

TEST(KeeperConfig, SurvivesTheRoundTrip) {
    KeeperConfig config;
    config.monitor_conninfo = "host=m password='a = b'";
    config.node = NodeId{3};
    config.ssl = true;
    config.pgdata = "/var/my data";
    const auto text = Encode(config);
    ASSERT_TRUE(text.has_value());
    const auto decoded = DecodeKeeperConfig(*text);
    ASSERT_TRUE(decoded.has_value());
    EXPECT_EQ(decoded->monitor_conninfo, config.monitor_conninfo);
    EXPECT_EQ(decoded->pgdata, config.pgdata);
    EXPECT_TRUE(decoded->ssl);
    config.name = "a\nport = 1";
    EXPECT_FALSE(Encode(config).has_value());
}

TEST(Redaction, HidesPasswordsInBothForms) {
    EXPECT_EQ(RedactConninfo("host=a password=secret port=1"), "host=a password=**** port=1");
    EXPECT_EQ(RedactConninfo("password='se cr\\'et' host=a"), "password=**** host=a");
    EXPECT_EQ(RedactConninfo("postgres://u:p@ss@h:1/db?x=1"), "postgres://u:****@h:1/db?x=1");
    EXPECT_EQ(RedactConninfo("postgres://u@h:1/db?password=p&a=b"),
              "postgres://u@h:1/db?password=****&a=b");
    EXPECT_EQ(RedactConninfo("postgres://u@h:1/db"), "postgres://u@h:1/db");
    EXPECT_EQ(RedactConninfo("host=a options='-c pgautofailover.node_secret=abc -c x=y'"),
              "host=a options='-c pgautofailover.node_secret=**** -c x=y'");
}

TEST(PgFiles, IncludeIsPresentOnceAndLast) {
    const std::string once = EnsureInclude("port = 1\n");
    EXPECT_EQ(EnsureInclude(once), once);
    EXPECT_TRUE(EnsureInclude(once + "port = 2\n").ends_with("do not remove\n"));
}

// Users may drop the database "postgres", and a rewind needs one.
TEST(PgFiles, HbaLetsTheReplicatorIntoMoreThanOneDatabase) {
    KeeperConfig config;
    config.auth_method = "trust";
    config.dbname = "shop";
    const Peer peers[] = {Peer{NodeId{2}, "b", "10.0.0.2", 5432, {}, false, false, {}}};
    const std::string hba = EnsureHba("", config, peers);
    for (const char *database : {"\"postgres\"", "\"shop\"", "\"template1\""}) {
        const std::string line =
            "host " + std::string(database) + " \"pgautofailover_replicator\" 10.0.0.2/32 trust #";
        EXPECT_NE(hba.find(line), std::string::npos) << hba;
    }
}

TEST(PgFiles, HbaGainsAndLosesPeersOnly) {
    KeeperConfig config;
    config.auth_method = "scram-sha-256";
    config.ssl = true;
    config.host = "10.0.0.1";
    config.username = "app";
    const std::string theirs = "local all all peer\nhost all all 0.0.0.0/0 reject";
    const Peer peers[] = {Peer{NodeId{2}, "b", "10.0.0.2", 5432, {}, false, false, {}}};
    const std::string with = EnsureHba(theirs, config, peers);
    EXPECT_TRUE(with.starts_with("local all all peer\n"));
    EXPECT_LT(with.find("\"pgautofailover_replicator\""), with.find("reject"));
    EXPECT_NE(
        with.find("hostssl replication \"pgautofailover_replicator\" 10.0.0.2/32 scram-sha-256 #"),
        std::string::npos);
    EXPECT_EQ(EnsureHba(with, config, peers), with);
    EXPECT_EQ(EnsureHba(with, config, {}).find("10.0.0.2"), std::string::npos);
    config.lan_networks = "10.0.0.0/24,fd00::/64";
    const std::string lan = EnsureHba(theirs, config, {});
    EXPECT_NE(lan.find("hostssl \"postgres\" \"app\" 10.0.0.0/24 scram-sha-256 #"),
              std::string::npos);
    EXPECT_NE(lan.find("hostssl \"postgres\" \"app\" fd00::/64 scram-sha-256 #"),
              std::string::npos);
    config.monitor_host = "10.0.0.9";
    EXPECT_NE(
        EnsureHba(theirs, config, {})
            .find("\nhost \"postgres\" \"pgautofailover_monitor\" 10.0.0.9/32 scram-sha-256 #"),
        std::string::npos);
    config.auth_method = "skip";
    EXPECT_EQ(EnsureHba(theirs, config, peers), theirs);
}

TEST(PgFiles, SealedStandbyHasNoUpstream) {
    KeeperConfig config;
    config.node = NodeId{2};
    EXPECT_NE(StandbyText(config, nullptr).find("primary_conninfo = ''"), std::string::npos);
    config.replication_password = "it's";
    const Peer peer{NodeId{1}, "a", "h", 5432, {}, true, false, {}};
    EXPECT_NE(StandbyText(config, &peer).find("password=''it\\\\''s''"), std::string::npos);
}

TEST(SyncSet, QuorumNeedsMoreThanTheRest) {
    const NodeId a{1};
    const NodeId b{2};
    const NodeId c{3};
    EXPECT_FALSE(CoversEveryCommit(SyncSet{}, {a}));
    EXPECT_TRUE(CoversEveryCommit(SyncSet{1, {a}}, {a}));
    EXPECT_FALSE(CoversEveryCommit(SyncSet{1, {a, b}}, {a}));
    EXPECT_TRUE(CoversEveryCommit(SyncSet{1, {a, b}}, {a, b}));
    EXPECT_TRUE(CoversEveryCommit(SyncSet{2, {a, b, c}}, {a, c}));
    EXPECT_FALSE(CoversEveryCommit(SyncSet{2, {a, b}}, {c}));
}

// S14: PostgreSQL may have used any of the sets that were recorded since the last confirmation.
TEST(SyncSet, ReplacedGoalsCountUntilANewerOneIsConfirmed) {
    const NodeId a{1};
    const NodeId b{2};
    SyncState sync;
    sync.goal = sync.confirmed = {1, {a}};
    ReplaceGoal(sync, {1, {a, b}});
    ReplaceGoal(sync, {1, {a}});
    EXPECT_FALSE(CoversEveryCommit(sync, {a})) << "b alone may hold a commit";
    EXPECT_TRUE(CoversEveryCommit(sync, {a, b}));
    ReplaceGoal(sync, {1, {b}});
    EXPECT_EQ(sync.superseded.size(), 1U) << "{a} is on record as confirmed";
    ConfirmGoal(sync);
    EXPECT_TRUE(CoversEveryCommit(sync, {b}));
    EXPECT_TRUE(sync.IsSettled());
}

TEST(SyncSet, TextSurvivesTheRoundTrip) {
    const std::vector<SyncSet> sets{{1, {NodeId{2}, NodeId{3}}}, {}, {2, {NodeId{4}}}};
    EXPECT_EQ(EncodeSets(sets), "1:2,3 0: 2:4");
    EXPECT_EQ(DecodeSets(EncodeSets(sets)), sets);
    EXPECT_TRUE(DecodeSets("").empty());
    for (const char *bad : {"x", "1", "1:2;3", "1:2x", "1:a"}) {
        for (const SyncSet &set : DecodeSets(bad))
            EXPECT_TRUE(set.members.empty()) << bad;
    }
}

// S24, S25: numbers of timelines say nothing; where they branched off does.
TEST(Timeline, AncestryIsDecidedBySwitchPoints) {
    const WalPosition on_one{1, Lsn{100}, {}};
    const WalPosition on_two{2, Lsn{120}, {{1, Lsn{90}}}};
    const WalPosition on_three{3, Lsn{110}, {{1, Lsn{95}}}};
    EXPECT_EQ(Compare(on_one, on_two), Ancestry::kDiverged);
    EXPECT_EQ(Compare({1, Lsn{90}, {}}, on_two), Ancestry::kBehind);
    EXPECT_EQ(Compare(on_two, {1, Lsn{90}, {}}), Ancestry::kAhead);
    EXPECT_EQ(Compare(on_two, on_three), Ancestry::kDiverged);
    EXPECT_EQ(Compare(on_two, on_two), Ancestry::kEqual);
    EXPECT_EQ(Compare({0, Lsn{1}, {}}, on_two), Ancestry::kUnknown);
    EXPECT_EQ(Compare(on_one, {2, Lsn{120}, {}}), Ancestry::kUnknown)
        << "its history is not read yet";
    const WalPosition later{3, Lsn{170}, {{1, Lsn{90}}, {2, Lsn{150}}}};
    EXPECT_EQ(Compare(on_two, later), Ancestry::kBehind) << "two switches on one line";
    EXPECT_EQ(Compare(later, on_two), Ancestry::kAhead);
    EXPECT_EQ(Compare({2, Lsn{160}, {{1, Lsn{90}}}}, later), Ancestry::kDiverged);
    // The same number, given twice.
    EXPECT_EQ(Compare(on_two, {2, Lsn{130}, {{1, Lsn{80}}}}), Ancestry::kDiverged);
    EXPECT_EQ(Compare(on_two, {2, Lsn{130}, {{1, Lsn{90}}}}), Ancestry::kBehind);
}

// S32: many timelines are cut, not overrun.
TEST(Timeline, HistoryTextKeepsTheNewest) {
    std::string file = "# comment\n";
    for (int i = 1; i <= 2000; ++i) {
        file += std::to_string(i) + "\t0/" +
                ToString(Lsn{static_cast<std::uint64_t>(i)}).substr(2) + "\tno reason\n";
    }
    const TimelineHistory history = ParseTimelineHistory(file + "x\n\n");
    ASSERT_EQ(history.size(), 2000U);
    const TimelineHistory sent = DecodeHistory(EncodeHistory(history));
    ASSERT_EQ(sent.size(), kTimelineSwitchesMax);
    EXPECT_EQ(sent.back(), history.back());
    EXPECT_EQ(Compare({2001, Lsn{3000}, history}, {2001, Lsn{3000}, sent}), Ancestry::kEqual);
    EXPECT_TRUE(DecodeHistory("1@x").empty());
}

}  // namespace
}  // namespace pgaf::core
