#include "cli/service_user.hpp"

#include <gtest/gtest.h>

#include "cli/arguments.hpp"

/// What an administrator types, as the user does it who owns PostgreSQL.
namespace pgaf::cli::test {
namespace {

using Words = std::vector<std::string>;

const Homes kHomes{"/home/ha-admin", "/home/ha-admin", "/var/lib/postgresql"};

TEST(ServiceUser, HasWhatIsBelowTheHomeOfWhoeverTypes) {
    EXPECT_EQ(PathOfService(kHomes, "ha"), "/var/lib/postgresql/ha");
    EXPECT_EQ(PathOfService(kHomes, "./monitor/"), "/var/lib/postgresql/monitor/");
    EXPECT_EQ(PathOfService(kHomes, "/home/ha-admin/ha"), "/var/lib/postgresql/ha");
    EXPECT_EQ(PathOfService(kHomes, "/home/ha-admin/../ha-admin/ha"), "/var/lib/postgresql/ha");
    EXPECT_EQ(PathOfService(kHomes, "/srv/ha"), "/srv/ha");
    EXPECT_EQ(PathOfService(kHomes, "/home/ha-administrator/ha"), "/home/ha-administrator/ha");
    EXPECT_EQ(PathOfService(kHomes, "../other"), "/home/other");
    EXPECT_EQ(PathOfService({"/srv", "/home/x", "/p"}, "ha"), "/srv/ha");
    EXPECT_EQ(PathOfService({"/srv", "/", "/p"}, "ha"), "/srv/ha") << "a home that is no home";
    EXPECT_EQ(PathOfService(kHomes, ""), "");
}

TEST(ServiceUser, GetsItsPathsWhereTheyStandForADataDirectory) {
    const Words words =
        WordsOfService(kHomes, {"pg_autoctl", "create", "postgres", "--pgdata", "ha", "--name",
                                "ha", "-D", "b", "--pgdata=c", "-Dd", "--", "--pgdata", "e"});
    EXPECT_EQ(words, (Words{"pg_autoctl", "create", "postgres", "--pgdata",
                            "/var/lib/postgresql/ha", "--name", "ha", "-D", "/var/lib/postgresql/b",
                            "--pgdata=/var/lib/postgresql/c", "-D/var/lib/postgresql/d", "--",
                            "--pgdata", "e"}));
    EXPECT_EQ(WordsOfService(kHomes, {"pg_autoctl", "run", "--pgdata"}).size(), 3U);
}

TEST(ServiceUser, HasNothingToDoWithWhatIsOfTheirOwn) {
    for (const Words &words :
         {Words{"pg_autoctl"}, Words{"pg_autoctl", "do", "azure", "ls"},
          Words{"pg_autoctl", "-q", "do", "azure"}, Words{"pg_autoctl", "version"},
          Words{"pg_autoctl", "create", "--help"}, Words{"pg_autoctl", "--version"}})
        EXPECT_TRUE(IsOfOwnUser(words)) << words.back();
    for (const Words &words :
         {Words{"pg_autoctl", "run"}, Words{"pg_autoctl", "-q", "show", "systemd"},
          Words{"pg_autoctl", "create", "postgres", "--name", "do"}})
        EXPECT_FALSE(IsOfOwnUser(words)) << words.back();
}

TEST(Arguments, TravelAsOneText) {
    for (const Words &words :
         {Words{}, Words{"a", "", "b c"}, Words{"\n", "\\n", "\\\\\n\\", "'$(x)\""}})
        EXPECT_EQ(DecodeWords(EncodeWords(words)), words);
}

// sudo writes what is in its command line to the log.
TEST(Arguments, AreShownWithoutSecrets) {
    const Words words{"pg_autoctl",
                      "create",
                      "--monitor",
                      "postgres://autoctl_node:SECRET@h/d?sslmode=require",
                      "--monitor=postgres://u:SECRET@h/d",
                      "host=h password=SECRET",
                      "--replication-password",
                      "SECRET",
                      "--node-password=SECRET",
                      "--pgdata",
                      "ha"};
    const Words shown = WithoutSecrets(words);
    ASSERT_EQ(shown.size(), words.size());
    for (const std::string &word : shown)
        EXPECT_EQ(word.find("SECRET"), std::string::npos) << word;
    EXPECT_EQ(shown.back(), "ha");
    EXPECT_NE(shown.at(3).find("autoctl_node"), std::string::npos);
}

}  // namespace
}  // namespace pgaf::cli::test
