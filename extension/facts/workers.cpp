#include "facts/workers.hpp"

#include "pg/clock.hpp"

#include <algorithm>
#include <utility>

namespace pgaf::facts {
namespace {

constexpr core::Milliseconds kRestartDelay{1'000};

/// Under the lock.
WorkerSlot *FindSlot(Oid database) {
    for (WorkerSlot &slot : GetShared().workers) {
        if (slot.state != WorkerState::kFree && slot.database == database) return &slot;
    }
    return nullptr;
}

/// Under the exclusive lock. NULL when all slots are taken.
WorkerSlot *FindOrTakeSlot(Oid database) {
    if (WorkerSlot *const slot = FindSlot(database)) return slot;
    for (WorkerSlot &slot : GetShared().workers) {
        if (slot.state != WorkerState::kFree) continue;
        slot = {};
        slot.database = database;
        slot.state = WorkerState::kWanted;
        return &slot;
    }
    return nullptr;
}

}  // namespace

void WakeWorkerBy(core::BootTime at) noexcept {
    LWLock *const lock = GetShared().lock;
    LWLockAcquire(lock, LW_SHARED);
    const WorkerSlot *const slot = FindSlot(MyDatabaseId);
    const bool must_wake =
        slot != nullptr && slot->state == WorkerState::kRunning && slot->next_wake_ns > at.ns;
    Latch *latch = must_wake ? slot->latch : nullptr;
    LWLockRelease(lock);
    if (slot == nullptr) {
        LWLockAcquire(lock, LW_EXCLUSIVE);
        (void)FindOrTakeSlot(MyDatabaseId);
        latch = GetShared().launcher_latch;
        LWLockRelease(lock);
    }
    if (latch != nullptr) SetLatch(latch);
}

void NoteEvents() noexcept {
    LWLock *const lock = GetShared().lock;
    Latch *latch = nullptr;
    LWLockAcquire(lock, LW_EXCLUSIVE);
    WorkerSlot *const known = FindSlot(MyDatabaseId);
    WorkerSlot *const slot = known != nullptr ? known : FindOrTakeSlot(MyDatabaseId);
    if (slot != nullptr && !slot->has_events) {
        slot->has_events = true;
        latch = known != nullptr ? slot->latch : GetShared().launcher_latch;
    }
    LWLockRelease(lock);
    if (latch != nullptr) SetLatch(latch);
}

bool TakeEvents() {
    LockScope lock(LW_EXCLUSIVE);
    WorkerSlot *const slot = FindSlot(MyDatabaseId);
    return slot != nullptr && std::exchange(slot->has_events, false);
}

void NoteNextWake(core::BootTime at) {
    LockScope lock(LW_EXCLUSIVE);
    WorkerSlot *const slot = FindSlot(MyDatabaseId);
    if (slot != nullptr && slot->pid == MyProcPid) slot->next_wake_ns = at.ns;
}

std::vector<Oid> TakeWanted(core::BootTime now) {
    std::vector<Oid> wanted;
    wanted.reserve(kWorkersMax);
    LockScope lock(LW_EXCLUSIVE);
    for (WorkerSlot &slot : GetShared().workers) {
        if (slot.state != WorkerState::kWanted || slot.not_before_ns > now.ns) continue;
        slot.state = WorkerState::kStarting;
        wanted.push_back(slot.database);
    }
    return wanted;
}

bool Want(Oid database, core::BootTime at) {
    LockScope lock(LW_EXCLUSIVE);
    WorkerSlot *const slot = FindOrTakeSlot(database);
    if (slot == nullptr) return false;
    if (slot->state == WorkerState::kRunning) return true;
    slot->state = WorkerState::kWanted;
    slot->not_before_ns = at.ns;
    return true;
}

std::int64_t NextWanted() {
    std::int64_t next = kNever;
    LockScope lock(LW_SHARED);
    for (const WorkerSlot &slot : GetShared().workers) {
        if (slot.state == WorkerState::kWanted) next = std::min(next, slot.not_before_ns);
    }
    return next;
}

void SetLauncherLatchUnsafe(Latch *latch) {
    LWLockAcquire(GetShared().lock, LW_EXCLUSIVE);
    GetShared().launcher_latch = latch;
    // After a restart of the launcher a start that it had begun may never happen: begin again.
    for (WorkerSlot &slot : GetShared().workers) {
        if (slot.state == WorkerState::kStarting) slot.state = WorkerState::kWanted;
    }
    LWLockRelease(GetShared().lock);
}

void NoteWorkerStartUnsafe() {
    LWLockAcquire(GetShared().lock, LW_EXCLUSIVE);
    if (WorkerSlot *const slot = FindOrTakeSlot(MyDatabaseId)) {
        slot->state = WorkerState::kRunning;
        slot->pid = MyProcPid;
        slot->latch = MyLatch;
        slot->next_wake_ns = 0;
    }
    LWLockRelease(GetShared().lock);
}

void NoteWorkerEndUnsafe(WorkerEnd end) {
    LWLockAcquire(GetShared().lock, LW_EXCLUSIVE);
    WorkerSlot *const slot = FindSlot(MyDatabaseId);
    if (slot != nullptr && slot->pid == MyProcPid) {
        slot->latch = nullptr;
        slot->pid = 0;
        slot->state = end == WorkerEnd::kRestart ? WorkerState::kWanted : WorkerState::kFree;
        slot->not_before_ns = (pg::BootNow() + kRestartDelay).ns;
    }
    Latch *const launcher = GetShared().launcher_latch;
    LWLockRelease(GetShared().lock);
    if (launcher != nullptr) SetLatch(launcher);
}

bool HasWorkerUnsafe(Oid database) {
    LWLockAcquire(GetShared().lock, LW_SHARED);
    const WorkerSlot *const slot = FindSlot(database);
    const bool has_one = slot != nullptr && slot->state != WorkerState::kFree;
    LWLockRelease(GetShared().lock);
    return has_one;
}

int DropWorkerUnsafe(Oid database) {
    LWLockAcquire(GetShared().lock, LW_EXCLUSIVE);
    int pid = 0;
    if (WorkerSlot *const slot = FindSlot(database)) {
        pid = slot->pid;
        slot->state = WorkerState::kFree;
    }
    LWLockRelease(GetShared().lock);
    return pid;
}

}  // namespace pgaf::facts
