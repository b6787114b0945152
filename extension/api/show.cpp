#include "api/arguments.hpp"
#include "facts/node_facts.hpp"
#include "group.hpp"
#include "pg/clock.hpp"

#include "pgaf/core/keeper_edges.hpp"

#include <algorithm>
#include <string>

/// Functions that only read.
namespace pgaf::api {
namespace {

std::string_view NameOf(core::SessionFact session) {
    switch (session) {
        case core::SessionFact::kNone:
            return "none";
        case core::SessionFact::kConnected:
            return "connected";
        case core::SessionFact::kLost:
            return "lost";
    }
    return "unknown";
}

std::string_view NameOf(core::ProbeFact probe) {
    switch (probe) {
        case core::ProbeFact::kUnknown:
            return "unknown";
        case core::ProbeFact::kAlive:
            return "alive";
        case core::ProbeFact::kStarting:
            return "starting";
        case core::ProbeFact::kRefused:
            return "refused";
        case core::ProbeFact::kSilent:
            return "silent";
        case core::ProbeFact::kBroken:
            return "broken";
    }
    return "unknown";
}

void PutFacts(FunctionCallInfo fcinfo, const facts::NodeFacts &f, core::BootTime now) {
    const core::Milliseconds left = core::LeaseLeft(f.lease, now);
    const bool none = !f.has_report;
    const std::string problem = f.broken_since_ns == 0
                                    ? f.report.problem
                                    : "PostgreSQL lets no session in: " + std::string(f.broken);
    PutRow(fcinfo,
           {Int64GetDatum(f.key.node), TimestampTzGetDatum(f.report_time),
            BoolGetDatum(f.report.pg_running), Int32GetDatum(f.report.timeline),
            LSNGetDatum(f.report.lsn), Int64GetDatum(left.count()),
            pg::ToText(std::string(NameOf(f.session))), pg::ToText(std::string(NameOf(f.probe))),
            pg::ToText(problem), pg::ToText(f.report.pg_version)},
           {false, none, none, none, none, left == core::kNoLimit, false, false,
            none && f.broken_since_ns == 0, none});
}

}  // namespace

PGAF_SQL_FUNCTION(pgautofailover_node_facts) {
    std::vector<facts::NodeFacts> all = facts::All();
    std::sort(all.begin(), all.end(), [](const facts::NodeFacts &a, const facts::NodeFacts &b) {
        return a.key.node < b.key.node;
    });
    StartSet(fcinfo);
    const core::BootTime now = pg::BootNow();
    for (const facts::NodeFacts &f : all)
        PutFacts(fcinfo, f, now);
    return Datum{0};
}

PGAF_SQL_FUNCTION(pgautofailover_node_lag) {
    StartSet(fcinfo);
    for (const facts::NodeFacts &f : facts::All()) {
        const facts::PlainReport &report = f.report;
        if (!f.has_report || !report.pg_running) continue;
        const bool is_standby = report.in_recovery && report.replay_lsn != 0;
        const std::uint64_t lag =
            report.lsn > report.replay_lsn ? report.lsn - report.replay_lsn : 0;
        PutRow(fcinfo,
               {Int64GetDatum(f.key.node), LSNGetDatum(report.lsn), LSNGetDatum(report.replay_lsn),
                Int64GetDatum(static_cast<std::int64_t>(lag)), BoolGetDatum(report.replay_paused),
                Int64GetDatum(report.stall_ms), Int64GetDatum(report.cancelled_waits),
                Int64GetDatum(report.unconfirmed_waits)},
               {false, !is_standby, !is_standby, !is_standby, !is_standby, false,
                report.in_recovery, report.in_recovery});
    }
    return Datum{0};
}

PGAF_SQL_FUNCTION(pgautofailover_dump_fsm) {
    StartSet(fcinfo);
    for (const core::RuleInfo &rule : core::Rules()) {
        const auto is_set = [](core::NodeState state) {
            return state != core::NodeState::kUnknown;
        };
        PutRow(fcinfo,
               {Int32GetDatum(rule.pos), pg::ToText(std::string(rule.name)),
                pg::ToText(std::string(rule.section)), pg::ToText(std::string(rule.reason)),
                pg::ToText(std::string(core::ToString(rule.node_goal))),
                pg::ToText(std::string(core::ToString(rule.primary_goal)))},
               {false, false, false, false, !is_set(rule.node_goal), !is_set(rule.primary_goal)});
    }
    return Datum{0};
}

PGAF_SQL_FUNCTION(pgautofailover_dump_fsm_edges) {
    StartSet(fcinfo);
    int pos = 0;
    for (const core::Edge &edge : core::KeeperEdges()) {
        PutRow(fcinfo, {Int32GetDatum(++pos), pg::ToText(std::string(core::ToString(edge.from))),
                        pg::ToText(std::string(core::ToString(edge.to)))});
    }
    return Datum{0};
}

/// Why a failover would not happen now, or does not; what would be promoted.
PGAF_SQL_FUNCTION(pgautofailover_failover_status) {
    const std::string formation = TextArg(fcinfo, 0);
    StartSet(fcinfo);
    pg::Spi spi;
    for (const int number : store::GroupsOf(formation)) {
        const Group group = Group::Lock({formation, number});
        const core::GroupView &view = group.view();
        const core::FailoverOutlook outlook = core::OutlookOf(view);
        const bool has_primary = outlook.primary.IsValid();
        const bool has_candidate = outlook.candidate.IsValid();
        PutRow(fcinfo,
               {Int32GetDatum(number), Int64GetDatum(view.term),
                Int64GetDatum(outlook.primary.value), Int64GetDatum(outlook.candidate.value),
                pg::ToText(core::ToSetting(view.sync.goal)), BoolGetDatum(view.sync.IsSettled()),
                BoolGetDatum(outlook.can_fail_over), pg::ToText(outlook.reason)},
               {false, false, !has_primary, !has_candidate, false, false, false,
                outlook.reason.empty()});
    }
    return Datum{0};
}

PGAF_SQL_FUNCTION(pgautofailover_synchronous_standby_names) {
    const store::GroupKey key{TextArg(fcinfo, 0), PG_GETARG_INT32(1)};
    std::string setting;
    {
        pg::Spi spi;
        const std::optional<store::GroupRows> group = store::LoadGroup(key);
        if (!group || group->nodes.empty()) {
            throw pg::PgError(ERRCODE_INVALID_OBJECT_DEFINITION, "formation \"" + key.formation +
                                                                     "\" has no nodes in group " +
                                                                     std::to_string(key.group));
        }
        setting = core::ToSetting(group->view.sync.goal);
    }
    return pg::ToText(setting);
}

PGAF_SQL_FUNCTION(pgautofailover_testing_lock_formation) {
    store::LockFormation(TextArg(fcinfo, 0));
    PG_RETURN_VOID();
}

PGAF_SQL_FUNCTION(pgautofailover_testing_lock_node_group) {
    store::LockGroup({TextArg(fcinfo, 0), PG_GETARG_INT32(1)});
    PG_RETURN_VOID();
}

}  // namespace pgaf::api
