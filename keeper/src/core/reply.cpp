#include "pgaf/core/decide.hpp"
#include "rules.hpp"

namespace pgaf::core {
namespace {

using enum NodeState;

/// Only the worker inside the server holds a lease, and only while its node may write. Without a
/// promotable node (goals single and wait_primary: a standby becomes promotable only after the primary has
/// reported that it obeys timed grants again) the grant has no limit.
GrantKind GrantFor(const NodeView &node, KeeperHolder holder) {
    if (holder != KeeperHolder::kWorker) return GrantKind::kNone;
    if (node.goal == kSingle || node.goal == kWaitPrimary) return GrantKind::kUnlimited;
    // A switchover begins with a checkpoint, during which the node still accepts writes.
    if (node.goal == kDraining && IsWritable(node.reported)) return GrantKind::kTimed;
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
    peer.lsn = node.report.lsn;
    return peer;
}

}  // namespace

Reply BuildReply(const GroupView &view, NodeId id, KeeperHolder holder) {
    Reply reply;
    reply.node = id;
    reply.group = view.group;
    reply.term = view.term;
    const NodeView *node = view.Find(id);
    if (node == nullptr) {  // its row has just been removed
        reply.goal = kDropped;
        return reply;
    }
    const NodeView *primary = FindPrimary(view);
    reply.goal = node->goal;
    reply.grant = GrantFor(*node, holder);
    reply.lease = view.timeouts.lease;
    reply.report_interval = view.timeouts.report_interval;
    reply.sync_version = view.sync.goal_version;
    if (primary == node) reply.sync_names = ToSetting(view.sync.goal);
    if (node->goal == kPreparePromotion) reply.target_lsn = view.target_lsn;
    if (primary != nullptr && primary != node) reply.upstream = primary->id;
    for (const NodeView &other : view.nodes) {
        if (other.id == id || other.goal == kDropped) continue;
        reply.peers.push_back(PeerOf(view, other, primary));
    }
    reply.candidate_priority = node->candidate_priority;
    reply.replication_quorum = node->replication_quorum;
    return reply;
}

}  // namespace pgaf::core
