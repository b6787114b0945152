#include "pgaf/core/leave.hpp"
#include "pgaf/core/hba.hpp"

#include <gtest/gtest.h>

#include "pgaf/core/pg_files.hpp"

namespace pgaf::core {
namespace {

constexpr const char *kTheirs = "shared_preload_libraries = 'mine'\nmax_connections = 200\n";

std::string OurSettings() {
    ServerSettings settings;
    settings.keeper_directory = "/home/keeper";
    settings.preload_libraries = "mine, pgautofailover_keeper";
    settings.port = 6001;
    return SettingsText(settings);
}

TEST(Leave, TheConfigurationIsTheAdministratorsWithPortAndAddresses) {
    const std::string with_us = EnsureInclude(kTheirs);
    const std::string left = LeaveConfiguration(with_us, OurSettings());
    EXPECT_TRUE(left.starts_with(kTheirs)) << left;
    EXPECT_NE(left.find("\nport = 6001\n"), std::string::npos) << left;
    EXPECT_EQ(left.find("include"), std::string::npos) << left;
    EXPECT_EQ(left.find("keeper"), std::string::npos) << left;
}

TEST(Leave, TwiceIsOnce) {
    const std::string left = LeaveConfiguration(EnsureInclude(kTheirs), OurSettings());
    EXPECT_EQ(LeaveConfiguration(left, ""), left);
}

TEST(Leave, ANodeThatComesAgainHasNothingOfIt) {
    const std::string left = LeaveConfiguration(EnsureInclude(kTheirs), OurSettings());
    EXPECT_EQ(WithoutKeptSettings(left), kTheirs);
    const std::string again = EnsureInclude(WithoutKeptSettings(left));
    EXPECT_EQ(WithoutKeptSettings(LeaveConfiguration(again, OurSettings())), kTheirs);
}

TEST(Hba, OurRulesComeBeforeOneThatRejects) {
    KeeperConfig config;
    config.host = "10.0.0.1";
    config.username = "app";
    config.auth_method = "scram-sha-256";
    Peer peer;
    peer.node = {2};
    peer.host = "10.0.0.2";
    const std::vector<Peer> peers{peer};
    const std::string theirs =
        "local all all peer\nhost all all 10.1.0.0/16 md5\n"
        "host all all 0.0.0.0/0 reject  # nobody else\n";
    const std::string hba = EnsureHba(theirs, config, peers);
    EXPECT_LT(hba.find(kReplicatorRole), hba.find("reject")) << hba;
    EXPECT_GT(hba.find(kReplicatorRole), hba.find("10.1.0.0/16")) << hba;
    EXPECT_GT(hba.find("\"app\""), hba.find("reject")) << "the site's rules hold for applications";
    EXPECT_EQ(EnsureHba(hba, config, peers), hba);
    // Rules that stand behind it already are moved.
    const std::string late = EnsureHba("local all all peer\n", config, peers);
    const std::string moved = EnsureHba("host all all 0.0.0.0/0 reject\n" + late, config, peers);
    EXPECT_LT(moved.find(kReplicatorRole), moved.find("reject")) << moved;
}

TEST(Leave, OurRulesGoAndThoseForApplicationsStay) {
    KeeperConfig config;
    config.host = "10.0.0.1";
    config.username = "app";
    config.monitor_host = "10.0.0.9";
    config.auth_method = "scram-sha-256";
    Peer peer;
    peer.node = {2};
    peer.host = "10.0.0.2";
    const std::vector<Peer> peers{peer};
    const std::string hba = EnsureHba("local all all peer\n", config, peers);
    ASSERT_NE(hba.find(kReplicatorRole), std::string::npos);
    const std::string left = LeaveHba(hba);
    EXPECT_EQ(left.find(kReplicatorRole), std::string::npos) << left;
    EXPECT_EQ(left.find(kHealthRole), std::string::npos) << left;
    EXPECT_NE(left.find("\"app\""), std::string::npos) << left;
    EXPECT_TRUE(left.starts_with("local all all peer\n"));
}

}  // namespace
}  // namespace pgaf::core
