#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "cli/drop.hpp"
#include "io/env.hpp"
#include "io/files.hpp"
#include "io/log.hpp"
#include "pgaf/core/names.hpp"

/// drop node, drop monitor: their options, and nodes of other hosts.
namespace pgaf::cli {
namespace {

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

/// What is about to be dropped is named, as far as the monitor knows it.
Result<std::int64_t> FindNode(MonitorAccess &access, const DropOptions &options) {
    const bool by_name = !options.name.empty();
    auto rows = by_name ? access.client.Query(
                              "SELECT nodeid, nodename, nodehost, nodeport, reportedstate FROM "
                              "pgautofailover.node WHERE formationid = $1 AND nodename = $2",
                              {access.formation, options.name})
                        : access.client.Query(
                              "SELECT nodeid, nodename, nodehost, nodeport, reportedstate FROM "
                              "pgautofailover.node WHERE nodehost = $1 AND nodeport = $2::int",
                              {options.hostname, std::to_string(options.port.value_or(5432))});
    if (!rows) return Pass(rows);
    if (rows->IsEmpty()) {
        return Fail(ProblemCode::kMonitor,
                    by_name ? fmt::format("formation \"{}\" has no node \"{}\"", access.formation,
                                          options.name)
                            : fmt::format("there is no node at {}:{}", options.hostname,
                                          options.port.value_or(5432)));
    }
    spdlog::info("Dropping node {} \"{}\" ({}:{}), in state {}; its data stay", rows->At(0, 0),
                 core::Printable(rows->At(0, 1)), rows->At(0, 2), rows->At(0, 3), rows->At(0, 4));
    return std::stoll(rows->At(0, 0));
}

/// Its keeper has to consent, which takes the whole wait when it is gone.
void WarnAboutSilence(io::PgClient &monitor, std::int64_t node) {
    auto rows = monitor.Query(
        "SELECT 1 FROM pgautofailover.node_facts() WHERE node_id = $1::bigint AND session <> "
        "'connected' AND probe NOT IN ('alive', 'starting')",
        {std::to_string(node)});
    if (!rows || rows->IsEmpty()) return;
    spdlog::warn("Node {} has no session with the monitor, and its port does not answer", node);
    spdlog::warn("HINT:  If its machine is gone for good, use --force; else start it.");
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
    WarnAboutSilence(access->client, *node);
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
    monitor->add_flag("-F,--force", monitor_options->force, "although nodes are registered");
    monitor->callback([&session, monitor_options] {
        session.command = [&session, monitor_options] {
            return Finish(DropMonitor(session, *monitor_options));
        };
    });
}

}  // namespace pgaf::cli
