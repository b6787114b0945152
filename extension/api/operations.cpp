#include "api/arguments.hpp"
#include "api/rights.hpp"
#include "group.hpp"
#include "pg/report.hpp"
#include "pgaf/core/names.hpp"
#include "settings.hpp"

#include <string>

/// Requests of the operator about a group: failover, promotion, settings of nodes.
namespace pgaf::api {
namespace {

using core::NodeState;
using pg::PgError;

pg::Statement update_priority{
    "UPDATE pgautofailover.node SET candidatepriority = $2 WHERE nodeid = $1"};
pg::Statement update_quorum{
    "UPDATE pgautofailover.node SET replicationquorum = $2 WHERE nodeid = $1"};
pg::Statement update_region{"UPDATE pgautofailover.node SET region = $2 WHERE nodeid = $1"};

store::NodeAddress FindByName(const std::string &formation, const std::string &name) {
    const std::optional<store::NodeAddress> node = store::FindNodeByName(formation, name);
    if (node) return *node;
    throw PgError(ERRCODE_UNDEFINED_OBJECT,
                  "node \"" + name + "\" does not exist in formation \"" + formation + "\"");
}

void FailOver(Group &group, const core::FailoverRequest &request) {
    group.Carry(pg::ValueOrRaise(core::RequestFailover(group.view(), request)));
    group.Settle();
}

void Warning(const std::string &message) {
    const char *const text = message.c_str();
    pg::CallPg([text] {
        ereport(WARNING, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("%s", text)));
    });
}

void Notice(const std::string &message) {
    const char *const text = message.c_str();
    pg::CallPg([text] {
        ereport(NOTICE, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("%s", text)));
    });
}

/// True: go on. False: the node is the primary already.
bool CheckPromotion(const Group &group, core::NodeId id) {
    const store::NodeRow row = group.RowOf(id);
    const core::NodeView &node = row.view;
    if (node.reported == node.goal && core::IsWritable(node.goal)) {
        Notice(store::Describe(node) + " is already the primary");
        return false;
    }
    const bool is_standby = node.reported == node.goal && (node.goal == NodeState::kSecondary ||
                                                           node.goal == NodeState::kReportLsn);
    if (is_standby) return true;
    throw PgError(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                  "cannot promote " + store::Describe(node) + " now",
                  "It reports " + std::string(core::ToString(node.reported)) + " and is assigned " +
                      std::string(core::ToString(node.goal)) + ".",
                  "Wait until it is a secondary.");
}

/// An unknown node is no error here: the interface says false.
template <typename Request>
bool ChangeMaintenance(FunctionCallInfo fcinfo, Request request) {
    const core::NodeId id{PG_GETARG_INT64(0)};
    pg::Spi spi;
    const std::optional<store::NodeAddress> node = store::FindNode(id);
    if (!node) return false;
    CheckOrder(node->group.formation, node->group.group);
    Group group = Group::Lock(node->group);
    if (!group.Has(id)) return false;
    group.Carry(pg::ValueOrRaise(request(group.view(), id)));
    group.Settle();
    return true;
}

}  // namespace

/// perform_failover(formation, group [, allow_data_loss, primary_is_off])
PGAF_SQL_FUNCTION(pgautofailover_perform_failover) {
    const store::GroupKey key{TextArg(fcinfo, 0), PG_GETARG_INT32(1)};
    core::FailoverRequest request;
    request.allow_data_loss = !settings::GuardsDataLoss();
    if (PG_NARGS() > 2) {
        request.allow_data_loss = PG_GETARG_BOOL(2);
        request.primary_is_off = PG_GETARG_BOOL(3);
    }
    pg::Spi spi;
    CheckOrder(key.formation, key.group);
    if (request.allow_data_loss || request.primary_is_off)
        CheckOperator("accept the loss of acknowledged commits");
    Group group = Group::Lock(key);
    FailOver(group, request);
    PG_RETURN_VOID();
}

PGAF_SQL_FUNCTION(pgautofailover_perform_promotion) {
    const std::string formation = TextArg(fcinfo, 0);
    const std::string name = TextArg(fcinfo, 1);
    pg::Spi spi;
    const store::NodeAddress node = FindByName(formation, name);
    CheckOrder(formation, node.group.group);
    Group group = Group::Lock(node.group);
    const bool must_promote = CheckPromotion(group, node.node);
    if (must_promote) {
        FailOver(group, {.preferred = node.node, .allow_data_loss = !settings::GuardsDataLoss()});
    }
    return BoolGetDatum(must_promote);
}

PGAF_SQL_FUNCTION(pgautofailover_start_maintenance) {
    std::string warning;
    const bool exists =
        ChangeMaintenance(fcinfo, [&](const core::GroupView &view, core::NodeId id) {
            return core::RequestMaintenance(view, id, &warning);
        });
    if (!warning.empty()) Warning(warning);
    return BoolGetDatum(exists);
}

PGAF_SQL_FUNCTION(pgautofailover_stop_maintenance) {
    return BoolGetDatum(ChangeMaintenance(fcinfo, core::RequestEndOfMaintenance));
}

/// Every group of the formation is checked before any is changed.
PGAF_SQL_FUNCTION(pgautofailover_set_formation_number_sync_standbys) {
    const std::string formation = TextArg(fcinfo, 0);
    const int number = PG_GETARG_INT32(1);
    pg::Spi spi;
    CheckOrder(formation);
    store::LockFormation(formation);
    if (!store::HasFormation(formation)) {
        throw PgError(ERRCODE_INVALID_PARAMETER_VALUE,
                      "formation \"" + formation + "\" does not exist");
    }
    std::vector<Group> groups;
    for (const int number_of_group : store::GroupsOf(formation)) {
        groups.push_back(Group::Lock({formation, number_of_group}));
    }
    if (groups.empty()) {
        throw PgError(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                      "formation \"" + formation + "\" has no nodes", {},
                      "Register nodes first: pg_autoctl create postgres.");
    }
    for (const Group &group : groups) {
        const auto checked = core::CheckNumberSyncStandbys(group.view(), number);
        if (!checked) pg::Raise(checked.error());
    }
    store::UpdateNumberSyncStandbys(formation, number);
    for (Group &group : groups) {
        group.Reload();
        group.Settle();
    }
    return BoolGetDatum(true);
}

PGAF_SQL_FUNCTION(pgautofailover_set_node_candidate_priority) {
    const std::string formation = TextArg(fcinfo, 0);
    const std::string name = TextArg(fcinfo, 1);
    const int priority = PG_GETARG_INT32(2);
    pg::Spi spi;
    const store::NodeAddress node = FindByName(formation, name);
    CheckOrder(formation, node.group.group);
    if (priority < 0 || priority > 100) {
        throw PgError(ERRCODE_INVALID_PARAMETER_VALUE,
                      "invalid candidate priority " + std::to_string(priority),
                      "It must be between 0 and 100.");
    }
    Group group = Group::Lock(node.group);
    (void)group.RowOf(node.node);  // raises when it has been removed meanwhile
    (void)pg::Execute(update_priority,
                      {pg::Param::Int8(node.node.value), pg::Param::Int4(priority)});
    group.Reload();
    const store::NodeRow row = group.RowOf(node.node);
    store::Announce(group.key(), row,
                    "Setting candidate priority of " + store::Describe(row.view) + " to " +
                        std::to_string(priority));
    group.WakeKeepers();
    group.Settle();
    return BoolGetDatum(true);
}

PGAF_SQL_FUNCTION(pgautofailover_set_node_replication_quorum) {
    const std::string formation = TextArg(fcinfo, 0);
    const std::string name = TextArg(fcinfo, 1);
    const bool quorum = PG_GETARG_BOOL(2);
    pg::Spi spi;
    const store::NodeAddress node = FindByName(formation, name);
    CheckOrder(formation, node.group.group);
    Group group = Group::Lock(node.group);
    const store::NodeRow before = group.RowOf(node.node);
    if (before.view.replication_quorum == quorum) return BoolGetDatum(true);
    if (const auto checked = core::CheckQuorumChange(group.view(), node.node, quorum); !checked) {
        pg::Raise(checked.error());
    }
    (void)pg::Execute(update_quorum, {pg::Param::Int8(node.node.value), pg::Param::Bool(quorum)});
    group.Reload();
    const store::NodeRow row = group.RowOf(node.node);
    store::Announce(group.key(), row,
                    "Setting replication quorum of " + store::Describe(row.view) + " to " +
                        (quorum ? "true" : "false"));
    group.WakeKeepers();
    group.Settle();
    return BoolGetDatum(true);
}

/// For people and for choosing among equals by hand: it decides nothing.
PGAF_SQL_FUNCTION(pgautofailover_set_node_region) {
    const std::string formation = TextArg(fcinfo, 0);
    const std::string name = TextArg(fcinfo, 1);
    const std::string region = TextArg(fcinfo, 2);
    if (region.empty())
        throw PgError(ERRCODE_INVALID_PARAMETER_VALUE, "the region must not be empty");
    pg::CheckOrRaise(core::CheckName("name of a region", region));
    pg::Spi spi;
    const store::NodeAddress node = FindByName(formation, name);
    CheckOrder(formation, node.group.group);
    Group group = Group::Lock(node.group);
    (void)group.RowOf(node.node);
    (void)pg::Execute(update_region, {pg::Param::Int8(node.node.value), pg::Param::Text(region)});
    const store::NodeRow row = group.RowOf(node.node);
    store::Announce(group.key(), row,
                    "Setting region of " + store::Describe(row.view) + " to \"" + region + "\"");
    return BoolGetDatum(true);
}

}  // namespace pgaf::api
