#include "store/setting_store.hpp"

namespace pgaf::store {
namespace {

using core::NodeId;
using pg::Param;
using pg::Rows;
using pg::Statement;

Statement find_setting{
    "SELECT value FROM pgautofailover.postgres_setting"
    " WHERE formationid = $1 AND coalesce(nodeid, 0) = $2 AND name = $3"};
Statement select_settings{
    "SELECT DISTINCT ON (p.name) p.name, p.value FROM pgautofailover.postgres_setting p"
    " WHERE p.formationid = $1 AND coalesce(p.nodeid, 0) IN (0, $2)"
    " ORDER BY p.name, p.nodeid NULLS LAST"};
Statement next_version{"SELECT pg_catalog.nextval('pgautofailover.postgres_setting_version_seq')"};
Statement upsert_setting{
    "INSERT INTO pgautofailover.postgres_setting (formationid, nodeid, name, value, version)"
    " VALUES ($1, nullif($2, 0), $3, $4, $5)"
    " ON CONFLICT (formationid, coalesce(nodeid, 0), name)"
    " DO UPDATE SET value = excluded.value, version = excluded.version"};
Statement delete_setting{
    "DELETE FROM pgautofailover.postgres_setting"
    " WHERE formationid = $1 AND coalesce(nodeid, 0) = $2 AND name = $3"};
Statement insert_change{
    "INSERT INTO pgautofailover.postgres_setting_change (version, formationid, nodeid, name,"
    " value, former, state) VALUES ($1, $2, nullif($3, 0), $4, $5, $6, 'pending')"};
Statement prune_changes{
    "DELETE FROM pgautofailover.postgres_setting_change WHERE version < $1 - 1000"
    " AND state <> 'pending'"};
Statement raise_versions{
    "UPDATE pgautofailover.node SET settingsversion = $3"
    " WHERE formationid = $1 AND ($2 = 0 OR nodeid = $2)"};
Statement find_pending{
    "SELECT version, coalesce(nodeid, 0), value, former, value IS NULL, former IS NULL"
    " FROM pgautofailover.postgres_setting_change"
    " WHERE formationid = $1 AND coalesce(nodeid, 0) IN (0, $2) AND name = $3 AND version <= $4"
    " AND (state = 'pending' OR ($5 AND state = 'accepted' AND EXISTS (SELECT 1"
    " FROM pgautofailover.postgres_setting s WHERE s.version = postgres_setting_change.version)))"
    " ORDER BY version DESC LIMIT 1"};
Statement refuse_change{
    "UPDATE pgautofailover.postgres_setting_change SET state = 'refused', problem = $2"
    " WHERE version = $1"};
Statement accept_changes{
    "UPDATE pgautofailover.postgres_setting_change c SET state = 'accepted'"
    " WHERE c.formationid = $1 AND c.state = 'pending' AND NOT EXISTS ("
    " SELECT 1 FROM pgautofailover.node n JOIN pgautofailover.node_facts() f ON f.node_id = "
    "n.nodeid"
    " WHERE n.formationid = c.formationid AND (c.nodeid IS NULL OR n.nodeid = c.nodeid)"
    " AND n.settingsreported < c.version"
    " AND f.report_time > pg_catalog.now() - interval '10 s')"};
Statement update_reported{"UPDATE pgautofailover.node SET settingsreported = $2 WHERE nodeid = $1"};
Statement update_mark{"UPDATE pgautofailover.node SET settingsmark = $2 WHERE nodeid = $1"};
Statement delete_states{"DELETE FROM pgautofailover.postgres_setting_state WHERE nodeid = $1"};
Statement insert_states{
    "INSERT INTO pgautofailover.postgres_setting_state (nodeid, name, in_force, in_file,"
    " overridden_by, pending_restart)"
    " SELECT $1, s.name, s.in_force, s.in_file, s.overridden_by, s.pending_restart"
    " FROM pg_catalog.jsonb_to_recordset($2::jsonb) AS s(name text, in_force text, in_file text,"
    " overridden_by text, pending_restart bool) ON CONFLICT DO NOTHING"};
Statement update_restart{
    "UPDATE pgautofailover.node SET restartof = $2, restartasked = pg_catalog.now()"
    " WHERE nodeid = $1"};
Statement find_known{
    "SELECT vartype, context FROM pg_catalog.pg_settings WHERE pg_catalog.lower(name) = $1"};
Statement newer_node{
    "SELECT 1 FROM pgautofailover.node n JOIN pgautofailover.node_facts() f ON f.node_id = n.nodeid"
    " WHERE n.formationid = $1 AND coalesce(pg_catalog.substring(f.pg_version, '^[0-9]+')::int, 0)"
    " > pg_catalog.current_setting('server_version_num')::int / 10000"};

Param OptionalText(const std::optional<std::string> &text) {
    return text ? Param::Text(*text) : Param::Null(TEXTOID);
}

void WriteValue(const SettingScope &scope, const std::string &name,
                const std::optional<std::string> &value, std::int64_t version) {
    const Param formation = Param::Text(scope.formation);
    const Param node = Param::Int8(scope.node.value);
    if (value) {
        (void)pg::Execute(upsert_setting, {formation, node, Param::Text(name), Param::Text(*value),
                                           Param::Int8(version)});
    } else {
        (void)pg::Execute(delete_setting, {formation, node, Param::Text(name)});
    }
    (void)pg::Execute(raise_versions, {formation, node, Param::Int8(version)});
}

}  // namespace

std::optional<std::string> FindSetting(const SettingScope &scope, const std::string &name) {
    const Rows rows = pg::Execute(find_setting, {Param::Text(scope.formation),
                                                 Param::Int8(scope.node.value), Param::Text(name)});
    if (rows.empty()) return std::nullopt;
    return rows.Text(0, 1);
}

std::vector<core::PostgresSetting> SettingsOf(const SettingScope &node) {
    const Rows rows =
        pg::Execute(select_settings, {Param::Text(node.formation), Param::Int8(node.node.value)});
    std::vector<core::PostgresSetting> settings;
    for (std::uint64_t i = 0; i < rows.size(); ++i)
        settings.push_back({rows.Text(i, 1), rows.Text(i, 2)});
    return settings;
}

std::int64_t StoreChange(const SettingChange &change) {
    const std::int64_t version = pg::Execute(next_version).Int8(0, 1);
    WriteValue(change.scope, change.name, change.value, version);
    (void)pg::Execute(insert_change,
                      {Param::Int8(version), Param::Text(change.scope.formation),
                       Param::Int8(change.scope.node.value), Param::Text(change.name),
                       OptionalText(change.value), OptionalText(change.former)});
    (void)pg::Execute(prune_changes, {Param::Int8(version)});
    return version;
}

std::optional<SettingChange> FindChange(const SettingScope &node, const std::string &name,
                                        std::int64_t version, Which which) {
    const Rows rows = pg::Execute(
        find_pending, {Param::Text(node.formation), Param::Int8(node.node.value), Param::Text(name),
                       Param::Int8(version), Param::Bool(which == Which::kPresent)});
    if (rows.empty()) return std::nullopt;
    SettingChange change{.version = rows.Int8(0, 1),
                         .scope = {node.formation, NodeId{rows.Int8(0, 2)}},
                         .name = name,
                         .value = {},
                         .former = {}};
    if (!rows.Bool(0, 5)) change.value = rows.Text(0, 3);
    if (!rows.Bool(0, 6)) change.former = rows.Text(0, 4);
    return change;
}

void TakeBack(const SettingChange &change, const std::string &problem) {
    WriteValue(change.scope, change.name, change.former, pg::Execute(next_version).Int8(0, 1));
    (void)pg::Execute(refuse_change, {Param::Int8(change.version), Param::Text(problem)});
}

void AcceptChanges(const std::string &formation) {
    (void)pg::Execute(accept_changes, {Param::Text(formation)});
}

void UpdateSettingsReported(NodeId node, std::int64_t version) {
    (void)pg::Execute(update_reported, {Param::Int8(node.value), Param::Int8(version)});
}

void StoreSettingStates(NodeId node, std::int64_t mark, const std::string &states) {
    (void)pg::Execute(delete_states, {Param::Int8(node.value)});
    (void)pg::Execute(insert_states, {Param::Int8(node.value), Param::Text(states)});
    (void)pg::Execute(update_mark, {Param::Int8(node.value), Param::Int8(mark)});
}

void UpdateRestart(NodeId node, std::int64_t server_start) {
    (void)pg::Execute(update_restart, {Param::Int8(node.value), Param::Int8(server_start)});
}

std::optional<KnownSetting> FindKnownSetting(const std::string &name) {
    const Rows rows = pg::Execute(find_known, {Param::Text(name)});
    if (rows.empty()) return std::nullopt;
    return KnownSetting{rows.Text(0, 1), rows.Text(0, 2)};
}

bool HasNewerNode(const std::string &formation) {
    return !pg::Execute(newer_node, {Param::Text(formation)}).empty();
}

}  // namespace pgaf::store
