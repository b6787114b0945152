#pragma once

#include "facts/shared.hpp"

#include <vector>

/// Which databases have a worker, and how to wake it.
namespace pgaf::facts {

/// Makes sure that this database's worker looks around not later than `at`; asks for a worker if
/// there is none. Cheap; usable from an exit callback.
void WakeWorkerBy(core::BootTime at) noexcept;
/// There are events that nobody has been told of: wakes this database's worker. Usable where a
/// transaction ends.
void NoteEvents() noexcept;
/// For the worker: whether there were, since it last asked.
bool TakeEvents();
/// For the worker: when it will look again by itself.
void NoteNextWake(core::BootTime at);

/// For the launcher. Databases whose worker should be started now; they count as starting from then
/// on.
std::vector<Oid> TakeWanted(core::BootTime now);
/// Wants a worker for the database not before `at`, unless one is there. False when there is no
/// room.
bool Want(Oid database, core::BootTime at);
/// When the launcher must look again; kNever if nothing is planned.
std::int64_t NextWanted();
void SetLauncherLatchUnsafe(Latch *latch);

/// For a worker: registers it, and what happens at its exit.
void NoteWorkerStartUnsafe();
enum class WorkerEnd { kNotNeeded, kRestart };
void NoteWorkerEndUnsafe(WorkerEnd end);
/// Whether the database is that of a monitor.
bool HasWorkerUnsafe(Oid database);
/// Removes the database's slot; returns the pid of its worker or 0.
int DropWorkerUnsafe(Oid database);

}  // namespace pgaf::facts
