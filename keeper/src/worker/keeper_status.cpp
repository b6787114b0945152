#include <algorithm>
#include <charconv>

#include "worker/keeper.hpp"

/// What the keeper shows of its server to those who do not ask it: see core::NodeStatus.
namespace pgaf::worker {
namespace {

void PutSync(const ServerFacts &facts, core::NodeStatus &status) {
    status.sync_wanted = facts.sync_k;
    status.sync_members = static_cast<std::int32_t>(facts.sync_members.size());
    for (const SenderFact &sender : facts.senders) {
        if (!sender.node.IsValid() || !sender.streaming) continue;
        ++status.standbys_streaming;
        if (sender.sync_priority > 0) ++status.sync_streaming;
    }
}

void PutSlots(const ServerFacts &facts, core::NodeStatus &status) {
    status.slot_limit_bytes = facts.slot_wal_limit;
    for (const SlotFact &slot : facts.slots) {
        if (!slot.restart_lsn.IsValid() || slot.restart_lsn >= facts.lsn) continue;
        status.slot_retained_bytes =
            std::max(status.slot_retained_bytes, facts.lsn.value - slot.restart_lsn.value);
    }
}

/// "15.20 (Debian ...)" as 150020.
std::int32_t NumberOf(const std::string &version) {
    int major = 0;
    int minor = 0;
    const char *const end = version.data() + version.size();
    const auto first = std::from_chars(version.data(), end, major);
    if (first.ec == std::errc{} && first.ptr != end && *first.ptr == '.')
        (void)std::from_chars(first.ptr + 1, end, minor);
    return major * 10'000 + minor;
}

}  // namespace

void Keeper::NoteStream(const ServerFacts &facts) {
    // A receiver that is refused what it asks for says "streaming" for an instant, again and again.
    constexpr core::Milliseconds kSteady{1000};
    const ReceiverState &receiver = facts.receiver;
    if (!receiver.streaming || receiver.pid != stream_pid_) {
        stream_pid_ = receiver.streaming ? receiver.pid : 0;
        stream_pid_since_ = now_;
    }
    const bool is_steady = stream_pid_ != 0 && now_ - stream_pid_since_ >= kSteady;
    const bool wants_stream =
        facts.in_recovery && !facts.is_crash_recovery && !facts.primary_conninfo.empty();
    if (!wants_stream || is_steady) {
        no_stream_since_ = {};
    } else if (no_stream_since_.ns == 0) {
        no_stream_since_ = now_;
    }
    ports_.heartbeat.NoteStream(no_stream_since_, facts.lsn, facts.timeline);
}

void Keeper::PublishStatus(const ServerFacts &facts) {
    core::NodeStatus status;
    status.written_at = now_;
    status.fence = static_cast<std::uint32_t>(ports_.gate.CurrentFence());
    status.deadline = ports_.gate.Deadline();
    status.node = record_->node.value;
    status.group = record_->group;
    status.state = record_->state;
    status.goal = reply_ ? reply_->goal : record_->goal;
    status.term = record_->term;
    status.monitor_answered_at = answered_at_;
    status.reports = answers_;
    status.in_recovery = facts.in_recovery;
    status.admits_sessions = !facts.in_recovery || facts.is_hot_standby;
    status.streams = facts.receiver.streaming;
    status.replay_paused = facts.replay_paused;
    status.timeline = facts.timeline;
    status.lsn = facts.lsn;
    if (facts.in_recovery) {
        status.replay_lsn = facts.replay_lsn;
        status.sender_end = facts.receiver.sender_end;
    } else {
        status.sync_is_confirmed = reply_ && reply_->sync_version == sync_.confirmed_version();
        PutSync(facts, status);
        PutSlots(facts, status);
    }
    status.stall = facts.in_recovery ? ages_.ReplayStall(now_) : write_probe_.Age(now_);
    const WaitsLeft waits = ports_.gate.LeftWaiting();
    status.cancelled_waits = waits.count;
    status.unconfirmed_waits = waits.count - confirmed_waits_;
    status.system_identifier = ports_.server.SystemIdentifier();
    status.server_version = NumberOf(ports_.server.Version());
    ports_.heartbeat.NoteStatus(status);
}

}  // namespace pgaf::worker
