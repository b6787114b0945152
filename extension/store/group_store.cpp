#include "store/group_store.hpp"

#include "pg/guard.hpp"

#include <utility>

extern "C" {
#include <common/hashfn.h>
}

namespace pgaf::store {
namespace {

using core::NodeId;
using core::NodeState;
using pg::Param;
using pg::Rows;
using pg::Statement;

/// Classes of advisory locks; the server itself uses 1 and 2 for pg_advisory_lock().
enum class LockClass : std::uint16_t { kFormation = 10, kGroup = 11 };

std::uint32_t Hash(const std::string &text) {
    return hash_bytes(reinterpret_cast<const unsigned char *>(text.data()),
                      static_cast<int>(text.size()));
}

void Lock(LockClass lock_class, std::uint32_t first, std::uint32_t second) {
    LOCKTAG tag;
    SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, first, second, static_cast<std::uint16_t>(lock_class));
    LOCKTAG *const stored = &tag;
    pg::CallPg([stored] { (void)LockAcquire(stored, ExclusiveLock, false, false); });
}

Param StateParam(NodeState state) { return Param::Text(std::string(core::ToString(state))); }

NodeState ReadState(const Rows &rows, std::uint64_t row, int column) {
    return core::ParseNodeState(rows.Text(row, column)).value_or(NodeState::kUnknown);
}

Statement find_by_id{
    "SELECT nodeid, formationid, groupid, nodehost, nodeport FROM pgautofailover.node"
    " WHERE nodeid = $1"};
Statement find_by_host{
    "SELECT nodeid, formationid, groupid, nodehost, nodeport FROM pgautofailover.node"
    " WHERE nodehost = $1 AND nodeport = $2"};
Statement find_by_name{
    "SELECT nodeid, formationid, groupid, nodehost, nodeport FROM pgautofailover.node"
    " WHERE formationid = $1 AND nodename = $2"};
Statement find_formation{"SELECT 1 FROM pgautofailover.formation WHERE formationid = $1"};
Statement select_groups{
    "SELECT DISTINCT groupid FROM pgautofailover.node WHERE formationid = $1 ORDER BY groupid"};
Statement update_number{
    "UPDATE pgautofailover.formation SET number_sync_standbys = $2 WHERE formationid = $1"};
Statement select_group{
    "SELECT f.number_sync_standbys, coalesce(g.term, 0),"
    " coalesce(g.sync_goal_k, 0), coalesce(g.sync_goal_version, 1),"
    " coalesce(g.sync_confirmed_k, 0), coalesce(g.sync_confirmed_version, 1),"
    " coalesce(g.target_lsn, '0/0'),"
    " coalesce(g.primary_node, 0), coalesce(g.preferred_node, 0), coalesce(g.timeline, 0),"
    " coalesce(g.accepts_data_loss, false), coalesce(g.sync_superseded, ''),"
    " coalesce((SELECT a.accepted_tli FROM pgautofailover.accepted_timeline a"
    " WHERE a.formationid = f.formationid AND a.groupid = $2 AND a.resolved_at IS NULL"
    " ORDER BY a.decided_at DESC LIMIT 1), 0), coalesce(g.highest_timeline, 0),"
    " pg_catalog.array_to_string(g.sync_goal, ' '), pg_catalog.array_to_string(g.sync_confirmed, ' "
    "'), coalesce(g.former_primary, 0)"
    " FROM pgautofailover.formation f LEFT JOIN pgautofailover.group_state g"
    " ON g.formationid = f.formationid AND g.groupid = $2 WHERE f.formationid = $1"};
Statement select_nodes{
    "SELECT nodeid, nodename, nodehost, nodeport, reportedstate, goalstate, candidatepriority,"
    " replicationquorum, health, sysidentifier, keeperepoch, reportedtli, reportedlsn,"
    " reportedrepstate, reportedpgisrunning, goalversion, replication_stall_since IS NOT NULL,"
    " settingsversion, settingsreported, settingsmark, restartof,"
    " coalesce(restartasked > pg_catalog.now() - interval '60 s', false), keeperinstance,"
    " wantedcopy"
    " FROM pgautofailover.node"
    " WHERE formationid = $1 AND groupid = $2 ORDER BY nodeid"};
Statement next_node_id{"SELECT pg_catalog.nextval('pgautofailover.node_nodeid_seq')"};
Statement raise_node_id{
    "SELECT pg_catalog.setval('pgautofailover.node_nodeid_seq',"
    " GREATEST($1, (SELECT last_value FROM pgautofailover.node_nodeid_seq)))"};
Statement insert_node{
    "INSERT INTO pgautofailover.node (formationid, nodeid, groupid, nodename, nodehost, nodeport,"
    " sysidentifier, goalstate, reportedstate, candidatepriority, replicationquorum, nodecluster,"
    " region) VALUES ($1, $2, $3, $4, $5, $6, $7, $8::pgautofailover.replication_state,"
    " $9::pgautofailover.replication_state, $10, $11, $12, $13)"};
Statement update_reported{
    "UPDATE pgautofailover.node SET"
    " statechangetime = CASE WHEN reportedstate = $2::pgautofailover.replication_state"
    " THEN statechangetime ELSE pg_catalog.now() END,"
    " reportedstate = $2::pgautofailover.replication_state, reportedpgisrunning = $3,"
    " reportedtli = CASE WHEN $4 > 0 THEN $4 ELSE reportedtli END,"
    " reportedlsn = CASE WHEN $5 > '0/0' THEN $5 ELSE reportedlsn END,"
    " walreporttime = CASE WHEN $5 > '0/0' THEN pg_catalog.now() ELSE walreporttime END,"
    " sysidentifier = coalesce(nullif($6, 0), sysidentifier), keeperepoch = $7,"
    " keeperinstance = $9,"
    " reportedrepstate = coalesce(nullif($8, ''), reportedrepstate),"
    " reporttime = pg_catalog.now() WHERE nodeid = $1"};
Statement update_goal{
    "UPDATE pgautofailover.node SET goalstate = $2::pgautofailover.replication_state,"
    " goalversion = $3 WHERE nodeid = $1"};
Statement update_health{
    "UPDATE pgautofailover.node SET health = $2, healthchecktime = pg_catalog.now()"
    " WHERE nodeid = $1"};
Statement update_wanted_copy{"UPDATE pgautofailover.node SET wantedcopy = $2 WHERE nodeid = $1"};
Statement update_stall{
    "UPDATE pgautofailover.node SET replication_stall_since ="
    " CASE WHEN $2 THEN coalesce(replication_stall_since, pg_catalog.now()) END WHERE nodeid = $1"};
Statement add_switch{
    "INSERT INTO pgautofailover.node_timeline_history (nodeid, tli, parenttli, switchpoint_lsn)"
    " SELECT $1, $2, $3, $4 WHERE (SELECT count(*) FROM pgautofailover.node_timeline_history"
    " WHERE nodeid = $1) < 5000 ON CONFLICT DO NOTHING"};
Statement delete_node{"DELETE FROM pgautofailover.node WHERE nodeid = $1"};
Statement upsert_group{
    "INSERT INTO pgautofailover.group_state (formationid, groupid, term, sync_goal_k, sync_goal,"
    " sync_goal_version, sync_confirmed_k, sync_confirmed, sync_confirmed_version, target_lsn,"
    " primary_node, preferred_node, timeline, accepts_data_loss, sync_superseded, highest_timeline,"
    " former_primary)"
    " VALUES ($1, $2, $3, $4, pg_catalog.string_to_array($5, ' ')::bigint[], $6, $7,"
    " pg_catalog.string_to_array($8, ' ')::bigint[], $9, $10, $11, $12, $13, $14, $15, $16, $17)"
    " ON CONFLICT (formationid, groupid) DO UPDATE SET term = excluded.term,"
    " sync_goal_k = excluded.sync_goal_k, sync_goal = excluded.sync_goal,"
    " sync_goal_version = excluded.sync_goal_version,"
    " sync_confirmed_k = excluded.sync_confirmed_k, sync_confirmed = excluded.sync_confirmed,"
    " sync_confirmed_version = excluded.sync_confirmed_version, target_lsn = excluded.target_lsn,"
    " primary_node = excluded.primary_node, preferred_node = excluded.preferred_node,"
    " timeline = excluded.timeline, accepts_data_loss = excluded.accepts_data_loss,"
    " sync_superseded = excluded.sync_superseded, highest_timeline = excluded.highest_timeline,"
    " former_primary = excluded.former_primary"};

std::optional<NodeAddress> ReadAddress(const Rows &rows) {
    if (rows.empty()) return std::nullopt;
    return NodeAddress{.node = NodeId{rows.Int8(0, 1)},
                       .group = {rows.Text(0, 2), rows.Int4(0, 3)},
                       .host = rows.Text(0, 4),
                       .port = rows.Int4(0, 5)};
}

std::vector<NodeId> ParseMembers(const std::string &text) {
    std::vector<NodeId> members;
    std::size_t at = 0;
    while (at < text.size()) {
        const std::size_t end = std::min(text.find(' ', at), text.size());
        members.push_back(NodeId{std::stoll(text.substr(at, end - at))});
        at = end + 1;
    }
    return members;
}

Param MembersParam(const std::vector<NodeId> &members) {
    std::string text;
    for (const NodeId member : members) {
        if (!text.empty()) text += ' ';
        text += std::to_string(member.value);
    }
    return Param::Text(text);
}

NodeRow ReadNode(const Rows &rows, std::uint64_t i) {
    NodeRow row;
    core::NodeView &view = row.view;
    view.id = NodeId{rows.Int8(i, 1)};
    view.name = rows.Text(i, 2);
    view.host = rows.Text(i, 3);
    view.port = rows.Int4(i, 4);
    view.reported = ReadState(rows, i, 5);
    view.goal = ReadState(rows, i, 6);
    view.candidate_priority = rows.Int4(i, 7);
    view.replication_quorum = rows.Bool(i, 8);
    row.health = rows.Int4(i, 9);
    if (!rows.IsNull(i, 10)) row.system_identifier = static_cast<std::uint64_t>(rows.Int8(i, 10));
    row.keeper_epoch = rows.Int8(i, 11);
    row.timeline = rows.Int4(i, 12);
    row.lsn = rows.PgLsn(i, 13);
    row.replication_state = rows.Text(i, 14);
    row.pg_running = rows.Bool(i, 15);
    view.goal_version = rows.Int8(i, 16);
    row.is_stalled = rows.Bool(i, 17);
    row.settings_version = rows.Int8(i, 18);
    row.settings_reported = rows.Int8(i, 19);
    row.settings_mark = rows.Int8(i, 20);
    row.restart_of = rows.Int8(i, 21);
    row.is_restart_new = rows.Bool(i, 22);
    row.keeper_instance = rows.Int8(i, 23);
    view.wanted_copy = rows.Int8(i, 24);
    return row;
}

}  // namespace

void LockFormation(const std::string &formation) {
    Lock(LockClass::kFormation, Hash(formation), 0);
}

void LockGroup(const GroupKey &key) {
    Lock(LockClass::kGroup, Hash(key.formation), static_cast<std::uint32_t>(key.group));
}

std::optional<NodeAddress> FindNode(NodeId node) {
    return ReadAddress(pg::Execute(find_by_id, {Param::Int8(node.value)}));
}

std::optional<NodeAddress> FindNodeByHost(const std::string &host, int port) {
    return ReadAddress(pg::Execute(find_by_host, {Param::Text(host), Param::Int4(port)}));
}

std::optional<NodeAddress> FindNodeByName(const std::string &formation, const std::string &name) {
    return ReadAddress(pg::Execute(find_by_name, {Param::Text(formation), Param::Text(name)}));
}

bool HasFormation(const std::string &formation) {
    return !pg::Execute(find_formation, {Param::Text(formation)}).empty();
}

std::vector<int> GroupsOf(const std::string &formation) {
    const Rows rows = pg::Execute(select_groups, {Param::Text(formation)});
    std::vector<int> groups;
    for (std::uint64_t i = 0; i < rows.size(); ++i)
        groups.push_back(rows.Int4(i, 1));
    return groups;
}

void UpdateNumberSyncStandbys(const std::string &formation, int number) {
    (void)pg::Execute(update_number, {Param::Text(formation), Param::Int4(number)});
}

std::optional<GroupRows> LoadGroup(const GroupKey &key) {
    const Rows state =
        pg::Execute(select_group, {Param::Text(key.formation), Param::Int4(key.group)});
    if (state.empty()) return std::nullopt;
    GroupRows group;
    core::GroupView &view = group.view;
    view.formation = key.formation;
    view.group = key.group;
    view.number_sync_standbys = state.Int4(0, 1);
    view.term = state.Int8(0, 2);
    view.sync.goal = {state.Int4(0, 3), ParseMembers(state.Text(0, 15))};
    view.sync.goal_version = state.Int8(0, 4);
    view.sync.confirmed = {state.Int4(0, 5), ParseMembers(state.Text(0, 16))};
    view.sync.confirmed_version = state.Int8(0, 6);
    view.target_lsn = state.PgLsn(0, 7);
    view.primary = NodeId{state.Int8(0, 8)};
    view.preferred = NodeId{state.Int8(0, 9)};
    view.timeline = state.Int4(0, 10);
    view.accepts_data_loss = state.Bool(0, 11);
    view.sync.superseded = core::DecodeSets(state.Text(0, 12));
    view.accepted_timeline = state.Int4(0, 13);
    view.highest_timeline = state.Int4(0, 14);
    view.former = NodeId{state.Int8(0, 17)};
    const Rows nodes =
        pg::Execute(select_nodes, {Param::Text(key.formation), Param::Int4(key.group)});
    for (std::uint64_t i = 0; i < nodes.size(); ++i)
        group.nodes.push_back(ReadNode(nodes, i));
    return group;
}

NodeId InsertNode(const NewNode &node) {
    NodeId id = node.desired;
    if (id.IsValid()) {
        (void)pg::Execute(raise_node_id, {Param::Int8(id.value)});
    } else {
        id = NodeId{pg::Execute(next_node_id).Int8(0, 1)};
    }
    const std::string name = node.name.empty() ? "node_" + std::to_string(id.value) : node.name;
    const Param identifier = node.system_identifier == 0
                                 ? Param::Null(INT8OID)
                                 : Param::Int8(static_cast<std::int64_t>(node.system_identifier));
    (void)pg::Execute(
        insert_node,
        {Param::Text(node.group.formation), Param::Int8(id.value), Param::Int4(node.group.group),
         Param::Text(name), Param::Text(node.host), Param::Int4(node.port), identifier,
         StateParam(node.goal), StateParam(node.reported), Param::Int4(node.candidate_priority),
         Param::Bool(node.replication_quorum), Param::Text(node.cluster),
         Param::Text(node.region)});
    return id;
}

void UpdateReported(const ReportedRow &row) {
    (void)pg::Execute(
        update_reported,
        {Param::Int8(row.node.value), StateParam(row.state), Param::Bool(row.pg_running),
         Param::Int4(row.timeline), Param::PgLsn(row.lsn),
         Param::Int8(static_cast<std::int64_t>(row.system_identifier)),
         Param::Int8(row.keeper_epoch), Param::Text(row.replication_state),
         Param::Int8(row.keeper_instance)});
}

void UpdateGoal(NodeId node, NodeState goal, std::int64_t version) {
    (void)pg::Execute(update_goal,
                      {Param::Int8(node.value), StateParam(goal), Param::Int8(version)});
}

void UpdateWantedCopy(NodeId node, std::int64_t copy) {
    (void)pg::Execute(update_wanted_copy, {Param::Int8(node.value), Param::Int8(copy)});
}

void UpdateStall(NodeId node, bool is_stalled) {
    (void)pg::Execute(update_stall, {Param::Int8(node.value), Param::Bool(is_stalled)});
}

void AddTimelines(NodeId node, int timeline, const core::TimelineHistory &history) {
    for (std::size_t i = 0; i < history.size(); ++i) {
        const int next = i + 1 < history.size() ? history.at(i + 1).timeline : timeline;
        (void)pg::Execute(add_switch,
                          {Param::Int8(node.value), Param::Int4(next),
                           Param::Int4(history.at(i).timeline), Param::PgLsn(history.at(i).at)});
    }
}

void UpdateHealth(NodeId node, int health) {
    (void)pg::Execute(update_health, {Param::Int8(node.value), Param::Int4(health)});
}

void DeleteNode(NodeId node) { (void)pg::Execute(delete_node, {Param::Int8(node.value)}); }

void UpdateGroupState(const core::GroupView &view) {
    const core::SyncState &sync = view.sync;
    (void)pg::Execute(
        upsert_group,
        {Param::Text(view.formation), Param::Int4(view.group), Param::Int8(view.term),
         Param::Int4(sync.goal.k), MembersParam(sync.goal.members), Param::Int8(sync.goal_version),
         Param::Int4(sync.confirmed.k), MembersParam(sync.confirmed.members),
         Param::Int8(sync.confirmed_version), Param::PgLsn(view.target_lsn),
         Param::Int8(view.primary.value), Param::Int8(view.preferred.value),
         Param::Int4(view.timeline), Param::Bool(view.accepts_data_loss),
         Param::Text(core::EncodeSets(sync.superseded)), Param::Int4(view.highest_timeline),
         Param::Int8(view.former.value)});
}

}  // namespace pgaf::store
