#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <array>

#include "cli/follow.hpp"
#include "cli/json.hpp"
#include "cli/postgres.hpp"
#include "pgaf/core/names.hpp"

/// get and set: settings of nodes and formations, which the monitor keeps. create and drop
/// formation.
namespace pgaf::cli {
namespace {

enum class ValueKind { kNumber, kBool, kText };

/// A setting of a node: the name that people use, the monitor's column and function.
struct NodeProperty {
    const char *name;
    const char *column;
    const char *function;
    const char *sql_type;
    ValueKind kind;
};

constexpr std::array kNodeProperties{
    NodeProperty{"candidate-priority", "candidatepriority", "set_node_candidate_priority", "int",
                 ValueKind::kNumber},
    NodeProperty{"replication-quorum", "replicationquorum", "set_node_replication_quorum", "bool",
                 ValueKind::kBool},
    NodeProperty{"region", "region", "set_node_region", "text", ValueKind::kText},
};

Result<std::string> ChooseNode(const Session &session, const std::string &name) {
    if (!name.empty()) return name;
    if (session.monitor.empty()) {
        auto paths = RequirePaths(session);
        if (!paths) return Pass(paths);
        auto config = node::LoadConfig(*paths);
        if (!config) return Pass(config);
        if (!config->IsMonitor()) return config->name;
    }
    return Fail(ProblemCode::kBadArgument, "no node is chosen", {}, "Use --name.");
}

void PrintValue(const Session &session, const NodeProperty &property, const std::string &node,
                const std::string &value) {
    if (!session.json) {
        fmt::print("{}\n", core::Printable(value));
        return;
    }
    Json json;
    json.Text("name", node);
    switch (property.kind) {
        case ValueKind::kNumber:
            json.Number(property.name, std::stoll(value));
            break;
        case ValueKind::kBool:
            json.Bool(property.name, value == "true");
            break;
        case ValueKind::kText:
            json.Text(property.name, value);
            break;
    }
    fmt::print("{}\n", json.Finish());
}

int GetNodeProperty(const Session &session, const std::string &name, const NodeProperty &property) {
    auto node = ChooseNode(session, name);
    if (!node) return Explain(node.error());
    auto access = ConnectMonitor(session);
    if (!access) return Explain(access.error());
    auto rows = access->client.Query(
        fmt::format(
            "SELECT {}::text FROM pgautofailover.node WHERE formationid = $1 AND nodename = $2",
            property.column),
        {access->formation, *node});
    if (!rows) return Explain(rows.error());
    if (rows->IsEmpty()) {
        return Explain({ProblemCode::kMonitor,
                        fmt::format("node \"{}\" does not exist in formation \"{}\"", *node,
                                    access->formation),
                        "", "List the nodes: pg_autoctl show state."});
    }
    PrintValue(session, property, *node, rows->At(0, 0));
    return kOk;
}

int SetNodeProperty(const Session &session, const std::string &name, const NodeProperty &property,
                    const std::string &value) {
    auto node = ChooseNode(session, name);
    if (!node) return Explain(node.error());
    auto access = ConnectMonitor(session);
    if (!access) return Explain(access.error());
    auto done = Ask(*access,
                    fmt::format("SELECT pgautofailover.{}($1, $2, $3::{})", property.function,
                                property.sql_type),
                    {access->formation, *node, value});
    if (!done) return Explain(done.error());
    PrintValue(session, property, *node, value);
    return kOk;
}

void PrintNumber(const Session &session, const std::string &value) {
    if (!session.json) {
        fmt::print("{}\n", core::Printable(value));
        return;
    }
    Json json;
    fmt::print("{}\n", json.Number("number-sync-standbys", std::stoll(value)).Finish());
}

int GetNumberSyncStandbys(const Session &session) {
    auto access = ConnectMonitor(session);
    if (!access) return Explain(access.error());
    auto rows = access->client.Query(
        "SELECT number_sync_standbys FROM pgautofailover.formation WHERE formationid = $1",
        {access->formation});
    if (!rows) return Explain(rows.error());
    if (rows->IsEmpty()) {
        return Explain({ProblemCode::kMonitor,
                        fmt::format("formation \"{}\" does not exist", access->formation), "",
                        "Create it with pg_autoctl create formation."});
    }
    PrintNumber(session, rows->At(0, 0));
    return kOk;
}

int SetNumberSyncStandbys(const Session &session, int number) {
    auto access = ConnectMonitor(session);
    if (!access) return Explain(access.error());
    auto done =
        Ask(*access, "SELECT pgautofailover.set_formation_number_sync_standbys($1, $2::int)",
            {access->formation, std::to_string(number)});
    if (!done) return Explain(done.error());
    PrintNumber(session, std::to_string(number));
    return kOk;
}

CLI::Validator CheckOf(ValueKind kind) {
    if (kind == ValueKind::kNumber) return CLI::Range(0, 100);
    if (kind == ValueKind::kBool) return CLI::IsMember({"true", "false"});
    return {};
}

CLI::App *AddNodeProperty(CLI::App &parent, Session &session, const NodeProperty &property,
                          std::shared_ptr<std::string> name) {
    CLI::App *command = AddCommand(parent, session, property.name, "of one node");
    AddMonitorOptions(*command, session, false);
    command->add_option("-a,--name", *name, "name of the node");
    return command;
}

void AddGet(CLI::App &app, Session &session) {
    CLI::App *get = AddCommand(app, session, "get", "settings that the monitor keeps");
    get->require_subcommand(1);
    AddGetPostgres(*get, session);
    CLI::App *node = AddCommand(*get, session, "node", "settings of a node");
    node->require_subcommand(1);
    for (const NodeProperty &property : kNodeProperties) {
        auto name = std::make_shared<std::string>();
        AddNodeProperty(*node, session, property, name)->callback([&session, name, &property] {
            session.command = [&session, name, &property] {
                return GetNodeProperty(session, *name, property);
            };
        });
    }
    CLI::App *formation = AddCommand(*get, session, "formation", "settings of a formation");
    formation->require_subcommand(1);
    CLI::App *number = AddCommand(*formation, session, "number-sync-standbys", "as it is");
    AddMonitorOptions(*number, session, false);
    number->callback(
        [&session] { session.command = [&session] { return GetNumberSyncStandbys(session); }; });
    CLI::App *settings = AddCommand(*formation, session, "settings", "all of them");
    AddMonitorOptions(*settings, session, false);
    settings->callback(
        [&session] { session.command = [&session] { return ShowSettings(session); }; });
}

void AddSet(CLI::App &app, Session &session) {
    CLI::App *set = AddCommand(app, session, "set", "change settings on the monitor");
    set->require_subcommand(1);
    AddSetPostgres(*set, session);
    CLI::App *node = AddCommand(*set, session, "node", "settings of a node");
    node->require_subcommand(1);
    for (const NodeProperty &property : kNodeProperties) {
        auto name = std::make_shared<std::string>();
        auto value = std::make_shared<std::string>();
        CLI::App *command = AddNodeProperty(*node, session, property, name);
        CLI::Option *option = command->add_option("value", *value, "new value")->required();
        if (property.kind != ValueKind::kText) option->check(CheckOf(property.kind));
        command->callback([&session, name, value, &property] {
            session.command = [&session, name, value, &property] {
                return SetNodeProperty(session, *name, property, *value);
            };
        });
    }
    CLI::App *formation = AddCommand(*set, session, "formation", "settings of a formation");
    formation->require_subcommand(1);
    auto value = std::make_shared<int>(0);
    CLI::App *number =
        AddCommand(*formation, session, "number-sync-standbys", "how many must confirm a commit");
    AddMonitorOptions(*number, session, false);
    number->add_option("value", *value, "new value")->required()->check(CLI::Range(0, 100));
    number->callback([&session, value] {
        session.command = [&session, value] { return SetNumberSyncStandbys(session, *value); };
    });
}

struct FormationOptions {
    std::string kind = "pgsql";
    std::string dbname = "postgres";
    bool enable_secondary = false;
    bool disable_secondary = false;
    int number_sync_standbys = 0;
};

int CreateFormation(const Session &session, const FormationOptions &options) {
    auto access = ConnectMonitor(session);
    if (!access) return Explain(access.error());
    auto done =
        Ask(*access, "SELECT pgautofailover.create_formation($1, $2, $3::name, $4::bool, $5::int)",
            {access->formation, options.kind, options.dbname,
             options.disable_secondary ? "false" : "true",
             std::to_string(options.number_sync_standbys)});
    if (!done) return Explain(done.error());
    spdlog::info("Created formation \"{}\"", access->formation);
    return kOk;
}

int DropFormation(const Session &session) {
    auto access = ConnectMonitor(session);
    if (!access) return Explain(access.error());
    spdlog::info("Dropping formation \"{}\" and its settings", access->formation);
    auto done = Ask(*access, "SELECT pgautofailover.drop_formation($1)", {access->formation});
    if (!done) {
        Problem problem = done.error();
        if (access->client.SqlState() == "23503") {
            problem.message =
                fmt::format("cannot drop formation \"{}\": it has nodes", access->formation);
            problem.hint = "Drop the nodes first: pg_autoctl drop node.";
        }
        return Explain(problem);
    }
    spdlog::info("Dropped formation \"{}\"", access->formation);
    return kOk;
}

}  // namespace

void AddGetSet(CLI::App &app, Session &session) {
    AddGet(app, session);
    AddSet(app, session);
}

void AddCreateFormation(CLI::App &create, Session &session) {
    auto options = std::make_shared<FormationOptions>();
    CLI::App *command =
        AddCommand(create, session, "formation", "another set of nodes on the monitor");
    AddMonitorOptions(*command, session, false);
    command->get_option("--formation")->required();
    command->add_option("--kind", options->kind, "pgsql")->check(CLI::IsMember({"pgsql", "citus"}));
    command->add_option("--dbname", options->dbname, "database for applications");
    command->add_flag("-s,--enable-secondary", options->enable_secondary,
                      "with standbys, as usual");
    command->add_flag("-S,--disable-secondary", options->disable_secondary, "without standbys")
        ->excludes("--enable-secondary");
    command
        ->add_option("--number-sync-standbys", options->number_sync_standbys,
                     "how many must confirm")
        ->check(CLI::Range(0, 100));
    command->callback([&session, options] {
        session.command = [&session, options] { return CreateFormation(session, *options); };
    });
}

void AddDropFormation(CLI::App &drop, Session &session) {
    CLI::App *command = AddCommand(drop, session, "formation", "one that has no nodes");
    AddMonitorOptions(*command, session, false);
    command->get_option("--formation")->required();
    command->callback(
        [&session] { session.command = [&session] { return DropFormation(session); }; });
}

}  // namespace pgaf::cli
