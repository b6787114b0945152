#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "cli/follow.hpp"

/// enable and disable: maintenance of a node, secondaries of a formation.
namespace pgaf::cli {
namespace {

struct MaintenanceOptions {
    std::string name;
    bool allow_failover = false;
    int wait_s = 60;
};

enum class Direction { kEnable, kDisable };

bool IsThere(const NodeRow &node, Direction direction) {
    if (node.reported != node.goal) return false;
    if (direction == Direction::kEnable) return node.goal == "maintenance";
    return node.goal == "secondary" || node.goal == "primary" || node.goal == "single";
}

int ChangeMaintenance(const Session &session, Direction direction,
                      const MaintenanceOptions &options) {
    auto chosen = FindChosen(session, options.name);
    if (!chosen) return Explain(chosen.error());
    const bool enables = direction == Direction::kEnable;
    const std::string id = chosen->node.id;
    const auto goal = core::ParseNodeState(chosen->node.goal).value_or(core::NodeState::kUnknown);
    if (enables && core::IsWritable(goal) && !options.allow_failover) {
        return Explain({ProblemCode::kBadArgument, "cannot start maintenance of the primary",
                        "A standby has to take over first.",
                        "Use --allow-failover if that is what you want."});
    }
    MonitorAccess &access = chosen->access;
    if (auto listening = access.client.Query("LISTEN state"); !listening)
        return Explain(listening.error());
    auto before = FetchNodes(access, chosen->group);
    if (!before) return Explain(before.error());
    auto asked = Ask(access,
                     enables ? "SELECT pgautofailover.start_maintenance($1::bigint)"
                             : "SELECT pgautofailover.stop_maintenance($1::bigint)",
                     {id});
    if (!asked) return Explain(asked.error());
    if (asked->At(0, 0) != "t") {
        return Explain({ProblemCode::kMonitor, fmt::format("node {} does not exist", id), "",
                        "It was dropped from the monitor."});
    }
    const auto is_done = [&id, direction](const Nodes &nodes) {
        const auto node = nodes.find(id);
        return node != nodes.end() && IsThere(node->second, direction);
    };
    return Follow(
        access, *before,
        {.group = chosen->group,
         .wait_s = options.wait_s,
         .what = fmt::format("node {} is not {} maintenance yet", id, enables ? "in" : "out of"),
         .is_done = is_done});
}

int ChangeSecondary(const Session &session, Direction direction) {
    auto access = ConnectMonitor(session);
    if (!access) return Explain(access.error());
    const bool enables = direction == Direction::kEnable;
    auto asked = Ask(*access,
                     enables ? "SELECT pgautofailover.enable_secondary($1)"
                             : "SELECT pgautofailover.disable_secondary($1)",
                     {access->formation});
    if (!asked) return Explain(asked.error());
    spdlog::info("{} secondaries in formation \"{}\"", enables ? "Enabled" : "Disabled",
                 access->formation);
    return kOk;
}

CLI::App &AddDirection(CLI::App &app, Session &session, const char *name, Direction direction) {
    CLI::App *parent =
        AddCommand(app, session, name, "maintenance of a node, secondaries of a formation");
    parent->require_subcommand(1);
    auto options = std::make_shared<MaintenanceOptions>();
    CLI::App *maintenance = AddCommand(*parent, session, "maintenance", "of a node");
    AddMonitorOptions(*maintenance, session, false);
    maintenance->add_option("-a,--name", options->name,
                            "name of the node, from any host; else the node of --pgdata");
    maintenance
        ->add_option("-w,--wait", options->wait_s, "how many seconds to wait; 0 waits for ever")
        ->check(CLI::Range(0, 86400));
    if (direction == Direction::kEnable) {
        maintenance->add_flag("-A,--allow-failover", options->allow_failover,
                              "of the primary, too: a standby takes over first");
    }
    maintenance->callback([&session, direction, options] {
        session.command = [&session, direction, options] {
            return ChangeMaintenance(session, direction, *options);
        };
    });
    CLI::App *secondary = AddCommand(*parent, session, "secondary", "standbys in a formation");
    AddMonitorOptions(*secondary, session, false);
    secondary->callback([&session, direction] {
        session.command = [&session, direction] { return ChangeSecondary(session, direction); };
    });
    return *parent;
}

}  // namespace

void AddEnable(CLI::App &app, Session &session) {
    AddEnableMonitor(AddDirection(app, session, "enable", Direction::kEnable), session);
    AddDirection(app, session, "disable", Direction::kDisable);
}

}  // namespace pgaf::cli
