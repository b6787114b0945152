#include "pg/report.hpp"
#include "api/arguments.hpp"
#include "api/copies.hpp"
#include "api/postgres_settings.hpp"
#include "api/rights.hpp"
#include "facts/node_facts.hpp"
#include "facts/workers.hpp"
#include "group.hpp"
#include "pg/clock.hpp"
#include "settings.hpp"

#include <array>
#include <string>
#include <utility>

#include "pgaf/core/intake.hpp"
#include "pgaf/core/learn.hpp"
#include "pgaf/core/plausible.hpp"

/// The report call: facts up; goal, grant, synchronous set and peers down.
namespace pgaf::api {
namespace {

using core::Report;
using core::Reporter;

bool exit_callback_registered = false;

void NoteExit(int, Datum) {
    if (facts::NoteSessionEnd()) facts::WakeWorkerBy(core::BootTime{0});
}

/// From the first report on the end of this backend is news of the node.
void WatchOwnExit() {
    if (exit_callback_registered) return;
    pg::CallPg([] { before_shmem_exit(NoteExit, 0); });
    exit_callback_registered = true;
}

store::NodeAddress FindReporter(const Report &report) {
    const std::optional<store::NodeAddress> node = store::FindNode(report.node);
    if (!node) {
        throw pg::PgError(ERRCODE_UNDEFINED_OBJECT,
                          "node " + std::to_string(report.node.value) + " does not exist", {},
                          "It has been dropped, or it was never registered with this monitor.");
    }
    if (node->group.formation != report.formation) {
        throw pg::PgError(ERRCODE_INVALID_OBJECT_DEFINITION,
                          "node " + std::to_string(report.node.value) +
                              " does not belong to formation \"" + report.formation + "\"",
                          "It belongs to formation \"" + node->group.formation + "\".");
    }
    if (node->group.group != report.group) {
        throw pg::PgError(ERRCODE_INVALID_PARAMETER_VALUE,
                          "node " + std::to_string(report.node.value) +
                              " does not belong to group " + std::to_string(report.group),
                          "It belongs to group " + std::to_string(node->group.group) + ".");
    }
    return *node;
}

/// The address for the probes, when this is the first report of the session. Before the lock: the
/// resolver waits.
std::string AddressIfNew(const store::NodeAddress &node) {
    const std::optional<facts::NodeFacts> known = facts::Find(node.node);
    if (known && known->session_pid == MyProcPid && known->address[0] != '\0') return "";
    return ResolveHost(node.host);
}

/// Points into `row`.
core::ReporterRow ReporterOf(const store::NodeRow &row) {
    const std::optional<facts::NodeFacts> facts = facts::Find(row.view.id);
    return {.who = store::Describe(row.view),
            .keeper_epoch = row.keeper_epoch,
            .system_identifier = row.system_identifier,
            .reported = row.view.reported,
            .last = row.view.has_report ? &row.view.report : nullptr,
            .instance = row.keeper_instance,
            .is_connected = row.view.session == core::SessionFact::kConnected && facts &&
                            facts->session_pid != MyProcPid,
            .silent_age = row.view.silent_age,
            .lease_left = row.view.lease_left};
}

/// A keeper that is not listened to changes nothing but the events.
void StoreRefusal(const Group &group, const store::NodeRow &row, const core::Reply &reply) {
    if (reply.refusal != core::Refusal::kSecondInstance) return;
    const std::string text = "A second keeper of " + store::Describe(row.view) +
                             " has to wait, for the first one " + reply.reason +
                             ": it runs on a copy, or the machine was started anew just now";
    if (store::IsRecent(group.key(), text)) return;
    store::Announce(group.key(), row, text, {});
}

/// Returns how many cancelled commits are to be told.
std::int64_t StoreFacts(const Report &report, const std::string &address, int port,
                        core::Lsn others_hold) {
    const facts::PlainReport plain = facts::ToPlain(report);
    const char *const new_address = address.c_str();
    const std::int64_t now_ns = pg::BootNow().ns;
    TimestampTz const now = GetCurrentTimestamp();
    const Report *const facts_of = &report;
    const facts::PlainReport *const stored = &plain;
    std::int64_t cancelled = 0;
    std::int64_t *const to_tell = &cancelled;
    (void)facts::Update(report.node, [=](facts::NodeFacts &entry) {
        // Other data: what a session would say of them is not known yet.
        if (entry.has_report && entry.report.copies != stored->copies) entry.broken_since_ns = 0;
        entry.has_report = true;
        entry.report = *stored;
        entry.report_ns = now_ns;
        entry.report_time = now;
        core::NoteReport(entry.lease, *facts_of);
        core::NoteHeld(entry.held, *facts_of, others_hold);
        *to_tell = core::NoteWaits(entry.waits, *facts_of, {now_ns});
        if (new_address[0] != '\0') strlcpy(entry.address, new_address, sizeof entry.address);
        entry.port = port;
    });
    if (!address.empty()) facts::WakeWorkerBy(core::BootTime{0});
    return cancelled;
}

/// Rows change only with decisions: state, identity, epoch.
void StoreRow(Group &group, const Report &report, const core::RowChange &change,
              const std::string &replication_state) {
    if (!change.ChangesNode()) return;
    group.StoreReported({.node = report.node,
                         .state = report.state,
                         .pg_running = report.pg_running,
                         .timeline = report.timeline,
                         .lsn = report.lsn,
                         .system_identifier = report.system_identifier,
                         .keeper_epoch = report.keeper_epoch,
                         .keeper_instance = report.instance,
                         .replication_state = replication_state},
                        change.state ? Group::Announcement::kAnnounce : Group::Announcement::kNone);
}

/// A report whose answer was lost comes again: the same words among the last ones are one event.
void StoreEvent(const Group &group, const Report &report) {
    constexpr std::size_t kMost = 2000;
    if (report.event.empty()) return;
    const store::NodeRow row = group.RowOf(report.node);
    const std::string text = store::Describe(row.view) + ": " + report.event.substr(0, kMost);
    if (store::IsRecent(group.key(), text)) return;
    if (store::CountRecent(report.node) >= settings::EventsPerMinute())
        return pg::Log("no event, there were too many in the last minute: " + text);
    store::Announce(group.key(), row, text, {});
}

/// A keeper gives up after 2 s and reports anew; its backend must not stay behind, waiting for a
/// lock that somebody holds for ever.
void LimitLockWait() {
    pg::CallPg([] {
        (void)set_config_option("lock_timeout", "2s", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL,
                                true, 0, false);
    });
}

/// Everything but the answer; `refused` is that to a keeper that is not listened to.
Group Process(Report &report, Reporter reporter, const std::string &replication_state,
              std::optional<core::Reply> &refused) {
    const store::NodeAddress node = FindReporter(report);
    CheckNode(report.node, FirstSecret::kKeep);
    const std::string address = AddressIfNew(node);
    LimitLockWait();
    Group group = Group::Lock(node.group);
    const store::NodeRow row = group.RowOf(report.node);
    const core::ReporterRow on_record = ReporterOf(row);
    const core::Refusal refusal = pg::ValueOrRaise(core::CheckKeeper(on_record, report, reporter));
    if (refusal != core::Refusal::kNone) {
        refused = core::RefusalReply(on_record, report, refusal);
        StoreRefusal(group, row, *refused);
        return group;
    }
    pg::CheckOrRaise(core::CheckNumbers(group.view(), on_record.who, report));
    report = pg::ValueOrRaise(core::AdmitReport(on_record, std::move(report), reporter));
    const core::RowChange change = core::ChangeBy(on_record, report);
    const std::int64_t cancelled =
        StoreFacts(report, address, row.view.port, core::HeldByOthers(group.view(), report));
    facts::NoteSession(report.node);
    WatchOwnExit();
    group.RefreshFacts(report.node);
    StoreRow(group, report, change, replication_state);
    StoreEvent(group, report);
    if (cancelled > 0)
        store::Announce(group.key(), row,
                        store::Describe(row.view) + ": " + core::DescribeWaits(cancelled));
    if (reporter == Reporter::kOurs) NoteSettings(group, report);
    if (reporter == Reporter::kOurs) NoteCopy(group, report);
    if (change.timeline) store::AddTimelines(report.node, report.timeline, report.history);
    if (const auto learned = core::Learn(group.view(), report)) {
        group.Carry(*learned);
        pg::Log("formation \"" + group.key().formation + "\" group " +
                std::to_string(group.key().group) + ": " + learned->assignments.front().reason);
    }
    if (const auto confirmed = core::ConfirmSync(group.view(), report)) group.StoreSync(*confirmed);
    group.Settle();
    return group;
}

/// The reply, after its grant has been recorded.
core::Reply Answer(const Group &group, const Report &report) {
    core::Reply reply = core::BuildReply(group.view(), report.node, report.holder);
    const std::optional<facts::NodeFacts> facts = facts::Find(report.node);
    if (facts) reply.reason = facts->goal_reason;
    AnswerSettings(group, report, reply);
    const core::BootTime now = pg::BootNow();
    const core::Reply *const granted = &reply;
    const std::int64_t instance = report.instance;
    const bool is_recorded = facts::Update(report.node, [=](facts::NodeFacts &entry) {
        core::NoteGrant(entry.lease, *granted, now, instance);
    });
    // A grant that nobody remembers must not leave.
    if (!is_recorded) reply.grant = core::GrantKind::kNone;
    return reply;
}

/// A foreign keeper does not know of leases: while its node may be writable, nothing limits that.
void AssumeUnlimited(const Group &group, const Report &report) {
    const core::NodeView *const node = group.view().Find(report.node);
    if (node == nullptr || !core::MayWriteForEver(*node, report)) return;
    (void)facts::Update(report.node, [](facts::NodeFacts &entry) { entry.lease.unlimited = true; });
}

std::string CheckedReplicationState(const std::string &text) {
    static constexpr std::array<std::string_view, 5> kKnown{"sync", "async", "quorum", "potential",
                                                            "unknown"};
    if (text.empty()) return "unknown";
    for (const std::string_view known : kKnown) {
        if (text == known) return text;
    }
    throw pg::PgError(ERRCODE_INVALID_PARAMETER_VALUE,
                      "invalid replication state \"" + text + "\"");
}

Report ForeignReport(FunctionCallInfo fcinfo) {
    Report report;
    report.formation = TextArg(fcinfo, 0);
    report.node = {PG_GETARG_INT64(1)};
    report.group = PG_GETARG_INT32(2);
    report.state = StateArg(fcinfo, 3);
    report.pg_running = PG_GETARG_BOOL(4);
    report.timeline = PG_GETARG_INT32(5);
    report.lsn = {PG_GETARG_LSN(6)};
    return report;
}

}  // namespace

PGAF_SQL_FUNCTION(pgautofailover_report) {
    Report report = pg::ValueOrRaise(core::DecodeReport(TextArg(fcinfo, 0)));
    pg::CheckOrRaise(core::CheckReportedState(report.state));
    std::string text;
    {
        pg::Spi spi;
        std::optional<core::Reply> refused;
        const Group group = Process(report, Reporter::kOurs, "", refused);
        text = core::Encode(refused ? *refused : Answer(group, report));
    }
    return pg::ToText(text);
}

PGAF_SQL_FUNCTION(pgautofailover_node_active) {
    Report report = ForeignReport(fcinfo);
    pg::CheckOrRaise(core::CheckReportedState(report.state));
    const std::string replication_state = CheckedReplicationState(TextArg(fcinfo, 7));
    core::Reply reply;
    {
        pg::Spi spi;
        std::optional<core::Reply> refused;
        const Group group = Process(report, Reporter::kForeign, replication_state, refused);
        AssumeUnlimited(group, report);
        reply = core::BuildReply(group.view(), report.node, report.holder);
    }
    return Row(fcinfo, {Int64GetDatum(reply.node.value), Int32GetDatum(reply.group),
                        StateDatum(fcinfo, 2, reply.goal), Int32GetDatum(reply.candidate_priority),
                        BoolGetDatum(reply.replication_quorum)});
}

}  // namespace pgaf::api
