#include "worker/facts.hpp"

#include <algorithm>

namespace pgaf::worker {

const SenderFact *ServerFacts::FindSender(core::NodeId node) const {
    const auto at = std::find_if(senders.begin(), senders.end(),
                                 [node](const SenderFact &sender) { return sender.node == node; });
    return at == senders.end() ? nullptr : &*at;
}

const SlotFact *ServerFacts::FindSlot(const std::string &name) const {
    const auto at = std::find_if(slots.begin(), slots.end(),
                                 [&name](const SlotFact &slot) { return slot.name == name; });
    return at == slots.end() ? nullptr : &*at;
}

void Ages::UpdateReceiver(const ReceiverState &receiver, core::BootTime now) {
    // A receiver that starts stamps its receipt time before it has heard anything, and one that
    // ends receives nothing: only the same process hears by its stamp. New WAL counts whoever
    // received it.
    const bool is_same = receiver.pid != 0 && receiver.pid == receiver_pid_;
    const bool changed = receiver.received_lsn != received_lsn_ ||
                         (is_same && receiver.receipt_time != receipt_time_);
    if (!seen_ || changed) received_at_ = now;
    seen_ = true;
    receiver_pid_ = receiver.pid;
    receipt_time_ = receiver.receipt_time;
    received_lsn_ = receiver.received_lsn;
}

void Ages::UpdateReplay(const ServerFacts &facts, core::BootTime now) {
    const bool has_moved = facts.replay_lsn != replayed_;
    replayed_ = facts.replay_lsn;
    // Who is to wait before he applies does not stall by waiting.
    const bool has_work = facts.replay_lsn < facts.lsn && !facts.delays_replay;
    const bool stalls = facts.in_recovery && !facts.is_crash_recovery &&
                        (facts.replay_paused || (has_work && !has_moved));
    if (!stalls) replay_stalled_since_ = {};
    if (stalls && replay_stalled_since_.ns == 0) replay_stalled_since_ = now;
}

core::Milliseconds Ages::ReplayStall(core::BootTime now) const {
    return replay_stalled_since_.ns == 0 ? core::Milliseconds{0} : now - replay_stalled_since_;
}

void Ages::Update(const ServerFacts &facts, core::BootTime now) {
    UpdateReceiver(facts.receiver, now);
    UpdateReplay(facts, now);
    std::vector<Reply> replies;
    for (const SenderFact &sender : facts.senders) {
        const Reply *const old = Find(sender.pid);
        if (old == nullptr) {
            replies.push_back({sender.pid, sender.reply_time, sender.flush_lsn, now});
            continue;
        }
        Reply next = *old;
        if (old->reply_time != sender.reply_time || old->flush_lsn != sender.flush_lsn) {
            next = {sender.pid, sender.reply_time, sender.flush_lsn, now};
        }
        replies.push_back(next);
    }
    replies_ = std::move(replies);
}

core::Milliseconds Ages::StreamAge(core::BootTime now) const {
    return seen_ ? now - received_at_ : core::Milliseconds{0};
}

const Ages::Reply *Ages::Find(int pid) const {
    const auto at = std::find_if(replies_.begin(), replies_.end(),
                                 [pid](const Reply &reply) { return reply.pid == pid; });
    return at == replies_.end() ? nullptr : &*at;
}

core::Milliseconds Ages::ReplyAge(const SenderFact &sender, core::BootTime now) const {
    const Reply *const reply = Find(sender.pid);
    return reply == nullptr ? core::Milliseconds{0} : now - reply->at;
}

}  // namespace pgaf::worker
