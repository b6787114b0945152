// Goal: ssh trusts the keys that az has brought from the machine, and nothing that somebody could
// slip into the output or into the file. Method: outputs of scripts, nasty ones among them.
#include "azure/host_keys.hpp"

#include <gtest/gtest.h>

#include "azure/plan.hpp"
#include "samples.hpp"

namespace pgaf::azure {
namespace {

TEST(HostKeys, TheLinesOfTheScriptBecomeThoseOfTheFile) {
    EXPECT_EQ(*KnownHosts("Enable succeeded: \n[stdout]\nSetting up ...\n"
                          "PGAF-HOST-KEY ecdsa-sha2-nistp256 AAAA/b+=\r\n"
                          "PGAF-HOST-KEY ssh-ed25519 AAAAC3\nPROVISIONED-OK\n",
                          "x-a"),
              "x-a ecdsa-sha2-nistp256 AAAA/b+=\nx-a ssh-ed25519 AAAAC3\n");
}

TEST(HostKeys, NothingElseBecomesALine) {
    for (const char *line :
         {"ssh-ed25519 AAAA", "PGAF-HOST-KEY", "PGAF-HOST-KEY ", "PGAF-HOST-KEY ssh-ed25519",
          "PGAF-HOST-KEY ssh-ed25519 ", "PGAF-HOST-KEY ssh-dss AAAA",
          "PGAF-HOST-KEY ssh-ed25519 AAAA comment", "PGAF-HOST-KEY ssh-ed25519 A\tA",
          "PGAF-HOST-KEY @cert-authority * ssh-ed25519", "PGAF-HOST-KEY ssh-ed25519 $(id)",
          "PGAF-HOST-KEY ssh-ed25519 \x1b[2J", " PGAF-HOST-KEY ssh-ed25519 AAAA"}) {
        const auto known = KnownHosts(line, "x-a");
        ASSERT_FALSE(known) << line << ": " << *known;
        EXPECT_FALSE(known.error().hint.empty());
    }
}

TEST(HostKeys, SshKnowsAMachineByItsOwnFileOnly) {
    const Region region = Paris();
    for (const auto &words : {SshTo(region, "a"), SshInteractive(region, "a")}) {
        const auto has = [&](const std::string &word) {
            return std::find(words.begin(), words.end(), word) != words.end();
        };
        EXPECT_TRUE(has("StrictHostKeyChecking=yes"));
        EXPECT_TRUE(has("HostKeyAlias=ha-demo-paris-a"));
        EXPECT_TRUE(has("UserKnownHostsFile=" + KnownHostsOf(region, "ha-demo-paris-a")));
        EXPECT_FALSE(has("UserKnownHostsFile=" + KnownHostsOf(region, "ha-demo-paris-b")));
    }
}

}  // namespace
}  // namespace pgaf::azure
