#include "facts/node_facts.hpp"

#include "facts/sessions.hpp"
#include "facts/wake.hpp"

#include "pg/clock.hpp"
#include "pg/guard.hpp"
#include "settings.hpp"

#include <algorithm>
#include <cstring>

#include "pgaf/core/lease.hpp"

namespace pgaf::facts {
namespace {

using core::BootTime;
using core::Milliseconds;
using core::NodeId;

NodeKey KeyOf(NodeId node) {
    NodeKey key{};
    key.node = node.value;
    key.database = MyDatabaseId;
    return key;
}

/// Under the exclusive lock. NULL when the table is full.
NodeFacts *Enter(NodeId node, bool *found) {
    const NodeKey key = KeyOf(node);
    // The table itself would grow into memory that the server needs for its locks.
    const bool is_full = hash_get_num_entries(NodeTable()) >= settings::MaxNodes();
    const HASHACTION action = is_full ? HASH_FIND : HASH_ENTER_NULL;
    return static_cast<NodeFacts *>(hash_search(NodeTable(), &key, action, found));
}

void Reset(NodeFacts &entry, std::int64_t known_since_ns) {
    const NodeKey key = entry.key;
    memset(static_cast<void *>(&entry), 0, sizeof entry);
    entry.key = key;
    entry.known_since_ns = known_since_ns;
    entry.goal_since_ns = pg::BootNow().ns;
    entry.decide_at_ns = 0;
}

bool has_changes = false;  ///< this transaction registers or removes nodes

/// What this transaction has changed since one of its parts began: it holds, or it has not been.
void EndChanges(SubTransactionId since, bool holds) {
    LWLockAcquire(GetShared().lock, LW_EXCLUSIVE);
    HASH_SEQ_STATUS scan;
    hash_seq_init(&scan, NodeTable());
    while (auto *entry = static_cast<NodeFacts *>(hash_seq_search(&scan))) {
        const bool is_new = entry->registrar == MyProcPid && entry->registered_in >= since;
        const bool is_old = entry->remover == MyProcPid && entry->removed_in >= since;
        if (is_new) entry->registrar = 0;
        if (is_old) entry->remover = 0;
        if (holds ? !is_old : !is_new) continue;
        const NodeKey key = entry->key;
        (void)hash_search(NodeTable(), &key, HASH_REMOVE, nullptr);
    }
    LWLockRelease(GetShared().lock);
}

void OnTransactionEnd(XactEvent event, void *) {
    const bool is_over =
        event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE;
    if (!has_changes || !is_over) return;
    has_changes = false;
    EndChanges(InvalidSubTransactionId, event != XACT_EVENT_ABORT);
}

/// Parts that begin later have greater numbers, and those of them that are not over go with it.
void OnPartEnd(SubXactEvent event, SubTransactionId part, SubTransactionId, void *) {
    if (has_changes && event == SUBXACT_EVENT_ABORT_SUB) EndChanges(part, false);
}

[[noreturn]] void RaiseFull() {
    throw pg::PgError(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
                      "shared memory has no room for another node", {},
                      "Raise pgautofailover.max_nodes and restart the monitor.");
}

/// Cuts between characters: half a character is not valid text.
void CopyText(char *to, std::size_t capacity, const std::string &from) {
    const int length =
        pg_mbcliplen(from.data(), static_cast<int>(from.size()), static_cast<int>(capacity) - 1);
    memcpy(to, from.data(), static_cast<std::size_t>(length));
    to[length] = '\0';
}

Milliseconds Since(std::int64_t ns, BootTime now) {
    return std::max(now - BootTime{ns}, Milliseconds{0});
}

core::Report FromPlain(const NodeFacts &facts) {
    const PlainReport &from = facts.report;
    core::Report to;
    to.node = NodeId{facts.key.node};
    to.keeper_epoch = from.keeper_epoch;
    to.instance = from.instance;
    to.sequence = from.sequence;
    to.copies = from.copies;
    to.goal_version = from.goal_version;
    to.holder = from.holder;
    to.state = from.state;
    to.term = from.term;
    to.pg_running = from.pg_running;
    to.in_recovery = from.in_recovery;
    to.timeline = from.timeline;
    for (int i = 0; i < from.switch_count; ++i) {
        const PlainSwitch &s = from.switches.at(static_cast<std::size_t>(i));
        to.history.push_back({s.timeline, {s.at}});
    }
    to.lsn = {from.lsn};
    to.begun_at = {from.begun_at};
    to.system_identifier = from.system_identifier;
    to.fenced = from.fenced;
    to.sealed_lsn = {from.sealed_lsn};
    to.sync_version = from.sync_version;
    to.known_sync_version = from.known_sync_version;
    to.lease_mode = from.lease_mode;
    for (int i = 0; i < from.standby_count; ++i) {
        const PlainStandby &s = from.standbys.at(static_cast<std::size_t>(i));
        to.standbys.push_back({.node = {s.node},
                               .streaming = s.streaming,
                               .in_sync_set = s.in_sync_set,
                               .flush_lsn = {s.flush_lsn},
                               .reply_age = Milliseconds{s.reply_age_ms}});
    }
    to.receiver = {.upstream = {from.receiver_upstream},
                   .streaming = from.receiver_streaming,
                   .stream_age = Milliseconds{from.receiver_age_ms},
                   .sealed = from.receiver_sealed,
                   .replay_lsn = {from.replay_lsn},
                   .replay_paused = from.replay_paused};
    to.stall_age = Milliseconds{from.stall_ms};
    to.cancelled_waits = from.cancelled_waits;
    to.unconfirmed_waits = from.unconfirmed_waits;
    to.cannot_reload = from.cannot_reload;
    to.problem = from.problem;
    to.is_damaged = from.damaged;
    to.pg_version = from.pg_version;
    to.settings_version = from.settings_version;
    to.server_start = from.server_start;
    to.copying = from.copying;
    if (from.has_sizes) to.sizes = from.sizes;
    return to;
}

}  // namespace

NodeFacts *LookupLocked(NodeId node) {
    const NodeKey key = KeyOf(node);
    return static_cast<NodeFacts *>(hash_search(NodeTable(), &key, HASH_FIND, nullptr));
}

void CreateFresh(NodeId node) {
    LockScope lock(LW_EXCLUSIVE);
    bool found = false;
    NodeFacts *const entry = Enter(node, &found);
    if (entry == nullptr) RaiseFull();
    Reset(*entry, pg::BootNow().ns);
    entry->registrar = MyProcPid;
    entry->registered_in = GetCurrentSubTransactionId();
    has_changes = true;
}

NodeFacts FindOrCreate(NodeId node, core::OldGrant old_grant, Milliseconds lease,
                       std::int64_t instance) {
    LockScope lock(LW_EXCLUSIVE);
    bool found = false;
    NodeFacts *const entry = Enter(node, &found);
    if (entry == nullptr) RaiseFull();
    if (!found) {
        // Nothing may be known about grants later than the last look, so they count from now.
        Reset(*entry, GetShared().server_start_ns);
        entry->lease = core::LeaseAfterRestart(old_grant, lease, pg::BootNow(), instance);
    }
    return *entry;
}

std::optional<NodeFacts> Find(NodeId node) {
    LockScope lock(LW_SHARED);
    const NodeFacts *const entry = LookupLocked(node);
    if (entry == nullptr) return std::nullopt;
    return *entry;
}

void VoidGrants(NodeId node) {
    (void)Update(node, [](NodeFacts &entry) {
        entry.lease = core::LeaseRecord{};
        entry.lease.proved_fenced = true;
    });
}

void Forget(NodeId node) {
    LockScope lock(LW_EXCLUSIVE);
    const NodeKey key = KeyOf(node);
    (void)hash_search(NodeTable(), &key, HASH_REMOVE, nullptr);
}

void ForgetAtCommit(NodeId node) {
    has_changes = Update(node,
                         [](NodeFacts &entry) {
                             entry.remover = MyProcPid;
                             entry.removed_in = GetCurrentSubTransactionId();
                         }) ||
                  has_changes;
}

void ForgetDatabaseUnsafe(Oid database, BootTime known_before) {
    LWLockAcquire(GetShared().lock, LW_EXCLUSIVE);
    HASH_SEQ_STATUS scan;
    hash_seq_init(&scan, NodeTable());
    while (auto *entry = static_cast<NodeFacts *>(hash_seq_search(&scan))) {
        if (entry->key.database != database || entry->known_since_ns >= known_before.ns) continue;
        const NodeKey key = entry->key;
        (void)hash_search(NodeTable(), &key, HASH_REMOVE, nullptr);
    }
    LWLockRelease(GetShared().lock);
}

void InstallNodeFactsUnsafe() {
    RegisterXactCallback(OnTransactionEnd, nullptr);
    RegisterSubXactCallback(OnPartEnd, nullptr);
}

bool HasNodesUnsafe(Oid database) {
    bool has_one = false;
    LWLockAcquire(GetShared().lock, LW_SHARED);
    HASH_SEQ_STATUS scan;
    hash_seq_init(&scan, NodeTable());
    while (const auto *entry = static_cast<const NodeFacts *>(hash_seq_search(&scan)))
        has_one = has_one || !OidIsValid(database) || entry->key.database == database;
    LWLockRelease(GetShared().lock);
    return has_one;
}

void FillView(const NodeFacts &facts, BootTime now, core::NodeView &view) {
    view.goal_age = Since(facts.goal_since_ns, now);
    view.has_report = facts.has_report;
    if (facts.has_report) {
        view.report_age = Since(facts.report_ns, now);
        view.report = FromPlain(facts);
        view.held = facts.held;
        view.unconfirmed_waits = facts.waits.unconfirmed;
    }
    view.lease_left = core::LeaseLeft(facts.lease, now);
    view.probe_age = now - BootTime{facts.probed_ns};
    view.proved_fenced = facts.lease.proved_fenced;
    view.session = facts.session;
    view.probe = facts.probe;
    if (facts.broken_since_ns != 0) {
        view.broken_age = BootTime{facts.broken_ns} - BootTime{facts.broken_since_ns};
        view.broken = facts.broken;
    }
    view.probed_since_session_lost = facts.probed_since_session_lost;
    view.silent_age = Since(facts.has_report ? facts.report_ns : facts.known_since_ns, now);
}

PlainReport ToPlain(const core::Report &from) {
    PlainReport to{};
    to.keeper_epoch = from.keeper_epoch;
    to.instance = from.instance;
    to.sequence = from.sequence;
    to.copies = from.copies;
    to.goal_version = from.goal_version;
    to.holder = from.holder;
    to.state = from.state;
    to.term = from.term;
    to.pg_running = from.pg_running;
    to.in_recovery = from.in_recovery;
    to.timeline = from.timeline;
    to.lsn = from.lsn.value;
    to.begun_at = from.begun_at.value;
    to.system_identifier = from.system_identifier;
    to.fenced = from.fenced;
    to.sealed_lsn = from.sealed_lsn.value;
    to.sync_version = from.sync_version;
    to.known_sync_version = from.known_sync_version;
    to.lease_mode = from.lease_mode;
    for (const core::TimelineSwitch &s : from.history) {
        if (to.switch_count == static_cast<int>(to.switches.size())) break;
        to.switches.at(static_cast<std::size_t>(to.switch_count++)) = {s.timeline, s.at.value};
    }
    for (const core::StandbyFact &s : from.standbys) {
        if (to.standby_count == kStandbysMax) break;
        to.standbys.at(static_cast<std::size_t>(to.standby_count++)) = {
            .node = s.node.value,
            .flush_lsn = s.flush_lsn.value,
            .reply_age_ms = s.reply_age.count(),
            .streaming = s.streaming,
            .in_sync_set = s.in_sync_set};
    }
    to.receiver_upstream = from.receiver.upstream.value;
    to.receiver_age_ms = from.receiver.stream_age.count();
    to.receiver_streaming = from.receiver.streaming;
    to.receiver_sealed = from.receiver.sealed;
    to.replay_lsn = from.receiver.replay_lsn.value;
    to.replay_paused = from.receiver.replay_paused;
    to.damaged = from.is_damaged;
    to.stall_ms = from.stall_age.count();
    to.cancelled_waits = from.cancelled_waits;
    to.unconfirmed_waits = from.unconfirmed_waits;
    to.cannot_reload = from.cannot_reload;
    to.settings_version = from.settings_version;
    to.server_start = from.server_start;
    to.copying = from.copying;
    to.has_sizes = from.sizes.has_value();
    if (from.sizes) to.sizes = *from.sizes;
    CopyText(to.problem, sizeof to.problem, from.problem);
    CopyText(to.pg_version, sizeof to.pg_version, from.pg_version);
    return to;
}

std::vector<Summary> Summaries() {
    std::vector<Summary> result;
    result.reserve(static_cast<std::size_t>(hash_get_num_entries(NodeTable())) + 16);
    LockScope lock(LW_SHARED);
    HASH_SEQ_STATUS scan;
    hash_seq_init(&scan, NodeTable());
    while (const auto *entry = static_cast<const NodeFacts *>(hash_seq_search(&scan))) {
        if (entry->key.database != MyDatabaseId) continue;
        Summary s{};
        s.node = NodeId{entry->key.node};
        s.known_since_ns = entry->known_since_ns;
        s.is_registering = entry->registrar != 0;
        s.decide_at_ns = entry->decide_at_ns;
        s.report_ns = entry->has_report ? entry->report_ns : 0;
        s.probed_ns = entry->probed_ns;
        s.session = entry->session;
        s.probe = entry->probe;
        s.session_news = entry->session_news;
        s.session_lost_ns = entry->session_lost_ns;
        s.probed_since_session_lost = entry->probed_since_session_lost;
        s.port = entry->port;
        strlcpy(s.address, entry->address, sizeof s.address);
        result.push_back(s);
    }
    return result;
}

std::vector<NodeFacts> All() {
    std::vector<NodeFacts> result;
    result.reserve(static_cast<std::size_t>(hash_get_num_entries(NodeTable())) + 16);
    LockScope lock(LW_SHARED);
    HASH_SEQ_STATUS scan;
    hash_seq_init(&scan, NodeTable());
    while (const auto *entry = static_cast<const NodeFacts *>(hash_seq_search(&scan))) {
        if (entry->key.database == MyDatabaseId) result.push_back(*entry);
    }
    return result;
}

void NoteSession(NodeId node) {
    NoteOwnSession();
    int former = 0;
    int former_slot = 0;
    (void)Update(node, [&](NodeFacts &entry) {
        if (entry.session_pid != MyProcPid) {
            former = entry.session_pid;
            former_slot = entry.session_slot;
        }
        entry.session = core::SessionFact::kConnected;
        entry.session_pid = MyProcPid;
        entry.session_slot = OwnWakeSlot();
        entry.session_news = false;
    });
    if (former != 0) NoteFormerSession(former, former_slot);
    NoteNodesSession();
}

bool NoteSessionEnd() noexcept {
    bool any = false;
    LWLockAcquire(GetShared().lock, LW_EXCLUSIVE);
    HASH_SEQ_STATUS scan;
    hash_seq_init(&scan, NodeTable());
    while (auto *entry = static_cast<NodeFacts *>(hash_seq_search(&scan))) {
        // A newer session of the node has put its own pid here: then this end means nothing.
        if (entry->key.database != MyDatabaseId || entry->session_pid != MyProcPid) continue;
        entry->session = core::SessionFact::kLost;
        entry->session_pid = 0;
        entry->session_news = true;
        entry->session_lost_ns = pg::BootNow().ns;
        entry->probed_since_session_lost = false;
        entry->decide_at_ns = 0;
        any = true;
    }
    LWLockRelease(GetShared().lock);
    return any;
}

void NoteGoal(NodeId node, const std::string &reason) {
    std::array<char, sizeof NodeFacts::goal_reason> text{};
    CopyText(text.data(), text.size(), reason);
    const std::int64_t now_ns = pg::BootNow().ns;
    const char *const cut = text.data();
    (void)Update(node, [=](NodeFacts &entry) {
        entry.goal_since_ns = now_ns;
        strlcpy(entry.goal_reason, cut, sizeof entry.goal_reason);
    });
}

void DecideBy(NodeId node, BootTime at) {
    (void)Update(
        node, [at](NodeFacts &entry) { entry.decide_at_ns = std::min(entry.decide_at_ns, at.ns); });
}

}  // namespace pgaf::facts
