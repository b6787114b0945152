// Goal: the plan is what the tutorial says, for every topology, and goes on with what is missing.
// Method: plans as texts, compared with golden/; PGAF_UPDATE_GOLDEN=1 writes those anew.
#include "azure/plan.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "azure/script.hpp"
#include "samples.hpp"

namespace pgaf::azure {
namespace {

void ExpectGolden(const std::string &name, const std::string &text) {
    const std::string path = PGAF_TESTS "/golden/" + name;
    if (std::getenv("PGAF_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << text;
    std::ostringstream expected;
    expected << std::ifstream(path).rdbuf();
    EXPECT_EQ(expected.str(), text) << path;
}

std::string NameOf(const Region &region) {
    return fmt::format("{}{}{}", region.nodes, region.monitor ? "-monitor" : "",
                       region.app ? "-app" : "");
}

/// What each machine is made for: "ha-demo-paris-a: creating the machine".
std::vector<std::string> StepsOf(const Plan &plan) {
    std::vector<std::string> steps;
    for (const Stage &stage : plan.stages) {
        for (const Lane &lane : stage.lanes) {
            for (const Step &step : lane.steps)
                steps.push_back(step.resource + ": " + step.doing);
        }
    }
    return steps;
}

bool Has(const std::vector<std::string> &steps, const std::string &step) {
    return std::find(steps.begin(), steps.end(), step) != steps.end();
}

TEST(PlanRegion, IsTheTutorialsForEveryTopology) {
    for (const int nodes : {1, 2, 4}) {
        for (const bool monitor : {true, false}) {
            for (const bool app : {true, false}) {
                const Region region = Paris(nodes, monitor, app);
                ExpectGolden("region-" + NameOf(region) + ".txt",
                             ListOf(PlanRegion(region, ShortNames(region), {}, {})));
            }
        }
    }
}

TEST(PlanNodes, IsTheTutorialsForEveryTopology) {
    for (const int nodes : {1, 2, 4}) {
        for (const bool monitor : {true, false}) {
            for (const bool app : {true, false}) {
                const Region region = Paris(nodes, monitor, app);
                ExpectGolden("nodes-" + NameOf(region) + ".txt",
                             ListOf(PlanNodes(region, Wanted(region))));
            }
        }
    }
}

TEST(Script, IsTheSamePlanForPeopleAndSh) {
    Region region = Paris(2, true, true);
    region.allow_from.clear();
    const ScriptOptions options{.is_new_region = true, .secrets = "/home/me/secrets"};
    Plan plan = PlanRegion(region, ShortNames(region), {}, {});
    ExpectGolden("region-2-monitor-app.sh", ScriptOf(region, plan, options));
    const ScriptOptions nodes{.secrets = "/home/me/secrets"};
    ExpectGolden("nodes-2-monitor-app.sh",
                 ScriptOf(region, PlanNodes(region, Wanted(region)), nodes));
    ExpectGolden("nodes-2-monitor-trust.sh",
                 ScriptOf(Paris(), PlanNodes(Paris(), Wanted(Paris(), Auth::kTrust)), nodes));
}

TEST(Script, BuildsFromSource) {
    const Install install{.source_file = "/home/me/it's here.tar.gz"};
    const Region region = Paris(1, false);
    ExpectGolden("region-1-source.sh",
                 ScriptOf(region, PlanRegion(region, ShortNames(region), install, {}), {}));
}

TEST(PlanRegion, MakesOnlyWhatIsMissing) {
    const Region region = Paris();
    Existing existing{.group = true, .vnet = true, .nsg = true, .subnet = true};
    existing.machines = {{"monitor", "Succeeded"}, {"a", "Failed"}};
    const auto steps = StepsOf(PlanRegion(region, ShortNames(region), {}, existing));
    EXPECT_EQ(steps,
              (std::vector<std::string>{
                  "ha-demo-paris-ssh-and-pg: opening ports 22 and 5432 for us and for the "
                  "machines",
                  "ha-demo-paris-a: creating the machine", "ha-demo-paris-b: creating the machine",
                  "ha-demo-paris-monitor: installing packages",
                  "ha-demo-paris-a: installing packages", "ha-demo-paris-b: installing packages"}));
}

TEST(PlanRegion, NeverRepeatsWhatWouldTakeSubnetsOrRulesAway) {
    const Region region = Paris();
    for (int made = 0; made < 8; ++made) {
        const Existing existing{.group = true,
                                .vnet = (made & 1) != 0,
                                .nsg = (made & 2) != 0,
                                .subnet = (made & 4) != 0};
        const auto steps = StepsOf(PlanRegion(region, {}, {}, existing));
        EXPECT_FALSE(Has(steps, "ha-demo-paris: creating the resource group"));
        EXPECT_EQ(Has(steps, "ha-demo-paris-net: creating the virtual network"), !existing.vnet);
        EXPECT_EQ(Has(steps, "ha-demo-paris-nsg: creating the network security group"),
                  !existing.nsg);
        EXPECT_EQ(Has(steps, "ha-demo-paris-subnet: creating the subnet"), !existing.subnet);
    }
}

TEST(PlanRegion, MakesAllMachinesAtTheSameTimeAndThenInstalls) {
    const Region region = Paris(kMostNodes, true, true);
    const Plan plan = PlanRegion(region, ShortNames(region), {}, {});
    ASSERT_EQ(plan.stages.size(), 3U);
    EXPECT_EQ(plan.stages[1].lanes.size(), 28U);
    EXPECT_EQ(plan.stages[1].on_failure, OnFailure::kOthersGoOn);
    EXPECT_EQ(plan.stages[2].lanes.size(), 28U);
}

TEST(Plan, HoldsNoSecretAndAsksForThemByName) {
    const Region region = Paris(2, true, true);
    const Plan plan = PlanNodes(region, Wanted(region));
    const std::string script = ScriptOf(region, plan, {.secrets = "/home/me/secrets"});
    EXPECT_EQ(script.find("password="), std::string::npos);
    for (const Stage &stage : plan.stages) {
        for (const Lane &lane : stage.lanes) {
            for (const Step &step : lane.steps) {
                for (const std::string &word : step.argv)
                    EXPECT_EQ(word.find("PASSWORD"), std::string::npos) << word;
            }
        }
    }
}

TEST(Plan, GivesEachMachineOnlyTheSecretsThatItNeeds) {
    const Region region = Paris(2, true, true);
    const Plan plan = PlanNodes(region, Wanted(region));
    using Names = std::vector<std::string>;
    EXPECT_EQ(plan.stages[0].lanes[0].steps[0].secrets, Names{"PG_AUTOCTL_NODE_PASSWORD"});
    EXPECT_EQ(plan.stages[1].lanes[0].steps[0].secrets,
              (Names{"PG_AUTOCTL_NODE_PASSWORD", "PG_AUTOCTL_REPLICATION_PASSWORD"}));
    EXPECT_EQ(plan.stages.back().lanes[0].steps.back().secrets, Names{"PG_AUTOCTL_APP_PASSWORD"});
    for (const Stage &stage : PlanNodes(region, Wanted(region, Auth::kTrust)).stages) {
        for (const Lane &lane : stage.lanes) {
            for (const Step &step : lane.steps)
                EXPECT_TRUE(step.secrets.empty()) << step.doing;
        }
    }
}

TEST(PlanNodes, OneMoreNodeTellsTheApplicationOfAll) {
    const Region region = Paris();
    const Plan plan = PlanNodes(region, {.names = {"c", "app"}, .all_nodes = {"a", "b", "c"}});
    EXPECT_EQ(plan.stages.front().lanes.front().machine, "ha-demo-paris-c");
    EXPECT_EQ(
        plan.stages.back().lanes.front().steps.back().argv.back(),
        "{{private:ha-demo-paris-a}},{{private:ha-demo-paris-b}},{{private:ha-demo-paris-c}}");
}

TEST(Plan, NeverGivesAzAValueThatItWouldTakeForAFileOrAnOption) {
    const Region region = Paris(1, true, true);
    const Plan plan = PlanRegion(region, ShortNames(region), {}, {});
    for (const Lane &lane : plan.stages.back().lanes) {
        const auto &argv = lane.steps.front().argv;
        const auto scripts = std::find(argv.begin(), argv.end(), "--scripts");
        ASSERT_NE(scripts, argv.end());
        EXPECT_EQ(*(scripts + 1), "set -e");
        EXPECT_EQ(argv.back(), "echo PROVISIONED-OK");
        std::for_each(scripts + 1, argv.end(), [](const std::string &line) {
            EXPECT_FALSE(line.starts_with("-") || line.starts_with("@")) << line;
        });
    }
}

}  // namespace
}  // namespace pgaf::azure
