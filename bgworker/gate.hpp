#pragma once

#include "headers.hpp"

#include "pgaf/core/types.hpp"

/// The commit gate: shared memory that every backend reads when it commits, and that only the
/// keeper worker changes. Nothing here allocates, throws, or waits.
namespace pgaf::gate {

enum class Fence : std::uint32_t {
    kOpen = 0,      ///< the deadline decides
    kDraining = 1,  ///< nothing new passes; what passed before may still be acknowledged
    kClosed = 2,    ///< nothing passes and nothing is acknowledged
};

// Set-up, in the postmaster.
void RequestSharedMemory();  ///< from shmem_request_hook, or from _PG_init before 15
void CreateSharedMemory();   ///< from shmem_startup_hook; starts closed
bool IsAttached();

// Backends.
/// The gate is open now, for this process.
bool IsOpen();
enum class Kind {
    kCommit,
    kPrepared,  ///< PREPARE TRANSACTION, and the end of what was prepared
};
/// Marks this backend as committing, then checks the gate. ERROR 25006 when it is closed.
void EnterUnsafe(Kind kind);
/// After the commit is durable: tells whether the client may hear of it, and if not closes the
/// connection without an answer.
void LeaveCommitted(bool is_prepare);
void LeaveAborted();
void WakeWorker();

// The worker.
void AttachWorker();
core::BootTime Deadline();
void SetDeadline(core::BootTime deadline);
Fence CurrentFence();
void SetFence(Fence fence);
/// Backends that passed the gate and have not finished. With a fence set before, it only falls.
int CommittingCount();
/// Terminates the committing backends that wait for synchronous standbys; none is answered.
int TerminateSyncWaiters();
std::uint32_t CheckpointsDone();
void CountCheckpoint();
bool SyncStandbysDefined();

}  // namespace pgaf::gate
