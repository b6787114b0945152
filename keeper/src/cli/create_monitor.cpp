#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "cli/create.hpp"
#include "io/data_directory.hpp"
#include "io/env.hpp"
#include "io/files.hpp"
#include "io/network.hpp"
#include "io/temporary_server.hpp"
#include "node/monitor_supervisor.hpp"
#include "node/pg_setup.hpp"
#include "node/pid_file.hpp"
#include "pgaf/core/hba.hpp"
#include "tls/pin.hpp"

namespace pgaf::cli {
namespace {

constexpr std::string_view kLibrary = "pgautofailover";

Result<void> WriteMonitorHba(const node::Config &config, const std::string &directory) {
    if (config.auth_method == "skip") {
        spdlog::warn("pg_hba.conf is not edited: allow role {} to connect to database {} yourself",
                     core::kMonitorRole, core::kMonitorDatabase);
        return {};
    }
    auto hba = io::ReadFile(directory + "/pg_hba.conf");
    if (!hba) return Pass(hba);
    core::HbaBlocks blocks;
    for (const std::string &network : io::LocalNetworks(config.hostname)) {
        for (const std::string_view role :
             {core::kMonitorRole, core::kOperatorRole, core::kReaderRole}) {
            // Trust is for demonstrations; even there not everybody is an operator.
            if (config.auth_method == "trust" && role != core::kMonitorRole) continue;
            blocks.for_us.push_back(core::HbaLine({config.ssl_active ? "hostssl" : "host",
                                                   core::QuoteHba(core::kMonitorDatabase), role,
                                                   network, config.auth_method}));
        }
    }
    const std::string text = core::ReplaceHbaBlocks(*hba, blocks);
    return text == *hba ? Result<void>{} : node::WriteInto(directory, "pg_hba.conf", text);
}

/// Of the roles that others log in with; an empty one leaves a role as it is.
using Passwords = std::vector<std::pair<std::string_view, std::string>>;

/// Roles, database and extension; every command may be repeated.
Result<void> InstallObjects(const io::TemporaryServer &server, const Passwords &passwords) {
    const std::string database(core::kMonitorDatabase);
    auto client = server.Connect("postgres");
    if (!client) return Pass(client);
    std::vector<std::string> commands{node::EnsureRoleSql(core::kMonitorOwner, "NOLOGIN"),
                                      node::EnsureRoleSql(core::kMonitorRole, "LOGIN")};
    auto rows =
        client->Query("SELECT 1 FROM pg_catalog.pg_database WHERE datname = $1", {database});
    if (!rows) return Pass(rows);
    if (rows->IsEmpty())
        commands.push_back(
            fmt::format("CREATE DATABASE {} OWNER {}", database, core::kMonitorOwner));
    for (const std::string &command : commands) {
        if (auto done = client->Query(command); !done) return Pass(done);
    }
    auto inside = server.Connect(database);
    if (!inside) return Pass(inside);
    // What the extension needs goes where extensions go; the path of our sessions has no such
    // place.
    if (auto set = inside->Query("SET search_path = public"); !set) return Pass(set);
    auto created = inside->Query("CREATE EXTENSION IF NOT EXISTS pgautofailover CASCADE");
    if (!created) return Pass(created, "could not install the extension pgautofailover");
    for (const auto &[role, password] : passwords) {
        if (password.empty()) continue;
        auto set = inside->Query(
            fmt::format("ALTER ROLE {} PASSWORD {}", role, io::QuoteLiteral(password)));
        if (!set) return Pass(set, fmt::format("could not set the password of role {}", role));
    }
    return {};
}

Result<void> InstallExtension(const CreatePlan &plan, const std::string &directory,
                              const Passwords &passwords) {
    auto server = io::TemporaryServer::Start(
        plan.install, directory,
        {.libraries = std::string(kLibrary), .parent = plan.paths.directory});
    if (!server) return Pass(server);
    if (auto done = InstallObjects(**server, passwords); !done) return done;
    return (*server)->Stop();
}

Result<void> SetUp(const CreatePlan &plan, const std::string &directory,
                   const Passwords &passwords) {
    auto done = node::WriteServerFiles(plan.install, plan.config, plan.paths, directory);
    if (!done) return done;
    if (done = WriteMonitorHba(plan.config, directory); !done) return done;
    return InstallExtension(plan, directory, passwords);
}

/// Nothing can be moved to a mount point. What is left of a failure is removed.
Result<void> MakeInPlace(const CreatePlan &plan, const Passwords &passwords) {
    const std::string &pgdata = plan.paths.pgdata;
    spdlog::info("Creating the monitor's database cluster in \"{}\"", pgdata);
    auto done = node::InitDb(plan.install, plan.config, pgdata, nullptr);
    if (done) done = SetUp(plan, pgdata, passwords);
    if (!done) (void)io::EmptyDirectory(pgdata);
    return done;
}

Result<void> MakeMonitor(const CreatePlan &plan, const Passwords &passwords) {
    const std::string &pgdata = plan.paths.pgdata;
    if (plan.data == io::DataDirectory::kCluster) return SetUp(plan, pgdata, passwords);
    if (io::IsFixedDirectory(pgdata)) return MakeInPlace(plan, passwords);
    const std::string fresh = pgdata + ".pgaf-init";
    if (auto done = io::KillPostgres(fresh, Milliseconds{5000}); !done) return done;
    if (auto done = io::RemoveTree(fresh); !done) return done;
    if (auto done = io::MakeDirectories(io::ParentOf(pgdata), 0700); !done) return done;
    spdlog::info("Creating the monitor's database cluster in \"{}\"", pgdata);
    auto done = node::InitDb(plan.install, plan.config, fresh, nullptr);
    if (done) done = SetUp(plan, fresh, passwords);
    if (done) done = io::MoveInto(fresh, pgdata);
    (void)io::RemoveTree(
        fresh);  // what is left of a failure, or the empty directory that was there
    return done;
}

/// For whoever creates nodes, to compare.
void SayFingerprint(const node::Config &config) {
    if (!config.ssl_active) return;
    const std::string fingerprint = tls::FingerprintOfFile(config.ssl_cert_file);
    if (fingerprint.empty()) return;
    spdlog::info("The certificate of this monitor has the SHA-256 fingerprint {}", fingerprint);
}

}  // namespace

int CreateMonitor(const Session &session, const CreateOptions &options) {
    auto plan = PrepareCreate(session, options, true);
    if (!plan) return Explain(plan.error());
    node::Config &config = plan->config;
    if (config.hostname.empty()) {
        const std::string name = io::LocalHostname();
        config.hostname = io::ResolveNow(name).empty()
                              ? io::OwnAddressTowards("8.8.8.8", 53).value_or("localhost")
                              : name;
        spdlog::info("This host is known as \"{}\"; --hostname changes that", config.hostname);
    }
    config.username = core::kMonitorRole;
    config.dbname = core::kMonitorDatabase;
    if (auto made = node::MakeNodeDirectories(plan->paths); !made) return Explain(made.error());
    auto pid_file = node::PidFile::Take(plan->paths);
    if (!pid_file) return Explain(pid_file.error());
    const Passwords passwords{{core::kMonitorRole, options.node_password},
                              {core::kOperatorRole, options.operator_password},
                              {core::kReaderRole, options.reader_password}};
    if (auto made = MakeMonitor(*plan, passwords); !made) return Explain(made.error());
    if (auto saved = node::SaveConfig(plan->paths, config); !saved) return Explain(saved.error());
    WarnAboutSharedMemory();
    spdlog::info("The monitor is ready in \"{}\"", plan->paths.pgdata);
    SayFingerprint(config);
    fmt::print("{}\n", MonitorUri(config, ""));
    std::fflush(stdout);
    if (!options.run) {
        spdlog::info("Start it with: pg_autoctl run --pgdata \"{}\"", plan->paths.pgdata);
        return kOk;
    }
    return node::MonitorSupervisor(
               {.config = config, .paths = plan->paths, .install = plan->install})
        .Run();
}

}  // namespace pgaf::cli
