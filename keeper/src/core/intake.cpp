#include "pgaf/core/intake.hpp"

#include <algorithm>

#include <utility>

namespace pgaf::core {
namespace {

using enum NodeState;

/// What node_active says, in the words of a keeper of ours.
void FillInForeign(const ReporterRow &row, Report &report) {
    report.keeper_epoch = row.keeper_epoch;
    report.in_recovery = IsStandby(report.state);
    report.fenced = !report.pg_running && IsStopped(report.state);
}

bool IsWithoutLimit(NodeState state) { return state == kSingle || state == kWaitPrimary; }

}  // namespace

Result<void> CheckReportedState(NodeState state) {
    if (state != kUnknown) return {};
    return Fail(ProblemCode::kBadArgument, "a node cannot report state \"unknown\"");
}

Result<Report> AdmitReport(const ReporterRow &row, Report report, Reporter reporter) {
    if (reporter == Reporter::kForeign) {
        FillInForeign(row, report);
        return report;
    }
    if (report.keeper_epoch < row.keeper_epoch) {
        return Fail(ProblemCode::kRefused, "report of an old keeper of " + row.who,
                    "Its epoch is " + std::to_string(report.keeper_epoch) +
                        "; a keeper with epoch " + std::to_string(row.keeper_epoch) +
                        " has reported.",
                    "Another keeper of the node has taken over; this one must stop.");
    }
    if (row.last != nullptr && IsOvertaken(report, *row.last)) {
        return Fail(ProblemCode::kRefused,
                    "report of " + row.who + " was overtaken by a later one");
    }
    return report;
}

RowChange ChangeBy(const ReporterRow &row, const Report &report) {
    return {.state = report.state != row.reported,
            .identity =
                report.system_identifier != 0 && row.system_identifier != report.system_identifier,
            .epoch = report.keeper_epoch != row.keeper_epoch,
            .timeline = row.last == nullptr || row.last->timeline != report.timeline};
}

bool MayWriteForEver(const NodeView &node, const Report &report) {
    return (IsPrimaryIsh(node.goal) || IsPrimaryIsh(node.reported)) && !report.fenced;
}

OldGrant OldGrantOf(NodeState reported, NodeState goal) {
    if (IsWithoutLimit(reported) || IsWithoutLimit(goal)) return OldGrant::kUnlimited;
    if (IsPrimaryIsh(reported) || IsPrimaryIsh(goal)) return OldGrant::kTimed;
    return OldGrant::kNone;
}

LeaseRecord LeaseAfterRestart(OldGrant old_grant, Milliseconds lease, BootTime now) {
    LeaseRecord record;
    record.unlimited = old_grant == OldGrant::kUnlimited;
    if (old_grant != OldGrant::kNone) record.timed_end = now + MonitorLease(lease);
    return record;
}

bool HasForgotten(const NodeRecord &record, const Reply &reply) {
    return reply.term < record.term ||
           (reply.term == record.term && reply.sync_version < record.known_sync_version);
}

void NoteReply(NodeRecord &record, const Reply &reply) {
    record.goal = reply.goal;
    record.term = reply.term;
    record.known_sync_version = reply.sync_version;
    record.had_peer = record.had_peer || !reply.peers.empty();
}

Lsn HeldByOthers(const GroupView &view, const Report &report) {
    Lsn most;
    for (const NodeView &node : view.nodes) {
        if (node.id == report.node || node.held.timeline != report.timeline) continue;
        if (node.held.lsn.value <= view.timeouts.last_record_bytes) continue;
        most = std::max(most, Lsn{node.held.lsn.value - view.timeouts.last_record_bytes});
    }
    return most;
}

const NodeView *NewerThanRows(const GroupView &view) {
    const auto it = std::find_if(view.nodes.begin(), view.nodes.end(), [&](const NodeView &node) {
        return node.has_report && (node.report.term > view.term ||
                                   (node.report.term == view.term &&
                                    node.report.known_sync_version > view.sync.goal_version));
    });
    return it == view.nodes.end() ? nullptr : &*it;
}

}  // namespace pgaf::core
