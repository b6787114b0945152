#include <spdlog/spdlog.h>

#include <functional>

#include "cli/azure.hpp"

/// do azure: the options.
namespace pgaf::cli {
namespace {

using Options = std::shared_ptr<AzureOptions>;

// A URN works with every version of az, also when the aliases of images are withdrawn.
constexpr const char *kImage = "Debian:debian-12:12:latest";
// One core each: the four machines of the tutorial fit into a new account's quota.
constexpr const char *kSize = "Standard_DS1_v2";

Options NewOptions() {
    auto options = std::make_shared<AzureOptions>();
    options->region.image = kImage;
    options->region.size = kSize;
    return options;
}

CLI::App *AddAzureCommand(CLI::App &parent, Session &session, const Options &options,
                          const std::string &name, const std::string &help) {
    CLI::App *command = AddCommand(parent, session, name, help);
    command->add_option("--prefix", options->region.prefix, "first part of all names")
        ->capture_default_str();
    command->add_option("--region,--name", options->region.region,
                        "second part of all names, a word of your own");
    command->add_option("--ssh-key", options->ssh_key,
                        "private ssh key; made when it is missing (~/.ssh/id_rsa)");
    command->add_option("--az", options->az, "path of az, the Azure CLI")->capture_default_str();
    return command;
}

void Choose(CLI::App *command, Session &session, const Options &options,
            std::function<int(const AzureOptions &)> run) {
    command->callback([&session, options, run = std::move(run)] {
        session.command = [options, run] { return run(*options); };
    });
}

void AddPlanOptions(CLI::App *command, const Options &options) {
    CLI::Option *list = command->add_flag("--dry-run", options->is_dry_run,
                                          "print what would be done; sends nothing");
    command->add_flag("--script", options->is_script, "print it as a script for sh; sends nothing")
        ->excludes(list);
    command->add_option("--timeout", options->timeout_s, "limit for each step, in seconds")
        ->check(CLI::Range(1, 86400));
}

void AddCounts(CLI::App *command, const Options &options) {
    command->add_flag("--monitor,!--no-monitor", options->monitor,
                      "the machine of the monitor (default: yes)");
    command->add_flag_callback(
        "--app", [options] { options->app = true; }, "the machine of the application");
    command->add_flag_callback(
        "--no-app", [options] { options->app = false; }, "without the machine of the application");
    command->add_option("--nodes", options->nodes, "how many nodes: a, b, ...")
        ->capture_default_str()
        ->check(CLI::Range(0, azure::kMostNodes));
}

void AddPgVersion(CLI::App *command, const Options &options) {
    command->add_option("--pg-version", options->install.pg_major, "major version of PostgreSQL")
        ->capture_default_str()
        ->check(CLI::Range(13, 99));
}

void AddMachineOptions(CLI::App *command, const Options &options) {
    command->add_option("--location", options->region.location,
                        "one of Azure's locations, for instance francecentral");
    command->add_option("--image", options->region.image, "image of the machines")
        ->capture_default_str();
    command->add_option("--size", options->region.size, "size of the machines")
        ->capture_default_str();
    command->add_option("--cidr", options->region.cidr, "C of the network 10.C.0.0/16")
        ->capture_default_str()
        ->check(CLI::Range(1, 254));
    command
        ->add_option("--allow-from", options->region.allow_from,
                     "network that may reach ports 22 and 5432 (our own public address)")
        ->allow_extra_args(false);
    command->add_flag("--yes", options->is_yes, "--allow-from may be wider than /16");
    command->add_option("--from-source", options->install.source_file,
                        "build pg_autoctl in the machines, from this tarball");
    command
        ->add_option("--package", options->packages,
                     "package with pg_autoctl: apt's NAME or NAME=VERSION, or a file in .deb "
                     "format (postgresql-VERSION-pgautofailover)")
        ->allow_extra_args(false);
    command->add_option("--apt-source", options->install.apt_source,
                        "a line for apt's sources.list.d");
}

void AddAuth(CLI::App *command, const Options &options) {
    command->add_option("--auth", options->auth, "scram-sha-256, or trust for a demonstration")
        ->capture_default_str()
        ->check(CLI::IsMember({"scram-sha-256", "trust"}));
}

void AddAzureCreate(CLI::App &azure, Session &session) {
    CLI::App *create = AddCommand(azure, session, "create", "make machines, or the nodes in them");
    create->alias("provision");  // pg_auto_failover's word
    create->require_subcommand(1);
    Options region = NewOptions();
    CLI::App *command = AddAzureCommand(*create, session, region, "region",
                                        "a resource group with its network and machines");
    AddCounts(command, region);
    AddMachineOptions(command, region);
    AddPgVersion(command, region);
    AddPlanOptions(command, region);
    Choose(command, session, region, AzureCreateRegion);
    Options nodes = NewOptions();
    command = AddAzureCommand(*create, session, nodes, "nodes",
                              "the monitor and the nodes, as services in the machines");
    AddCounts(command, nodes);
    AddPgVersion(command, nodes);
    AddAuth(command, nodes);
    AddPlanOptions(command, nodes);
    Choose(command, session, nodes, AzureCreateNodes);
}

void AddDeploy(CLI::App &azure, Session &session) {
    Options options = NewOptions();
    CLI::App *command =
        AddAzureCommand(azure, session, options, "deploy", "one more machine, and its node");
    command->add_option("machine", options->name, "monitor, a to z, or app")->required();
    AddMachineOptions(command, options);
    AddPgVersion(command, options);
    AddAuth(command, options);
    AddPlanOptions(command, options);
    Choose(command, session, options, AzureDeploy);
}

void AddTutorial(CLI::App &azure, Session &session) {
    CLI::App *tutorial = AddCommand(azure, session, "tutorial", "what the tutorial needs");
    tutorial->require_subcommand(1);
    CLI::App *single =
        AddCommand(*tutorial, session, "single", "monitor, primary, secondary and application");
    single->require_subcommand(1);
    struct Part {
        const char *name, *help;
        int (*run)(const AzureOptions &);
    };
    for (const Part &part : {Part{"setup", "the machines", AzureCreateRegion},
                             Part{"nodes", "the nodes in them", AzureCreateNodes},
                             Part{"all", "both", AzureTutorial}}) {
        Options options = NewOptions();
        options->region.region = "paris";
        options->region.location = "francecentral";
        options->app = true;
        CLI::App *command = AddAzureCommand(*single, session, options, part.name, part.help);
        AddCounts(command, options);
        AddMachineOptions(command, options);
        AddPgVersion(command, options);
        AddAuth(command, options);
        AddPlanOptions(command, options);
        Choose(command, session, options, part.run);
    }
}

void AddAzureShow(CLI::App &azure, Session &session) {
    Options options = NewOptions();
    CLI::App *command =
        AddAzureCommand(azure, session, options, "ls", "the resources of the region");
    AddJson(*command, session);
    Choose(command, session, options,
           [&session](const AzureOptions &o) { return AzureList(o, session); });
    CLI::App *show = AddCommand(azure, session, "show", "addresses, or the state of the nodes");
    show->require_subcommand(1);
    options = NewOptions();
    command = AddAzureCommand(*show, session, options, "ips", "addresses of the machines");
    AddJson(*command, session);
    Choose(command, session, options,
           [&session](const AzureOptions &o) { return AzureShowIps(o, session); });
    options = NewOptions();
    command = AddAzureCommand(*show, session, options, "state", "the nodes and their states");
    AddJson(*command, session);
    command->add_flag("--watch", options->is_watch, "again and again, until Ctrl-C");
    Choose(command, session, options,
           [&session](const AzureOptions &o) { return AzureShowState(o, session); });
}

void AddAccess(CLI::App &azure, Session &session) {
    Options options = NewOptions();
    CLI::App *command =
        AddAzureCommand(azure, session, options, "ssh", "log in to a machine, or run a command");
    command->add_option("machine", options->name, "monitor, a to z, or app")->required();
    command->add_option("command", options->command, "command, after --");
    Choose(command, session, options, AzureSsh);
    CLI::App *drop = AddCommand(azure, session, "drop", "delete a region");
    drop->require_subcommand(1);
    options = NewOptions();
    command = AddAzureCommand(*drop, session, options, "region",
                              "delete the resource group and everything in it");
    command->add_flag("--yes", options->is_yes, "do not ask");
    command->add_flag("--dry-run", options->is_dry_run, "only print what would be deleted");
    Choose(command, session, options, AzureDrop);
}

}  // namespace

void AddAzure(CLI::App &app, Session &session) {
    CLI::App *parent = AddCommand(app, session, "do", "commands for demonstrations");
    parent->require_subcommand(1);
    CLI::App *azure = AddCommand(*parent, session, "azure", "nodes in the Azure cloud");
    azure->require_subcommand(1);
    AddAzureCreate(*azure, session);
    AddDeploy(*azure, session);
    AddAzureShow(*azure, session);
    AddAccess(*azure, session);
    AddTutorial(*azure, session);
}

}  // namespace pgaf::cli
