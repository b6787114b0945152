#pragma once

#include <array>
#include <optional>
#include <span>
#include <string_view>

#include "pgaf/core/node_state.hpp"

namespace pgaf::core {

/// Who carries an edge out. Edges of the worker need a running PostgreSQL; those of the supervisor
/// a stopped one. For kStop the worker ends its own postmaster, and the supervisor makes sure that
/// nothing of it is left.
enum class Actor { kAny, kWorker, kSupervisor };

enum class Step {
    kNone,         ///< the new state is reached at once
    kInitPrimary,  ///< initdb or adopt, roles, database; PostgreSQL not yet started
    kClone,        ///< pg_basebackup, standby files, start
    kRejoin,       ///< compare by ancestry; restart as standby, pg_rewind, or clone; start
    kStart,        ///< start PostgreSQL (fenced) and leave the rest to the worker
    kStop,         ///< stop PostgreSQL at once, reap what is left
    kDrain,        ///< checkpoint, fence, drain commits, end sessions, flush, wait for synchronous
                   ///< standbys
    kUnfence,      ///< a drained primary goes on
    kApplySync,    ///< put the synchronous set into force and see that it is
    kFollow,       ///< stream from the given upstream
    kSeal,         ///< hold target_lsn, then stop receiving durably
    kFetch,        ///< stream from the given standby up to target_lsn, then stop receiving durably
    kPromote,      ///< promote and wait until recovery has ended
    kDrop,         ///< stop PostgreSQL and forget the node
};

struct Edge {
    NodeState from;
    NodeState to;
    Step step;
    Actor actor;
};

/// All edges, for documentation and for the closure test.
std::span<const Edge> KeeperEdges();

/// The edge from `from` to `to`; none when from == to or there is no way.
std::optional<Edge> FindEdge(NodeState from, NodeState to);

}  // namespace pgaf::core
