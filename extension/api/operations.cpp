#include "api/arguments.hpp"
#include "group.hpp"
#include "pg/report.hpp"

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

store::NodeAddress FindByName(const std::string &formation, const std::string &name) {
    const std::optional<store::NodeAddress> node = store::FindNodeByName(formation, name);
    if (node) return *node;
    throw PgError(ERRCODE_UNDEFINED_OBJECT,
                  "node \"" + name + "\" does not exist in formation \"" + formation + "\"");
}

void FailOver(Group &group) {
    group.Carry(pg::ValueOrRaise(core::RequestFailover(group.view())));
    group.Settle();
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
    if (node.reported == NodeState::kSecondary && node.goal == NodeState::kSecondary) return true;
    throw PgError(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                  "cannot promote " + store::Describe(node) + " now",
                  "It reports " + std::string(core::ToString(node.reported)) + " and is assigned " +
                      std::string(core::ToString(node.goal)) + ".",
                  "Wait until it is a secondary.");
}

}  // namespace

PGAF_SQL_FUNCTION(pgautofailover_perform_failover) {
    const store::GroupKey key{TextArg(fcinfo, 0), PG_GETARG_INT32(1)};
    pg::Spi spi;
    Group group = Group::Lock(key);
    FailOver(group);
    PG_RETURN_VOID();
}

PGAF_SQL_FUNCTION(pgautofailover_perform_promotion) {
    const std::string formation = TextArg(fcinfo, 0);
    const std::string name = TextArg(fcinfo, 1);
    pg::Spi spi;
    const store::NodeAddress node = FindByName(formation, name);
    Group group = Group::Lock(node.group);
    const bool must_promote = CheckPromotion(group, node.node);
    if (must_promote) FailOver(group);
    return BoolGetDatum(must_promote);
}

PGAF_SQL_FUNCTION(pgautofailover_set_node_candidate_priority) {
    const std::string formation = TextArg(fcinfo, 0);
    const std::string name = TextArg(fcinfo, 1);
    const int priority = PG_GETARG_INT32(2);
    pg::Spi spi;
    const store::NodeAddress node = FindByName(formation, name);
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
    store::NotifyKeepers(group.key());
    group.Settle();
    return BoolGetDatum(true);
}

PGAF_SQL_FUNCTION(pgautofailover_set_node_replication_quorum) {
    const std::string formation = TextArg(fcinfo, 0);
    const std::string name = TextArg(fcinfo, 1);
    const bool quorum = PG_GETARG_BOOL(2);
    pg::Spi spi;
    const store::NodeAddress node = FindByName(formation, name);
    Group group = Group::Lock(node.group);
    const store::NodeRow before = group.RowOf(node.node);
    if (before.view.replication_quorum == quorum) return BoolGetDatum(true);
    (void)pg::Execute(update_quorum, {pg::Param::Int8(node.node.value), pg::Param::Bool(quorum)});
    group.Reload();
    const store::NodeRow row = group.RowOf(node.node);
    store::Announce(group.key(), row,
                    "Setting replication quorum of " + store::Describe(row.view) + " to " +
                        (quorum ? "true" : "false"));
    store::NotifyKeepers(group.key());
    group.Carry(pg::ValueOrRaise(core::RequestQuorumChange(group.view(), node.node)));
    group.Settle();
    return BoolGetDatum(true);
}

}  // namespace pgaf::api
