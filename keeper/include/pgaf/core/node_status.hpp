#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <type_traits>

#include "pgaf/core/node_state.hpp"
#include "pgaf/core/types.hpp"

/// What the worker in a data node's server lets others see of it, without SQL: a page of memory in
/// the heartbeat file. The worker alone writes it; the supervisor reads it for its HTTP port.
namespace pgaf::core {

/// Plain values only: it is copied as bytes, between processes of one build.
struct NodeStatus {
    BootTime written_at;
    // The commit gate, see worker::GateFacts.
    BootTime deadline;
    std::uint32_t fence = 2;  ///< worker::Fence; closed
    std::int32_t postmaster_pid = 0;
    std::uint64_t postmaster_start = 0;  ///< in ticks since the boot, as /proc has it

    std::int64_t node = 0;
    std::int32_t group = 0;
    NodeState state = NodeState::kUnknown;
    NodeState goal = NodeState::kUnknown;
    std::int64_t term = 0;
    BootTime monitor_answered_at;  ///< 0: never

    bool in_recovery = true;
    bool admits_sessions = false;  ///< out of recovery, or consistent
    bool streams = false;          ///< a standby's receiver streams
    bool replay_paused = false;
    bool sync_is_confirmed = false;  ///< of a primary: the set of the monitor is in force
    std::int32_t timeline = 0;
    Lsn lsn;         ///< primary: flushed; standby: received or replayed, whichever is further
    Lsn replay_lsn;  ///< of a standby
    Lsn sender_end;  ///< of a standby: the end of the primary's WAL, as the primary said last
    std::int32_t sync_wanted = 0;   ///< so many standbys must confirm a commit
    std::int32_t sync_members = 0;  ///< of the set
    std::int32_t sync_streaming = 0;
    std::int32_t standbys_streaming = 0;
    std::uint64_t slot_retained_bytes = 0;  ///< the slot that holds back most
    std::uint64_t slot_limit_bytes = 0;     ///< 0: none
    Milliseconds stall{0};                  ///< see Report::stall_age
    std::uint64_t cancelled_waits = 0;
    std::uint64_t unconfirmed_waits = 0;
    std::uint64_t reports = 0;  ///< that the monitor has answered, since the worker started
    std::uint64_t system_identifier = 0;
    std::int32_t server_version = 0;  ///< as server_version_num
};
static_assert(std::is_trivially_copyable_v<NodeStatus>);

/// The page as it lies in the file. `sequence` is odd while it is written. Whoever reads it through
/// a system call may get parts of two states in any order: hence the checksum.
struct StatusPage {
    std::uint64_t sequence = 0;
    std::uint64_t checksum = 0;
    NodeStatus status;
};

/// Where the page begins in the heartbeat file; before it is what ReadHeartbeat reads.
inline constexpr std::size_t kStatusOffset = 64;
/// Grows with every change of what a page means: a server that runs may be of an older build.
inline constexpr std::uint64_t kStatusFormat = 1;
static_assert(kStatusOffset + sizeof(StatusPage) <= 4096);

/// FNV-1a over sequence and status: also a page of zeros, and one of another build, fail.
inline std::uint64_t ChecksumOf(const StatusPage &page) {
    std::array<unsigned char, sizeof page.sequence + sizeof page.status> bytes{};
    std::memcpy(bytes.data(), &page.sequence, sizeof page.sequence);
    std::memcpy(bytes.data() + sizeof page.sequence, &page.status, sizeof page.status);
    std::uint64_t hash = 0xcbf29ce484222325 ^ sizeof(StatusPage) ^ (kStatusFormat << 32);
    for (const unsigned char byte : bytes)
        hash = (hash ^ byte) * 0x100000001b3;
    return hash;
}

/// What a copy of the page says; nothing when it was taken while the page was written.
inline std::optional<NodeStatus> StatusOf(const StatusPage &page) {
    if (page.sequence % 2 != 0 || page.checksum != ChecksumOf(page)) return std::nullopt;
    return page.status;
}

}  // namespace pgaf::core
