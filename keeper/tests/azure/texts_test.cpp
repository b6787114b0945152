// Goal: texts of others are read as they are, and ours are quoted so that no shell changes them.
// Method: answers of az and pg_autoctl; words with every bad character, through a real sh.
#include <gtest/gtest.h>

#include "azure/existing.hpp"
#include "azure/install.hpp"
#include "azure/markers.hpp"
#include "azure/progress.hpp"
#include "io/process.hpp"
#include "samples.hpp"

namespace pgaf::azure {
namespace {

TEST(Markers, AreFoundAmongPlainText) {
    const auto parts = SplitMarkers("host={{private:m-a}},{{private:m-b}}x{{own}}{{other}}");
    ASSERT_EQ(parts.size(), 7U);
    EXPECT_EQ(parts[0].text, "host=");
    EXPECT_EQ(parts[1].marker.machine, "m-a");
    EXPECT_EQ(parts[5].marker.kind, "own");
    EXPECT_EQ(parts[6].text, "{{other}}");
}

TEST(Markers, AreFilledOrTheFirstProblemIsPassedOn) {
    const auto value = [](const Marker &marker) -> Result<std::string> {
        if (marker.machine == "m-x") return Fail(ProblemCode::kNotFound, "no machine");
        return marker.kind + "!";
    };
    EXPECT_EQ(*Fill("a{{public:m-a}}b", value), "apublic!b");
    EXPECT_FALSE(Fill("{{public:m-x}}", value));
}

TEST(ShellWord, SurvivesSh) {
    for (const std::string word :
         {"plain", "", "it's", "a b", "$HOME", "`id`", "\"", "*", "[?x=='y']", "\\", "a\nb", "~"}) {
        const std::string quoted = ShellWord(word, [](const Marker &) { return "none"; });
        auto out = io::RunChecked({.argv = {"sh", "-c", "printf %s " + quoted}});
        ASSERT_TRUE(out);
        EXPECT_EQ(*out, word) << quoted;
    }
}

TEST(ShellWord, MakesVariablesOfMarkers) {
    const auto name = [](const Marker &marker) { return "ip_" + marker.machine; };
    EXPECT_EQ(ShellWord("{{public:a}}", name), "\"$ip_a\"");
    EXPECT_EQ(ShellWord("{{private:a}},{{private:b}} x", name), "\"$ip_a\",\"$ip_b\"' x'");
}

TEST(Resources, AreComparedWithoutCase) {
    Existing existing;
    ASSERT_TRUE(ReadResources(
        R"([{"name": "HA-DEMO-PARIS-NET", "type": "Microsoft.Network/virtualNetworks"},
            {"name": "ha-demo-paris-nsg", "type": "microsoft.network/networksecuritygroups"},
            {"name": "ha-demo-paris-a", "type": "Microsoft.Compute/virtualMachines",
             "provisioningState": "Succeeded"},
            {"name": "ha-demo-paris-B", "type": "Microsoft.Compute/virtualMachines",
             "provisioningState": "Failed"},
            {"name": "ha-demo-paris-c", "type": "Microsoft.Compute/virtualMachines",
             "provisioningState": null},
            {"name": "other-a", "type": "Microsoft.Compute/virtualMachines"}])",
        Paris(), existing));
    EXPECT_TRUE(existing.vnet);
    EXPECT_TRUE(existing.nsg);
    EXPECT_FALSE(existing.subnet);  // no network card yet
    EXPECT_TRUE(existing.HasMachine("a"));
    EXPECT_FALSE(existing.HasMachine("b"));
    EXPECT_TRUE(existing.machines.contains("b"));
    EXPECT_FALSE(existing.HasMachine("c"));
    EXPECT_EQ(existing.machines.size(), 3U);
}

TEST(Resources, AreRefusedWhenTheyAreNotJson) {
    Existing existing;
    for (const char *text : {"", "{}", "WARNING: x\n[]", "[", "null"})
        EXPECT_FALSE(ReadResources(text, Paris(), existing)) << text;
    EXPECT_FALSE(ReadGroup("junk", existing));
    EXPECT_FALSE(existing.group);
}

TEST(Addresses, AreNullWhereAMachineIsOff) {
    const auto all = ReadAddresses(
        R"([{"virtualMachine": {"name": "ha-demo-paris-A", "resourceGroup": "HA-DEMO-PARIS",
             "network": {"privateIpAddresses": ["10.11.11.4"],
                         "publicIpAddresses": [{"ipAddress": "203.0.113.9"}]}}},
            {"virtualMachine": {"name": "ha-demo-paris-b", "resourceGroup": "ha-demo-paris",
             "network": {"privateIpAddresses": [], "publicIpAddresses": [{"ipAddress": null}]}}},
            {"virtualMachine": {"name": "ha-demo-paris-c", "resourceGroup": "ha-demo-paris",
             "network": null}},
            {"virtualMachine": {"name": "ha-demo-paris-a", "resourceGroup": "another"}}])",
        Paris());
    ASSERT_TRUE(all);
    ASSERT_EQ(all->size(), 3U);
    EXPECT_EQ(all->at(0).name, "ha-demo-paris-a");
    EXPECT_EQ(all->at(0).public_ip, "203.0.113.9");
    EXPECT_EQ(all->at(0).private_ip, "10.11.11.4");
    EXPECT_EQ(all->at(1).public_ip, "");
    EXPECT_EQ(all->at(2).private_ip, "");
}

// What az prints becomes words of command lines.
TEST(Addresses, AreAddresses) {
    for (const char *bad :
         {"-oProxyCommand=id", "10.0.0.4;id", "::1", "10.0.0", "a", " 10.0.0.4"}) {
        for (const bool is_public : {true, false}) {
            const std::string own = is_public ? "10.11.11.4" : bad;
            const std::string outer = is_public ? bad : "203.0.113.9";
            const std::string json =
                R"([{"virtualMachine": {"name": "ha-demo-paris-a", "network": )"
                R"({"privateIpAddresses": [")" +
                own + R"("], "publicIpAddresses": [{"ipAddress": ")" + outer + R"("}]}}}])";
            EXPECT_FALSE(ReadAddresses(json, Paris())) << bad;
        }
    }
}

NodeState Node(const char *name, const char *reported, const char *assigned) {
    return {name, reported, assigned};
}

TEST(IsStable, WantsAllNodesOnePrimaryAndNoneOnItsWay) {
    const std::vector<std::string> both{"paris-a", "paris-b"};
    EXPECT_TRUE(IsStable(
        {Node("paris-a", "primary", "primary"), Node("paris-b", "secondary", "secondary")}, both));
    EXPECT_FALSE(IsStable({Node("paris-a", "primary", "primary")}, both));
    EXPECT_FALSE(IsStable(
        {Node("paris-a", "wait_primary", "primary"), Node("paris-b", "secondary", "secondary")},
        both));
    EXPECT_FALSE(IsStable(
        {Node("paris-a", "secondary", "secondary"), Node("paris-b", "secondary", "secondary")},
        both));
    EXPECT_FALSE(IsStable(
        {Node("paris-a", "single", "single"), Node("paris-b", "secondary", "secondary")}, both));
    EXPECT_TRUE(IsStable({Node("paris-a", "single", "single")}, {"paris-a"}));
    EXPECT_FALSE(IsStable({}, {}));
}

TEST(CheckInstall, RefusesWhatIsNoPackage) {
    EXPECT_TRUE(CheckInstall({.packages = {"postgresql-15-x=1.2-3~deb12u1", "other"}}));
    EXPECT_FALSE(CheckInstall({.packages = {"a b"}}));
    EXPECT_FALSE(CheckInstall({.packages = {"--allow"}}));
    EXPECT_FALSE(CheckInstall({.packages = {"a;id"}}));
    EXPECT_FALSE(CheckInstall({.packages = {"a"}, .source_file = "/x"}));
    EXPECT_FALSE(CheckInstall({.apt_source = "deb x\ny"}));
}

TEST(Install, ChoosesTheMajorVersionEverywhere) {
    const Install install{.pg_major = 17, .apt_source = "deb https://example.org it's main"};
    std::string text;
    for (const std::string &line : ServerLines(install))
        text += line + "\n";
    EXPECT_NE(text.find("postgresql-17 postgresql-17-pgautofailover"), std::string::npos) << text;
    EXPECT_EQ(text.find("15"), std::string::npos) << text;
    EXPECT_NE(text.find(R"('deb https://example.org it'\''s main')"), std::string::npos) << text;
    EXPECT_NE(text.find("|| { echo postgres > /etc/pg_autoctl.user; chmod 644"), std::string::npos);
}

TEST(Progress, IsALineForEachMachine) {
    Progress progress;
    const auto at = [](int seconds) { return core::BootTime{} + Milliseconds{seconds * 1000LL}; };
    (void)progress.Take(
        {.kind = Event::Kind::kStage, .text = "Machines", .lanes = {"m-a", "m-monitor"}}, at(0));
    (void)progress.Take({.kind = Event::Kind::kStep, .machine = "m-a", .text = "creating"}, at(0));
    EXPECT_EQ(progress.Take({.kind = Event::Kind::kFinished, .machine = "m-a"}, at(42)),
              "m-a: done after 42 s");
    EXPECT_EQ(progress.Lines(at(75)),
              (std::vector<std::string>{"  m-a                42 s  done",
                                        "  m-monitor    1 min 15 s  waiting"}));
    EXPECT_EQ(progress.Summary(at(75)), "m-monitor: waiting (1 min 15 s)");
    (void)progress.Take({.kind = Event::Kind::kStageEnd}, at(80));
    EXPECT_TRUE(progress.Lines(at(80)).empty());
}

}  // namespace
}  // namespace pgaf::azure
