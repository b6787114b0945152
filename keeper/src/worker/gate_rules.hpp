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
    kHeld = 3,      ///< as kClosed, by the worker alone: it has its grant, and may open again
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
    return (gate.fence == Fence::kOpen || gate.fence == Fence::kDraining) &&
           gate.now < gate.deadline && gate.postmaster_lives;
}

/// A commit that is durable here, and the confirmations that it should have waited for.
struct SyncWait {
    bool was_due = false;  ///< it wrote WAL, and asked for standbys that are defined or required
    core::Lsn confirmed;   ///< by the synchronous standbys, in the mode that it waits for
    core::Lsn end;         ///< of its record; 0: not known
};

/// The wait was cancelled before enough standbys had confirmed.
constexpr bool WasCancelled(const SyncWait &wait) {
    return wait.was_due && (!wait.end.IsValid() || wait.confirmed < wait.end);
}

/// A wait for synchronous standbys goes on whoever cancels it or ends its session: only its client
/// is sent away. Its commit cannot be undone, and others would see what a failover may take away.
/// With the gate closed nobody looks.
constexpr bool KeepsWaiting(const GateFacts &gate) { return MayEnter(gate); }

/// So many may wait on without their clients before the gate refuses to begin further commits that
/// would wait: they keep their connections, and others need some.
constexpr std::uint32_t MostWaitsLeft(int connections) {
    return connections < 16 ? 4U : static_cast<std::uint32_t>(connections) / 4;
}

/// Commits whose clients were sent away, or left without an answer, before enough synchronous
/// standbys had confirmed them.
struct WaitsLeft {
    std::uint64_t count = 0;  ///< since the server started
    core::Lsn end;            ///< where the last of them ends
    core::Lsn shown_end;      ///< where the last of those ends that others can see
    bool operator==(const WaitsLeft &) const = default;
};

/// COMMIT PREPARED and ROLLBACK PREPARED pass the gate before they run; within a transaction block
/// PostgreSQL refuses them, and a subtransaction that is given up would not leave the gate.
constexpr bool EntersForPrepared(bool is_in_transaction_block) { return !is_in_transaction_block; }

/// Where a record ends that begins at `start` and is `length` bytes long, by the layout of
/// PostgreSQL's WAL: pages of 8 kB with a header of 24 bytes, 40 at the beginning of a segment;
/// records are aligned to 8 bytes. Source: access/xlog_internal.h, access/xlogrecord.h.
constexpr core::Lsn EndOfRecord(core::Lsn start, std::uint32_t length,
                                std::uint64_t segment_bytes) {
    constexpr std::uint64_t kPage = 8192;
    constexpr std::uint64_t kHeader = 24;
    constexpr std::uint64_t kLongHeader = 40;
    std::uint64_t at = start.value;
    std::uint64_t left = (std::uint64_t{length} + 7) / 8 * 8;
    while (left > 0) {
        if (at % kPage == 0) at += at % segment_bytes == 0 ? kLongHeader : kHeader;
        const std::uint64_t room = kPage - at % kPage;
        const std::uint64_t here = left < room ? left : room;
        at += here;
        left -= here;
    }
    return {at};
}
static_assert(EndOfRecord({0x1000028}, 100, 1 << 24).value == 0x1000028 + 104);
static_assert(EndOfRecord({0x1001FF8}, 16, 1 << 24).value == 0x1002000 + 24 + 8);

}  // namespace pgaf::worker
