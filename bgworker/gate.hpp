#pragma once

#include "headers.hpp"

#include "worker/ports.hpp"

/// The commit gate: shared memory that every backend reads when it commits, and that only the
/// keeper worker changes. Nothing here allocates, throws, or waits.
namespace pgaf::gate {

using worker::Fence;

// Set-up, in the postmaster.
void RequestSharedMemory();  ///< from shmem_request_hook, or from _PG_init before 15
void CreateSharedMemory();   ///< from shmem_startup_hook; starts closed
bool IsAttached();

// Backends.
/// The gate is open now, for this process.
bool IsOpen();
/// Standbys may stream from here.
bool AdmitsStandbys();
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
/// For the sessions of clients, once each: who cancels or terminates one that waits for synchronous
/// standbys sends its client away, see worker::KeepsWaiting.
void WatchCancels();
void WakeWorker();

Fence CurrentFence();
bool SyncStandbysDefined();
void CountCheckpoint();

// The worker.
void AttachWorker();
/// The server is being stopped, and nobody will end those who wait.
void CloseForEver();

/// The gate as its worker sees it.
class SharedGate final : public worker::Gate {
 public:
    [[nodiscard]] core::BootTime Deadline() const override;
    void SetDeadline(core::BootTime deadline) override;
    [[nodiscard]] Fence CurrentFence() const override { return gate::CurrentFence(); }
    void SetFence(Fence fence) override;
    int CommittingCount() override;
    void TerminateSyncWaiters() override;
    void RepeatCancels() override;
    [[nodiscard]] worker::WaitsLeft LeftWaiting() const override;
    void RequireSync(bool is_required) override;
    void AdmitStandbys() override;
    [[nodiscard]] bool AdmitsStandbys() const override { return gate::AdmitsStandbys(); }
    [[nodiscard]] std::uint32_t CheckpointsDone() const override;
};

}  // namespace pgaf::gate
