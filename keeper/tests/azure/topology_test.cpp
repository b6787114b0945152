// Goal: names are those of the tutorial, and what Azure would refuse later is refused at once.
// Method: the pure functions, one rule at a time.
#include "azure/topology.hpp"

#include <gtest/gtest.h>

namespace pgaf::azure {
namespace {

Region Paris() { return {.prefix = "ha-demo", .region = "paris", .nodes = 2}; }

TEST(Names, AreThoseOfTheTutorial) {
    const Region region = Paris();
    EXPECT_EQ(GroupOf(region), "ha-demo-paris");
    EXPECT_EQ(VnetOf(region), "ha-demo-paris-net");
    EXPECT_EQ(NsgOf(region), "ha-demo-paris-nsg");
    EXPECT_EQ(RuleOf(region), "ha-demo-paris-ssh-and-pg");
    EXPECT_EQ(SubnetOf(region), "ha-demo-paris-subnet");
    EXPECT_EQ(NetworkOf(region), "10.11.0.0/16");
    EXPECT_EQ(SubnetPrefixOf(region), "10.11.11.0/24");
    EXPECT_EQ(MachineOf(region, "a"), "ha-demo-paris-a");
    EXPECT_EQ(MachineOf(region, "ha-demo-paris-a"), "ha-demo-paris-a");
}

TEST(Names, MonitorThenNodesThenApp) {
    Region region = Paris();
    EXPECT_EQ(ShortNames(region), (std::vector<std::string>{"a", "b"}));
    region.monitor = region.app = true;
    EXPECT_EQ(ShortNames(region), (std::vector<std::string>{"monitor", "a", "b", "app"}));
    region.nodes = kMostNodes;
    EXPECT_EQ(ShortNames(region).at(26), "z");
}

TEST(Names, AreComparedWithoutCase) {
    EXPECT_TRUE(SameName("HA-DEMO-PARIS", "ha-demo-paris"));
    EXPECT_FALSE(SameName("ha-demo-paris", "ha-demo-pari"));
}

TEST(Locations, HaveTwoSpellings) {
    EXPECT_TRUE(SameLocation("France Central", "francecentral"));
    EXPECT_FALSE(SameLocation("francesouth", "francecentral"));
}

TEST(CheckRegion, RefusesWhatAzureWould) {
    EXPECT_TRUE(CheckRegion(Paris()));
    for (const char *word : {"", "Paris", "pa ris", "-paris", "paris-", "pa;ris", "pa_ris"}) {
        Region region = Paris();
        region.region = word;
        EXPECT_FALSE(CheckRegion(region)) << word;
    }
    Region many = Paris();
    many.nodes = kMostNodes + 1;
    EXPECT_FALSE(CheckRegion(many));
    Region longest = Paris();
    longest.region = std::string(48, 'x');  // with "ha-demo-" and "-monitor" 64
    EXPECT_TRUE(CheckRegion(longest));
    longest.region += 'x';
    EXPECT_FALSE(CheckRegion(longest));
    Region open = Paris();
    open.allow_from = {"0.0.0.0/0"};
    EXPECT_FALSE(CheckRegion(open));
}

}  // namespace
}  // namespace pgaf::azure
