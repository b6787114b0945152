#include "pgaf/core/intake.hpp"

#include <algorithm>

#include <utility>

#include "pgaf/core/plausible.hpp"

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

/// A machine that was started anew is silent for longer, and so is one that hangs: its lease has
/// run out by then, or its session holds it.
constexpr Milliseconds kSpokeLately{5000};

/// Whether the keeper that reported last may still act for the node.
bool IsAlive(const ReporterRow &row) {
    const bool has_limit = row.lease_left != kNoLimit;
    const bool has_spoken = row.silent_age < kSpokeLately;
    if (has_limit && row.lease_left.count() > 0) return true;
    // It may be about to find its monitor again: a standby whose worker was killed confirms on, and
    // a copy of it does not have that.
    if (row.last == nullptr || !has_limit) return row.is_connected || has_spoken;
    return has_spoken;
}

/// Reports are numbered one by one, and even without answers there are few in a millisecond. More
/// would leave the keeper itself overtaken until it has counted as far.
bool IsPlausibleNumber(const Report &report, const ReporterRow &row) {
    constexpr std::int64_t kBurst = 100;
    const std::int64_t most = row.last->sequence + kBurst + row.silent_age.count();
    return report.sequence >= 0 && report.sequence <= most;
}

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
    if (row.last != nullptr && IsOvertaken(report, *row.last)) {
        return Fail(ProblemCode::kRefused,
                    "report of " + row.who + " was overtaken by a later one");
    }
    return report;
}

std::int64_t InstanceOf(std::string_view boot_id, std::uint64_t device, std::uint64_t inode) {
    // FNV-1a, cut to what every reader of JSON keeps.
    std::uint64_t hash = 14695981039346656037U;
    const auto add = [&hash](std::string_view text) {
        for (const char c : text) {
            hash ^= static_cast<unsigned char>(c);
            hash *= 1099511628211U;
        }
    };
    add(boot_id);
    add("/" + std::to_string(device) + "/" + std::to_string(inode));
    return static_cast<std::int64_t>(hash & ((std::uint64_t{1} << 53) - 1)) | 1;
}

Result<Refusal> CheckKeeper(const ReporterRow &row, const Report &report, Reporter reporter) {
    if (reporter == Reporter::kForeign) return Refusal::kNone;
    const bool is_same = row.last != nullptr && row.last->keeper_epoch == report.keeper_epoch &&
                         row.last->instance == report.instance;
    const bool is_plausible = IsPlausibleStep(report.keeper_epoch, row.keeper_epoch) &&
                              (!is_same || IsPlausibleNumber(report, row)) &&
                              report.timeline >= 0 && report.term >= 0 &&
                              report.sync_version >= 0 && report.known_sync_version >= 0;
    if (!is_plausible)
        return Fail(ProblemCode::kBadArgument, "implausible report of " + row.who,
                    "Its epoch is " + std::to_string(report.keeper_epoch) + " after " +
                        std::to_string(row.keeper_epoch) + ", its number " +
                        std::to_string(report.sequence) + ".");
    const bool is_other =
        report.instance != 0 && row.instance != 0 && report.instance != row.instance;
    if (is_other && IsAlive(row)) return Refusal::kSecondInstance;
    if (report.keeper_epoch < row.keeper_epoch) return Refusal::kOldMemory;
    return Refusal::kNone;
}

/// No numbers that change all the time: it is logged when it changes.
std::string WhyAwaited(const ReporterRow &row) {
    if (row.is_connected) return "has an open session with the monitor";
    const bool has_lease = row.lease_left != kNoLimit && row.lease_left.count() > 0;
    return has_lease ? "may still use its lease" : "was heard less than 5 s ago";
}

Reply RefusalReply(const ReporterRow &row, const Report &report, Refusal refusal) {
    Reply reply;
    reply.node = report.node;
    reply.group = report.group;
    reply.goal = report.state;
    reply.term = report.term;
    reply.refusal = refusal;
    if (refusal == Refusal::kOldMemory) reply.known_epoch = row.keeper_epoch;
    if (refusal == Refusal::kSecondInstance) reply.reason = WhyAwaited(row);
    return reply;
}

std::string ExplainSecondInstance(const Reply &reply) {
    return "the monitor knows of another keeper of this node, which " +
           (reply.reason.empty() ? "lives" : reply.reason) +
           ": this one waits. After a restart of the machine that was its own former self, and it "
           "goes on by itself, within 5 s or when that lease is over. If the wait does not end, "
           "these data are a copy of a node that runs elsewhere";
}

RowChange ChangeBy(const ReporterRow &row, const Report &report) {
    return {.state = report.state != row.reported,
            .identity =
                report.system_identifier != 0 && row.system_identifier != report.system_identifier,
            .epoch = report.keeper_epoch != row.keeper_epoch || report.instance != row.instance,
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

LeaseRecord LeaseAfterRestart(OldGrant old_grant, Milliseconds lease, BootTime now,
                              std::int64_t instance) {
    LeaseRecord record;
    record.instance = instance;
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

bool IsNewerThanRows(const GroupView &view, const NodeView &node) {
    return node.has_report && (node.report.term > view.term ||
                               (node.report.term == view.term &&
                                node.report.known_sync_version > view.sync.goal_version));
}

bool MayWrite(const NodeView &node) {
    return !node.has_report || (!node.report.in_recovery && !node.report.fenced);
}

const NodeView *NewerThanRows(const GroupView &view) {
    const auto it = std::find_if(view.nodes.begin(), view.nodes.end(),
                                 [&](const NodeView &node) { return IsNewerThanRows(view, node); });
    return it == view.nodes.end() ? nullptr : &*it;
}

}  // namespace pgaf::core
