#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <sstream>

#include "azure/address.hpp"
#include "azure/remote.hpp"
#include "azure/script.hpp"
#include "azure/secrets.hpp"
#include "cli/azure.hpp"
#include "io/env.hpp"
#include "io/files.hpp"
#include "io/http.hpp"

/// do azure create region, create nodes, deploy, tutorial.
namespace pgaf::cli {
namespace {

using azure::Existing;
using azure::Plan;
using azure::Region;

constexpr Milliseconds kServiceLimit{10'000};

bool IsShownOnly(const AzureOptions &options) { return options.is_script || options.is_dry_run; }

int ShowPlan(const AzureOptions &options, const Region &region, const Plan &plan,
             bool is_new_region) {
    fmt::print("{}", options.is_script ? azure::ScriptOf(region, plan,
                                                         {.is_new_region = is_new_region,
                                                          .secrets = azure::SecretsFile(region)})
                                       : azure::ListOf(plan));
    return kOk;
}

Plan Joined(Plan first, const Plan &second) {
    first.stages.insert(first.stages.end(), second.stages.begin(), second.stages.end());
    return first;
}

Result<void> FindOwnAddress(Region &region) {
    if (!region.allow_from.empty()) return {};
    std::vector<std::string> services = azure::DefaultServices();
    if (const auto given = io::Env("PG_AUTOCTL_ADDRESS_SERVICES")) {
        std::istringstream words(*given);
        services.assign(std::istream_iterator<std::string>(words), {});
    }
    auto own = azure::FindPublicAddress(
        services, [](const std::string &url) { return io::HttpGet(url, kServiceLimit); });
    if (!own) return Pass(own);
    spdlog::info("Our public address is {}: ports 22 and 5432 will be open for it", *own);
    region.allow_from = {*own + "/32"};
    return {};
}

/// The group is there or can be made, where it was asked for.
Result<void> CheckGroup(Region &region, const Existing &existing) {
    const std::string group = azure::GroupOf(region);
    if (azure::SameName(existing.group_state, "Deleting")) {
        return Fail(ProblemCode::kBadState,
                    fmt::format("the resource group \"{}\" is being deleted", group), {},
                    fmt::format("Wait for its end with: az group wait --deleted --name {}", group));
    }
    if (!existing.group) {
        if (!region.location.empty()) return {};
        return Fail(ProblemCode::kBadArgument, "--location is not given", {},
                    "It is one of Azure's, for instance francecentral; az account list-locations "
                    "--output table lists them.");
    }
    if (region.location.empty()) region.location = existing.location;
    if (azure::SameLocation(region.location, existing.location)) return {};
    return Fail(ProblemCode::kBadState,
                fmt::format("the resource group \"{}\" exists in another location", group),
                fmt::format("It is in {}; --location is {}.", existing.location, region.location),
                "Choose another --prefix or --region, or give the location that it has.");
}

/// What has to be on this machine before the plan runs.
Result<void> PrepareLocally(Region &region, const std::vector<std::string> &names,
                            const Existing &existing) {
    if (auto found = FindOwnAddress(region); !found) return found;
    if (auto made = azure::EnsureSshKey(region); !made) return made;
    for (const std::string &name : names) {
        if (existing.HasMachine(name)) continue;
        const std::string machine = azure::MachineOf(region, name);
        if (auto forgot = azure::ForgetHostKey(region, machine); !forgot) return forgot;
    }
    return {};
}

int RunRegion(const AzureOptions &options, AzureLink &link, AzureRequest &request,
              const Existing &existing) {
    if (auto good = CheckGroup(request.region, existing); !good) return Explain(good.error());
    if (auto ready = PrepareLocally(request.region, request.names, existing); !ready)
        return Explain(ready.error());
    const Plan plan = azure::PlanRegion(request.region, request.names, request.install, existing);
    azure::Executor executor(request.region, link.Port(), ExecutorOptionsFor(options));
    const int status = FinishAzure(link, request.region, executor.Run(plan));
    if (status != kOk) return status;
    spdlog::info("The machines of \"{}\" are ready", azure::GroupOf(request.region));
    return kOk;
}

azure::NodesWanted Wanted(const AzureOptions &options, const AzureRequest &request) {
    azure::NodesWanted wanted{
        .names = request.names,
        .auth = options.auth == "trust" ? azure::Auth::kTrust : azure::Auth::kScram,
        .pg_major = request.install.pg_major};
    std::copy_if(request.names.begin(), request.names.end(), std::back_inserter(wanted.all_nodes),
                 azure::IsNodeName);
    return wanted;
}

/// With what exists: the application knows every node, and is told when it is there.
Result<void> Complete(azure::NodesWanted &wanted, const AzureOptions &options, const Region &region,
                      const Existing &existing) {
    if (!existing.group) return tl::unexpected(NoRegion(region));
    const bool has_app = existing.machines.contains("app");
    const bool is_wanted =
        std::find(wanted.names.begin(), wanted.names.end(), "app") != wanted.names.end();
    if (has_app && !is_wanted && options.app.value_or(true)) wanted.names.emplace_back("app");
    std::vector<std::string> needed = wanted.names;
    needed.emplace_back("monitor");
    for (const std::string &name : needed) {
        if (existing.machines.contains(name)) continue;
        return Fail(ProblemCode::kNotFound,
                    fmt::format("there is no machine \"{}\"", azure::MachineOf(region, name)), {},
                    "pg_autoctl do azure create region, with the same options, makes what is "
                    "missing.");
    }
    for (const auto &[name, state] : existing.machines) {
        const bool is_known = std::find(wanted.all_nodes.begin(), wanted.all_nodes.end(), name) !=
                              wanted.all_nodes.end();
        if (azure::IsNodeName(name) && !is_known) wanted.all_nodes.push_back(name);
    }
    std::sort(wanted.all_nodes.begin(), wanted.all_nodes.end());
    return {};
}

int PrintState(AzureLink &link, const Region &region, azure::Executor &executor) {
    auto address = executor.AddressOf("public", azure::MachineOf(region, "monitor"));
    if (!address) return Explain(address.error());
    std::vector<std::string> argv = azure::ShowStateArgv(region, false);
    std::replace(argv.begin(), argv.end(), azure::SshInteractive(region, "monitor").back(),
                 *address);
    auto outcome = link.Port().Run({.argv = argv, .timeout = Milliseconds{60'000}});
    if (!outcome) return Explain(outcome.error());
    fmt::print("{}", outcome->out);
    std::fflush(stdout);
    return kOk;
}

int RunNodes(const AzureOptions &options, AzureLink &link, const AzureRequest &request,
             const Existing &existing) {
    const Region &region = request.region;
    azure::NodesWanted wanted = Wanted(options, request);
    if (auto good = Complete(wanted, options, region, existing); !good)
        return Explain(good.error());
    azure::ExecutorOptions how = ExecutorOptionsFor(options);
    if (wanted.auth == azure::Auth::kScram) {
        auto secrets = azure::LoadOrMakeSecrets(region);
        if (!secrets) return Explain(secrets.error());
        how.secrets = *secrets;
    }
    azure::Executor executor(region, link.Port(), how);
    const int status = FinishAzure(link, region, executor.Run(azure::PlanNodes(region, wanted)));
    if (status != kOk) return status;
    const bool has_nodes = std::any_of(wanted.names.begin(), wanted.names.end(), azure::IsNodeName);
    return has_nodes ? PrintState(link, region, executor) : kOk;
}

}  // namespace

int AzureCreateRegion(const AzureOptions &options) {
    auto request = PrepareAzure(options);
    if (!request) return Explain(request.error());
    if (IsShownOnly(options)) {
        if (auto good = CheckGroup(request->region, {}); !good) return Explain(good.error());
        return ShowPlan(options, request->region,
                        azure::PlanRegion(request->region, request->names, request->install, {}),
                        true);
    }
    auto link = AzureLink::Open(options, request->region);
    if (!link) return Explain(link.error());
    const auto lock = azure::LockRegion(request->region);
    if (!lock) return Explain(lock.error());
    auto existing = (*link)->Look();
    if (!existing) return FinishAzure(**link, request->region, {existing.error()});
    return RunRegion(options, **link, *request, *existing);
}

int AzureCreateNodes(const AzureOptions &options) {
    auto request = PrepareAzure(options);
    if (!request) return Explain(request.error());
    if (IsShownOnly(options)) {
        return ShowPlan(options, request->region,
                        azure::PlanNodes(request->region, Wanted(options, *request)), false);
    }
    auto link = AzureLink::Open(options, request->region);
    if (!link) return Explain(link.error());
    const auto lock = azure::LockRegion(request->region);
    if (!lock) return Explain(lock.error());
    auto existing = (*link)->Look();
    if (!existing) return FinishAzure(**link, request->region, {existing.error()});
    return RunNodes(options, **link, *request, *existing);
}

int AzureDeploy(const AzureOptions &options) {
    auto request = PrepareAzure(options);
    if (!request) return Explain(request.error());
    const std::string name = azure::ShortNameOf(request->region, options.name);
    if (!azure::IsShortName(name)) {
        return Explain({ProblemCode::kBadArgument,
                        fmt::format("\"{}\" is not the name of a machine", options.name),
                        {},
                        "Names are monitor, a to z, and app."});
    }
    request->names = {name};
    if (IsShownOnly(options)) {
        const Existing network{.group = true, .vnet = true, .nsg = true, .subnet = true};
        const Plan plan =
            Joined(azure::PlanRegion(request->region, request->names, request->install, network),
                   azure::PlanNodes(request->region, Wanted(options, *request)));
        return ShowPlan(options, request->region, plan, false);
    }
    auto link = AzureLink::Open(options, request->region);
    if (!link) return Explain(link.error());
    const auto lock = azure::LockRegion(request->region);
    if (!lock) return Explain(lock.error());
    auto existing = (*link)->Look();
    if (!existing) return FinishAzure(**link, request->region, {existing.error()});
    if (!existing->group) return Explain(NoRegion(request->region));
    const int status = RunRegion(options, **link, *request, *existing);
    if (status != kOk) return status;
    existing->machines[name] = "Succeeded";
    return RunNodes(options, **link, *request, *existing);
}

int AzureTutorial(const AzureOptions &options) {
    if (!IsShownOnly(options)) {
        const int status = AzureCreateRegion(options);
        return status != kOk ? status : AzureCreateNodes(options);
    }
    auto request = PrepareAzure(options);
    if (!request) return Explain(request.error());
    const Plan plan =
        Joined(azure::PlanRegion(request->region, request->names, request->install, {}),
               azure::PlanNodes(request->region, Wanted(options, *request)));
    return ShowPlan(options, request->region, plan, true);
}

}  // namespace pgaf::cli
