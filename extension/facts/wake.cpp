#include "facts/wake.hpp"

#include "facts/node_facts.hpp"
#include "facts/port_headers.hpp"
#include "facts/workers.hpp"
#include "settings.hpp"

#include <algorithm>
#include <array>

namespace pgaf::facts {
namespace {

constexpr const char *kShmemName = "pgautofailover wake";
constexpr const char *kChannel = "pgautofailover";
/// A transaction that changes more groups than these hold leaves the rest to their next reports.
constexpr int kTargetsMax = 256;

struct Target {
    int pid;
    int slot;
};

/// Processes whose keepers have something to hear, by their place in the server's array of
/// processes. Where two share a place, the keeper hears with its next report.
pg_atomic_uint32 *flags = nullptr;

std::array<Target, kTargetsMax> targets;
int target_count = 0;
bool has_events = false;
bool is_keeper_session = false;

void SendWakes() {
    for (int i = 0; i < target_count; ++i) {
        const Target &target = targets.at(static_cast<std::size_t>(i));
        pg_atomic_write_u32(&flags[target.slot], static_cast<std::uint32_t>(target.pid));
        pg_memory_barrier();
        (void)pg::SendCatchupInterruptUnsafe(target.pid);
    }
}

/// Only at the end of a transaction that has written nothing: an error here, such as a lack of
/// memory, could not undo anything. The interrupt makes sure that there is one.
void TellOwnKeeper() {
    if (!is_keeper_session || TransactionIdIsValid(GetTopTransactionIdIfAny())) return;
    auto own = static_cast<std::uint32_t>(MyProcPid);
    if (!pg_atomic_compare_exchange_u32(&flags[OwnWakeSlot()], &own, 0)) return;
    NotifyMyFrontEnd(kChannel, "", MyProcPid);
    // We are within a read that waits for the client, and must go on waiting afterwards.
    const bool was_nonblocking = MyProcPort->noblock;
    (void)pq_flush_if_writable();
    MyProcPort->noblock = was_nonblocking;
}

void OnTransactionEnd(XactEvent event, void *) {
    if (event == XACT_EVENT_COMMIT) {
        if (target_count > 0) SendWakes();
        if (has_events) NoteEvents();
    } else if (event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE) {
        return;
    }
    target_count = 0;
    has_events = false;
    if (event == XACT_EVENT_COMMIT) TellOwnKeeper();
}

}  // namespace

void WakeAtCommit(core::NodeId node) {
    if (target_count == kTargetsMax || !settings::PushesChanges()) return;
    LockScope lock(LW_SHARED);
    const NodeFacts *const entry = LookupLocked(node);
    if (entry == nullptr || entry->session_pid == 0 || entry->session_pid == MyProcPid) return;
    const Target target{entry->session_pid, entry->session_slot};
    const auto end = targets.begin() + target_count;
    const bool is_known = std::any_of(targets.begin(), end,
                                      [&](const Target &known) { return known.pid == target.pid; });
    if (!is_known) targets.at(static_cast<std::size_t>(target_count++)) = target;
}

void TellAtCommit() { has_events = true; }

void NoteOwnSession() noexcept { is_keeper_session = true; }

int OwnWakeSlot() noexcept { return static_cast<int>((MyProc - ProcGlobal->allProcs) % kPlaces); }

Size WakeBytesUnsafe() { return MAXALIGN(sizeof(pg_atomic_uint32) * kPlaces); }

void AttachWakeUnsafe() {
    bool found = false;
    flags = static_cast<pg_atomic_uint32 *>(ShmemInitStruct(kShmemName, WakeBytesUnsafe(), &found));
    if (found) return;
    for (int i = 0; i < kPlaces; ++i)
        pg_atomic_init_u32(&flags[i], 0);
}

void InstallWakeUnsafe() { RegisterXactCallback(OnTransactionEnd, nullptr); }

}  // namespace pgaf::facts
