#include <fmt/format.h>
#include <signal.h>
#include <spdlog/spdlog.h>

#include "cli/session.hpp"
#include "io/env.hpp"
#include "io/files.hpp"
#include "io/log.hpp"
#include "io/process.hpp"
#include "node/pid_file.hpp"
#include "node/steps/steps.hpp"

/// drop node, drop monitor.
namespace pgaf::cli {
namespace {

constexpr Milliseconds kServiceLimit{30'000};

struct DropOptions {
    bool destroy = false;
    bool force = false;
    int wait_s = 60;
    std::string name;
    std::string hostname;
    std::optional<int> port;
};

/// Ends the running service; fast first, hard when it does not listen.
Result<void> EndService(const node::Paths &paths, bool is_asked_already) {
    const auto pid = node::RunningSupervisor(paths);
    if (pid) {
        const io::UniqueFd pidfd = io::OpenPidFd(*pid);
        if (is_asked_already && io::AwaitEnd(pidfd, kServiceLimit)) return {};
        (void)::kill(*pid, SIGQUIT);
        if (!io::AwaitEnd(pidfd, kServiceLimit)) {
            return Fail(ProblemCode::kTimeout,
                        fmt::format("pg_autoctl, process {}, does not end", *pid));
        }
    }
    return {};
}

Result<void> Destroy(const node::Paths &paths) {
    if (const auto postmaster = io::FindPostmaster(paths.pgdata)) {
        const io::UniqueFd pidfd = io::OpenPidFd(postmaster->pid);
        (void)::kill(postmaster->pid, SIGQUIT);
        if (!io::AwaitEnd(pidfd, kServiceLimit)) (void)::kill(postmaster->pid, SIGKILL);
    }
    if (auto killed = io::KillPostgres(paths.pgdata, Milliseconds{5000}); !killed) return killed;
    for (const std::string &tree :
         {paths.pgdata, paths.pgdata + ".pgaf-init", paths.pgdata + ".pgaf-clone",
          node::DiscardedDirectory(paths), paths.directory, io::ParentOf(paths.config),
          paths.run_directory}) {
        if (auto removed = io::RemoveTree(tree); !removed) return removed;
    }
    spdlog::info("Removed \"{}\" and its configuration", paths.pgdata);
    return {};
}

/// Waits until the monitor has forgotten the node, which its keeper brings about.
Result<void> AwaitForgotten(io::PgClient &monitor, std::int64_t node, int wait_s) {
    const core::BootTime start = io::BootNow();
    while (io::BootNow() - start < Milliseconds{wait_s * 1000LL}) {
        auto rows = monitor.Query("SELECT 1 FROM pgautofailover.node WHERE nodeid = $1::bigint",
                                  {std::to_string(node)});
        if (!rows) return Pass(rows);
        if (rows->IsEmpty()) return {};
        auto notified = monitor.AwaitNotification(Milliseconds{500});
        if (!notified) return Pass(notified);
    }
    return Fail(ProblemCode::kTimeout,
                fmt::format("node {} is still being dropped after {} s", node, wait_s), {},
                "If it is gone for good, use --force.");
}

Result<void> RemoveFromMonitor(io::PgClient &monitor, std::int64_t node, bool force) {
    (void)monitor.Query("LISTEN state");
    auto removed = monitor.Query("SELECT pgautofailover.remove_node($1::bigint, $2::bool)",
                                 {std::to_string(node), force ? "true" : "false"});
    if (!removed) return Pass(removed, fmt::format("could not drop node {}", node));
    spdlog::info("Dropped node {} from the monitor", node);
    return {};
}

bool IsKnown(io::PgClient &monitor, std::int64_t node) {
    auto rows = monitor.Query("SELECT 1 FROM pgautofailover.node WHERE nodeid = $1::bigint",
                              {std::to_string(node)});
    return !rows || !rows->IsEmpty();
}

/// Another node of the group has all of the data, as far as the monitor knows.
Result<void> MustNotBeLastCopy(io::PgClient &monitor, const node::Config &config,
                               const core::NodeRecord &record) {
    auto rows = monitor.Query(
        "SELECT 1 FROM pgautofailover.node WHERE formationid = $1 AND groupid = $2::int"
        " AND nodeid <> $3::bigint AND reportedstate IN ('single', 'primary', 'wait_primary',"
        " 'join_primary', 'apply_settings', 'prepare_maintenance', 'wait_maintenance',"
        " 'maintenance', 'secondary')",
        {config.formation, std::to_string(record.group), std::to_string(record.node.value)});
    if (!rows) return Pass(rows);
    if (!rows->IsEmpty()) return {};
    return Fail(ProblemCode::kRefused,
                fmt::format("node {} \"{}\" has the only complete copy of the data of group {}",
                            record.node.value, config.name, record.group),
                {}, "To destroy it all the same, use --force; without --destroy the data stays.");
}

Result<void> DropLocalNode(const node::Paths &paths, const node::Config &config,
                           const DropOptions &options) {
    auto record = node::LoadRecord(paths);
    const bool is_corrupt = !record && record.error().code != ProblemCode::kNotFound;
    if (!record && (!options.destroy || (is_corrupt && !options.force))) return Pass(record);
    if (is_corrupt) {
        io::LogProblem(spdlog::level::warn, record.error());
        spdlog::warn("The monitor still knows the node: drop it there with --name \"{}\"",
                     config.name);
        if (auto ended = EndService(paths, false); !ended) return ended;
    }
    const bool is_running = node::RunningSupervisor(paths).has_value();
    if (record) {
        auto monitor = ConnectTo(config.monitor);
        if (!monitor && !options.force) return Pass(monitor);
        if (!monitor) spdlog::warn("The monitor cannot be reached and still knows the node");
        if (monitor && options.destroy && !options.force) {
            if (auto other = MustNotBeLastCopy(*monitor, config, *record); !other) return other;
        }
        if (monitor && IsKnown(*monitor, record->node.value)) {
            const bool force = options.force || !is_running;  // nobody is there to confirm
            if (auto removed = RemoveFromMonitor(*monitor, record->node.value, force); !removed)
                return removed;
        }
        // A forced removal leaves nobody to tell the keeper.
        if (auto ended = EndService(paths, is_running && !options.force); !ended) return ended;
        if (auto now = node::LoadRecord(paths); now && now->state != core::NodeState::kDropped) {
            now->state = core::NodeState::kDropped;
            now->goal = core::NodeState::kDropped;
            if (auto saved = node::SaveRecord(paths, *now); !saved) return saved;
        }
    }
    if (options.destroy) return Destroy(paths);
    spdlog::info("HINT:  The data is still in \"{}\"; pg_autoctl drop node --destroy removes it",
                 paths.pgdata);
    return {};
}

Result<std::int64_t> FindNode(MonitorAccess &access, const DropOptions &options) {
    const bool by_name = !options.name.empty();
    auto rows =
        by_name
            ? access.client.Query(
                  "SELECT nodeid FROM pgautofailover.node WHERE formationid = $1 AND nodename = $2",
                  {access.formation, options.name})
            : access.client.Query(
                  "SELECT nodeid FROM pgautofailover.node WHERE nodehost = $1 AND nodeport = "
                  "$2::int",
                  {options.hostname, std::to_string(options.port.value_or(5432))});
    if (!rows) return Pass(rows);
    if (rows->IsEmpty()) {
        return Fail(ProblemCode::kMonitor,
                    by_name ? fmt::format("formation \"{}\" has no node \"{}\"", access.formation,
                                          options.name)
                            : fmt::format("there is no node at {}:{}", options.hostname,
                                          options.port.value_or(5432)));
    }
    return std::stoll(rows->At(0, 0));
}

Result<void> DropRemoteNode(const Session &session, const DropOptions &options) {
    if (options.destroy) {
        return Fail(ProblemCode::kBadArgument, "--destroy works only on the node itself");
    }
    const bool by_name = !options.name.empty();
    const bool by_host = !options.hostname.empty() || options.port;
    if (by_name == by_host || (by_host && options.hostname.empty())) {
        return Fail(ProblemCode::kBadArgument, "the node to drop is not chosen", {},
                    "Use either --name or --hostname with --pgport.");
    }
    auto access = ConnectMonitor(session);
    if (!access) return Pass(access);
    auto node = FindNode(*access, options);
    if (!node) return Pass(node);
    if (auto removed = RemoveFromMonitor(access->client, *node, options.force); !removed)
        return removed;
    if (options.force || options.wait_s == 0) return {};
    return AwaitForgotten(access->client, *node, options.wait_s);
}

Result<void> DropNode(const Session &session, const DropOptions &options) {
    const bool is_remote = !options.name.empty() || !options.hostname.empty() || options.port;
    if (is_remote) return DropRemoteNode(session, options);
    auto paths = RequirePaths(session);
    if (!paths) return Pass(paths);
    auto config = node::LoadConfig(*paths);
    if (!config) return Pass(config);
    if (config->IsMonitor()) {
        return Fail(ProblemCode::kBadArgument, "the node to drop is not chosen", {},
                    "Use either --name or --hostname with --pgport.");
    }
    return DropLocalNode(*paths, *config, options);
}

Result<void> DropMonitor(const Session &session, const DropOptions &options) {
    auto paths = RequirePaths(session);
    if (!paths) return Pass(paths);
    auto config = node::LoadConfig(*paths);
    if (!config) return Pass(config);
    if (!config->IsMonitor()) {
        return Fail(ProblemCode::kBadArgument,
                    fmt::format("\"{}\" is not a monitor", paths->pgdata));
    }
    if (auto ended = EndService(*paths, false); !ended) return ended;
    if (options.destroy) return Destroy(*paths);
    spdlog::info("HINT:  The data is still in \"{}\"; pg_autoctl drop monitor --destroy removes it",
                 paths->pgdata);
    return {};
}

int Finish(Result<void> result) { return result ? kOk : Explain(result.error()); }

}  // namespace

void AddDrop(CLI::App &app, Session &session) {
    CLI::App *drop = AddCommand(app, session, "drop", "drop a node or the monitor");
    drop->require_subcommand(1);
    AddDropFormation(*drop, session);
    auto node_options = std::make_shared<DropOptions>();
    CLI::App *node =
        AddCommand(*drop, session, "node", "drop this node, or another one by its name or address");
    AddMonitorOptions(*node, session, false);
    node->add_flag("-d,--destroy", node_options->destroy, "also remove the data");
    node->add_flag("-F,--force", node_options->force, "do not wait for the node's consent");
    node->add_option("-w,--wait", node_options->wait_s, "how many seconds to wait")
        ->check(CLI::Range(0, 86400));
    node->add_option("-a,--name", node_options->name, "name of the node");
    node->add_option("-n,--hostname", node_options->hostname, "host of the node");
    node->add_option("-p,--pgport", node_options->port, "port of the node")
        ->check(CLI::Range(1, 65535));
    node->callback([&session, node_options] {
        session.command = [&session, node_options] {
            return Finish(DropNode(session, *node_options));
        };
    });
    auto monitor_options = std::make_shared<DropOptions>();
    CLI::App *monitor = AddCommand(*drop, session, "monitor", "stop the monitor");
    AddPgData(*monitor, session);
    monitor->add_flag("-d,--destroy", monitor_options->destroy, "also remove the data");
    monitor->callback([&session, monitor_options] {
        session.command = [&session, monitor_options] {
            return Finish(DropMonitor(session, *monitor_options));
        };
    });
}

}  // namespace pgaf::cli
