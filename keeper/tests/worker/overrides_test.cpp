#include "worker/overrides.hpp"
#include "bench.hpp"
#include "fake_world.hpp"
#include "pgaf/core/pg_files.hpp"

#include <gtest/gtest.h>

/// What other tools write into the configuration, and what becomes of it.
namespace pgaf::worker {
namespace {

using core::Milliseconds;

const std::string kMain = "/data/postgresql.conf";
const std::string kAutomatic = "/data/postgresql.auto.conf";
const std::string kOurs = "/data/" + std::string(core::kSettingsFile);

TEST(Overrides, SettingsOfOursBecomeComments) {
    FakeWorld world;
    world.files[kAutomatic] = "work_mem = '64MB'\nSynchronous_Standby_Names = ''\n";
    EXPECT_TRUE(*RemoveOverrides(PortsOf(world), "/data"));
    EXPECT_EQ(world.files[kAutomatic],
              "work_mem = '64MB'\n# Decided by pg_auto_failover: Synchronous_Standby_Names = ''\n");
    EXPECT_FALSE(*RemoveOverrides(PortsOf(world), "/data")) << "once is enough";
}

TEST(Overrides, TheIncludeLineComesBack) {
    FakeWorld world;
    world.files[kOurs] = "";
    world.files[kMain] = "port = 5432\n";
    EXPECT_TRUE(*RemoveOverrides(PortsOf(world), "/data"));
    EXPECT_EQ(world.files[kMain], core::EnsureInclude("port = 5432\n"));
}

// PostgreSQL does not start with a line that includes a file which is not there.
TEST(Overrides, NothingIsIncludedThatIsNotThere) {
    FakeWorld world;
    world.files[kMain] = "port = 5432\n";
    EXPECT_FALSE(*RemoveOverrides(PortsOf(world), "/data"));
    EXPECT_EQ(world.files[kMain], "port = 5432\n");
}

TEST(Config, AnErrorIsTheNodesProblemBeforeTheDay) {
    Bench bench;
    bench.BeginStandby();
    bench.world.config_problem = {"/data/postgresql.conf, line 7: syntax error", true};
    bench.RunFor(Milliseconds{2'500});
    EXPECT_TRUE(bench.NextReport().cannot_reload);
    EXPECT_EQ(bench.LastReport().problem, bench.world.config_problem.words);
    bench.world.journal.clear();
    bench.world.config_problem = {};
    bench.RunFor(Milliseconds{2'500});
    EXPECT_FALSE(bench.NextReport().cannot_reload);
    EXPECT_EQ(bench.LastReport().problem, "");
    EXPECT_EQ(bench.world.Count("reload"), 1) << "what was written meanwhile is read";
}

// The rest of the files is applied: such a node can be sealed, and take over.
TEST(Config, AValueThatCannotBeIsNamedAndDisqualifiesNobody) {
    Bench bench;
    bench.BeginStandby();
    bench.world.config_problem = {"/data/postgresql.conf, line 7: invalid value", false};
    bench.RunFor(Milliseconds{2'500});
    EXPECT_EQ(bench.NextReport().problem, bench.world.config_problem.words);
    EXPECT_FALSE(bench.LastReport().cannot_reload);
}

}  // namespace
}  // namespace pgaf::worker
