#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>

#include "azure/address.hpp"
#include "azure/failure.hpp"
#include "azure/secrets.hpp"
#include "cli/azure.hpp"
#include "io/env.hpp"
#include "io/files.hpp"
#include "io/log.hpp"

namespace pgaf::cli {
namespace {

constexpr Milliseconds kLookLimit{180'000};

Result<std::string> ExistingFile(std::string_view option, const std::string &path) {
    if (io::Exists(path) && !io::IsDirectory(path)) return io::AbsolutePath(path);
    return Fail(ProblemCode::kBadArgument,
                fmt::format("{}: there is no file \"{}\"", option, path));
}

Result<void> CompleteInstall(const AzureOptions &options, azure::Install &install) {
    for (const std::string &package : options.packages) {
        if (!package.ends_with(".deb")) {
            install.packages.push_back(package);
            continue;
        }
        auto file = ExistingFile("--package", package);
        if (!file) return Pass(file);
        install.deb_file = *file;
    }
    if (!install.source_file.empty()) {
        auto file = ExistingFile("--from-source", install.source_file);
        if (!file) return Pass(file);
        install.source_file = *file;
    }
    return azure::CheckInstall(install);
}

}  // namespace

Result<AzureRequest> PrepareAzure(const AzureOptions &options) {
    AzureRequest request{options.region, options.install, {}};
    azure::Region &region = request.region;
    region.monitor = options.monitor;
    region.app = options.app.value_or(false);
    region.nodes = options.nodes;
    if (auto good = azure::CheckRegion(region); !good) return Pass(good);
    for (std::string &network : region.allow_from) {
        auto whole = azure::CheckAllowed(network, options.is_yes);
        if (!whole) return Pass(whole);
        network = *whole;
    }
    const std::string key =
        options.ssh_key.empty() ? io::HomeDirectory() + "/.ssh/id_rsa" : options.ssh_key;
    const bool is_public = key.ends_with(".pub");
    region.private_key = io::AbsolutePath(is_public ? key.substr(0, key.size() - 4) : key);
    region.public_key = region.private_key + ".pub";
    region.known_hosts = azure::KnownHostsFile(region);
    if (auto good = CompleteInstall(options, request.install); !good) return Pass(good);
    request.names = azure::ShortNames(region);
    return request;
}

Result<std::unique_ptr<AzureLink>> AzureLink::Open(const AzureOptions &options,
                                                   const azure::Region &region) {
    auto az = azure::FindProgram(
        options.az,
        "Install the Azure CLI as learn.microsoft.com/cli/azure/install-azure-cli says, or give "
        "its path with --az.");
    if (!az) return Pass(az);
    auto ssh = azure::FindProgram("ssh", "Install the package openssh-client.");
    if (!ssh) return Pass(ssh);
    return std::make_unique<AzureLink>(
        std::map<std::string, std::string>{{"az", *az}, {"ssh", *ssh}}, region);
}

Result<io::Outcome> AzureLink::Run(const std::vector<std::string> &argv, Milliseconds limit) {
    return port_->Run({.argv = argv, .timeout = limit});
}

Result<std::string> AzureLink::Ask(std::string_view doing, const std::vector<std::string> &argv,
                                   Milliseconds limit) {
    auto outcome = Run(argv, limit);
    if (!outcome) return Pass(outcome, doing);
    if (outcome->status != 0) {
        Problem problem = azure::ExplainAz(doing, *outcome);
        if (azure::IsNotFound(*outcome)) problem.code = ProblemCode::kNotFound;
        return tl::unexpected(std::move(problem));
    }
    return std::move(outcome->out);
}

Result<azure::Existing> AzureLink::Look() {
    azure::Existing existing;
    const std::string group = azure::GroupOf(region_);
    auto shown = Ask(fmt::format("looking for the resource group \"{}\"", group),
                     azure::AzJson({"group", "show", "--name", group}), kLookLimit);
    if (!shown && shown.error().code == ProblemCode::kNotFound) return existing;
    if (!shown) return Pass(shown);
    if (auto read = azure::ReadGroup(*shown, existing); !read) return Pass(read);
    if (azure::SameName(existing.group_state, "Deleting")) return existing;
    auto list = Ask("looking at what exists",
                    azure::AzJson({"resource", "list", "--resource-group", group}), kLookLimit);
    if (!list) return Pass(list);
    if (auto read = azure::ReadResources(*list, region_, existing); !read) return Pass(read);
    return existing;
}

void AzureLink::Reopen() {
    port_.reset();  // before the new one takes over the signals
    port_ = std::make_unique<azure::LocalPort>(programs_);
}

azure::ExecutorOptions ExecutorOptionsFor(const AzureOptions &options) {
    azure::ExecutorOptions made;
    made.deadline = Milliseconds{options.timeout_s * 1000LL};
    // For tests and for slow links: the pause before a second attempt.
    const std::string pause = io::EnvOr("PG_AUTOCTL_AZURE_RETRY_MS", "");
    std::int64_t number = 0;
    const auto parsed = std::from_chars(pause.data(), pause.data() + pause.size(), number);
    if (parsed.ec == std::errc() && number > 0) {
        made.first_pause = Milliseconds{number};
        made.longest_pause = made.first_pause * 15;
    }
    return made;
}

Problem NoRegion(const azure::Region &region) {
    return {ProblemCode::kNotFound,
            fmt::format("there is no resource group \"{}\"", azure::GroupOf(region)),
            {},
            fmt::format("Make it with: pg_autoctl do azure create region --prefix {} --region {} "
                        "--location LOCATION",
                        region.prefix, region.region)};
}

int FinishAzure(AzureLink &link, const azure::Region &region,
                const std::vector<Problem> &problems) {
    int status = kOk;
    const bool is_stopped = link.Port().IsStopped();
    for (const Problem &problem : problems) {
        if (is_stopped && problem.code == ProblemCode::kRefused) continue;
        const int code = Explain(problem);
        if (status == kOk) status = code;
    }
    if (!is_stopped) return status;
    link.Reopen();
    spdlog::error("interrupted; looking at what exists now");
    auto existing = link.Look();
    if (!existing) {
        (void)Explain(existing.error());
    } else if (!existing->group) {
        spdlog::info("There is no resource group \"{}\": nothing was made", azure::GroupOf(region));
    } else {
        spdlog::info("Resource group \"{}\" exists, with {} resources", azure::GroupOf(region),
                     existing->resources);
        for (const auto &[name, state] : existing->machines)
            spdlog::info("Machine \"{}\": {}", azure::MachineOf(region, name), state);
    }
    spdlog::info(
        "HINT:  The same command goes on with what is missing; everything is removed by: "
        "pg_autoctl do azure drop region --prefix {} --region {}",
        region.prefix, region.region);
    return kInterrupted;
}

}  // namespace pgaf::cli
