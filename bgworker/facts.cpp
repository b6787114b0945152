#include "headers.hpp"

#include <array>

#include "damage.hpp"
#include "gate.hpp"
#include "marks.hpp"
#include "pg/guard.hpp"
#include "receiver_bar.hpp"
#include "server.hpp"

namespace pgaf::keeper {

using worker::ReceiverState;
using worker::SenderFact;
using worker::ServerFacts;

namespace {

constexpr int kSendersMax = 96;
constexpr int kSlotsMax = 128;

struct RawSender {
    int pid;
    bool streaming;
    int priority;
    XLogRecPtr flush;
    std::int64_t reply_time;
    bool is_starting;
    bool sends_wal;
    bool has_mark;
    std::uint64_t mark;
};

struct RawSlot {
    NameData name;
    int active_pid;
    XLogRecPtr restart_lsn;
    bool holds_xmin;
};

/// Plain copies: filled where an ERROR may jump, turned into C++ values outside.
struct RawFacts {
    bool in_recovery;
    bool crash_recovery;
    bool hot_standby;
    std::uint64_t startup_upstream = 0;
    bool startup_awaits_wal;
    bool replay_paused;
    TimeLineID flush_timeline, replay_timeline, received_timeline;
    XLogRecPtr flush, replay, received, redo, sender_end;
    int sender_count;
    std::array<RawSender, kSendersMax> senders;
    int slot_count;
    int slot_limit_mb;
    std::array<RawSlot, kSlotsMax> slots;
    int receiver_pid;
    WalRcvState receiver_state;
    std::int64_t receipt_time;
    char receiver_host[256];
    int receiver_port;
};

void ReadSendersUnsafe(RawFacts &raw) {
    raw.sender_count = 0;
    for (int i = 0; i < max_wal_senders && raw.sender_count < kSendersMax; ++i) {
        WalSnd *const sender = &WalSndCtl->walsnds[i];
        RawSender &out = raw.senders[static_cast<std::size_t>(raw.sender_count)];
        SpinLockAcquire(&sender->mutex);
        out = {sender->pid,
               sender->state == WALSNDSTATE_STREAMING,
               sender->sync_standby_priority,
               sender->flush,
               sender->replyTime,
               sender->state == WALSNDSTATE_STARTUP,
               sender->state >= WALSNDSTATE_CATCHUP,
               false,
               0};
        SpinLockRelease(&sender->mutex);
        if (out.pid == 0) continue;
        out.has_mark = marks::ReadSenderUnsafe(out.pid, &out.mark);
        ++raw.sender_count;
    }
}

void ReadSlotsUnsafe(RawFacts &raw) {
    raw.slot_count = 0;
    raw.slot_limit_mb = max_slot_wal_keep_size_mb;
    LWLockAcquire(ReplicationSlotControlLock, LW_SHARED);
    for (int i = 0; i < max_replication_slots && raw.slot_count < kSlotsMax; ++i) {
        ReplicationSlot *const slot = &ReplicationSlotCtl->replication_slots[i];
        if (!slot->in_use) continue;
        RawSlot &out = raw.slots[static_cast<std::size_t>(raw.slot_count++)];
        SpinLockAcquire(&slot->mutex);
        out = {slot->data.name, slot->active_pid, slot->data.restart_lsn,
               TransactionIdIsValid(slot->data.xmin)};
        SpinLockRelease(&slot->mutex);
    }
    LWLockRelease(ReplicationSlotControlLock);
}

void ReadReceiver(RawFacts &raw) {
    SpinLockAcquire(&WalRcv->mutex);
    raw.receiver_pid = WalRcv->pid;
    raw.receiver_state = WalRcv->walRcvState;
    raw.receipt_time = WalRcv->lastMsgReceiptTime;
    raw.sender_end = WalRcv->latestWalEnd;
    raw.receiver_port = WalRcv->sender_port;
    strlcpy(raw.receiver_host, WalRcv->sender_host, sizeof raw.receiver_host);
    SpinLockRelease(&WalRcv->mutex);
    raw.received = GetWalRcvFlushRecPtr(nullptr, &raw.received_timeline);
}

/// The startup process has read all WAL that is there, and sleeps until it looks again. Nobody else
/// waits so.
bool StartupAwaitsWal() {
    const std::uint32_t count = ProcGlobal->allProcCount;
    for (std::uint32_t i = 0; i < count; ++i) {
        const volatile PGPROC &proc = ProcGlobal->allProcs[i];
        if (proc.pid != 0 && proc.wait_event_info == WAIT_EVENT_RECOVERY_RETRIEVE_RETRY_INTERVAL)
            return true;
    }
    return false;
}

void ReadUnsafe(RawFacts &raw) {
    raw.in_recovery = RecoveryInProgress();
    raw.crash_recovery = GetRecoveryState() == RECOVERY_STATE_CRASH;
    raw.hot_standby = raw.in_recovery && HotStandbyActive();
    raw.flush = raw.in_recovery ? InvalidXLogRecPtr : pg::FlushPosition(&raw.flush_timeline);
    raw.redo = raw.in_recovery ? InvalidXLogRecPtr : GetRedoRecPtr();
    raw.replay = GetXLogReplayRecPtr(&raw.replay_timeline);
    raw.startup_upstream = marks::StartupUpstream();  // before the receiver
    raw.startup_awaits_wal = raw.in_recovery && StartupAwaitsWal();
    raw.replay_paused = raw.in_recovery && GetRecoveryPauseState() != RECOVERY_NOT_PAUSED;
    // What is replayed is read again: it must not be older than the wait for more.
    raw.replay = GetXLogReplayRecPtr(&raw.replay_timeline);
    ReadReceiver(raw);
    ReadSendersUnsafe(raw);
    ReadSlotsUnsafe(raw);
}

void SetPosition(const RawFacts &raw, ServerFacts &facts) {
    facts.in_recovery = raw.in_recovery;
    facts.is_crash_recovery = raw.in_recovery && raw.crash_recovery;
    facts.is_hot_standby = raw.hot_standby;
    facts.slots_ready = !raw.in_recovery || raw.replay != InvalidXLogRecPtr;
    facts.replay_lsn = {raw.in_recovery ? raw.replay : InvalidXLogRecPtr};
    facts.redo_lsn = {raw.redo};
    facts.flush_delay = core::Milliseconds{WalWriterDelay};
    facts.replay_paused = raw.replay_paused;
    facts.delays_replay = recovery_min_apply_delay > 0;
    if (!raw.in_recovery) {
        facts.lsn = {raw.flush};
        facts.timeline = static_cast<int>(raw.flush_timeline);
    } else if (raw.received > raw.replay) {
        facts.lsn = {raw.received};
        facts.timeline = static_cast<int>(raw.received_timeline);
    } else {
        facts.lsn = {raw.replay};
        facts.timeline = static_cast<int>(raw.replay_timeline);
    }
}

void SetSenders(const RawFacts &raw, ServerFacts &facts) {
    facts.slot_wal_limit = static_cast<std::uint64_t>(std::max(raw.slot_limit_mb, 0)) << 20;
    for (int i = 0; i < raw.slot_count; ++i) {
        const RawSlot &slot = raw.slots[static_cast<std::size_t>(i)];
        facts.slots.push_back({NameStr(slot.name), slot.active_pid != 0,
                               core::Lsn{slot.restart_lsn}, slot.holds_xmin});
    }
    for (int i = 0; i < raw.sender_count; ++i) {
        const RawSender &sender = raw.senders[static_cast<std::size_t>(i)];
        SenderFact fact{.pid = sender.pid,
                        .node = {},
                        .streaming = sender.streaming,
                        .sync_priority = sender.priority,
                        .flush_lsn = {sender.flush},
                        .reply_time = sender.reply_time,
                        .is_starting = sender.is_starting,
                        .sends_wal = sender.sends_wal,
                        .sync_mark = {}};
        if (sender.has_mark) fact.sync_mark = sender.mark;
        for (int j = 0; j < raw.slot_count; ++j) {
            const RawSlot &slot = raw.slots[static_cast<std::size_t>(j)];
            if (slot.active_pid != sender.pid) continue;
            fact.node = core::ParseStandbyName(NameStr(slot.name)).value_or(core::NodeId{});
        }
        facts.senders.push_back(fact);
    }
}

ReceiverState ToReceiver(const RawFacts &raw) {
    return {.pid = raw.receiver_pid,
            .stopped = raw.receiver_state == WALRCV_STOPPED && raw.receiver_pid == 0,
            .streaming = raw.in_recovery && raw.receiver_state == WALRCV_STREAMING,
            .received_lsn = {raw.received},
            .receipt_time = raw.receipt_time,
            .host = raw.receiver_host,
            .port = raw.receiver_port,
            .sender_end = {raw.sender_end}};
}

/// Settings as this process has read them; the caller reloads on SIGHUP.
void SetSettings(ServerFacts &facts) {
    facts.checkpointer_sync = marks::CheckpointerSync();
    pg_read_barrier();
    facts.sync_defined = gate::SyncStandbysDefined();
    if (SyncRepStandbyNames != nullptr) facts.sync_names = SyncRepStandbyNames;
    if (PrimaryConnInfo != nullptr) facts.primary_conninfo = PrimaryConnInfo;
    if (SyncRepConfig == nullptr) return;
    facts.sync_k = SyncRepConfig->num_sync;
    const char *name = SyncRepConfig->member_names;
    for (int i = 0; i < SyncRepConfig->nmembers; ++i) {
        if (const auto node = core::ParseStandbyName(name)) facts.sync_members.push_back(*node);
        name += strlen(name) + 1;
    }
}

}  // namespace

ServerFacts PgServer::Observe() {
    static RawFacts raw;  // large, and only one worker loop uses it
    pg::CallPg([] { ReadUnsafe(raw); });
    ServerFacts facts;
    SetPosition(raw, facts);
    SetSenders(raw, facts);
    facts.receiver = ToReceiver(raw);
    SetSettings(facts);
    facts.sizes = SizesOfServer();
    facts.started_at = PgStartTime;
    facts.lacks = LackOfServer();
    facts.damage = damage::Seen();
    facts.receiver_error = damage::ReceiverError();
    const bool is_standby = raw.in_recovery && !raw.crash_recovery;
    facts.startup_upstream = raw.startup_upstream;
    facts.has_no_upstream = is_standby && raw.startup_upstream == 0 &&
                            facts.primary_conninfo.empty() && facts.receiver.stopped;
    facts.is_barred = receiver_bar::IsDown();
    facts.receives_nothing =
        facts.has_no_upstream || (is_standby && receiver_bar::HasEnded(raw.receiver_pid));
    facts.is_lsn_final = raw.received > raw.replay || raw.startup_awaits_wal;
    return facts;
}

ReceiverState PgServer::ObserveReceiver() {
    static RawFacts raw;
    pg::CallPg([] {
        raw.in_recovery = RecoveryInProgress();
        ReadReceiver(raw);
    });
    return ToReceiver(raw);
}

void PgServer::AwaitReceiverEnd() {
    // The receiver broadcasts when it has ended; that sets the latch of whoever is prepared to
    // sleep.
    pg::CallPg([] {
        if (RecoveryInProgress()) {
            ConditionVariablePrepareToSleep(&WalRcv->walRcvStoppedCV);
        } else {
            (void)ConditionVariableCancelSleep();
        }
    });
}

std::uint64_t PgServer::SystemIdentifier() {
    return pg::CallPg([] { return GetSystemIdentifier(); });
}

}  // namespace pgaf::keeper
