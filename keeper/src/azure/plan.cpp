#include "azure/plan.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "azure/markers.hpp"

/// The machines: everything that is asked of az, and the installation.
namespace pgaf::azure {
namespace {

// The longest that was seen elsewhere, with room: Azure has slow days.
constexpr Milliseconds kMachineLimit{20 * 60'000};
constexpr Milliseconds kProvisionLimit{30 * 60'000};
constexpr Milliseconds kBuildLimit{60 * 60'000};
constexpr Milliseconds kUploadLimit{10 * 60'000};

std::vector<std::string> Words(std::vector<std::string> words,
                               const std::vector<std::string> &more) {
    words.insert(words.end(), more.begin(), more.end());
    return words;
}

Step CreateGroup(const Region &region) {
    return {.doing = "creating the resource group",
            .resource = GroupOf(region),
            .argv = AzQuiet(
                {"group", "create", "--name", GroupOf(region), "--location", region.location})};
}

Step CreateVnet(const Region &region) {
    return {.doing = "creating the virtual network",
            .resource = VnetOf(region),
            .argv = AzQuiet({"network", "vnet", "create", "--resource-group", GroupOf(region),
                             "--name", VnetOf(region), "--address-prefixes", NetworkOf(region)})};
}

Step CreateNsg(const Region &region) {
    return {.doing = "creating the network security group",
            .resource = NsgOf(region),
            .argv = AzQuiet({"network", "nsg", "create", "--resource-group", GroupOf(region),
                             "--name", NsgOf(region)})};
}

/// Replaces an older rule of the same name: our own address may have changed.
Step CreateRule(const Region &region) {
    std::vector<std::string> argv{"network",
                                  "nsg",
                                  "rule",
                                  "create",
                                  "--resource-group",
                                  GroupOf(region),
                                  "--nsg-name",
                                  NsgOf(region),
                                  "--name",
                                  RuleOf(region),
                                  "--access",
                                  "allow",
                                  "--protocol",
                                  "Tcp",
                                  "--direction",
                                  "Inbound",
                                  "--priority",
                                  "100",
                                  "--source-address-prefixes"};
    if (region.allow_from.empty()) {
        argv.push_back(OwnNetwork());
    } else {
        argv = Words(std::move(argv), region.allow_from);
    }
    argv = Words(std::move(argv), {SubnetPrefixOf(region), "--source-port-ranges", "*",
                                   "--destination-address-prefixes", "*",
                                   "--destination-port-ranges", "22", "5432"});
    return {.doing = "opening ports 22 and 5432 for us and for the machines",
            .resource = RuleOf(region),
            .argv = AzQuiet(std::move(argv))};
}

Step CreateSubnet(const Region &region) {
    return {.doing = "creating the subnet",
            .resource = SubnetOf(region),
            .argv = AzQuiet({"network", "vnet", "subnet", "create", "--resource-group",
                             GroupOf(region), "--vnet-name", VnetOf(region), "--name",
                             SubnetOf(region), "--address-prefixes", SubnetPrefixOf(region),
                             "--network-security-group", NsgOf(region)})};
}

Step CreateMachine(const Region &region, const std::string &name) {
    const std::string machine = MachineOf(region, name);
    return {.doing = "creating the machine",
            .resource = machine,
            .argv = AzQuiet({"vm",
                             "create",
                             "--resource-group",
                             GroupOf(region),
                             "--name",
                             machine,
                             "--vnet-name",
                             VnetOf(region),
                             "--subnet",
                             SubnetOf(region),
                             "--nsg",
                             NsgOf(region),
                             "--public-ip-address",
                             machine + "-ip",
                             "--public-ip-sku",
                             "Standard",
                             "--image",
                             region.image,
                             "--size",
                             region.size,
                             "--admin-username",
                             region.admin,
                             "--ssh-key-values",
                             region.public_key}),
            .deadline = kMachineLimit};
}

/// `vnet create` and `nsg create` are never repeated: they would take away subnets and rules. The
/// subnet is made again when no machine is in it yet.
Lane NetworkLane(const Region &region, const Existing &existing) {
    Lane lane{.machine = GroupOf(region)};
    if (!existing.group) lane.steps.push_back(CreateGroup(region));
    if (!existing.vnet) lane.steps.push_back(CreateVnet(region));
    if (!existing.nsg) lane.steps.push_back(CreateNsg(region));
    lane.steps.push_back(CreateRule(region));
    if (!existing.subnet) lane.steps.push_back(CreateSubnet(region));
    return lane;
}

Step Provision(const Region &region, const std::string &name, const Install &install) {
    const std::string machine = MachineOf(region, name);
    const std::vector<std::string> lines =
        name == "app" ? ClientLines(install) : ServerLines(install);
    std::vector<std::string> argv{
        "vm",     "run-command", "invoke",       "--resource-group", GroupOf(region),
        "--name", machine,       "--command-id", "RunShellScript",   "--scripts"};
    return {.doing = "installing packages",
            .resource = machine,
            .argv = AzJson(Words(std::move(argv), lines)),
            .marker = kProvisioned,
            .tells_host_keys = true,
            .deadline = kProvisionLimit};
}

Lane ProvisionLane(const Region &region, const std::string &name, const Install &install) {
    const std::string machine = MachineOf(region, name);
    Lane lane{.machine = machine, .steps = {Provision(region, name, install)}};
    const std::string file = SentAs(install);
    if (file.empty() || name == "app") return lane;
    const bool is_source = !install.source_file.empty();
    lane.steps.push_back({.doing = is_source ? "sending the sources" : "sending the package",
                          .resource = machine,
                          .argv = Words(SshTo(region, name), {"cat > " + file}),
                          .input_file = is_source ? install.source_file : install.deb_file,
                          .patience = Patience::kSsh,
                          .deadline = kUploadLimit});
    lane.steps.push_back(
        {.doing = is_source ? "building and installing pg_autoctl" : "installing pg_autoctl",
         .resource = machine,
         .argv = Words(SshTo(region, name), {"sh", "-s"}),
         .input = InstallSentScript(install),
         .patience = Patience::kSsh,
         .deadline = kBuildLimit});
    return lane;
}

}  // namespace

std::vector<std::string> AzQuiet(std::vector<std::string> words) {
    words.insert(words.begin(), "az");
    return Words(std::move(words), {"--output", "none", "--only-show-errors"});
}

std::vector<std::string> AzJson(std::vector<std::string> words) {
    words.insert(words.begin(), "az");
    // Before the options that take several values.
    const auto at = std::find_if(words.begin(), words.end(),
                                 [](const std::string &word) { return word.starts_with("--"); });
    const std::vector<std::string> more{"--output", "json", "--only-show-errors"};
    words.insert(at, more.begin(), more.end());
    return words;
}

Plan PlanRegion(const Region &region, const std::vector<std::string> &names, const Install &install,
                const Existing &existing) {
    Plan plan;
    plan.stages.push_back({.title = "Network", .lanes = {NetworkLane(region, existing)}});
    Stage machines{.title = "Machines", .on_failure = OnFailure::kOthersGoOn};
    Stage provision{.title = "Installation", .on_failure = OnFailure::kOthersGoOn};
    for (const std::string &name : names) {
        if (!existing.HasMachine(name)) {
            machines.lanes.push_back(
                {.machine = MachineOf(region, name), .steps = {CreateMachine(region, name)}});
        }
        provision.lanes.push_back(ProvisionLane(region, name, install));
    }
    if (!machines.lanes.empty()) plan.stages.push_back(std::move(machines));
    if (!provision.lanes.empty()) plan.stages.push_back(std::move(provision));
    return plan;
}

}  // namespace pgaf::azure
