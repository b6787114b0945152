#include <fmt/format.h>
#include <pwd.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "cli/create.hpp"
#include "cli/json.hpp"
#include "cli/session.hpp"
#include "io/env.hpp"
#include "io/log.hpp"
#include "io/process.hpp"
#include "node/monitor_supervisor.hpp"
#include "node/node_supervisor.hpp"
#include "node/pid_file.hpp"

/// run, stop, reload, status.
namespace pgaf::cli {
namespace {

struct RunOptions {
    std::string name;
    std::string hostname;
    std::optional<int> port;
};

/// New name, host or port: into the file, and to the monitor if it can be told now.
Result<void> ChangeMetadata(const node::Paths &paths, node::Config &config,
                            const RunOptions &options) {
    const std::string before = node::ToIni(config);
    const int old_port = config.port;
    if (!options.name.empty()) config.name = options.name;
    if (!options.hostname.empty()) config.hostname = options.hostname;
    if (options.port) config.port = *options.port;
    if (node::ToIni(config) == before) return {};
    if (auto texts = CheckTexts(config); !texts) return texts;
    if (config.port != old_port && !io::FindPostmaster(paths.pgdata)) {
        if (auto free = PortIsFree(config.port); !free) return free;
    }
    if (!config.IsMonitor()) {
        if (auto told = TellMonitor(paths, config); !told) return told;
    }
    return node::SaveConfig(paths, config);
}

int RunCommand(const Session &session, const RunOptions &options) {
    if (auto user = RequireOrdinaryUser(); !user) return Explain(user.error());
    auto paths = RequirePaths(session);
    if (!paths) return Explain(paths.error());
    auto config = node::LoadConfig(*paths);
    if (!config) return Explain(config.error());
    auto install = io::FindPgInstall(config->pg_ctl);
    if (!install) return Explain(install.error());
    if (auto same = io::CheckMajorVersion(*install, paths->pgdata); !same)
        return Explain(same.error());
    if (!config->IsMonitor()) {
        if (auto record = node::LoadRecord(*paths); !record) return Explain(record.error());
    }
    auto pid_file = node::PidFile::Take(*paths);
    if (!pid_file) return Explain(pid_file.error());
    // A node of a former version makes one now; the monitor learns it with the first report.
    if (!config->IsMonitor()) {
        if (auto made = node::EnsureNodeSecret(*paths, *config); !made)
            return Explain(made.error());
    }
    if (auto changed = ChangeMetadata(*paths, *config, options); !changed)
        return Explain(changed.error());
    if (config->IsMonitor()) {
        if (io::InspectDataDirectory(paths->pgdata) != io::DataDirectory::kCluster) {
            return Explain({ProblemCode::kBadState,
                            fmt::format("\"{}\" is not a PostgreSQL data directory", paths->pgdata),
                            {},
                            {}});
        }
        return node::MonitorSupervisor({.config = *config, .paths = *paths, .install = *install})
            .Run();
    }
    return node::NodeSupervisor({.config = *config, .paths = *paths, .install = *install}).Run();
}

Result<io::UniqueFd> SignalService(const Session &session, int number) {
    auto paths = RequirePaths(session);
    if (!paths) return Pass(paths);
    if (auto config = node::LoadConfig(*paths); !config) return Pass(config);
    return node::SignalSupervisor(*paths, number);
}

int SendSignal(const Session &session, int number) {
    auto pidfd = SignalService(session, number);
    return pidfd ? kOk : Explain(pidfd.error());
}

constexpr Milliseconds kStopLimit{90'000};  // its own limits are shorter

int StopCommand(const Session &session, int number, bool waits) {
    auto paths = RequirePaths(session);
    pid_t pid = 0;
    if (paths) pid = node::RunningSupervisor(*paths).value_or(0);
    auto pidfd = SignalService(session, number);
    if (!pidfd) return Explain(pidfd.error());
    if (!waits) return kOk;
    if (!io::AwaitEnd(*pidfd, kStopLimit)) {
        return Explain({ProblemCode::kTimeout,
                        fmt::format("pg_autoctl, process {}, has not stopped after {} s", pid,
                                    kStopLimit.count() / 1000),
                        {},
                        "Sessions may still be open: pg_autoctl stop --fast ends them."});
    }
    spdlog::info("Stopped pg_autoctl, process {}, and its PostgreSQL", pid);
    return kOk;
}

struct Status {
    node::Config config;
    std::optional<pid_t> supervisor;
    std::optional<io::PostmasterFile> postmaster;
    bool is_ready = false;
    std::optional<io::ControlData> control;
    std::string version;
    std::string state;
};

Result<Status> Inspect(const Session &session) {
    auto paths = RequirePaths(session);
    if (!paths) return Pass(paths);
    auto config = node::LoadConfig(*paths);
    if (!config) return Pass(config);
    Status status{.config = *config,
                  .supervisor = node::RunningSupervisor(*paths),
                  .postmaster = io::FindPostmaster(paths->pgdata),
                  .control = {},
                  .version = {},
                  .state = {}};
    if (status.postmaster) {
        status.is_ready =
            status.postmaster->status == "ready" || status.postmaster->status == "standby";
    }
    if (auto install = io::FindPgInstall(config->pg_ctl)) {
        status.version = install->version;
        if (io::InspectDataDirectory(paths->pgdata) == io::DataDirectory::kCluster) {
            if (auto control = io::ReadControlData(*install, paths->pgdata))
                status.control = *control;
        }
    }
    if (auto record = node::LoadRecord(*paths)) status.state = core::ToString(record->state);
    return status;
}

void PrintStatusJson(const Status &status) {
    Json json;
    json.Begin("postgres");
    json.Text("pgdata", status.config.pgdata)
        .Text("pg_ctl", status.config.pg_ctl)
        .Text("version", status.version);
    json.Text("host", status.postmaster ? status.postmaster->socket_directory : "")
        .Number("port", status.config.port);
    json.Number("proxyport", 0).Number("pid", status.postmaster ? status.postmaster->pid : 0);
    json.Bool("in_recovery", status.postmaster && status.postmaster->status == "standby");
    json.Begin("control");
    json.Number("version", status.control ? status.control->control_version : 0);
    json.Number("catalog_version", status.control ? status.control->catalog_version : 0);
    json.Text("system_identifier",
              std::to_string(status.control ? status.control->system_identifier : 0))
        .End();
    json.Begin("postmaster")
        .Text("status", status.postmaster ? status.postmaster->status : "")
        .End()
        .End();
    json.Begin("pg_autoctl");
    json.Number("pid", status.supervisor.value_or(0))
        .Text("status", status.supervisor ? "running" : "stopped");
    json.Text("pgdata", status.config.pgdata)
        .Text("version", kVersion)
        .Text("state", status.state)
        .End();
    fmt::print("{}\n", json.Finish());
}

int StatusCommand(const Session &session) {
    auto status = Inspect(session);
    if (!status) return Explain(status.error());
    if (session.json) PrintStatusJson(*status);
    if (!status->supervisor) {
        spdlog::error("pg_autoctl is not running for \"{}\"", status->config.pgdata);
        if (status->postmaster) {
            spdlog::critical("PostgreSQL is running without it, process {}",
                             status->postmaster->pid);
        }
        return kBadState;
    }
    spdlog::info("pg_autoctl is running, process {}", *status->supervisor);
    if (!status->is_ready) {
        spdlog::error("PostgreSQL is not ready{}",
                      status->state.empty()
                          ? ""
                          : fmt::format("; the state of the node is {}", status->state));
        return kPgCtl;
    }
    spdlog::info("PostgreSQL is serving \"{}\" on port {}, process {}", status->config.pgdata,
                 status->postmaster->port, status->postmaster->pid);
    return kOk;
}

void AddStop(CLI::App &app, Session &session) {
    struct StopOptions {
        bool fast = false;
        bool immediate = false;
        bool no_wait = false;
    };
    auto options = std::make_shared<StopOptions>();
    CLI::App *stop = AddCommand(app, session, "stop", "stop pg_autoctl and PostgreSQL");
    AddPgData(*stop, session);
    auto *fast = stop->add_flag("-f,--fast", options->fast, "end sessions");
    stop->add_flag("-i,--immediate", options->immediate, "as after a crash")->excludes(fast);
    stop->add_flag("--no-wait", options->no_wait, "do not wait for the end");
    stop->callback([&session, options] {
        const int number = options->immediate ? SIGQUIT : options->fast ? SIGINT : SIGTERM;
        session.command = [&session, number, waits = !options->no_wait] {
            return StopCommand(session, number, waits);
        };
    });
}

}  // namespace

void AddRun(CLI::App &app, Session &session) {
    auto options = std::make_shared<RunOptions>();
    CLI::App *run = AddCommand(app, session, "run", "run the node or the monitor");
    AddPgData(*run, session);
    run->add_option("-a,--name", options->name, "new name of the node");
    run->add_option("-n,--hostname", options->hostname, "new host name");
    run->add_option("-p,--pgport", options->port, "new port")->check(CLI::Range(1, 65535));
    run->callback([&session, options] {
        session.command = [&session, options] { return RunCommand(session, *options); };
    });
    AddStop(app, session);
    CLI::App *reload = AddCommand(app, session, "reload", "read the configuration again");
    AddPgData(*reload, session);
    reload->callback(
        [&session] { session.command = [&session] { return SendSignal(session, SIGHUP); }; });
    CLI::App *status = AddCommand(app, session, "status", "show what runs");
    AddPgData(*status, session);
    AddJson(*status, session);
    status->callback(
        [&session] { session.command = [&session] { return StatusCommand(session); }; });
}

}  // namespace pgaf::cli
