#include <fmt/format.h>

#include <algorithm>

#include "azure/host_keys.hpp"
#include "azure/markers.hpp"
#include "azure/plan.hpp"
#include "azure/remote.hpp"

/// PostgreSQL in the machines: everything that is done over ssh.
namespace pgaf::azure {
namespace {

// A standby copies the primary meanwhile.
constexpr Milliseconds kCreateLimit{20 * 60'000};
constexpr Milliseconds kStableLimit{5 * 60'000};

std::vector<std::string> Words(std::vector<std::string> words,
                               const std::vector<std::string> &more) {
    words.insert(words.end(), more.begin(), more.end());
    return words;
}

bool Has(const std::vector<std::string> &names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

std::string OwnPrivateIp(const Region &region, const std::string &name) {
    return PrivateIp(MachineOf(region, name));
}

struct Script {
    std::string doing;
    std::string text;
    std::vector<std::string> arguments{};
    std::vector<std::string> secrets{};
};

Lane RunScript(const Region &region, const std::string &name, Script script) {
    const std::string machine = MachineOf(region, name);
    Step step{.doing = std::move(script.doing),
              .resource = machine,
              .argv = Words(Words(SshTo(region, name), {"sh", "-s"}), script.arguments),
              .input = std::move(script.text),
              .secrets = std::move(script.secrets),
              .patience = Patience::kSsh,
              .deadline = kCreateLimit};
    return {.machine = machine, .steps = {std::move(step)}};
}

Lane CreateMonitor(const Region &region, const NodesWanted &wanted) {
    Script script{.doing = "creating the monitor",
                  .text = MonitorScript(wanted.auth, wanted.pg_major),
                  .arguments = {OwnPrivateIp(region, "monitor")}};
    if (wanted.auth == Auth::kScram) script.secrets = {kNodePassword};
    return RunScript(region, "monitor", std::move(script));
}

Lane CreateNode(const Region &region, const std::string &name, const NodesWanted &wanted) {
    Script script{.doing = "creating the node",
                  .text = NodeScript(wanted.auth, wanted.pg_major),
                  .arguments = {OwnPrivateIp(region, name), OwnPrivateIp(region, "monitor"),
                                NodeNameOf(region, name)}};
    if (wanted.auth == Auth::kScram) script.secrets = {kNodePassword, kReplicationPassword};
    return RunScript(region, name, std::move(script));
}

Stage AwaitStable(const Region &region, const std::vector<std::string> &names) {
    Step step{.doing = "waiting for the group",
              .resource = MachineOf(region, "monitor"),
              .argv = ShowStateArgv(region, true),
              .patience = Patience::kSsh,
              .deadline = kStableLimit};
    for (const std::string &name : names)
        step.until_stable.push_back(NodeNameOf(region, name));
    const std::string monitor = step.resource;
    return {.title = "Primary and secondaries",
            .lanes = {{.machine = monitor, .steps = {std::move(step)}}}};
}

Lane SetUpApplication(const Region &region, const NodesWanted &wanted) {
    Lane lane{.machine = MachineOf(region, "app")};
    const bool is_scram = wanted.auth == Auth::kScram;
    for (const std::string &name : wanted.all_nodes) {
        if (!is_scram) break;
        Lane role = RunScript(region, name,
                              {.doing = "giving the application its password",
                               .text = AppRoleScript(wanted.pg_major),
                               .secrets = {kAppPassword}});
        lane.steps.push_back(std::move(role.steps.front()));
    }
    std::string hosts;
    for (const std::string &name : wanted.all_nodes)
        hosts += (hosts.empty() ? "" : ",") + OwnPrivateIp(region, name);
    Script script{.doing = "telling the application where the nodes are",
                  .text = AppScript(wanted.auth, wanted.pg_major),
                  .arguments = {hosts}};
    if (is_scram) script.secrets = {kAppPassword};
    Lane app = RunScript(region, "app", std::move(script));
    lane.steps.push_back(std::move(app.steps.front()));
    return lane;
}

}  // namespace

std::vector<std::string> SshInteractive(const Region &region, const std::string &name) {
    const std::string machine = MachineOf(region, name);
    // The keys of a machine are known under its name: addresses go from machine to machine.
    return {"ssh",
            "-i",
            region.private_key,
            "-o",
            "StrictHostKeyChecking=yes",
            "-o",
            "UserKnownHostsFile=" + KnownHostsOf(region, machine),
            "-o",
            "HostKeyAlias=" + machine,
            "-o",
            "ConnectTimeout=10",
            "-o",
            "ServerAliveInterval=15",
            "-o",
            "LogLevel=ERROR",
            "-l",
            region.admin,
            PublicIp(machine)};
}

std::vector<std::string> SshTo(const Region &region, const std::string &name) {
    std::vector<std::string> words = SshInteractive(region, name);
    words.insert(words.begin() + 1, {"-o", "BatchMode=yes"});
    words.emplace_back("--");
    return words;
}

std::vector<std::string> ShowStateArgv(const Region &region, bool json) {
    std::vector<std::string> words =
        Words(SshTo(region, "monitor"), {"pg_autoctl", "show", "state"});
    if (json) words.emplace_back("--json");
    return Words(std::move(words), {"--pgdata", "monitor"});
}

Plan PlanNodes(const Region &region, const NodesWanted &wanted) {
    Plan plan;
    if (Has(wanted.names, "monitor")) {
        plan.stages.push_back({.title = "Monitor", .lanes = {CreateMonitor(region, wanted)}});
    }
    std::vector<std::string> nodes;
    std::copy_if(wanted.names.begin(), wanted.names.end(), std::back_inserter(nodes), IsNodeName);
    if (!nodes.empty()) {
        // The first one becomes the primary, which the others copy.
        plan.stages.push_back(
            {.title = "First node", .lanes = {CreateNode(region, nodes.front(), wanted)}});
    }
    if (nodes.size() > 1) {
        Stage others{.title = "Other nodes", .on_failure = OnFailure::kOthersGoOn};
        std::for_each(nodes.begin() + 1, nodes.end(), [&](const std::string &name) {
            others.lanes.push_back(CreateNode(region, name, wanted));
        });
        plan.stages.push_back(std::move(others));
    }
    if (!nodes.empty()) plan.stages.push_back(AwaitStable(region, nodes));
    if (Has(wanted.names, "app") && !wanted.all_nodes.empty()) {
        plan.stages.push_back(
            {.title = "Application", .lanes = {SetUpApplication(region, wanted)}});
    }
    return plan;
}

}  // namespace pgaf::azure
