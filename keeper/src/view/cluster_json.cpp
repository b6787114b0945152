#include <algorithm>

#include "core/json.hpp"
#include "view/answer.hpp"

/// The view as documents, with the members that Patroni's `/cluster` and `/history` have.
namespace pgaf::view {
namespace {

using core::json::ObjectWriter;
using core::json::Writer;

std::string_view RoleOf(const ClusterView &view, const NodeRow &node) {
    const GroupRow *const group = view.FindGroup(node.formation, node.group);
    if (group != nullptr && group->primary == node.id && core::IsPrimaryIsh(node.reported))
        return "leader";
    switch (SyncRoleOf(view, node)) {
        case SyncRole::kEvery:
            return "sync_standby";
        case SyncRole::kQuorum:
            return "quorum_standby";
        default:
            return "replica";
    }
}

std::string_view StateOf(const NodeRow &node) {
    if (!node.is_running) return "stopped";
    if (core::IsStandby(node.reported))
        return node.reported == core::NodeState::kSecondary ? "streaming" : "in recovery";
    return "running";
}

void PutMember(const ClusterView &view, const NodeRow &node, Writer &writer) {
    ObjectWriter member(writer);
    member.Put("name", node.name);
    member.Put("role", RoleOf(view, node));
    member.Put("state", StateOf(node));
    member.Put("host", node.host);
    member.Put("port", node.port);
    member.Put("group", node.group);
    member.Put("timeline", node.timeline);
    const auto lag = ReceiveLag(view, node);
    if (!core::IsPrimaryIsh(node.reported) && lag)
        member.Put("lag", static_cast<std::int64_t>(*lag));
    member.Put("node_state", core::ToString(node.reported));
    member.Put("assigned_state", core::ToString(node.goal));
    member.Put("health", node.health);
}

void PutGroup(const GroupRow &group, Writer &writer) {
    ObjectWriter object(writer);
    object.Put("formation", group.formation);
    object.Put("group", group.group);
    object.Put("term", group.term);
    object.Put("synchronous_standby_names", core::ToSetting(group.sync_goal));
    object.PutFlag("is_confirmed", group.is_sync_confirmed);
    object.PutFlag("can_fail_over", group.can_fail_over);
    if (!group.reason.empty()) object.Put("reason", group.reason);
}

std::string TextOf(const rapidjson::StringBuffer &buffer) {
    return std::string(buffer.GetString(), buffer.GetSize()) + "\n";
}

}  // namespace

std::string ClusterJson(const ClusterView &view, const Identity &identity) {
    rapidjson::StringBuffer buffer;
    Writer writer(buffer);
    {
        ObjectWriter document(writer);
        document.Name("members");
        writer.StartArray();
        for (const NodeRow &node : view.nodes)
            PutMember(view, node, writer);
        writer.EndArray();
        document.Name("groups");
        writer.StartArray();
        for (const GroupRow &group : view.groups)
            PutGroup(group, writer);
        writer.EndArray();
        if (!identity.formation.empty()) document.Put("scope", identity.formation);
    }
    return TextOf(buffer);
}

/// [timeline before, where it ended, why, when, who writes since], as Patroni has it.
std::string HistoryJson(const ClusterView &view, const Identity &identity) {
    rapidjson::StringBuffer buffer;
    Writer writer(buffer);
    writer.StartArray();
    for (const EventRow &event : view.promotions) {
        const bool is_other = !identity.is_monitor && (event.formation != identity.formation ||
                                                       event.group != identity.group);
        if (is_other) continue;
        writer.StartArray();
        writer.Int(event.timeline);
        writer.Uint64(event.lsn.value);
        writer.String(event.rule);
        writer.String(event.time);
        writer.String(event.name);
        writer.EndArray();
    }
    writer.EndArray();
    return TextOf(buffer);
}

}  // namespace pgaf::view
