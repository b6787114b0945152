#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "azure/failure.hpp"
#include "azure/script.hpp"
#include "azure/secrets.hpp"
#include "cli/azure.hpp"
#include "cli/table.hpp"
#include "io/files.hpp"

/// do azure ls, show ips, show state, ssh, drop region.
namespace pgaf::cli {
namespace {

using azure::Region;

constexpr Milliseconds kAskLimit{180'000};
constexpr Milliseconds kStateLimit{60'000};
constexpr Milliseconds kDropLimit{45 * 60'000};
constexpr Milliseconds kWatchEvery{2000};

struct Opened {
    Region region;
    std::unique_ptr<AzureLink> link;
};

Result<Opened> Open(const AzureOptions &options) {
    auto request = PrepareAzure(options);
    if (!request) return Pass(request);
    auto link = AzureLink::Open(options, request->region);
    if (!link) return Pass(link);
    return Opened{request->region, std::move(*link)};
}

/// The table that az makes; the query is one argument, as in its documents.
std::vector<std::string> AzQuery(std::vector<std::string> words, bool json,
                                 const std::string &query) {
    words.insert(words.begin(), "az");
    words.insert(words.end(),
                 {"--output", json ? "json" : "table", "--only-show-errors", "--query", query});
    return words;
}

int PrintAnswer(Opened &opened, std::string_view doing, const std::vector<std::string> &argv) {
    auto answer = opened.link->Ask(doing, argv, kAskLimit);
    if (!answer) return FinishAzure(*opened.link, opened.region, {answer.error()});
    const bool is_empty = answer->find_first_not_of(" \r\n") == std::string::npos;
    if (is_empty) return Explain(NoRegion(opened.region));
    fmt::print("{}", PrintableLines(*answer));
    return kOk;
}

Result<std::vector<std::string>> WithAddress(Opened &opened, std::vector<std::string> argv,
                                             const AzureOptions &options, const std::string &name) {
    const std::string machine = azure::MachineOf(opened.region, name);
    azure::Executor executor(opened.region, opened.link->Port(), ExecutorOptionsFor(options));
    auto address = executor.AddressOf("public", machine);
    if (!address) return Pass(address);
    std::replace(argv.begin(), argv.end(), azure::SshInteractive(opened.region, name).back(),
                 *address);
    return argv;
}

Result<std::string> FetchState(Opened &opened, const std::vector<std::string> &argv) {
    auto outcome = opened.link->Port().Run({.argv = argv, .timeout = kStateLimit});
    if (!outcome) return Pass(outcome, "asking the monitor");
    const azure::Step step{.doing = "asking the monitor on",
                           .resource = azure::MachineOf(opened.region, "monitor"),
                           .argv = {"ssh"}};
    if (auto failure = azure::Judge(step, *outcome)) return tl::unexpected(failure->problem);
    return std::move(outcome->out);
}

bool Confirm(const std::string &group) {
    fmt::print("Type the name of the resource group to delete all of this: ");
    std::fflush(stdout);
    std::string line;
    return std::getline(std::cin, line) && line == group;
}

Result<void> DeleteGroup(Opened &opened, const std::string &group) {
    auto deleted =
        opened.link->Ask(fmt::format("deleting the resource group \"{}\"", group),
                         azure::AzQuiet({"group", "delete", "--name", group, "--yes"}), kDropLimit);
    if (!deleted && deleted.error().code != ProblemCode::kNotFound) return Pass(deleted);
    return {};
}

Result<void> AwaitDeleted(Opened &opened, const std::string &group) {
    spdlog::info("The resource group \"{}\" is being deleted already", group);
    auto waited = opened.link->Ask(
        fmt::format("waiting for the end of the resource group \"{}\"", group),
        azure::AzQuiet({"group", "wait", "--name", group, "--deleted"}), kDropLimit);
    if (!waited && waited.error().code != ProblemCode::kNotFound) return Pass(waited);
    return {};
}

/// What is in the group, its disks too, which az resource list with a query leaves out.
Result<void> PrintResources(Opened &opened, const std::string &group) {
    auto list =
        opened.link->Ask("looking at what exists",
                         azure::AzJson({"resource", "list", "--resource-group", group}), kAskLimit);
    if (!list) return Pass(list);
    auto resources = azure::ReadResourceList(*list);
    if (!resources) return Pass(resources);
    std::vector<std::vector<std::string>> cells;
    for (const azure::Resource &resource : *resources)
        cells.push_back({resource.name, resource.type, resource.location});
    fmt::print("{}", FormatTable({"Name", "Type", "Location"}, cells));
    std::fflush(stdout);
    return {};
}

Result<void> Drop(Opened &opened, const AzureOptions &options) {
    const std::string group = azure::GroupOf(opened.region);
    auto existing = opened.link->Look();
    if (!existing) return Pass(existing);
    if (!existing->group) {
        spdlog::info("There is no resource group \"{}\": nothing is left to drop", group);
    } else if (azure::SameName(existing->group_state, "Deleting")) {
        if (options.is_dry_run) return {};
        if (auto gone = AwaitDeleted(opened, group); !gone) return gone;
    } else {
        if (auto printed = PrintResources(opened, group); !printed) return printed;
        if (options.is_dry_run) return {};
        if (!options.is_yes && !Confirm(group)) {
            return Fail(ProblemCode::kBadState, "nothing was deleted",
                        fmt::format("The answer was not \"{}\".", group),
                        "Use --yes to delete without being asked.");
        }
        if (auto gone = DeleteGroup(opened, group); !gone) return gone;
        spdlog::info("Deleted the resource group \"{}\"", group);
    }
    return io::RemoveTree(azure::RegionDirectory(opened.region));
}

}  // namespace

int AzureList(const AzureOptions &options, const Session &session) {
    auto opened = Open(options);
    if (!opened) return Explain(opened.error());
    const std::string query = fmt::format(
        "[?resourceGroup=='{}'].{{ name: name, flavor: kind, resourceType: type, region: location "
        "}}",
        azure::GroupOf(opened->region));
    return PrintAnswer(*opened, "listing the resources",
                       AzQuery({"resource", "list"}, session.json, query));
}

int AzureShowIps(const AzureOptions &options, const Session &session) {
    auto opened = Open(options);
    if (!opened) return Explain(opened.error());
    const std::string query =
        "[] [] . { name: virtualMachine.name, \"public address\": "
        "virtualMachine.network.publicIpAddresses[0].ipAddress, \"private address\": "
        "virtualMachine.network.privateIpAddresses[0] }";
    return PrintAnswer(
        *opened, "listing the addresses",
        AzQuery({"vm", "list-ip-addresses", "--resource-group", azure::GroupOf(opened->region)},
                session.json, query));
}

int AzureShowState(const AzureOptions &options, const Session &session) {
    auto opened = Open(options);
    if (!opened) return Explain(opened.error());
    auto argv = WithAddress(*opened, azure::ShowStateArgv(opened->region, session.json), options,
                            "monitor");
    if (!argv) return FinishAzure(*opened->link, opened->region, {argv.error()});
    azure::LocalPort &port = opened->link->Port();
    for (;;) {
        auto state = FetchState(*opened, *argv);
        if (options.is_watch && port.IsStopped()) return kOk;
        if (!state) return Explain(state.error());
        if (options.is_watch && ::isatty(STDOUT_FILENO) == 1) fmt::print("\x1b[H\x1b[2J");
        fmt::print("{}", PrintableLines(*state));
        std::fflush(stdout);
        if (!options.is_watch) return kOk;
        spdlog::set_level(spdlog::level::warn);  // the command line was said once
        port.Pause(kWatchEvery);
    }
}

int AzureSsh(const AzureOptions &options) {
    auto opened = Open(options);
    if (!opened) return Explain(opened.error());
    const std::string name = azure::ShortNameOf(opened->region, options.name);
    std::vector<std::string> words = azure::SshInteractive(opened->region, name);
    if (!options.command.empty()) words.emplace_back("--");
    words.insert(words.end(), options.command.begin(), options.command.end());
    auto argv = WithAddress(*opened, words, options, name);
    if (!argv) return FinishAzure(*opened->link, opened->region, {argv.error()});
    argv->front() = opened->link->SshProgram();
    if (auto made = io::MakeDirectories(azure::RegionDirectory(opened->region), 0700); !made)
        return Explain(made.error());
    spdlog::info("{}", azure::CommandLine(*argv));
    opened->link.reset();  // signals are ssh's from now on
    std::vector<char *> pointers;
    for (std::string &word : *argv)
        pointers.push_back(word.data());
    pointers.push_back(nullptr);
    (void)::execv(pointers.front(), pointers.data());
    return Explain(io::IoProblem("run", argv->front()));
}

int AzureDrop(const AzureOptions &options) {
    auto opened = Open(options);
    if (!opened) return Explain(opened.error());
    const auto lock = azure::LockRegion(opened->region);
    if (!lock) return Explain(lock.error());
    auto dropped = Drop(*opened, options);
    if (dropped) return kOk;
    if (!opened->link->Port().IsStopped()) return Explain(dropped.error());
    spdlog::error("interrupted; what Azure was asked to delete, it goes on deleting");
    return kInterrupted;
}

}  // namespace pgaf::cli
