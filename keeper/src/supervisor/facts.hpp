#pragma once

#include <cstdint>

#include "pgaf/core/timeline.hpp"
#include "pgaf/core/types.hpp"
#include "pgaf/core/wal_files.hpp"

/// What the supervisor sees of PostgreSQL from outside.
namespace pgaf::supervisor {

/// "Database cluster state" of the control file, as far as it matters.
enum class ClusterState {
    kShutDown,
    kShutDownInRecovery,
    kInArchiveRecovery,  ///< a standby that was not shut down
    kOther,              ///< in production, or on its way there: not shut down
};

/// What the control file says.
struct ControlFacts {
    std::uint64_t system_identifier = 0;
    ClusterState state = ClusterState::kOther;
    int timeline = 0;  ///< the highest that the control file knows of
    core::Lsn checkpoint{};
    core::Lsn min_recovery{};
    core::TimelineHistory history{};  ///< how `timeline` came to be; empty: the first, or unknown
    /// The highest number of a timeline of which there is WAL in pg_wal: what a standby has
    /// received and not replayed, the control file does not know. 0: not looked at.
    int received_timeline = 0;
    /// A copy of another node that no server has been started on yet.
    bool is_fresh_copy = false;
    bool has_own_writes = false;  ///< see core::NodeRecord
    [[nodiscard]] bool IsShutDown() const {
        return state == ClusterState::kShutDown || state == ClusterState::kShutDownInRecovery;
    }
    /// Nothing was ever written here but what came from an upstream.
    [[nodiscard]] bool IsStandbys() const {
        return is_fresh_copy ||
               (!has_own_writes && (state == ClusterState::kShutDownInRecovery ||
                                    state == ClusterState::kInArchiveRecovery));
    }
};

/// What the worker in the server says of itself.
struct Heartbeat {
    int pid = 0;
    core::BootTime at;
    /// A standby that should stream and has not since; 0: all is well.
    core::BootTime no_stream_since{};
    core::Lsn lsn{};  ///< the end of its WAL
    int timeline = 0;
};

/// How a node that is to be followed answers to IDENTIFY_SYSTEM.
struct SourceIdentity {
    std::uint64_t system_identifier = 0;
    int timeline = 0;
    core::Lsn end{};
    core::TimelineHistory history{};
    std::uint64_t segment_bytes = core::kUsualSegmentBytes;
};

/// What is at PGDATA.
enum class DataDirectory {
    kEmpty,    ///< or absent
    kCluster,  ///< complete as far as one can see
    kDamaged,  ///< was one, and essential files are missing
    kForeign,
};

}  // namespace pgaf::supervisor
