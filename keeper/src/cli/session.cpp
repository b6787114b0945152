#include "cli/session.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "io/env.hpp"
#include "io/files.hpp"
#include "io/log.hpp"
#include "io/logind.hpp"

namespace pgaf::cli {

int ExitCodeOf(ProblemCode code) {
    switch (code) {
        case ProblemCode::kBadArgument:
            return kBadArguments;
        case ProblemCode::kBadConfig:
        case ProblemCode::kCorrupt:
            return kBadConfig;
        case ProblemCode::kBadState:
        case ProblemCode::kNotFound:
        case ProblemCode::kIo:
            return kBadState;
        case ProblemCode::kPostgres:
            return kPgSql;
        case ProblemCode::kMonitor:
        case ProblemCode::kRefused:
            return kMonitorFailed;
        case ProblemCode::kTimeout:
        case ProblemCode::kInternal:
            return kInternal;
    }
    return kInternal;
}

int Explain(const Problem &problem) {
    io::LogProblem(spdlog::level::err, problem);
    return ExitCodeOf(problem.code);
}

CLI::App *AddCommand(CLI::App &parent, Session &session, const std::string &name,
                     const std::string &help) {
    CLI::App *command = parent.add_subcommand(name, help);
    command->add_flag("-v,--verbose", session.verbose,
                      "show more of what happens; may be repeated");
    command->add_flag("-q,--quiet", session.quiet, "show errors only");
    command->add_flag_callback(
        "-V,--version",
        [] { throw CLI::CallForVersion(fmt::format("pg_autoctl version {}", kVersion), 0); },
        "print the version");
    return command;
}

CLI::Option *FromEnvironment(CLI::App &command, Session &session, CLI::Option *option,
                             const std::string &variable, std::vector<CLI::Option *> rivals) {
    option->description(fmt::format("{} (environment: {})", option->get_description(), variable));
    session.environment.push_back({&command, option, variable, std::move(rivals)});
    return option;
}

void ApplyEnvironment(const Session &session) {
    const auto is_given = [](const CLI::Option *option) { return option->count() > 0; };
    std::vector<std::pair<CLI::Option *, std::string>> missing;
    for (const EnvironmentOption &from : session.environment) {
        if (!from.command->parsed() || is_given(from.option)) continue;
        if (std::any_of(from.rivals.begin(), from.rivals.end(), is_given)) continue;
        if (auto value = io::Env(from.variable.c_str())) missing.emplace_back(from.option, *value);
    }
    for (const auto &[option, value] : missing) {  // only now: they count as given from here on
        option->add_result(value);
        option->run_callback();
    }
}

void AddPgData(CLI::App &command, Session &session) {
    FromEnvironment(command, session,
                    command.add_option("-D,--pgdata", session.pgdata, "data directory"), "PGDATA");
}

void AddShowSecrets(CLI::App &command, Session &session) {
    command.add_flag("--show-secrets", session.show_secrets, "print passwords also on a terminal");
}

std::string ForScreen(const Session &session, const std::string &text) {
    if (session.show_secrets || ::isatty(STDOUT_FILENO) == 0) return text;
    return core::RedactConninfo(text);
}

void AddJson(CLI::App &command, Session &session) {
    command.add_flag("-J,--json", session.json, "print JSON");
}

void AddMonitorOptions(CLI::App &command, Session &session, bool with_group) {
    AddPgData(command, session);
    AddJson(command, session);
    // Who names a node means that node's monitor, whatever the environment says.
    FromEnvironment(
        command, session,
        command.add_option("-m,--monitor", session.monitor, "connection string of the monitor"),
        "PG_AUTOCTL_MONITOR", {command.get_option("--pgdata")});
    command.add_option("-f,--formation", session.formation, "formation");
    if (with_group) command.add_option("-g,--group", session.group, "group");
}

Result<node::Paths> RequirePaths(const Session &session) {
    if (session.pgdata.empty()) {
        return Fail(ProblemCode::kBadArgument, "no data directory is given", {},
                    "Use --pgdata or the environment variable PGDATA.");
    }
    return node::PathsFor(session.pgdata);
}

Result<void> RequireOrdinaryUser() {
    if (geteuid() != 0) return {};
    return Fail(ProblemCode::kBadArgument, "pg_autoctl cannot be run as root", {},
                "Run it as the user who owns PostgreSQL's data directory, for instance postgres.");
}

void WarnAboutSharedMemory() {
    const std::string user = io::OsUser();
    if (!io::RemovesSharedMemory("", user, geteuid())) return;
    spdlog::warn("the shared memory of PostgreSQL would be removed when user \"{}\" logs out",
                 user);
    spdlog::warn("DETAIL:  The user is an ordinary one, and logind.conf has RemoveIPC=yes.");
    spdlog::warn("HINT:  sudo loginctl enable-linger {}", user);
}

Result<std::string> LocalMonitorConninfo(const node::Config &config) {
    const auto postmaster = io::FindPostmaster(config.pgdata);
    if (!postmaster) {
        return Fail(ProblemCode::kMonitor,
                    fmt::format("the monitor in \"{}\" is not running", config.pgdata), {},
                    "Start it with pg_autoctl run.");
    }
    io::ConnOptions options{{"port", std::to_string(postmaster->port)},
                            {"dbname", std::string(core::kMonitorDatabase)}};
    const std::string host =
        postmaster->socket_directory.empty() ? "localhost" : postmaster->socket_directory;
    options.emplace_back("host", host);
    return io::BuildConninfo(options);
}

Result<io::PgClient> ConnectTo(const std::string &monitor) {
    auto client = io::PgClient::Connect(monitor, {}, ProblemCode::kMonitor);
    if (!client) {
        const std::string &said = client.error().message;
        const bool is_password = said.find(io::kInvalidPassword) != std::string::npos ||
                                 said.find("password") != std::string::npos;
        if (client.error().hint.empty()) {
            client.error().hint =
                is_password ? "The connection string of the monitor needs the password of its role."
                            : "Check that the monitor runs, and its host and port in the "
                              "connection string.";
        }
        return Pass(client, "could not connect to the monitor");
    }
    auto rows = client->Query(
        "SELECT pg_catalog.current_database() FROM pg_catalog.pg_extension "
        "WHERE extname = 'pgautofailover'");
    if (!rows) return Pass(rows, "could not look at the monitor");
    if (!rows->IsEmpty()) return client;
    return Fail(
        ProblemCode::kMonitor, "the server is not a monitor",
        fmt::format("Database \"{}\" has no extension pgautofailover.", PQdb(client->Raw())),
        "pg_autoctl show uri --formation monitor, on the monitor, prints its address. When this "
        "was the monitor of running nodes: CREATE EXTENSION pgautofailover CASCADE there, and "
        "pg_autoctl enable monitor on each node.");
}

Result<void> TellMonitor(const node::Paths &paths, const node::Config &config) {
    auto record = node::LoadRecord(paths);
    if (!record) return Pass(record);
    if (record->state == core::NodeState::kDropped) {
        return Fail(ProblemCode::kBadState, fmt::format("node \"{}\" was dropped", config.name));
    }
    auto monitor = ConnectTo(node::MonitorConninfo(config));
    if (!monitor) return Pass(monitor, "could not tell the monitor about the change");
    auto told =
        monitor->Query("SELECT pgautofailover.update_node_metadata($1::bigint, $2, $3, $4::int)",
                       {std::to_string(record->node.value), config.name, config.hostname,
                        std::to_string(config.port)});
    if (!told) return Pass(told, "could not tell the monitor about the change");
    return {};
}

Result<MonitorAccess> ConnectMonitor(const Session &session) {
    std::string conninfo = session.monitor;
    std::string formation = session.formation;
    std::optional<int> group = session.group;
    if (conninfo.empty()) {
        auto paths = RequirePaths(session);
        if (!paths) return Pass(paths);
        auto config = node::LoadConfig(*paths);
        if (!config) return Pass(config);
        conninfo = node::MonitorConninfo(*config);
        if (config->IsMonitor()) {
            auto local = LocalMonitorConninfo(*config);
            if (!local) return Pass(local);
            conninfo = *local;
        } else {
            if (formation.empty()) formation = config->formation;
        }
    }
    auto client = ConnectTo(conninfo);
    if (!client) return Pass(client);
    return MonitorAccess{std::move(*client), formation.empty() ? "default" : formation, group,
                         conninfo};
}

Result<MonitorAccess> ConnectToFormation(const Session &session) {
    auto access = ConnectMonitor(session);
    if (!access) return access;
    auto rows = access->client.Query(
        "SELECT f.formationid, EXISTS (SELECT 1 FROM pgautofailover.node n WHERE n.formationid = "
        "f.formationid AND n.groupid = $2::int) FROM pgautofailover.formation f WHERE "
        "f.formationid = $1",
        {access->formation, std::to_string(access->group.value_or(0))});
    if (!rows) return Pass(rows);
    if (rows->IsEmpty()) {
        return Fail(ProblemCode::kMonitor,
                    fmt::format("formation \"{}\" does not exist", access->formation), {},
                    "List the formations: pg_autoctl show uri.");
    }
    if (access->group.value_or(0) != 0 && rows->At(0, 1) != "t") {
        return Fail(ProblemCode::kMonitor, fmt::format("formation \"{}\" has no group {}",
                                                       access->formation, *access->group));
    }
    return access;
}

}  // namespace pgaf::cli
