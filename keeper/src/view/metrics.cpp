#include "view/metrics.hpp"

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <variant>
#include <vector>

#include "view/metrics_text.hpp"
#include "worker/gate_rules.hpp"

namespace pgaf::view {
namespace {

using enum MetricType;

constexpr double kNoEnd = std::numeric_limits<double>::infinity();

double Seconds(core::Milliseconds time) { return static_cast<double>(time.count()) / 1000; }

using Number = std::variant<std::int64_t, std::uint64_t, double, bool>;

void Put(MetricsText &text, const Labels &labels, const Number &value) {
    std::visit([&](auto plain) { text.Sample(labels, plain); }, value);
}

double LeaseSeconds(const core::NodeStatus &status, core::BootTime now) {
    if (static_cast<worker::Fence>(status.fence) == worker::Fence::kClosed) return 0;
    if (status.deadline == core::kForever) return kNoEnd;
    return status.deadline > now ? Seconds(status.deadline - now) : 0;
}

/// One family of a data node; a value that is not known is left out.
struct NodeFamily {
    const char *name;
    MetricType type;
    const char *help;
    std::optional<Number> (*value)(const LocalView &local, const core::NodeStatus &status);
};

using Local = const LocalView &;
using Status = const core::NodeStatus &;
using Value = std::optional<Number>;

const NodeFamily kNodeFamilies[] = {
    {"node_lease_seconds", kGauge,
     "Time until the commit gate closes unless the lease is extended; +Inf without a limit.",
     [](Local local, Status s) { return Value(LeaseSeconds(s, local.now)); }},
    {"node_in_recovery", kGauge, "Whether PostgreSQL is a standby, or recovers.",
     [](Local, Status s) { return Value(s.in_recovery); }},
    {"node_timeline", kGauge, "The timeline that PostgreSQL is on.",
     [](Local, Status s) { return Value(std::int64_t{s.timeline}); }},
    {"node_term", kGauge, "The highest term of the group that the node has obeyed.",
     [](Local, Status s) { return Value(s.term); }},
    {"node_wal_position_bytes", kGauge,
     "The end of WAL: flushed on a primary, received or replayed on a standby.",
     [](Local, Status s) { return Value(s.lsn.value); }},
    {"node_streaming", kGauge, "Whether a standby receives WAL as it is written.",
     [](Local, Status s) { return s.in_recovery ? Value(s.streams) : Value(); }},
    {"node_receive_lag_bytes", kGauge,
     "WAL of the primary that a standby has not received, as the primary told it last.",
     [](Local local, Status) {
         const auto lag = LagBytes(local, LagMode::kWrite);
         return lag ? Value(*lag) : Value();
     }},
    {"node_replay_lag_bytes", kGauge,
     "WAL of the primary that a standby has not replayed, as the primary told it last.",
     [](Local local, Status) {
         const auto lag = LagBytes(local, LagMode::kApply);
         return lag ? Value(*lag) : Value();
     }},
    {"node_replay_paused", kGauge, "Whether the replay of a standby is paused.",
     [](Local, Status s) { return s.in_recovery ? Value(s.replay_paused) : Value(); }},
    {"node_stall_seconds", kGauge,
     "How long WAL has waited: of a primary for its disk, of a standby to be replayed.",
     [](Local, Status s) { return Value(Seconds(s.stall)); }},
    {"node_sync_standbys_wanted", kGauge,
     "How many synchronous standbys must confirm a commit of this primary.",
     [](Local, Status s) { return s.in_recovery ? Value() : Value(std::int64_t{s.sync_wanted}); }},
    {"node_sync_standbys_streaming", kGauge, "Synchronous standbys that stream from this primary.",
     [](Local, Status s) {
         return s.in_recovery ? Value() : Value(std::int64_t{s.sync_streaming});
     }},
    {"node_standbys_streaming", kGauge, "Standbys of the group that stream from this primary.",
     [](Local, Status s) {
         return s.in_recovery ? Value() : Value(std::int64_t{s.standbys_streaming});
     }},
    {"node_sync_set_confirmed", kGauge,
     "Whether PostgreSQL uses the synchronous set that the monitor wants.",
     [](Local, Status s) { return s.in_recovery ? Value() : Value(s.sync_is_confirmed); }},
    {"node_slot_retained_bytes", kGauge, "WAL that the slot furthest behind keeps.",
     [](Local, Status s) { return s.in_recovery ? Value() : Value(s.slot_retained_bytes); }},
    {"node_slot_limit_bytes", kGauge, "WAL that a slot may keep before it is given up.",
     [](Local, Status s) {
         return s.in_recovery || s.slot_limit_bytes == 0 ? Value() : Value(s.slot_limit_bytes);
     }},
    {"node_cancelled_waits_total", kCounter,
     "Commits whose clients left, or were sent away, before enough standbys had confirmed.",
     [](Local, Status s) { return Value(s.cancelled_waits); }},
    {"node_unconfirmed_waits", kGauge,
     "How many of those commits the synchronous standbys have not confirmed yet.",
     [](Local, Status s) { return Value(s.unconfirmed_waits); }},
    {"node_reports_total", kCounter,
     "Reports that the monitor has answered since the keeper started.",
     [](Local, Status s) { return Value(s.reports); }},
    {"node_monitor_silence_seconds", kGauge,
     "Time since the monitor answered last; +Inf: it has not.",
     [](Local local, Status s) {
         return s.monitor_answered_at.ns == 0 ? Value(kNoEnd)
                                              : Value(Seconds(local.now - s.monitor_answered_at));
     }},
};

void PutProgram(MetricsText &text, const LocalView &local) {
    text.Family("build_info", kGauge, "The version of pg_autoctl.");
    text.Sample({{"version", local.identity.version}}, true);
    if (local.identity.certificate_expires_at == 0) return;
    text.Family("certificate_expiry_timestamp_seconds", kGauge,
                "When the certificate of this server expires.");
    text.Sample({}, local.identity.certificate_expires_at);
}

struct MemberFamily {
    const char *name;
    MetricType type;
    const char *help;
    std::optional<Number> (*value)(const ClusterView &view, const NodeRow &node);
};

using View = const ClusterView &;
using Node = const NodeRow &;

const MemberFamily kMemberFamilies[] = {
    {"monitor_node_health", kGauge,
     "Health by reports and probes: 1 good, 0 bad, -1 not known yet.",
     [](View, Node n) { return Value(std::int64_t{n.health}); }},
    {"monitor_node_postgres_running", kGauge, "Whether the node has reported that PostgreSQL runs.",
     [](View, Node n) { return Value(n.is_running); }},
    {"monitor_node_report_age_seconds", kGauge, "Time since the node reported last.",
     [](View, Node n) { return Value(Seconds(n.report_age)); }},
    {"monitor_node_connected", kGauge, "Whether the keeper of the node has a session here.",
     [](View, Node n) { return Value(n.session == "connected"); }},
    {"monitor_node_lease_seconds", kGauge,
     "Time until the lease of the node has ended for certain; +Inf without a limit.",
     [](View, Node n) {
         if (!n.has_report) return Value();
         return Value(n.lease_left ? Seconds(*n.lease_left) : kNoEnd);
     }},
    {"monitor_node_timeline", kGauge, "The timeline that the node has reported.",
     [](View, Node n) { return Value(std::int64_t{n.timeline}); }},
    {"monitor_node_wal_position_bytes", kGauge, "The end of WAL that the node has reported.",
     [](View, Node n) { return Value(n.lsn.value); }},
    {"monitor_node_receive_lag_bytes", kGauge,
     "WAL of the primary that the node has not received, by the last reports of both.",
     [](View v, Node n) {
         const auto lag = core::IsPrimaryIsh(n.reported) ? std::nullopt : ReceiveLag(v, n);
         return lag ? Value(*lag) : Value();
     }},
    {"monitor_node_replay_lag_bytes", kGauge, "WAL that a standby has received and not replayed.",
     [](View, Node n) {
         if (!n.replay_lsn) return Value();
         return Value(n.lsn > *n.replay_lsn ? n.lsn.value - n.replay_lsn->value : std::uint64_t{0});
     }},
    {"monitor_node_candidate_priority", kGauge, "The node's priority in elections; 0: never.",
     [](View, Node n) { return Value(std::int64_t{n.candidate_priority}); }},
};

struct GroupFamily {
    const char *name;
    MetricType type;
    const char *help;
    Number (*value)(const ClusterView &view, const GroupRow &group);
};

using Group = const GroupRow &;

std::int64_t CountNodes(View view, Group group) {
    std::int64_t count = 0;
    for (const NodeRow &node : view.nodes)
        count += node.formation == group.formation && node.group == group.group ? 1 : 0;
    return count;
}

const GroupFamily kGroupFamilies[] = {
    {"group_nodes", kGauge, "Nodes of the group.",
     [](View v, Group g) { return Number(CountNodes(v, g)); }},
    {"group_can_fail_over", kGauge,
     "Whether a standby could take over now without the loss of a commit.",
     [](View, Group g) { return Number(g.can_fail_over); }},
    {"group_has_primary", kGauge, "Whether the group has a primary.",
     [](View, Group g) { return Number(g.primary.IsValid()); }},
    {"group_term", kGauge, "The term of the group: it grows with every new primary.",
     [](View, Group g) { return Number(g.term); }},
    {"group_sync_set_members", kGauge, "Standbys in the synchronous set that is wanted.",
     [](View, Group g) { return Number(static_cast<std::int64_t>(g.sync_goal.members.size())); }},
    {"group_sync_standbys_wanted", kGauge, "How many of them must confirm a commit.",
     [](View, Group g) { return Number(std::int64_t{g.sync_goal.k}); }},
    {"group_sync_set_confirmed", kGauge, "Whether the primary uses that set.",
     [](View, Group g) { return Number(g.is_sync_confirmed); }},
};

void PutMembers(MetricsText &text, const ClusterView &view) {
    for (const MemberFamily &family : kMemberFamilies) {
        text.Family(family.name, family.type, family.help);
        for (const NodeRow &node : view.nodes) {
            const auto value = family.value(view, node);
            const std::string group = std::to_string(node.group);
            if (value)
                Put(text, {{"formation", node.formation}, {"group", group}, {"node", node.name}},
                    *value);
        }
    }
    text.Family("monitor_node_state", kGauge,
                "The state that the node has reported, and the one that it should be in.");
    for (const NodeRow &node : view.nodes) {
        text.Sample({{"formation", node.formation},
                     {"group", std::to_string(node.group)},
                     {"node", node.name},
                     {"state", core::ToString(node.reported)},
                     {"assigned", core::ToString(node.goal)}},
                    true);
    }
}

void PutGroups(MetricsText &text, const ClusterView &view) {
    for (const GroupFamily &family : kGroupFamilies) {
        text.Family(family.name, family.type, family.help);
        for (const GroupRow &group : view.groups) {
            Put(text, {{"formation", group.formation}, {"group", std::to_string(group.group)}},
                family.value(view, group));
        }
    }
    text.Family("formation_number_sync_standbys", kGauge,
                "How many synchronous standbys the formation asks for.");
    for (const FormationRow &formation : view.formations)
        text.Sample({{"formation", formation.name}}, std::int64_t{formation.number_sync_standbys});
}

}  // namespace

std::string NodeMetrics(const LocalView &local) {
    MetricsText text;
    PutProgram(text, local);
    const std::string &formation = local.identity.formation;
    const std::string group = std::to_string(local.identity.group);
    const std::string &name = local.identity.name;
    const auto put = [&](const Number &value) {
        Put(text, {{"formation", formation}, {"group", group}, {"node", name}}, value);
    };
    text.Family("node_postgres_up", kGauge, "Whether PostgreSQL runs and lets sessions in.");
    put(IsUp(local).is_so);
    text.Family("node_gate_open", kGauge, "Whether commits are accepted here now.");
    put(MayWrite(local).is_so);
    if (!local.status) return text.Take();
    text.Family("node_state", kGauge, "The node's state, and the one that it should be in.");
    text.Sample({{"formation", formation},
                 {"group", group},
                 {"node", name},
                 {"state", core::ToString(local.status->state)},
                 {"assigned", core::ToString(local.status->goal)}},
                true);
    for (const NodeFamily &family : kNodeFamilies) {
        const auto value = family.value(local, *local.status);
        if (!value) continue;
        text.Family(family.name, family.type, family.help);
        put(*value);
    }
    return text.Take();
}

std::string MonitorMetrics(const LocalView &local, const ClusterView *view) {
    MetricsText text;
    PutProgram(text, local);
    text.Family("monitor_up", kGauge, "Whether PostgreSQL of the monitor answers.");
    text.Sample({}, view != nullptr);
    if (view == nullptr) return text.Take();
    text.Family("monitor_events_total", kCounter, "Events that the monitor has recorded.");
    text.Sample({}, view->events_end);
    PutGroups(text, *view);
    PutMembers(text, *view);
    return text.Take();
}

}  // namespace pgaf::view
