#include <algorithm>
#include <utility>

#include "pgaf/core/decide.hpp"
#include "pgaf/core/intake.hpp"
#include "rules.hpp"

namespace pgaf::core {
namespace {

using enum NodeState;

/// Only the worker inside the server holds a lease, and only while its node may write. Without a
/// promotable node (goals single and wait_primary: a standby becomes promotable only after the
/// primary has reported that it obeys timed grants again) the grant has no limit.
GrantKind GrantFor(const NodeView &node, KeeperHolder holder) {
    if (holder != KeeperHolder::kWorker) return GrantKind::kNone;
    if (node.goal == kSingle || node.goal == kWaitPrimary) return GrantKind::kUnlimited;
    // A switchover begins with a checkpoint, during which the node still accepts writes.
    if (IsHandingOver(node.goal) && IsWritable(node.reported)) return GrantKind::kTimed;
    return IsWritable(node.goal) ? GrantKind::kTimed : GrantKind::kNone;
}

Peer PeerOf(const GroupView &view, const NodeView &node, const NodeView *primary) {
    Peer peer;
    peer.node = node.id;
    peer.name = node.name;
    peer.host = node.host;
    peer.port = node.port;
    peer.state = node.reported;
    peer.is_primary = primary != nullptr && primary->id == node.id;
    peer.is_promotable = IsPromotable(view, node);
    peer.is_damaged = IsDamaged(node);
    peer.lsn = node.report.lsn;
    // Who has not been heard for a while holds nobody up; its sizes are raised before it starts.
    constexpr Milliseconds kHeard{10'000};
    if (node.has_report && node.report_age < kHeard) peer.sizes = node.report.sizes;
    return peer;
}

/// Who is followed: the primary; on the way to missing WAL the sealed standby that has it.
NodeId UpstreamOf(const GroupView &view, const NodeView &node, const NodeView *primary) {
    if (node.goal != kFastForward) {
        return primary != nullptr && primary != &node ? primary->id : NodeId{};
    }
    for (const NodeView &other : view.nodes) {
        const bool has_it = other.id != node.id && IsSealed(view, other) &&
                            EndForTarget(view, other) >= view.target_lsn;
        if (has_it) return other.id;
    }
    return {};
}

/// An election needs members of every set that may be in use, so enough confirmations of each
/// exclude that one was concluded without a node that confirmed. See docs/architecture.md,
/// section 4.
std::vector<SyncSet> ExtensionOf(const GroupView &view) {
    std::vector<SyncSet> sets = PossibleSets(view.sync);
    std::erase_if(sets, [](const SyncSet &set) { return set.members.empty(); });
    if (!IsAsyncByChoice(view)) return sets;
    SyncSet everybody;
    for (const NodeView &node : view.nodes) {
        if (IsPromotable(view, node)) everybody.members.push_back(node.id);
    }
    if (!everybody.members.empty()) sets.push_back(everybody);
    return sets;
}

/// The operator's wish holds while somebody can be copied; afterwards the node has that copy.
void PutNeededCopy(const GroupView &view, const NodeView &node, const NodeView *primary,
                   Reply &reply) {
    if (primary == &node) return;
    if (node.held.is_behind_others) reply.needed_copy = node.held.copies + 1;
    const bool can_copy = primary != nullptr && IsWritable(primary->reported);
    if (!can_copy || node.goal != kCatchingup) return;
    const bool is_broken = LetsNobodyIn(view, node) && primary->probe == ProbeFact::kAlive;
    if (is_broken && reply.needed_copy == 0) {
        reply.copy_reason = "PostgreSQL lets no session in on its data: " + node.broken;
        reply.needed_copy = node.report.copies + 1;
    }
    if (node.wanted_copy <= node.report.copies) return;
    if (reply.needed_copy == 0) reply.copy_reason = "the operator has asked for a new copy";
    reply.needed_copy = std::max(reply.needed_copy, node.wanted_copy);
}

}  // namespace

Reply BuildReply(const GroupView &view, NodeId id, KeeperHolder holder) {
    Reply reply;
    reply.node = id;
    reply.group = view.group;
    reply.term = view.term;
    reply.sync_version = view.sync.goal_version;
    const NodeView *node = view.Find(id);
    if (node == nullptr) {  // its row has just been removed
        reply.goal = kDropped;
        return reply;
    }
    const NodeView *primary = FindPrimary(view);
    reply.goal = node->goal;
    reply.goal_version = node->goal_version;
    // Nobody writes where others have more: that would be lost. Nor by rows that are old: somebody
    // else may be the primary.
    const bool may_write = !IsBehindItsStandby(view, *node) && NewerThanRows(view) == nullptr;
    if (may_write) reply.grant = GrantFor(*node, holder);
    PutNeededCopy(view, *node, primary, reply);
    reply.lease = view.timeouts.lease;
    reply.report_interval = view.timeouts.report_interval;
    // A node that is to be the primary must know the set before it writes.
    if (primary == node) reply.sync_names = ToSetting(view.sync.goal);
    if (primary == node) reply.next_timeline = view.highest_timeline;
    if (primary == node) reply.extension = ExtensionOf(view);
    if (IsBeingPromoted(node->goal)) reply.target_lsn = view.target_lsn;
    reply.upstream = UpstreamOf(view, *node, primary);
    for (const NodeView &other : view.nodes) {
        if (other.id == id || other.goal == kDropped) continue;
        Peer peer = PeerOf(view, other, primary);
        if (other.id == reply.upstream) {
            peer.timeline = other.report.timeline;
            peer.history = other.report.history;
        }
        reply.peers.push_back(std::move(peer));
    }
    reply.candidate_priority = node->candidate_priority;
    reply.replication_quorum = node->replication_quorum;
    return reply;
}

}  // namespace pgaf::core
