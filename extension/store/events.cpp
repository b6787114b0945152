#include "store/events.hpp"

#include "facts/wake.hpp"
#include "pg/report.hpp"
#include "settings.hpp"

#include <algorithm>

extern "C" {
#include <lib/stringinfo.h>
#include <utils/json.h>
}

namespace pgaf::store {
namespace {

using pg::Param;

/// PostgreSQL refuses payloads of 8000 bytes and more.
constexpr std::size_t kPayloadMax = 7900;

pg::Statement insert_event{
    "INSERT INTO pgautofailover.event (formationid, nodeid, groupid, nodename, nodehost, nodeport,"
    " reportedstate, goalstate, reportedrepstate, reportedtli, reportedlsn, candidatepriority,"
    " replicationquorum, rule_pos, rule, reason, description)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7::pgautofailover.replication_state,"
    " $8::pgautofailover.replication_state, $9, $10, $11, $12, $13, nullif($14, 0), nullif($15, "
    "''),"
    " nullif($16, ''), $17)"};

pg::Statement events_of_minute{
    "SELECT count(*) FROM pgautofailover.event WHERE nodeid = $1"
    " AND eventtime > pg_catalog.clock_timestamp() - interval '1 minute'"};
pg::Statement recent_event{
    "SELECT 1 FROM (SELECT e.description FROM pgautofailover.event e"
    " WHERE e.formationid = $1 AND e.groupid = $2 ORDER BY e.eventid DESC LIMIT 50) recent"
    " WHERE recent.description = $3"};

/// How far behind the newest event one may be committed and still be told.
constexpr std::int64_t kLateEventsMost = 1000;

pg::Statement last_event{"SELECT coalesce(max(e.eventid), 0) FROM pgautofailover.event e"};

pg::Statement new_events{
    "SELECT e.eventid, e.description, e.formationid, e.groupid, e.nodeid, e.nodename, e.nodehost,"
    " e.nodeport, e.reportedstate::text, e.goalstate::text, coalesce(n.health, -1)"
    " FROM pgautofailover.event e LEFT JOIN pgautofailover.node n ON n.nodeid = e.nodeid"
    " WHERE e.eventid > $1 ORDER BY e.eventid"};

pg::Statement purge_events{
    "DELETE FROM pgautofailover.event WHERE eventid IN (SELECT e.eventid FROM pgautofailover.event "
    "e"
    " WHERE e.eventtime < pg_catalog.now() - $1 * interval '1 millisecond'"
    " ORDER BY e.eventtime LIMIT 1000) RETURNING 1"};

void Notify(const std::string &channel, const std::string &payload) {
    const char *const name = channel.c_str();
    const char *const text = payload.c_str();
    pg::CallPg([=] { Async_Notify(name, text); });
}

std::string JsonString(const std::string &value) {
    const char *const text = value.c_str();
    const char *const escaped = pg::CallPg([text] {
        StringInfoData buffer;
        initStringInfo(&buffer);
        escape_json(&buffer, text);
        return static_cast<const char *>(buffer.data);
    });
    return escaped;
}

std::string_view HealthName(int health) {
    return health < 0 ? "unknown" : health == 0 ? "bad" : "good";
}

/// Columns 3 on of `new_events`.
std::string StateJson(const pg::Rows &rows, std::uint64_t row) {
    std::string json = "{\"type\": \"state\", \"formation\": " + JsonString(rows.Text(row, 3));
    json += ", \"groupId\": " + std::to_string(rows.Int4(row, 4));
    json += ", \"nodeId\": " + std::to_string(rows.Int8(row, 5));
    json += ", \"name\": " + JsonString(rows.Text(row, 6));
    json += ", \"host\": " + JsonString(rows.Text(row, 7));
    json += ", \"port\": " + std::to_string(rows.Int4(row, 8));
    json += ", \"reportedState\": \"" + rows.Text(row, 9);
    json += "\", \"goalState\": \"" + rows.Text(row, 10);
    json += "\", \"health\":\"" + std::string(HealthName(rows.Int4(row, 11))) + "\"}";
    return json;
}

void InsertEvent(const GroupKey &group, const NodeRow &node, const std::string &description,
                 const Cause &cause) {
    const core::NodeView &view = node.view;
    (void)pg::Execute(
        insert_event,
        {Param::Text(group.formation), Param::Int8(view.id.value), Param::Int4(group.group),
         Param::Text(view.name), Param::Text(view.host), Param::Int4(view.port),
         Param::Text(std::string(core::ToString(view.reported))),
         Param::Text(std::string(core::ToString(view.goal))), Param::Text(node.replication_state),
         Param::Int4(std::max(node.timeline, 1)), Param::PgLsn(node.lsn),
         Param::Int4(view.candidate_priority), Param::Bool(view.replication_quorum),
         Param::Int4(cause.rule_pos), Param::Text(cause.rule), Param::Text(cause.reason),
         Param::Text(description)});
}

}  // namespace

std::string Describe(const core::NodeView &node) {
    return "node " + std::to_string(node.id.value) + " \"" + node.name + "\" (" + node.host + ":" +
           std::to_string(node.port) + ")";
}

bool IsRecent(const GroupKey &group, const std::string &description) {
    return !pg::Execute(recent_event, {Param::Text(group.formation), Param::Int4(group.group),
                                       Param::Text(description)})
                .empty();
}

int CountRecent(core::NodeId node) {
    return static_cast<int>(pg::Execute(events_of_minute, {Param::Int8(node.value)}).Int8(0, 1));
}

std::size_t PurgeEvents(core::Milliseconds age) {
    return pg::Execute(purge_events, {Param::Int8(age.count())}).size();
}

void Teller::Begin() {
    begun_ = last_ = pg::Execute(last_event).Int8(0, 1);
    told_.clear();
}

void Teller::Tell() {
    const std::int64_t floor = std::max<std::int64_t>(last_ - kLateEventsMost, 0);
    const pg::Rows rows = pg::Execute(new_events, {Param::Int8(floor)});
    for (std::uint64_t row = 0; row < rows.size(); ++row) {
        const std::int64_t id = rows.Int8(row, 1);
        const bool is_new = id > last_ || (id > begun_ && !told_.contains(id));
        if (!is_new) continue;
        const std::string description = rows.Text(row, 2);
        if (description.size() <= kPayloadMax) Notify("log", description);
        const std::string state = StateJson(rows, row);
        if (state.size() <= kPayloadMax) Notify("state", state);
        told_.insert(id);
        last_ = std::max(last_, id);
    }
    told_.erase(told_.begin(), told_.lower_bound(last_ - kLateEventsMost));
}

void Announce(const GroupKey &group, const NodeRow &node, const std::string &description,
              const Cause &cause) {
    pg::Log(description);
    // Whoever asks for one change after the other does not fill the disk.
    constexpr int kDecisionsForOneReport = 10;
    if (CountRecent(node.view.id) >= kDecisionsForOneReport * settings::EventsPerMinute()) return;
    InsertEvent(group, node, description, cause);
    facts::TellAtCommit();
}

}  // namespace pgaf::store
