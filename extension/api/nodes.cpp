#include "api/arguments.hpp"
#include "api/rights.hpp"
#include "facts/node_facts.hpp"
#include "facts/workers.hpp"
#include "group.hpp"
#include "pg/clock.hpp"
#include "pg/report.hpp"
#include "pgaf/core/names.hpp"
#include "settings.hpp"

#include <algorithm>
#include <string>

/// Nodes come, change and go.
namespace pgaf::api {
namespace {

using core::NodeId;
using core::NodeState;
using pg::PgError;

pg::Statement select_formation{
    "SELECT f.dbname, f.opt_secondary, (SELECT count(*) FROM pgautofailover.node n"
    " WHERE n.formationid = f.formationid) FROM pgautofailover.formation f WHERE f.formationid = "
    "$1"};
pg::Statement rename_database{
    "UPDATE pgautofailover.formation SET dbname = $2::name WHERE formationid = $1"};
pg::Statement update_metadata{
    "UPDATE pgautofailover.node SET nodename = $2, nodehost = $3, nodeport = $4 WHERE nodeid = $1"};

struct Registration {
    store::NewNode node;
    std::string dbname;
    std::string kind;
};

Registration ReadArguments(FunctionCallInfo fcinfo) {
    Registration r;
    r.node.group.formation = TextArg(fcinfo, 0);
    r.node.host = TextArg(fcinfo, 1);
    r.node.port = PG_GETARG_INT32(2);
    r.dbname = NameArg(fcinfo, 3);
    r.node.name = TextArg(fcinfo, 4);
    r.node.system_identifier = static_cast<std::uint64_t>(PG_GETARG_INT64(5));
    r.node.desired = {PG_GETARG_INT64(6)};
    r.node.group.group = PG_GETARG_INT32(7);
    r.node.reported = StateArg(fcinfo, 8);
    r.kind = TextArg(fcinfo, 9);
    r.node.candidate_priority = PG_GETARG_INT32(10);
    r.node.replication_quorum = PG_GETARG_BOOL(11);
    r.node.cluster = TextArg(fcinfo, 12);
    r.node.region = TextArg(fcinfo, 13);
    return r;
}

void CheckKind(const std::string &kind) {
    if (kind == "standalone") return;
    if (kind == "coordinator" || kind == "worker") {
        throw PgError(ERRCODE_FEATURE_NOT_SUPPORTED,
                      "nodes of kind \"" + kind + "\" are not supported", {},
                      "Use the kind \"standalone\".");
    }
    throw PgError(ERRCODE_INVALID_PARAMETER_VALUE, "unknown kind of node \"" + kind + "\"");
}

void CheckGroupNumber(int group) {
    if (group <= 0) return;
    throw PgError(ERRCODE_INVALID_PARAMETER_VALUE,
                  "cannot register a node in group " + std::to_string(group),
                  "A formation of kind pgsql has one group.", "Use group 0.");
}

void CheckPriority(int priority) {
    if (priority >= 0 && priority <= 100) return;
    throw PgError(ERRCODE_INVALID_PARAMETER_VALUE,
                  "invalid candidate priority " + std::to_string(priority),
                  "It must be between 0 and 100.");
}

void CheckPort(int port) {
    if (port >= 1 && port <= 65535) return;
    throw PgError(ERRCODE_INVALID_PARAMETER_VALUE, "invalid port " + std::to_string(port),
                  "It must be between 1 and 65535.");
}

void CheckNames(const store::NewNode &node, const std::string &dbname) {
    pg::CheckOrRaise(core::CheckHostName("host name", node.host));
    if (!node.name.empty()) pg::CheckOrRaise(core::CheckName("name of a node", node.name));
    pg::CheckOrRaise(core::CheckName("name of a database", dbname));
    pg::CheckOrRaise(core::CheckName("name of a cluster", node.cluster));
    pg::CheckOrRaise(core::CheckName("name of a region", node.region));
}

/// The formation takes the database of its first node; later ones must agree.
void CheckFormation(const Registration &r) {
    const std::string &formation = r.node.group.formation;
    const pg::Rows rows = pg::Execute(select_formation, {pg::Param::Text(formation)});
    if (rows.empty()) {
        throw PgError(ERRCODE_INVALID_OBJECT_DEFINITION,
                      "formation \"" + formation + "\" does not exist", {},
                      "Create it with pg_autoctl create formation.");
    }
    const std::string dbname = rows.Text(0, 1);
    const bool has_nodes = rows.Int8(0, 3) > 0;
    if (has_nodes && !rows.Bool(0, 2)) {
        throw PgError(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                      "formation \"" + formation + "\" does not allow standbys");
    }
    if (dbname == r.dbname) return;
    if (has_nodes) {
        throw PgError(
            ERRCODE_INVALID_PARAMETER_VALUE,
            "database \"" + r.dbname + "\" does not match formation \"" + formation + "\"",
            "The nodes of the formation use database \"" + dbname + "\".");
    }
    (void)pg::Execute(rename_database, {pg::Param::Text(formation), pg::Param::Text(r.dbname)});
}

/// A running node comes from another monitor, and keeps its number: its slots bear it, and those
/// who confirm.
bool IsKnownElsewhere(const store::NewNode &node) {
    return node.desired.IsValid() && node.reported != NodeState::kInit;
}

/// Clients of the SQL interface retry a registration on 55006.
NodeState GoalOrRaise(const core::GroupView &view, const store::NewNode &node) {
    if (IsKnownElsewhere(node) && view.Find(node.desired) != nullptr)
        throw PgError(ERRCODE_UNIQUE_VIOLATION,
                      "node " + std::to_string(node.desired.value) + " is registered already", {},
                      "Register all running nodes before new ones are created.");
    const core::Result<NodeState> goal = IsKnownElsewhere(node)
                                             ? core::GoalForKnownNode(view, node.reported)
                                             : core::GoalForNewNode(view);
    if (goal) return *goal;
    const core::Problem &problem = goal.error();
    const int code = problem.code == core::ProblemCode::kRefused
                         ? ERRCODE_OBJECT_IN_USE
                         : ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
    throw PgError(code, problem.message, problem.detail, problem.hint);
}

void CheckInitialRole(NodeState role, NodeState goal) {
    if (role == NodeState::kInit || role == goal) return;
    throw PgError(ERRCODE_INVALID_PARAMETER_VALUE,
                  "cannot register a node in state \"" + std::string(core::ToString(role)) + "\"",
                  "The group needs it in state \"" + std::string(core::ToString(goal)) + "\".");
}

/// Where to probe from now on; without an address the old one stays.
void NoteAddress(NodeId node, const std::optional<std::string> &address, int port) {
    const char *const text = address ? address->c_str() : nullptr;
    (void)facts::Update(node, [=](facts::NodeFacts &entry) {
        if (text != nullptr) strlcpy(entry.address, text, sizeof entry.address);
        entry.port = port;
        entry.probe = core::ProbeFact::kUnknown;
    });
    facts::WakeWorkerBy(core::BootTime{0});
}

/// The formation follows the number of its standbys.
void SetNumberSyncStandbys(Group &group, int number) {
    const int before = group.view().number_sync_standbys;
    if (number == before) return;
    store::UpdateNumberSyncStandbys(group.key().formation, number);
    pg::Log("Setting number_sync_standbys of formation \"" + group.key().formation + "\" from " +
            std::to_string(before) + " to " + std::to_string(number));
    group.Reload();
}

store::NodeRow Register(Registration &r) {
    const std::string address = ResolveHost(r.node.host);
    pg::Spi spi;
    store::LockFormation(r.node.group.formation);
    CheckFormation(r);
    Group group = Group::Lock(r.node.group);
    r.node.goal = GoalOrRaise(group.view(), r.node);
    if (!IsKnownElsewhere(r.node)) CheckInitialRole(r.node.reported, r.node.goal);
    const NodeId id = store::InsertNode(r.node);
    CheckNode(id, FirstSecret::kKeep);
    facts::CreateFresh(id);
    NoteAddress(id, address, r.node.port);
    group.Reload();
    const store::NodeRow row = group.RowOf(id);
    store::Announce(group.key(), row,
                    "Registering " + store::Describe(row.view) + " to formation \"" +
                        r.node.group.formation + "\" with replication quorum " +
                        (r.node.replication_quorum ? "true" : "false") +
                        " and candidate priority " + std::to_string(r.node.candidate_priority));
    group.WakeKeepers();
    SetNumberSyncStandbys(group, core::NumberSyncStandbysAfterJoin(group.view()));
    group.Settle();
    return group.RowOf(id);
}

/// By force a node goes without its own word. That is for operators, for the node itself, and for
/// the one that takes the place of a node that has not been heard for a while.
void CheckForce(NodeId node) {
    constexpr std::int64_t kSilentNs = 10'000'000'000;
    if (IsNode(node) || IsOperator()) return;
    const std::optional<facts::NodeFacts> facts = facts::Find(node);
    const bool is_silent =
        !facts || !facts->has_report ||
        (facts->session_pid == 0 && pg::BootNow().ns - facts->report_ns > kSilentNs);
    if (!is_silent) CheckOperator("drop node " + std::to_string(node.value) + " by force");
}

bool Remove(const std::optional<store::NodeAddress> &node, const std::string &who, bool force) {
    if (!node) throw PgError(ERRCODE_UNDEFINED_OBJECT, who + " does not exist");
    CheckOrder(node->group.formation, node->group.group);
    if (force) CheckForce(node->node);
    store::LockFormation(node->group.formation);
    Group group = Group::Lock(node->group);
    const core::Decision decision =
        pg::ValueOrRaise(core::RequestRemoval(group.view(), node->node, force));
    SetNumberSyncStandbys(group, core::NumberSyncStandbysAfterRemoval(group.view(), node->node));
    group.Carry(decision);
    group.Settle();
    return true;
}

}  // namespace

PGAF_SQL_FUNCTION(pgautofailover_register_node) {
    Registration r = ReadArguments(fcinfo);
    CheckKind(r.kind);
    CheckGroupNumber(r.node.group.group);
    r.node.group.group = 0;
    CheckPriority(r.node.candidate_priority);
    CheckPort(r.node.port);
    CheckNames(r.node, r.dbname);
    const store::NodeRow row = Register(r);
    return Row(fcinfo,
               {Int64GetDatum(row.view.id.value), Int32GetDatum(0),
                StateDatum(fcinfo, 2, row.view.goal), Int32GetDatum(row.view.candidate_priority),
                BoolGetDatum(row.view.replication_quorum), pg::ToText(row.view.name)});
}

PGAF_SQL_FUNCTION(pgautofailover_remove_node_by_id) {
    const NodeId id{PG_GETARG_INT64(0)};
    pg::Spi spi;
    return BoolGetDatum(
        Remove(store::FindNode(id), "node " + std::to_string(id.value), PG_GETARG_BOOL(1)));
}

PGAF_SQL_FUNCTION(pgautofailover_remove_node_by_host) {
    const std::string host = TextArg(fcinfo, 0);
    const int port = PG_GETARG_INT32(1);
    pg::Spi spi;
    return BoolGetDatum(Remove(store::FindNodeByHost(host, port),
                               "node " + host + ":" + std::to_string(port), PG_GETARG_BOOL(2)));
}

PGAF_SQL_FUNCTION(pgautofailover_update_node_metadata) {
    if (PG_ARGISNULL(0)) {
        throw PgError(ERRCODE_NULL_VALUE_NOT_ALLOWED, "node_id must not be null");
    }
    const NodeId id{PG_GETARG_INT64(0)};
    const std::optional<std::string> name = OptionalTextArg(fcinfo, 1);
    const std::optional<std::string> host = OptionalTextArg(fcinfo, 2);
    if (name) pg::CheckOrRaise(core::CheckName("name of a node", *name));
    if (host) pg::CheckOrRaise(core::CheckHostName("host name", *host));
    std::optional<std::string> address;
    if (host) address = ResolveHost(*host);
    pg::Spi spi;
    const std::optional<store::NodeAddress> node = store::FindNode(id);
    if (!node) {
        throw PgError(ERRCODE_UNDEFINED_OBJECT,
                      "node " + std::to_string(id.value) + " does not exist");
    }
    CheckNode(id, FirstSecret::kPassOver);
    Group group = Group::Lock(node->group);
    const store::NodeRow before = group.RowOf(id);
    const int port = PG_ARGISNULL(3) ? before.view.port : PG_GETARG_INT32(3);
    CheckPort(port);
    (void)pg::Execute(update_metadata,
                      {pg::Param::Int8(id.value), pg::Param::Text(name.value_or(before.view.name)),
                       pg::Param::Text(host.value_or(before.view.host)), pg::Param::Int4(port)});
    group.Reload();
    NoteAddress(id, address, port);
    const store::NodeRow after = group.RowOf(id);
    store::Announce(
        group.key(), after,
        "Updating " + store::Describe(before.view) + " to " + store::Describe(after.view));
    group.WakeKeepers();
    return BoolGetDatum(true);
}

}  // namespace pgaf::api
