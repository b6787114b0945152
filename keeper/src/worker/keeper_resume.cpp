#include "worker/keeper.hpp"

#include <algorithm>

/// How a primary goes on after a crash while the monitor is away.
namespace pgaf::worker {
namespace {

/// Beside the node's record: the last answer of the monitor to a primary, as far as it lasts.
std::string OrdersPath(const std::string &directory) { return directory + "/orders"; }

/// What changes all the time is of no use later, and would be written all the time.
core::Reply Lasting(core::Reply reply) {
    for (core::Peer &peer : reply.peers) {
        peer.lsn = {};
        peer.state = core::NodeState::kUnknown;
        peer.is_promotable = false;
        peer.sizes.reset();
    }
    reply.reason.clear();
    reply.settings.reset();
    reply.settings_mark = reply.restart_of = 0;
    reply.grant = core::GrantKind::kNone;
    return reply;
}

}  // namespace

void Keeper::RememberOrders(const core::Reply &reply) {
    if (reply.grant != core::GrantKind::kTimed || !core::IsWritable(reply.goal)) return;
    std::string text = core::Encode(Lasting(reply));
    if (text == orders_) return;
    // Without it the node waits for the monitor after a crash, as it would without this file.
    if (!ports_.files.WriteAtomic(OrdersPath(directory_), text)) return;
    orders_ = std::move(text);
    are_orders_gone_ = false;
}

/// The monitor may take a node that says it is fenced for ended, also when its answer gets lost:
/// such a node does not go on by itself, neither now nor after a crash.
bool Keeper::ForgetOrders() {
    if (are_orders_gone_) return true;
    const auto text = ports_.files.Read(OrdersPath(directory_));
    if (text && !text->empty() && !ports_.files.WriteAtomic(OrdersPath(directory_), ""))
        return false;
    orders_.clear();
    are_orders_gone_ = true;
    return true;
}

/// The orders hold as long as they are those that the record names: every later one has another
/// term or version. Nobody was elected meanwhile if enough members of every set still follow, and
/// the monitor believes no more of this node than it did: it has not heard that it ended.
void Keeper::Resume() {
    const auto text = ports_.files.Read(OrdersPath(directory_));
    const auto orders = text ? core::DecodeReply(*text) : tl::unexpected(text.error());
    // Who else has streamed since is forgotten: with an empty set nothing proves that nobody else
    // writes.
    const auto proves = [](const core::SyncSet &set) { return set.k > 0; };
    const bool is_provable =
        orders && !orders->extension.empty() &&
        std::all_of(orders->extension.begin(), orders->extension.end(), proves);
    if (!is_provable || orders->node != record_->node || orders->term != record_->term ||
        orders->sync_version != record_->known_sync_version || !core::IsWritable(orders->goal)) {
        ports_.log.Warning("this node waits for the monitor: it does not know who must confirm");
        return;
    }
    reply_ = *orders;
    orders_ = *text;
    is_resuming_ = true;
    lease_.SetLength(orders->lease);
    ports_.log.Line("the monitor is away: waiting until enough synchronous standbys follow");
}

}  // namespace pgaf::worker
