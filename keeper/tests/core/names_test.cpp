// Goal: what comes from another machine stays data in every file, connection string and terminal.
// Method: one table of nasty values; for each place of output, what reads it back.
#include "pgaf/core/names.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <array>

#include "pgaf/core/hba.hpp"
#include "pgaf/core/lines.hpp"
#include "pgaf/core/pg_files.hpp"

namespace pgaf::core {
namespace {

const std::vector<std::string> kNastyHosts{
    "",
    "localhost scram-sha-256\nhost all all 0.0.0.0/0 trust #",
    "a\r",
    "a\tb",
    "a b",
    "a#b",
    "a\"b",
    "a'b",
    "a\\b",
    "a,b",
    "a/b",
    "0.0.0.0/0",
    "::/0",
    "all",
    "ALL",
    "samehost",
    "samenet",
    "+role",
    "@file",
    ".example.com",
    "a..b",
    "-oProxyCommand=id",
    "a-",
    "1234",
    "10.0.0",
    "10.0.0.256",
    "010.0.0.1",
    "fe80::1%eth0",
    "[::1]",
    "::1::2",
    "1:2:3:4:5:6:7:8:9",
    ":1",
    "$(id)",
    "`id`",
    "a;id",
    "a&b",
    "a|b",
    "a=b",
    "a?sslmode=disable",
    "h\xC3\xB6st",
    std::string("a\0b", 3),
    "\x1b[2J",
    std::string(256, 'a'),
    std::string(64, 'a') + ".b",
};

const std::vector<std::string> kNastyNames{
    "a\nb",
    "a\rb",
    "\x1b]0;title\x07",
    "\x7f",
    std::string("a\0b", 3),
    "\xC2\x9B"
    "2J",               // CSI as one character
    "\xE2\x80\xAEtxt",  // reads from right to left
    "\xE2\x80\xA8line",
    "\xFF\xFE",
    "\xC0\xAF",  // "/" in a form that is no UTF-8
};

TEST(HostName, NastyOnesAreRefused) {
    for (const std::string &host : kNastyHosts)
        EXPECT_FALSE(IsHostName(host)) << Printable(host);
    const auto refused = CheckHostName("host name", "a\nb");
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().message, "invalid host name \"a\\x0Ab\"");
}

TEST(HostName, OrdinaryOnesAreAccepted) {
    for (const char *host : {"localhost", "a", "node-1.example.com", "10.0.0.1", "::1", "fd00::7",
                             "node_1", "3com.example", "1.2.3.x", "::ffff:10.0.0.1", "::"}) {
        EXPECT_TRUE(IsHostName(host)) << host;
    }
    EXPECT_TRUE(IsHostName(std::string(63, 'a') + "." + std::string(63, 'b')));
}

TEST(HostName, AddressesAreThoseOfInetPton) {
    const std::vector<std::string> texts{"1.2.3.4",
                                         "255.255.255.255",
                                         "256.1.1.1",
                                         "1.2.3",
                                         "1.2.3.4.5",
                                         "01.2.3.4",
                                         "1..2.3",
                                         "::",
                                         "::1",
                                         "1::",
                                         "1::2",
                                         "1:2:3:4:5:6:7:8",
                                         "1::2::3",
                                         "12345::",
                                         "::1.2.3.4",
                                         "::1.2.3",
                                         "1:2:3:4:5:6:1.2.3.4",
                                         "1:2:3:4:5:6:7::",
                                         "::2:3:4:5:6:7:8",
                                         "1:2:3:4:5:6:7",
                                         ":::",
                                         "g::",
                                         "1:",
                                         "+1.2.3.4",
                                         "-1::",
                                         "0x1::",
                                         "1:2:3:4::5:6:7:8"};
    for (const std::string &text : texts) {
        std::array<unsigned char, 16> bytes{};
        const bool is_good = inet_pton(AF_INET, text.c_str(), bytes.data()) == 1 ||
                             inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1;
        const auto parsed = ParseIpAddress(text);
        EXPECT_EQ(parsed.has_value(), is_good) << text;
        if (parsed && is_good) {
            EXPECT_TRUE(
                std::equal(bytes.begin(), bytes.begin() + parsed->size, parsed->bytes.begin()))
                << text;
        }
    }
}

TEST(Name, ControlsAreRefusedAndShown) {
    for (const std::string &name : kNastyNames) {
        EXPECT_FALSE(IsName(name)) << Printable(name);
        for (const char c : Printable(name))
            EXPECT_TRUE(static_cast<unsigned char>(c) >= 0x20 && c != 0x7F) << Printable(name);
        EXPECT_EQ(Printable(Printable(name)), Printable(name));
    }
    EXPECT_FALSE(IsName(""));
    EXPECT_FALSE(IsName(std::string(256, 'a')));
    for (const char *name : {"node 1", "it's", "a\"b", "\xC3\xA9t\xC3\xA9", "$(id)", "a;b"}) {
        EXPECT_TRUE(IsName(name)) << name;
        EXPECT_EQ(Printable(name), name);
    }
    EXPECT_EQ(Printable("a\x1b[2J\n"), "a\\x1B[2J\\x0A");
}

KeeperConfig Config() {
    KeeperConfig config;
    config.auth_method = "scram-sha-256";
    config.ssl = true;
    config.ssl_mode = "require";
    config.host = "10.0.0.1";
    config.username = "app";
    config.node = NodeId{2};
    return config;
}

std::vector<std::string> Lines(std::string_view text) {
    std::vector<std::string> lines;
    while (!text.empty())
        lines.emplace_back(TakeLine(text));
    return lines;
}

// The critical finding: a host name that is two lines of every node's pg_hba.conf.
TEST(Sink, NoHostBecomesAnotherRule) {
    for (const std::string &host : kNastyHosts) {
        Peer peer;
        peer.node = {2};
        peer.host = host;
        const std::string hba = EnsureHba("local all all peer\n", Config(), {&peer, 1});
        EXPECT_EQ(hba, EnsureHba("local all all peer\n", Config(), {})) << Printable(host);
        KeeperConfig config = Config();
        config.monitor_host = host;
        const bool is_network = host.find("/0") != std::string::npos;  // a network is meant here
        config.lan_networks = is_network || host == "a,b" ? "" : host;
        config.host = host;
        EXPECT_EQ(Lines(EnsureHba("local all all peer\n", config, {})).size(), 1U)
            << Printable(host);
    }
}

TEST(Sink, NamesInHbaAreQuotedOrLeftOut) {
    for (const std::string &name : kNastyNames)
        EXPECT_EQ(QuoteHba(name), "") << Printable(name);
    EXPECT_EQ(QuoteHba("/.*"), "");
    EXPECT_EQ(QuoteHba("all"), "\"all\"");
    EXPECT_EQ(QuoteHba("a\"b"), "\"a\"\"b\"");
    EXPECT_EQ(HbaLine({"host", "replication", "r", "10.0.0.1", "trust x"}), "");
    EXPECT_EQ(HbaLine({"host", "replication", "r", "10.0.0.1", "trust\nhost"}), "");
}

TEST(Sink, AReplyWithANastyPeerIsCorrupt) {
    Reply reply;
    reply.node = NodeId{1};
    reply.peers = {Peer{NodeId{2}, "b", "10.0.0.2", 5432, NodeState::kSecondary, {}, {}, {}}};
    ASSERT_TRUE(DecodeReply(Encode(reply)).has_value());
    for (const std::string &host : kNastyHosts) {
        Reply bad = reply;
        bad.peers.at(0).host = host;
        const auto decoded = DecodeReply(Encode(bad));
        ASSERT_FALSE(decoded.has_value()) << Printable(host);
        EXPECT_EQ(decoded.error().code, ProblemCode::kCorrupt);
    }
    for (const std::string &name : kNastyNames) {
        Reply bad = reply;
        bad.peers.at(0).name = name;
        EXPECT_FALSE(DecodeReply(Encode(bad)).has_value()) << Printable(name);
    }
    for (const int port : {0, -1, 65536}) {
        Reply bad = reply;
        bad.peers.at(0).port = port;
        EXPECT_FALSE(DecodeReply(Encode(bad)).has_value()) << port;
    }
    for (const char *names : {"a'\narchive_command = 'id", "a'b", "a\\b", "*\""}) {
        Reply bad = reply;
        bad.sync_names = names;
        EXPECT_FALSE(DecodeReply(Encode(bad)).has_value()) << names;
    }
}

// Read back as libpq and PostgreSQL do.
TEST(Sink, ValuesOfSettingsAndConninfosComeBack) {
    std::vector<std::string> values = kNastyHosts;
    values.insert(values.end(), kNastyNames.begin(), kNastyNames.end());
    for (const std::string &value : values) {
        const std::string quoted = QuoteConninfo(value);
        std::string back;
        if (quoted.front() != '\'') {
            back = quoted;
            EXPECT_EQ(quoted.find_first_of(" '\\="), std::string::npos) << Printable(value);
        } else {
            for (std::size_t i = 1; i + 1 < quoted.size(); ++i)
                back += quoted[i] == '\\' ? quoted[++i] : quoted[i];
        }
        EXPECT_EQ(back, value) << Printable(value);
        EXPECT_EQ(SettingOf("x = " + QuoteSetting(value) + "\n", "x"), value) << Printable(value);
        for (const char c : QuoteUri(value)) {
            const bool is_plain = std::isalnum(static_cast<unsigned char>(c)) != 0 ||
                                  std::string_view("-._~%").find(c) != std::string_view::npos;
            EXPECT_TRUE(is_plain) << Printable(value);
        }
    }
    EXPECT_EQ(QuoteUri("p@ss:w/rd%?&#"), "p%40ss%3Aw%2Frd%25%3F%26%23");
    EXPECT_EQ(QuoteUriPath("/etc/ssl/ca 1.pem"), "/etc/ssl/ca%201.pem");
}

TEST(Protocol, LongAndDeepTextsAreRefusedAndNoReportOfOursIsOne) {
    EXPECT_FALSE(
        DecodeReport("{\"version\":1,\"x\":" + std::string(100, '[') + std::string(100, ']') + "}")
            .has_value());
    Report report;
    report.formation = "default";
    report.node = NodeId{1};
    report.problem = std::string(50'000, 'x');
    report.event = std::string(50'000, '\n');
    report.settings_state = std::string(50'000, '"');
    report.settings_mark = 3;
    const std::string text = Encode(report);
    EXPECT_LE(text.size(), kReportMost);
    const auto decoded = DecodeReport(text);
    ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
    EXPECT_EQ(decoded->event.find('\n'), std::string::npos);
    for (const std::int64_t bad : {std::int64_t{-1}, INT64_MIN, INT64_MAX}) {
        Report wrong = report;
        wrong.keeper_epoch = bad;
        EXPECT_FALSE(DecodeReport(Encode(wrong)).has_value()) << bad;
    }
    Report last = report;
    last.timeline = INT_MAX;
    EXPECT_FALSE(DecodeReport(Encode(last)).has_value());
}

TEST(Hba, OurBlockIsReplacedAsAWhole) {
    Peer peer;
    peer.node = {2};
    peer.host = "10.0.0.2";
    KeeperConfig config = Config();
    config.monitor_host = "10.0.0.9";
    config.lan_networks = "10.0.0.0/24";
    const std::string before = EnsureHba("local all all peer\n", config, {&peer, 1});
    KeeperConfig moved = config;
    moved.monitor_host = "10.0.0.8";
    moved.host = "10.0.0.3";
    moved.lan_networks = "";
    const std::string after = EnsureHba(before, moved, {});
    for (const char *gone : {"10.0.0.9", "10.0.0.1/32", "10.0.0.0/24", "10.0.0.2"})
        EXPECT_EQ(after.find(gone), std::string::npos) << gone << "\n" << after;
    EXPECT_NE(after.find("10.0.0.8/32"), std::string::npos);
    EXPECT_EQ(EnsureHba(after, moved, {}), after);
}

TEST(Hba, LinesOfFormerVersionsAreTakenOver) {
    const std::string old =
        "local all all peer\n"
        "host all all 0.0.0.0/0 trust # scram-sha-256 # Auto-generated by pg_auto_failover\n"
        "hostssl \"db\" \"app\" 10.9.0.0/16 md5 # Auto-generated by pg_auto_failover\n"
        "host all all 10.1.0.0/16 md5\n";
    const std::string hba = EnsureHba(old, Config(), {});
    EXPECT_EQ(hba.find("trust"), std::string::npos) << hba;
    EXPECT_EQ(hba.find("10.9"), std::string::npos) << hba;
    EXPECT_NE(hba.find("host all all 10.1.0.0/16 md5\n"), std::string::npos) << hba;
}

TEST(Hba, ABlockWithoutAnEndKeepsWhatOthersWrote) {
    const std::string whole = EnsureHba("local all all peer\n", Config(), {});
    const std::string cut = whole.substr(0, whole.find("# END")) + "host all all 10.1.0.0/16 md5\n";
    const std::string mended = EnsureHba(cut, Config(), {});
    EXPECT_NE(mended.find("10.1.0.0/16 md5"), std::string::npos) << mended;
    EXPECT_EQ(mended.find("BEGIN"), mended.rfind("BEGIN")) << mended;
}

TEST(Hba, OurBlockComesBeforeWhatWouldCatchIt) {
    Peer peer;
    peer.node = {2};
    peer.host = "10.0.0.2";
    for (const char *line :
         {"host all all 0.0.0.0/0 reject", "host all all 0.0.0.0/0 md5", "host all all all ldap",
          "hostssl replication +ops 10.0.0.0/8 cert", "host all all samenet trust",
          "host replication \"pgautofailover_replicator\" 10.0.0.0/8 md5", "include other_hba.conf",
          "host all all 10.0.0.0 255.0.0.0 md5"}) {
        const std::string hba =
            EnsureHba("local all all peer\n" + std::string(line) + "\n", Config(), {&peer, 1});
        EXPECT_LT(hba.find("10.0.0.2/32"), hba.find(line)) << hba;
    }
    for (const char *line : {"host all all 10.1.0.0/16 md5", "host all joe 0.0.0.0/0 reject",
                             "local all all peer", "# host all all 0.0.0.0/0 reject"}) {
        const std::string hba = EnsureHba(std::string(line) + "\n", Config(), {&peer, 1});
        EXPECT_GT(hba.find("10.0.0.2/32"), hba.find(line)) << hba;
    }
}

// PostgreSQL logs a changed primary_conninfo with everything in it.
TEST(Conninfo, ThePasswordIsInAFile) {
    const Peer peer{NodeId{1}, "a", "h", 5432, {}, true, false, {}};
    KeeperConfig config = Config();
    config.replication_password = "pa:ss\\word";
    config.passfile = "/home/my user/replication.pass";
    const std::string conninfo = PrimaryConninfo(config, peer);
    EXPECT_EQ(conninfo.find("pa:ss"), std::string::npos);
    EXPECT_NE(conninfo.find(" passfile='/home/my user/replication.pass'"), std::string::npos);
    EXPECT_EQ(PassfileLine(config.replication_password),
              "*:*:*:pgautofailover_replicator:pa\\:ss\\\\word\n");
}

TEST(ChannelBinding, IsAskedForWhereScramRunsOverTls) {
    const Peer peer{NodeId{1}, "a", "h", 5432, {}, true, false, {}};
    KeeperConfig config = Config();
    EXPECT_NE(PrimaryConninfo(config, peer).find(" channel_binding=require"), std::string::npos);
    config.ssl_mode = "verify-full";
    EXPECT_NE(PrimaryConninfo(config, peer).find(" channel_binding=require"), std::string::npos);
    config.ssl_mode = "prefer";
    EXPECT_EQ(PrimaryConninfo(config, peer).find("channel_binding"), std::string::npos);
    config.ssl_mode = "require";
    config.auth_method = "md5";
    EXPECT_EQ(PrimaryConninfo(config, peer).find("channel_binding"), std::string::npos);
    config.auth_method = "scram-sha-256";
    config.channel_binding = "prefer";
    EXPECT_NE(PrimaryConninfo(config, peer).find(" channel_binding=prefer"), std::string::npos);
}

}  // namespace
}  // namespace pgaf::core
