#include "store/events.hpp"

#include "pg/report.hpp"

#include <algorithm>
#include <cstdio>

extern "C" {
#include <common/hashfn.h>
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

pg::Statement recent_event{
    "SELECT 1 FROM (SELECT e.description FROM pgautofailover.event e"
    " WHERE e.formationid = $1 AND e.groupid = $2 ORDER BY e.eventid DESC LIMIT 50) recent"
    " WHERE recent.description = $3"};

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

std::size_t PurgeEvents(core::Milliseconds age) {
    return pg::Execute(purge_events, {Param::Int8(age.count())}).size();
}

void NotifyState(const GroupKey &group, const NodeRow &node) {
    const core::NodeView &view = node.view;
    std::string json = "{\"type\": \"state\", \"formation\": " + JsonString(group.formation);
    json += ", \"groupId\": " + std::to_string(group.group);
    json += ", \"nodeId\": " + std::to_string(view.id.value);
    json += ", \"name\": " + JsonString(view.name) + ", \"host\": " + JsonString(view.host);
    json += ", \"port\": " + std::to_string(view.port);
    json += ", \"reportedState\": \"" + std::string(core::ToString(view.reported));
    json += "\", \"goalState\": \"" + std::string(core::ToString(view.goal));
    json += "\", \"health\":\"" + std::string(HealthName(node.health)) + "\"}";
    if (json.size() <= kPayloadMax) Notify("state", json);
}

void Announce(const GroupKey &group, const NodeRow &node, const std::string &description,
              const Cause &cause) {
    pg::Log(description);
    InsertEvent(group, node, description, cause);
    if (description.size() <= kPayloadMax) Notify("log", description);
    NotifyState(group, node);
}

std::string ChannelOf(const GroupKey &group) {
    const std::string &name = group.formation;
    const bool is_plain = name.size() <= 32 && std::all_of(name.begin(), name.end(), [](char c) {
                              return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
                          });
    std::string part = name;
    if (!is_plain) {
        const std::uint64_t hash = hash_bytes_extended(
            reinterpret_cast<const unsigned char *>(name.data()), static_cast<int>(name.size()), 0);
        char text[20];
        (void)std::snprintf(text, sizeof text, "h%016llx", static_cast<unsigned long long>(hash));
        part = text;
    }
    return "pgautofailover_" + part + "_" + std::to_string(group.group);
}

void NotifyKeepers(const GroupKey &group) { Notify(ChannelOf(group), ""); }

}  // namespace pgaf::store
