#include "view/cluster_view.hpp"

#include <algorithm>

#include "core/json.hpp"

namespace pgaf::view {

using core::json::ObjectReader;

// Numbers that PostgreSQL has no JSON type for are texts there (pg_lsn), and states are labels.
const char *const kClusterViewSql = R"(
WITH event AS NOT MATERIALIZED (
  SELECT e.eventid AS id, e.formationid, e.reportedstate AS reported, e.goalstate AS goal,
    pg_catalog.json_build_object('id', e.eventid, 'time', pg_catalog.to_char(
        e.eventtime AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
      'formation', e.formationid, 'group', e.groupid, 'node', e.nodeid, 'name', e.nodename,
      'reported', e.reportedstate, 'goal', e.goalstate, 'timeline', e.reportedtli,
      'lsn', e.reportedlsn, 'rule', coalesce(e.rule, ''), 'reason', coalesce(e.reason, ''),
      'description', coalesce(e.description, '')) AS event
  FROM pgautofailover.event e
  WHERE $1 IN ('', e.formationid)
    AND e.eventid > (SELECT pg_catalog.max(eventid) FROM pgautofailover.event) - 20000)
SELECT pg_catalog.length(pg_catalog.set_config('pgaf_view.document',
pg_catalog.json_build_object(
  'formations', (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', f.formationid, 'number_sync_standbys', f.number_sync_standbys)
      ORDER BY f.formationid), '[]')
    FROM pgautofailover.formation f WHERE $1 IN ('', f.formationid)),
  'groups', (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
      'formation', g.formationid, 'group', g.groupid, 'term', g.term,
      'sync_goal_k', g.sync_goal_k, 'sync_goal', g.sync_goal,
      'sync_confirmed_k', g.sync_confirmed_k, 'sync_confirmed', g.sync_confirmed,
      'is_sync_confirmed', g.sync_goal_version = g.sync_confirmed_version,
      'primary', coalesce(s.primary_node_id, 0), 'candidate', coalesce(s.candidate_node_id, 0),
      'can_fail_over', coalesce(s.can_fail_over, false), 'reason', coalesce(s.reason, ''))
      ORDER BY g.formationid, g.groupid), '[]')
    FROM (SELECT formationid FROM pgautofailover.formation
          WHERE $1 IN ('', formationid) ORDER BY formationid) f,
      LATERAL pgautofailover.failover_status(f.formationid) s
      JOIN pgautofailover.group_state g ON g.groupid = s.group_id
    WHERE g.formationid = f.formationid),
  'nodes', (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
      'id', n.nodeid, 'name', n.nodename, 'host', n.nodehost, 'port', n.nodeport,
      'formation', n.formationid, 'group', n.groupid,
      'reported', n.reportedstate, 'goal', n.goalstate, 'health', n.health,
      'candidate_priority', n.candidatepriority, 'replication_quorum', n.replicationquorum,
      'has_report', f.report_time IS NOT NULL,
      'is_running', coalesce(f.pg_is_running, n.reportedpgisrunning),
      'timeline', CASE WHEN f.tli > 0 THEN f.tli ELSE n.reportedtli END,
      'lsn', coalesce(f.lsn, n.reportedlsn), 'replay_lsn', coalesce(l.replay_lsn::text, ''),
      'replay_paused', coalesce(l.replay_paused, false), 'stall', coalesce(l.stalled_ms, 0),
      'cancelled_waits', coalesce(l.cancelled_waits, 0),
      'unconfirmed_waits', coalesce(l.unconfirmed_waits, 0),
      'report_age', greatest(0, extract(epoch FROM pg_catalog.clock_timestamp() -
        coalesce(f.report_time, n.reporttime)) * 1000)::bigint,
      'has_lease_limit', f.lease_left_ms IS NOT NULL,
      'lease_left', coalesce(f.lease_left_ms, 0),
      'session', coalesce(f.session, 'none'), 'probe', coalesce(f.probe, 'unknown'))
      ORDER BY n.formationid, n.groupid, n.nodeid), '[]')
    FROM pgautofailover.node n
      LEFT JOIN pgautofailover.node_facts() f ON f.node_id = n.nodeid
      LEFT JOIN pgautofailover.node_lag() l ON l.node_id = n.nodeid
    WHERE $1 IN ('', n.formationid)),
  'events', (SELECT coalesce(pg_catalog.json_agg(e.event ORDER BY e.id), '[]')
    FROM (SELECT id, event FROM event ORDER BY id DESC LIMIT $2::int) e),
  'promotions', (SELECT coalesce(pg_catalog.json_agg(e.event ORDER BY e.id), '[]')
    FROM (SELECT id, event FROM event
      WHERE reported IN ('prepare_promotion', 'stop_replication') AND goal = 'wait_primary'
      ORDER BY id DESC LIMIT 100) e),
  'events_end', (SELECT coalesce(pg_catalog.max(eventid), 0) FROM pgautofailover.event)
)::text, false)))";

const char *const kReadViewSql = "SELECT pg_catalog.current_setting('pgaf_view.document')";

namespace {

class Reader {
 public:
    explicit Reader(std::string &problem) : problem_(problem) {}

    template <typename Row, typename Fn>
    std::vector<Row> Rows(ObjectReader &document, const char *name, Fn read) {
        std::vector<Row> rows;
        const auto *array = document.FindArray(name);
        if (array == nullptr) {
            document.Complain(name, "present");
            return rows;
        }
        for (const auto &value : array->GetArray()) {
            ObjectReader reader(value, problem_);
            Row row;
            read(reader, row);
            rows.push_back(std::move(row));
        }
        return rows;
    }

 private:
    std::string &problem_;
};

void GetState(ObjectReader &reader, const char *name, core::NodeState &out) {
    std::string text;
    reader.Required(name);
    reader.Get(name, text);
    out = core::ParseNodeState(text).value_or(core::NodeState::kUnknown);
}

void GetSet(ObjectReader &reader, const char *k, const char *members, core::SyncSet &set) {
    reader.Get(k, set.k);
    const auto *array = reader.FindArray(members);
    if (array == nullptr) return;
    for (const auto &value : array->GetArray()) {
        if (!value.IsInt64()) return reader.Complain(members, "an array of integers");
        set.members.push_back({value.GetInt64()});
    }
}

void ReadNode(ObjectReader &reader, NodeRow &row) {
    for (const char *name : {"id", "name", "host", "port", "formation", "group"})
        reader.Required(name);
    reader.Get("id", row.id);
    reader.Get("name", row.name);
    reader.Get("host", row.host);
    reader.Get("port", row.port);
    reader.Get("formation", row.formation);
    reader.Get("group", row.group);
    GetState(reader, "reported", row.reported);
    GetState(reader, "goal", row.goal);
    reader.Get("health", row.health);
    reader.Get("candidate_priority", row.candidate_priority);
    reader.Get("replication_quorum", row.replication_quorum);
    reader.Get("has_report", row.has_report);
    reader.Get("is_running", row.is_running);
    reader.Get("timeline", row.timeline);
    reader.Get("lsn", row.lsn);
    core::Lsn replay;
    reader.Get("replay_lsn", replay);
    if (replay.IsValid()) row.replay_lsn = replay;
    reader.Get("replay_paused", row.replay_paused);
    reader.Get("report_age", row.report_age);
    bool has_limit = false;
    core::Milliseconds left{0};
    reader.Get("has_lease_limit", has_limit);
    reader.Get("lease_left", left);
    if (has_limit) row.lease_left = left;
    reader.Get("stall", row.stall);
    reader.Get("cancelled_waits", row.cancelled_waits);
    reader.Get("unconfirmed_waits", row.unconfirmed_waits);
    reader.Get("session", row.session);
    reader.Get("probe", row.probe);
}

void ReadGroup(ObjectReader &reader, GroupRow &row) {
    for (const char *name : {"formation", "group", "term"})
        reader.Required(name);
    reader.Get("formation", row.formation);
    reader.Get("group", row.group);
    reader.Get("term", row.term);
    GetSet(reader, "sync_goal_k", "sync_goal", row.sync_goal);
    GetSet(reader, "sync_confirmed_k", "sync_confirmed", row.sync_confirmed);
    reader.Get("is_sync_confirmed", row.is_sync_confirmed);
    reader.Get("primary", row.primary);
    reader.Get("candidate", row.candidate);
    reader.Get("can_fail_over", row.can_fail_over);
    reader.Get("reason", row.reason);
}

void ReadEvent(ObjectReader &reader, EventRow &row) {
    for (const char *name : {"id", "time", "formation", "group"})
        reader.Required(name);
    reader.Get("id", row.id);
    reader.Get("time", row.time);
    reader.Get("formation", row.formation);
    reader.Get("group", row.group);
    reader.Get("node", row.node);
    reader.Get("name", row.name);
    GetState(reader, "reported", row.reported);
    GetState(reader, "goal", row.goal);
    reader.Get("timeline", row.timeline);
    reader.Get("lsn", row.lsn);
    reader.Get("rule", row.rule);
    reader.Get("reason", row.reason);
    reader.Get("description", row.description);
}

}  // namespace

core::Result<ClusterView> ParseClusterView(std::string_view json) {
    rapidjson::Document document;
    document.Parse<rapidjson::kParseIterativeFlag>(json.data(), json.size());
    std::string problem;
    if (document.HasParseError()) problem = "it is not JSON";
    ClusterView view;
    if (problem.empty()) {
        ObjectReader reader(document, problem);
        Reader rows(problem);
        view.formations = rows.Rows<FormationRow>(
            reader, "formations", [](ObjectReader &formation, FormationRow &row) {
                formation.Required("name");
                formation.Get("name", row.name);
                formation.Get("number_sync_standbys", row.number_sync_standbys);
            });
        view.groups = rows.Rows<GroupRow>(reader, "groups", ReadGroup);
        view.nodes = rows.Rows<NodeRow>(reader, "nodes", ReadNode);
        view.events = rows.Rows<EventRow>(reader, "events", ReadEvent);
        view.promotions = rows.Rows<EventRow>(reader, "promotions", ReadEvent);
        reader.Get("events_end", view.events_end);
    }
    if (problem.empty()) return view;
    return core::Fail(core::ProblemCode::kCorrupt,
                      "the monitor's view of the cluster is not understood: " + problem);
}

const GroupRow *ClusterView::FindGroup(std::string_view formation, int group) const {
    const auto it = std::find_if(groups.begin(), groups.end(), [&](const GroupRow &row) {
        return row.formation == formation && row.group == group;
    });
    return it == groups.end() ? nullptr : &*it;
}

const NodeRow *ClusterView::FindNode(core::NodeId id) const {
    const auto it =
        std::find_if(nodes.begin(), nodes.end(), [&](const NodeRow &row) { return row.id == id; });
    return it == nodes.end() ? nullptr : &*it;
}

const NodeRow *ClusterView::PrimaryOf(const GroupRow &group) const {
    return group.primary.IsValid() ? FindNode(group.primary) : nullptr;
}

SyncRole SyncRoleOf(const ClusterView &view, const NodeRow &node) {
    const GroupRow *const group = view.FindGroup(node.formation, node.group);
    if (group == nullptr || !group->is_sync_confirmed) return SyncRole::kUnknown;
    const core::SyncSet &set = group->sync_confirmed;
    if (!set.Contains(node.id) || node.id == group->primary) return SyncRole::kNone;
    return set.k >= static_cast<int>(set.members.size()) ? SyncRole::kEvery : SyncRole::kQuorum;
}

std::optional<std::uint64_t> ReceiveLag(const ClusterView &view, const NodeRow &node) {
    const GroupRow *const group = view.FindGroup(node.formation, node.group);
    const NodeRow *const primary = group == nullptr ? nullptr : view.PrimaryOf(*group);
    if (primary == nullptr || !primary->lsn.IsValid() || !node.lsn.IsValid()) return std::nullopt;
    return primary->lsn > node.lsn ? primary->lsn.value - node.lsn.value : 0;
}

}  // namespace pgaf::view
