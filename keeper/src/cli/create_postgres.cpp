#include <fmt/format.h>
#include <poll.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>

#include "cli/create.hpp"
#include "cli/register.hpp"
#include "cli/replace.hpp"
#include "io/env.hpp"
#include "io/files.hpp"
#include "io/network.hpp"
#include "node/adopt.hpp"
#include "node/node_supervisor.hpp"
#include "node/pid_file.hpp"

namespace pgaf::cli {
namespace {

constexpr Milliseconds kRegisterLimit{60'000};
constexpr std::string_view kUniqueViolation = "23505";

std::int64_t ToNumber(const std::string &text) {
    std::int64_t number = 0;
    (void)std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

void Pause(Milliseconds time) { (void)::poll(nullptr, 0, static_cast<int>(time.count())); }

Result<core::NodeRecord> RegisterOnce(io::PgClient &monitor, const CreatePlan &plan,
                                      std::uint64_t own_system) {
    const node::Config &config = plan.config;
    auto rows = monitor.Query(
        "SELECT assigned_node_id, assigned_group_id, assigned_group_state, assigned_node_name "
        "FROM pgautofailover.register_node(formation_id => $1, node_host => $2, node_port => "
        "$3::int, "
        "dbname => $4::name, node_name => $5, sysidentifier => $6::bigint, "
        "initial_group_role => 'init'::pgautofailover.replication_state, "
        "candidate_priority => $7::int, replication_quorum => $8::bool)",
        {config.formation, config.hostname, std::to_string(config.port), config.dbname, config.name,
         std::to_string(static_cast<std::int64_t>(own_system)),
         std::to_string(config.candidate_priority), config.replication_quorum ? "true" : "false"});
    if (!rows) return Pass(rows);
    if (rows->IsEmpty())
        return Fail(ProblemCode::kMonitor, "the monitor did not register the node");
    core::NodeRecord record;
    record.node = {ToNumber(rows->At(0, 0))};
    record.group = static_cast<int>(ToNumber(rows->At(0, 1)));
    record.goal = core::ParseNodeState(rows->At(0, 2)).value_or(core::NodeState::kInit);
    record.had_peer = record.goal != core::NodeState::kSingle;
    // A standby copies the primary, whatever is here now; a first node keeps its own.
    record.system_identifier = own_system;
    return record;
}

/// The data of a first node is adopted.
Result<void> CheckFirstNode(const CreatePlan &plan, const core::NodeRecord &record) {
    if (record.goal != core::NodeState::kSingle) return {};
    if (plan.data != io::DataDirectory::kCluster) return {};
    auto fits = node::CheckAdoptable(plan.paths.pgdata);
    if (!fits) fits.error().code = ProblemCode::kBadState;  // for the exit status
    return fits;
}

/// Files first, then the commit: a node that the monitor knows has its memory on disk.
Result<void> RegisterAndSave(io::PgClient &monitor, CreatePlan &plan, std::uint64_t own_system) {
    if (auto begun = monitor.Query("BEGIN"); !begun) return Pass(begun);
    auto record = RegisterOnce(monitor, plan, own_system);
    if (!record) {
        const std::string sqlstate = monitor.SqlState();
        (void)monitor.Query("ROLLBACK");
        if (io::IsTransient(sqlstate)) record.error().code = ProblemCode::kTimeout;
        if (sqlstate == kUniqueViolation) {
            auto namesake = FindNamesake(monitor, plan.config);
            if (namesake && *namesake) record.error() = ExplainNamesake(**namesake);
        }
        return Pass(record, "could not register the node");
    }
    if (auto fits = CheckFirstNode(plan, *record); !fits) {
        (void)monitor.Query("ROLLBACK");
        return fits;
    }
    if (plan.config.name.empty()) plan.config.name = fmt::format("node_{}", record->node.value);
    plan.config.group = record->group;
    auto keeper = node::MakeKeeperConfig(
        plan.config, *record,
        io::ResolveNow(io::OptionOf(*io::ParseConninfo(plan.config.monitor), "host")));
    auto saved =
        keeper ? node::SaveKeeperConfig(plan.paths, *keeper) : tl::unexpected(keeper.error());
    if (saved) saved = node::SaveConfig(plan.paths, plan.config);
    if (saved) saved = node::SaveRecord(plan.paths, *record);
    if (!saved) {
        (void)monitor.Query("ROLLBACK");
        return saved;
    }
    auto committed = monitor.Query("COMMIT");
    if (committed) {
        spdlog::info("Registered node {} \"{}\" ({}:{}) in formation \"{}\", group {}",
                     record->node.value, plan.config.name, plan.config.hostname, plan.config.port,
                     plan.config.formation, record->group);
        return {};
    }
    const bool is_transient = io::IsTransient(monitor.SqlState());
    (void)io::RemoveFile(plan.paths.state);
    if (!plan.had_config) (void)io::RemoveFile(plan.paths.config);
    (void)io::RemoveFile(plan.paths.keeper_conf);
    if (is_transient) committed.error().code = ProblemCode::kTimeout;
    return Pass(committed, "could not register the node");
}

Result<void> Register(CreatePlan &plan) {
    auto monitor = ConnectAtFirst(plan.config);
    if (!monitor) return Pass(monitor);
    RememberMonitor(*monitor, plan.config);
    std::uint64_t own_system = 0;
    if (plan.data == io::DataDirectory::kCluster) {
        auto control = io::ReadControlData(plan.install, plan.paths.pgdata);
        if (!control) return Pass(control);
        own_system = control->system_identifier;
    }
    if (auto checked = CheckSystemIdentifier(*monitor, plan.config, own_system); !checked)
        return checked;
    if (auto made = node::MakeNodeDirectories(plan.paths); !made) return made;
    // The secret is on disk before the monitor hears of it, with the registration.
    if (auto made = node::EnsureNodeSecret(plan.paths, plan.config); !made) return made;
    monitor = ConnectTo(node::MonitorConninfo(plan.config));
    if (!monitor) return Pass(monitor);
    if (plan.replace) {
        auto namesake = FindNamesake(*monitor, plan.config);
        if (!namesake) return Pass(namesake);
        if (*namesake) {
            if (auto done = Replace(*monitor, **namesake); !done) return done;
        }
    }
    const core::BootTime start = io::BootNow();
    for (Milliseconds pause{50};; pause = std::min(pause * 2, Milliseconds{2000})) {
        auto done = RegisterAndSave(*monitor, plan, own_system);
        if (done || done.error().code != ProblemCode::kTimeout) return done;
        if (io::BootNow() - start + pause > kRegisterLimit) {
            done.error().code = ProblemCode::kMonitor;
            return done;
        }
        Pause(pause);
    }
}

Result<void> CheckNodeOptions(CreatePlan &plan) {
    node::Config &config = plan.config;
    if (config.monitor.empty()) {
        return Fail(ProblemCode::kBadArgument, "no monitor is given", {},
                    "Use --monitor with the connection string that create monitor printed.");
    }
    auto options = io::ParseConninfo(config.monitor);
    if (!options) return Pass(options);
    if (config.username.empty()) config.username = io::OsUser();
    if (config.hostname.empty()) {
        const std::string host = io::OptionOf(*options, "host");
        const std::string port = io::OptionOf(*options, "port");
        const auto own =
            io::OwnAddressTowards(host, port.empty() ? 5432 : static_cast<int>(ToNumber(port)));
        if (!own) {
            return Fail(ProblemCode::kMonitor,
                        fmt::format("could not find out how to reach host \"{}\"", host), {},
                        "Give the name of this host with --hostname.");
        }
        config.hostname = *own;
        spdlog::info("This host is known as \"{}\"; --hostname changes that", config.hostname);
    }
    return {};
}

/// An earlier create finished: only --run is left to do, and other options would be ignored.
Result<void> CheckUnchanged(const CreatePlan &plan) {
    auto before = node::LoadConfig(plan.paths);
    if (!before) return Pass(before);
    if (node::ToIni(*before) == node::ToIni(plan.config)) return {};
    return Fail(
        ProblemCode::kBadState,
        fmt::format("the node in \"{}\" exists with other options", plan.paths.pgdata), {},
        "Use pg_autoctl run with --name, --hostname or --pgport, or pg_autoctl config set.");
}

}  // namespace

int CreatePostgres(const Session &session, const CreateOptions &options) {
    auto plan = PrepareCreate(session, options, false);
    if (!plan) return Explain(plan.error());
    plan->replace = options.replace;
    if (auto checked = CheckNodeOptions(*plan); !checked) return Explain(checked.error());
    auto record = node::LoadRecord(plan->paths);
    if (!record && record.error().code != ProblemCode::kNotFound) return Explain(record.error());
    const bool was_dropped = record && record->state == core::NodeState::kDropped;
    if (record && !was_dropped) {
        if (auto unchanged = CheckUnchanged(*plan); !unchanged) return Explain(unchanged.error());
        spdlog::info("Node {} \"{}\" is registered already, in state {}", record->node.value,
                     plan->config.name, core::ToString(record->state));
    } else if (auto registered = Register(*plan); !registered) {
        return Explain(registered.error());
    }
    WarnAboutSharedMemory();
    auto pid_file = node::PidFile::Take(plan->paths);
    if (!pid_file) return Explain(pid_file.error());
    if (auto made = io::MakeDirectories(io::ParentOf(plan->paths.pgdata), 0700); !made)
        return Explain(made.error());
    node::NodeSupervisor supervisor({.config = plan->config,
                                     .paths = plan->paths,
                                     .install = plan->install,
                                     .is_init_only = !options.run});
    const int status = supervisor.Run();
    if (status == 0 && !options.run) {
        auto now = node::LoadRecord(plan->paths);
        const auto state = now ? now->state : core::NodeState::kInit;
        if (state == core::NodeState::kInit || state == core::NodeState::kWaitStandby) {
            spdlog::error("The node is not complete; the same command continues");
            return kKeeperInit;
        }
        spdlog::info("The node is ready. Start it with: pg_autoctl run --pgdata \"{}\"",
                     plan->paths.pgdata);
    }
    return status;
}

}  // namespace pgaf::cli
