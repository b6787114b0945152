#pragma once

#include <string>
#include <vector>

#include "pgaf/core/held_wal.hpp"
#include "pgaf/core/lease.hpp"
#include "pgaf/core/protocol.hpp"
#include "pgaf/core/sync_set.hpp"

namespace pgaf::core {

/// Reports and shared memory have room for the standbys of so many nodes.
inline constexpr int kGroupNodesMax = 64;

enum class SessionFact { kNone, kConnected, kLost };

/// Answer of the port at the last probe.
enum class ProbeFact {
    kUnknown,
    kAlive,     ///< the server asked for authentication, or accepted or refused the user
    kStarting,  ///< 57P03: starting up or shutting down
    kRefused,   ///< nothing listens
    kSilent,    ///< no answer within the limit
    kBroken,    ///< it lets nobody in: what every session needs of its data is damaged
};

/// One node as the monitor sees it: its row, and the facts in shared memory. Ages are relative to
/// the moment the view was made, on the monitor's CLOCK_BOOTTIME.
struct NodeView {
    NodeId id;
    std::string name;
    std::string host;
    int port = 5432;
    NodeState reported = NodeState::kInit;
    NodeState goal = NodeState::kInit;
    int candidate_priority = 50;
    bool replication_quorum = true;
    std::int64_t goal_version = 0;  ///< raised with every new goal
    Milliseconds goal_age{0};       ///< since the goal was assigned

    bool has_report = false;  ///< reported since the monitor started
    Milliseconds report_age{0};
    Report report;  ///< the last one; state is also in `reported`
    HeldWal held;
    std::int64_t unconfirmed_waits = 0;  ///< see CancelledWaits
    /// The operator wants its data to be replaced by a copy of this number; 0: he does not.
    std::int64_t wanted_copy = 0;
    /// How long a grant given to this node may still be in use; <= 0: none is. kNoLimit: unlimited
    /// grant.
    Milliseconds lease_left{0};
    bool proved_fenced = false;  ///< LeaseRecord::proved_fenced
    SessionFact session = SessionFact::kNone;
    ProbeFact probe = ProbeFact::kUnknown;
    bool probed_since_session_lost = false;
    Milliseconds probe_age{0};  ///< since that answer
    /// From the first to the last answer kBroken, with no kAlive and no new copy of the data since;
    /// 0: none.
    Milliseconds broken_age{0};
    std::string broken{};  ///< what the server said then
    Milliseconds silent_age{
        0};  ///< since the last report or, before any, since the monitor started
};

struct Timeouts {
    Milliseconds lease{3000};
    Milliseconds report_interval{500};
    /// A node that neither reports nor answers its peers for this long is lost.
    Milliseconds unhealthy{3000};
    /// A switchover that has not been decided after this long is called off.
    Milliseconds drain{30000};
    /// An election that could be concluded waits so long for the standbys that report but are not
    /// there yet.
    Milliseconds stragglers{500};
    /// The candidate of a switchover gets so long to hold the last position of the primary.
    Milliseconds candidate{3000};
    /// WAL that has waited for so long, to be written or to be replayed, waits for ever: the disk
    /// does not answer, or replay is paused.
    Milliseconds stall{8000};
    /// A planned switchover does not wait without service until more than this is replayed.
    std::uint64_t replay_lag_bytes = 64 * 1024 * 1024;
    /// A server that was shut down begins to write after a last record, which its standbys have.
    std::uint64_t last_record_bytes = 512;
    std::uint64_t enable_sync_lag_bytes = 16 * 1024 * 1024;
    std::uint64_t promote_lag_bytes = 16 * 1024 * 1024;
};

struct GroupView {
    std::string formation = "default";
    int group = 0;
    int number_sync_standbys = 0;
    std::int64_t term = 0;  ///< raised by every promotion
    NodeId primary;         ///< who was decided to be the primary of this term; its row may be gone
    NodeId former;  ///< who was it before, and holds what was acknowledged until then; 0: not known
    NodeId preferred;  ///< whom the operator wants to be the next primary; 0: nobody
    int timeline = 0;  ///< the primary of this term is known to write on it; 0: not known yet
    /// The highest number that a timeline of the group has, or may have been given: the next one is
    /// higher, so that no number is given twice.
    int highest_timeline = 0;
    int accepted_timeline = 0;  ///< the operator says that this one is right; 0: he has not said
    /// The operator accepts that the election under way loses acknowledged commits.
    bool accepts_data_loss = false;
    SyncState sync;
    Lsn target_lsn;               ///< of the switchover under way; 0 otherwise
    std::vector<NodeView> nodes;  ///< ascending id, those being dropped included
    Timeouts timeouts;

    [[nodiscard]] const NodeView *Find(NodeId id) const;
    [[nodiscard]] NodeView *Find(NodeId id);
};

}  // namespace pgaf::core
