#pragma once

#include <string>
#include <vector>

#include "evidence.hpp"

/// Who may become the primary when there is none, and what that takes.
///
/// With ANY k of n an acknowledged commit is on at least k of the n members. When n - k + 1 members
/// have durably stopped receiving and have reported, at least one of them holds it, and no further
/// commit can find k members. So the most advanced of them, on the right timeline, holds every
/// acknowledged commit. (PostgreSQL documentation, "Synchronous Replication"; the counting is that
/// of quorum systems.)
namespace pgaf::core {

/// Nobody is to write, and somebody has been told to stop receiving.
bool IsElectionOpen(const GroupView &view);

/// A switchover: the primary has reported the last position that it can have acknowledged.
bool HasSealedPrimary(const GroupView &view);

/// The group has no standby that counts for synchronous replication: losing what a standby lacks
/// was chosen.
bool IsAsyncByChoice(const GroupView &view);

/// Commits may have been acknowledged by its confirmation.
bool IsMemberOfAny(const GroupView &view, NodeId node);

/// The standby speaks, and could stop receiving for an election.
bool CouldSeal(const GroupView &view, const NodeView &node);

/// An election among the standbys that speak now would be sure of every commit and would find a
/// winner.
bool CouldConclude(const GroupView &view, std::string *why_not);

/// What of the node has the old primary's history, see WalPosition.
WalPosition PositionOf(const NodeView &node);

/// How much the node holds of the timeline that the position to be held is on: what a primary has
/// sealed is on its own, and not on one that a standby was promoted to by hand.
Lsn EndForTarget(const GroupView &view, const NodeView &node);

/// The node holds nothing that the history of the group's primary lacks. `view` says which timeline
/// is right.
bool IsOnRightTimeline(const GroupView &view, const NodeView &node);

struct Election {
    bool is_open = false;
    bool is_covered = false;  ///< the sealed nodes hold every acknowledged commit
    Lsn required;   ///< whoever holds this on the right timeline holds every acknowledged commit
    NodeId winner;  ///< 0: nobody can be promoted
    NodeId source;  ///< a sealed standby that runs and holds `required`; 0: there is none
    /// Standbys that speak are not there yet; the longest wait for one of them. 0: nobody is waited
    /// for.
    Milliseconds wait{0};
    std::string why_not;  ///< why there is no winner
};
Election AssessElection(const GroupView &view);

/// The best standby for a switchover, before anybody has sealed; 0: there is none.
NodeId BestCandidate(const GroupView &view);

/// What the operator must know before he accepts the loss of data: who is missing, and how far the
/// best is behind.
std::string DescribeLoss(const GroupView &view);

/// The node that must be proved fenced before another one may write: the primary of the term. Null
/// when its row is gone, or for the node itself.
const NodeView *FindOldPrimary(const GroupView &view, const NodeView &standby);

}  // namespace pgaf::core
