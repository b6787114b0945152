#include <fmt/format.h>
#include <signal.h>
#include <spdlog/spdlog.h>

#include "cli/drop.hpp"
#include "io/data_directory.hpp"
#include "io/env.hpp"
#include "io/files.hpp"
#include "io/log.hpp"
#include "io/process.hpp"
#include "node/leave.hpp"
#include "node/pid_file.hpp"
#include "node/steps/steps.hpp"

/// What is dropped on its own host. Whatever is about to be touched is named first.
namespace pgaf::cli {
namespace {

constexpr Milliseconds kServiceLimit{30'000};

/// Ends the running service; fast first, hard when it does not listen.
Result<void> EndService(const node::Paths &paths, bool is_asked_already) {
    const auto pid = node::RunningSupervisor(paths);
    if (pid) {
        const io::UniqueFd pidfd = io::OpenPidFd(*pid);
        if (is_asked_already && io::AwaitEnd(pidfd, kServiceLimit)) return {};
        (void)node::SignalSupervisor(paths, SIGQUIT);
        if (!io::AwaitEnd(pidfd, kServiceLimit)) {
            return Fail(ProblemCode::kTimeout,
                        fmt::format("pg_autoctl, process {}, does not end", *pid));
        }
    }
    return {};
}

/// A server that nobody supervises ends as well.
Result<void> EndServer(const std::string &pgdata, int signal_number) {
    if (const auto postmaster = io::FindPostmaster(pgdata)) {
        const io::UniqueFd pidfd = io::OpenPidFd(postmaster->pid);
        (void)::kill(postmaster->pid, signal_number);
        (void)io::AwaitEnd(pidfd, kServiceLimit);
    }
    return io::KillPostgres(pgdata, Milliseconds{5000});
}

std::string DataOf(const node::Paths &paths) {
    if (!io::Exists(paths.pgdata)) return fmt::format("no data in \"{}\"", paths.pgdata);
    return fmt::format("the data in \"{}\", {}", paths.pgdata,
                       io::HumanSize(io::SizeOfData(paths.pgdata)));
}

/// Before anything is touched: what it is, where, and how much.
void SayWhatIsDropped(const node::Paths &paths, const node::Config &config,
                      const std::optional<core::NodeRecord> &record, bool destroy) {
    const std::string what =
        config.IsMonitor() ? "the monitor"
        : record
            ? fmt::format("node {} \"{}\" ({}:{}), in state {}", record->node.value, config.name,
                          config.hostname, config.port, core::ToString(record->state))
            : fmt::format("node \"{}\" ({}:{}), in an unknown state", config.name, config.hostname,
                          config.port);
    spdlog::info("Dropping {}, and {} {}", what, destroy ? "removing" : "keeping", DataOf(paths));
    for (const std::string &tablespace : io::LayoutOf(paths.pgdata).tablespaces)
        spdlog::info("DETAIL:  With its part of the tablespace in \"{}\"", tablespace);
}

Result<void> Destroy(const node::Paths &paths) {
    if (auto ended = EndServer(paths.pgdata, SIGQUIT); !ended) return ended;
    if (auto removed = io::RemoveData(paths.pgdata); !removed) return removed;
    for (const std::string &tree : {paths.pgdata + ".pgaf-init", paths.pgdata + ".pgaf-clone",
                                    node::DiscardedDirectory(paths), paths.directory,
                                    io::ParentOf(paths.config), paths.run_directory}) {
        if (auto removed = io::RemoveTree(tree); !removed) return removed;
    }
    spdlog::info("Removed \"{}\" and its configuration", paths.pgdata);
    return {};
}

/// The data stay, and are those of an ordinary PostgreSQL from now on.
Result<void> Release(const node::Paths &paths, const io::PgInstall &install) {
    if (auto ended = EndServer(paths.pgdata, SIGINT); !ended) return ended;
    if (auto left = node::LeaveOrdinary(paths); !left) return left;
    spdlog::info("The data in \"{}\" are those of an ordinary PostgreSQL now", paths.pgdata);
    spdlog::info("HINT:  It starts with: {} start --pgdata \"{}\"", install.pg_ctl, paths.pgdata);
    return {};
}

}  // namespace

Result<void> RemoveFromMonitor(io::PgClient &monitor, std::int64_t node, bool force) {
    (void)monitor.Query("LISTEN state");
    auto removed = monitor.Query("SELECT pgautofailover.remove_node($1::bigint, $2::bool)",
                                 {std::to_string(node), force ? "true" : "false"});
    if (!removed) return Pass(removed, fmt::format("could not drop node {}", node));
    spdlog::info("Dropped node {} from the monitor", node);
    return {};
}

namespace {

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
                {}, "Without --destroy the node is dropped and the data stay.");
}

/// Its monitor forgets the node, and its service ends.
Result<void> DropRegistered(const node::Paths &paths, const node::Config &config,
                            const core::NodeRecord &record, const DropOptions &options) {
    const bool is_running = node::RunningSupervisor(paths).has_value();
    auto monitor = ConnectTo(node::MonitorConninfo(config));
    if (!monitor && !options.force) return Pass(monitor);
    if (!monitor) spdlog::warn("The monitor cannot be reached and still knows the node");
    if (monitor && options.destroy && !options.force) {
        if (auto other = MustNotBeLastCopy(*monitor, config, record); !other) return other;
    }
    if (monitor && IsKnown(*monitor, record.node.value)) {
        const bool force = options.force || !is_running;  // nobody is there to confirm
        if (auto removed = RemoveFromMonitor(*monitor, record.node.value, force); !removed)
            return removed;
    }
    // A forced removal leaves nobody to tell the keeper.
    if (auto ended = EndService(paths, is_running && !options.force); !ended) return ended;
    auto now = node::LoadRecord(paths);
    if (!now || now->state == core::NodeState::kDropped) return {};
    now->state = core::NodeState::kDropped;
    now->goal = core::NodeState::kDropped;
    return node::SaveRecord(paths, *now);
}

/// How many nodes the monitor in `paths` knows, whether it runs or not.
Result<std::int64_t> CountNodes(const node::Paths &paths, const node::Config &config) {
    const std::string sql = "SELECT count(*) AS nodes FROM pgautofailover.node";
    if (io::FindPostmaster(paths.pgdata)) {
        auto conninfo = LocalMonitorConninfo(config);
        if (!conninfo) return Pass(conninfo);
        auto client = ConnectTo(*conninfo);
        if (!client) return Pass(client);
        auto rows = client->Query(sql);
        if (!rows) return Pass(rows);
        return std::stoll(rows->At(0, 0));
    }
    if (io::InspectDataDirectory(paths.pgdata) != io::DataDirectory::kCluster) return 0;
    auto install = io::FindPgInstall(config.pg_ctl);
    if (!install) return Pass(install);
    auto out = io::RunSingleUser(*install, {.pgdata = paths.pgdata,
                                            .database = std::string(core::kMonitorDatabase),
                                            .commands = {sql}});
    if (!out) return Pass(out);
    constexpr std::string_view kBegin = "nodes = \"";
    const std::size_t at = out->find(kBegin);
    if (at == std::string::npos)
        return Fail(ProblemCode::kBadState, "the monitor does not say which nodes it knows");
    return std::atoll(out->c_str() + at + kBegin.size());
}

Result<void> MustBeWithoutNodes(const node::Paths &paths, const node::Config &config) {
    auto count = CountNodes(paths, config);
    if (!count) {
        Problem problem = count.error().In("could not find out whether the monitor has nodes");
        problem.hint = "Nothing was touched. --force drops it all the same.";
        return tl::unexpected(std::move(problem));
    }
    if (*count == 0) return {};
    return Fail(ProblemCode::kBadState,
                fmt::format("the monitor in \"{}\" has {} {}", paths.pgdata, *count,
                            *count == 1 ? "node" : "nodes"),
                "Without a monitor nothing fails over.",
                "Drop the nodes first: pg_autoctl drop node. --force drops the monitor all the "
                "same.");
}

}  // namespace

Result<void> DropLocalNode(const node::Paths &paths, const node::Config &config,
                           const DropOptions &options) {
    auto record = node::LoadRecord(paths);
    if (!record && !options.force) return Pass(record);
    SayWhatIsDropped(paths, config, record ? std::optional(*record) : std::nullopt,
                     options.destroy);
    if (record) {
        if (auto done = DropRegistered(paths, config, *record, options); !done) return done;
    } else {
        io::LogProblem(spdlog::level::warn, record.error());
        spdlog::warn("The monitor still knows the node: drop it there with --name \"{}\"",
                     config.name);
        if (auto ended = EndService(paths, false); !ended) return ended;
    }
    if (options.destroy) return Destroy(paths);
    auto install = io::FindPgInstall(config.pg_ctl);
    if (!install) return Pass(install);
    return Release(paths, *install);
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
    if (!options.force) {
        if (auto empty = MustBeWithoutNodes(*paths, *config); !empty) return empty;
    }
    SayWhatIsDropped(*paths, *config, std::nullopt, options.destroy);
    if (auto ended = EndService(*paths, false); !ended) return ended;
    if (options.destroy) return Destroy(*paths);
    spdlog::info("The data in \"{}\" stay", paths->pgdata);
    return {};
}

}  // namespace pgaf::cli
