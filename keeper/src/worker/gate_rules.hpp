#pragma once

#include <cstdint>

#include "pgaf/core/types.hpp"

/// What the commit gate decides, as plain functions: backends call them between their stores and
/// loads (`bgworker/gate.cpp`), the simulation calls them for its sessions. Nothing here allocates
/// or throws.
namespace pgaf::worker {

enum class Fence : std::uint32_t {
    kOpen = 0,      ///< the deadline decides
    kDraining = 1,  ///< nothing new passes; what passed before may still be acknowledged
    kClosed = 2,    ///< nothing passes and nothing is acknowledged
};

struct GateFacts {
    Fence fence = Fence::kClosed;
    core::BootTime deadline;
    core::BootTime now;
    bool postmaster_lives = false;
};

/// A transaction may begin to commit.
constexpr bool MayEnter(const GateFacts &gate) {
    return gate.fence == Fence::kOpen && gate.now < gate.deadline && gate.postmaster_lives;
}

/// What passed the gate may be acknowledged, as far as the gate goes.
constexpr bool MayAnswer(const GateFacts &gate) {
    return gate.fence != Fence::kClosed && gate.now < gate.deadline && gate.postmaster_lives;
}

/// A commit that is durable here, and the confirmations that it should have waited for.
struct SyncWait {
    bool is_prepare = false;
    bool was_due = false;    ///< it wrote WAL, and synchronous standbys were asked for and defined
    core::Lsn confirmed;     ///< by the synchronous standbys, in the mode that it waits for
    core::Lsn record_start;  ///< of a PREPARE, the end of which the server has forgotten by then
    core::Lsn commit_end;
};

/// The wait was cancelled before enough standbys had confirmed.
constexpr bool WasCancelled(const SyncWait &wait) {
    if (!wait.was_due) return false;
    return wait.is_prepare ? wait.confirmed <= wait.record_start : wait.confirmed < wait.commit_end;
}

}  // namespace pgaf::worker
