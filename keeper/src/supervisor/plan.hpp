#pragma once

#include <optional>
#include <string_view>

#include "pgaf/core/keeper_edges.hpp"

namespace pgaf::supervisor {

/// What the supervisor knows when PostgreSQL is down.
struct PlanFacts {
    core::NodeState state = core::NodeState::kInit;
    /// What the monitor answered to a report that was sent after PostgreSQL ended.
    std::optional<core::NodeState> goal{};
    /// The last goal on record.
    core::NodeState last_goal = core::NodeState::kInit;
    /// The monitor cannot be reached, has heard nothing since PostgreSQL ended, and the machine has
    /// not been started anew: what its disk confirmed is there.
    bool may_resume = false;
    /// The monitor is there, and has come back from a backup that is older than this node's orders.
    bool has_monitor_forgotten = false;
    bool had_peer = false;
    bool is_marked = false;       ///< PGDATA is incomplete
    int failed_starts = 0;        ///< in a row
    bool has_upstream = true;     ///< there is a primary to be compared with
    bool must_copy = false;       ///< the monitor says that these data are of no use
    bool has_no_data = false;     ///< no cluster is there, or none that can be read
    bool is_wal_gone = false;     ///< the upstream no longer has the WAL that this standby needs
    bool has_own_writes = false;  ///< a standby that was out of recovery: it must be compared
};

enum class Action {
    kWait,       ///< go on reporting
    kStart,      ///< start PostgreSQL, after taking `next` as the state
    kRunStep,    ///< carry out `step`, then take `next` as the state
    kTakeState,  ///< take `next` as the state and report it
    kEnd,        ///< the node was dropped
};

struct Plan {
    Action action = Action::kWait;
    core::Step step = core::Step::kNone;
    core::NodeState next = core::NodeState::kInit;
    std::string_view why;  ///< why it waits, when that is a problem
    bool resumes = false;  ///< see core::NodeRecord::resumes
};

/// The next thing to do with PostgreSQL down. Pure.
///
/// A node that could acknowledge writes is never opened on its own word: a primary asks first, the
/// monitor or, when that is away, its synchronous standbys. A standby, and a `single` that never
/// had a peer, cannot do harm and start at once.
Plan MakePlan(const PlanFacts &facts);

/// How often a standby may fail to start before its data is compared with the primary's again.
inline constexpr int kStartsBeforeRejoin = 3;

}  // namespace pgaf::supervisor
