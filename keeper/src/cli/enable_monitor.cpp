#include <fmt/format.h>
#include <signal.h>
#include <spdlog/spdlog.h>

#include "cli/create.hpp"
#include "cli/register.hpp"
#include "io/env.hpp"
#include "io/network.hpp"
#include "node/pid_file.hpp"

/// `enable monitor`: a running node, and its group, go to a monitor that does not know them.
namespace pgaf::cli {
namespace {

constexpr std::string_view kUniqueViolation = "23505";

Result<bool> Knows(io::PgClient &monitor, const core::NodeRecord &record) {
    auto rows = monitor.Query("SELECT 1 FROM pgautofailover.node WHERE nodeid = $1::bigint",
                              {std::to_string(record.node.value)});
    if (!rows) return Pass(rows);
    return !rows->IsEmpty();
}

/// Two monitors must not decide about one group.
Result<void> RefuseWhileOldOneDecides(const node::Config &before, const core::NodeRecord &record) {
    auto monitor = ConnectTo(node::MonitorConninfo(before));
    if (!monitor) {
        spdlog::info("The monitor that was used until now does not answer");
        return {};
    }
    auto knows = Knows(*monitor, record);
    if (!knows) return Pass(knows);
    if (!*knows) return {};
    return Fail(ProblemCode::kBadState,
                fmt::format("node {} still belongs to the monitor that it uses", record.node.value),
                "That one answers, and two monitors must not decide about one group.",
                "Stop the old monitor for good, or give it the same data as before, then try "
                "again.");
}

Result<void> RegisterKnown(io::PgClient &monitor, const node::Config &config,
                           const core::NodeRecord &record) {
    auto rows = monitor.Query(
        "SELECT assigned_group_state FROM pgautofailover.register_node(formation_id => $1, "
        "node_host => $2, node_port => $3::int, dbname => $4::name, node_name => $5, "
        "sysidentifier => $6::bigint, desired_node_id => $7::bigint, desired_group_id => $8::int, "
        "initial_group_role => $9::pgautofailover.replication_state, "
        "candidate_priority => $10::int, replication_quorum => $11::bool)",
        {config.formation, config.hostname, std::to_string(config.port), config.dbname, config.name,
         std::to_string(static_cast<std::int64_t>(record.system_identifier)),
         std::to_string(record.node.value), std::to_string(record.group),
         std::string(core::ToString(record.state)), std::to_string(config.candidate_priority),
         config.replication_quorum ? "true" : "false"});
    if (!rows) return Pass(rows);
    if (rows->IsEmpty())
        return Fail(ProblemCode::kMonitor, "the monitor did not register the node");
    return {};
}

/// Files first, then the commit: the keeper asks whom its file names, and a monitor that does not
/// know it yet is waited for.
Result<void> Move(io::PgClient &monitor, const node::Paths &paths, const node::Config &config,
                  const core::NodeRecord &record, bool is_known) {
    if (auto begun = monitor.Query("BEGIN"); !begun) return Pass(begun);
    auto done = is_known ? Result<void>{} : RegisterKnown(monitor, config, record);
    if (!done) {
        const bool is_taken = monitor.SqlState() == kUniqueViolation;
        (void)monitor.Query("ROLLBACK");
        if (is_taken) done.error().code = ProblemCode::kBadState;
        return Pass(done, "could not register the node");
    }
    auto keeper = node::MakeKeeperConfig(
        config, record, io::ResolveNow(io::OptionOf(*io::ParseConninfo(config.monitor), "host")));
    auto saved = keeper ? node::SaveConfig(paths, config) : tl::unexpected(keeper.error());
    if (saved) saved = node::SaveKeeperConfig(paths, *keeper);
    if (!saved) {
        (void)monitor.Query("ROLLBACK");
        return saved;
    }
    if (auto committed = monitor.Query("COMMIT"); !committed)
        return Pass(committed, "could not register the node");
    return {};
}

Result<void> Enable(const Session &session, const std::string &uri, const std::string &pin) {
    auto paths = RequirePaths(session);
    if (!paths) return Pass(paths);
    auto config = node::LoadConfig(*paths);
    if (!config) return Pass(config);
    if (config->IsMonitor())
        return Fail(ProblemCode::kBadState, "this is a monitor, not a node", {},
                    "Give the --pgdata of a node.");
    auto record = node::LoadRecord(*paths);
    if (!record) return Pass(record);
    if (auto parsed = io::ParseConninfo(uri); !parsed) return Pass(parsed);
    node::Config next = *config;
    next.monitor = uri;
    next.monitor_fingerprint = pin;
    if (auto texts = CheckTexts(next); !texts) return texts;
    if (uri != config->monitor) {
        if (auto checked = RefuseWhileOldOneDecides(*config, *record); !checked) return checked;
    }
    auto monitor = ConnectAtFirst(next);
    if (!monitor) return Pass(monitor);
    RememberMonitor(*monitor, next);
    if (auto checked = CheckSystemIdentifier(*monitor, next, record->system_identifier); !checked)
        return checked;
    if (auto made = node::EnsureNodeSecret(*paths, next); !made) return made;
    monitor = ConnectTo(node::MonitorConninfo(next));
    if (!monitor) return Pass(monitor);
    auto is_known = Knows(*monitor, *record);
    if (!is_known) return Pass(is_known);
    if (auto moved = Move(*monitor, *paths, next, *record, *is_known); !moved) return moved;
    (void)node::SignalSupervisor(*paths, SIGHUP);  // none runs: nothing to tell
    spdlog::info("Node {} \"{}\" belongs to the new monitor now, in state {}", record->node.value,
                 next.name, core::ToString(record->state));
    spdlog::info(
        "HINT:  The monitor decides when all nodes of the group are there: pg_autoctl show state.");
    return {};
}

}  // namespace

void AddEnableMonitor(CLI::App &enable, Session &session) {
    auto uri = std::make_shared<std::string>();
    auto pin = std::make_shared<std::string>();
    CLI::App *monitor =
        AddCommand(enable, session, "monitor", "register a running node with a new monitor");
    AddPgData(*monitor, session);
    monitor->add_option("uri", *uri, "connection string that create monitor printed")->required();
    monitor->add_option("--monitor-fingerprint", *pin,
                        "SHA-256 fingerprint of the monitor's certificate");
    monitor->callback([&session, uri, pin] {
        session.command = [&session, uri, pin] {
            const auto done = Enable(session, *uri, *pin);
            return done ? kOk : Explain(done.error());
        };
    });
}

}  // namespace pgaf::cli
