#pragma once

#include <string>

#include "pgaf/core/decide.hpp"

/// What facts prove, for the rules.
namespace pgaf::core {

constexpr bool IsStable(const NodeView &node, NodeState state) {
    return node.reported == state && node.goal == state;
}

/// The node's own keeper speaks, lately, for a running PostgreSQL.
bool IsServing(const GroupView &view, const NodeView &node);

/// Its keeper, worker or supervisor, reported lately.
bool IsReporting(const GroupView &view, const NodeView &node);

/// The session of its keeper was lost, and nothing listens on its port since.
bool IsProcessGone(const NodeView &node);

/// It has been a primary, also while it is on its way to follow somebody; or it rested, and is a
/// primary's or is promoted when it starts.
bool IsStoppedWithData(const NodeView &node);

/// A primary whose WAL does not reach its disk any more: it can acknowledge nothing.
bool IsStalledPrimary(const GroupView &view, const NodeView &node);

/// Its data are damaged so that PostgreSQL, which runs, lets no session in. Those that are in go
/// on.
bool LetsNobodyIn(const GroupView &view, const NodeView &node);

/// The primary came back with less than it had, and another node has what is missing.
bool IsBehindItsStandby(const GroupView &view, const NodeView &primary);

/// It serves, and what it says of its standbys can be acted upon: it has recovered, its disk
/// answers, and it has what it had.
bool IsSoundPrimary(const GroupView &view, const NodeView &primary);

/// A sealed standby that has less than it had.
bool HasLostWal(const NodeView &standby);

/// A standby that holds WAL and does not replay it: nobody knows when it could take over.
bool IsReplayStuck(const GroupView &view, const NodeView &node);
/// PostgreSQL cannot read its settings again: it could not be sealed, nor given another set.
bool CannotReload(const NodeView &node);

/// PostgreSQL has found a part of its data damaged. It serves what is whole, and holds all WAL: it
/// stays a member, is chosen last, and is nobody's source while another is whole.
bool IsDamaged(const NodeView &node);
/// What it has to replay before it could accept writes, in bytes; 0 when it does not say.
std::uint64_t ReplayLag(const NodeView &node);

/// What the primary's walsender for `standby` says; null when there is none.
const StandbyFact *StandbyFactOf(const NodeView &primary, NodeId standby);

/// It was promoted past us: it runs, in the state of a standby, and accepts no WAL any more.
bool HasLeftRecovery(const NodeView &standby);

/// The primary no longer gets confirmations from the standby, and the standby's side agrees.
bool IsStandbyLost(const GroupView &view, const NodeView &primary, const NodeView &standby,
                   std::string *why);

/// Every other node that could hear the primary hears nothing.
bool IsUnheard(const GroupView &view, const NodeView &primary);

/// The node takes part in an election, and has durably stopped receiving from any primary since it
/// was told to. True also when its process has died since: the seal is on its disk.
bool HasSealed(const GroupView &view, const NodeView &standby);
/// HasSealed, and its PostgreSQL runs.
bool IsSealed(const GroupView &view, const NodeView &standby);

/// The standby streams from the primary, both sides say so, on the primary's timeline.
bool IsStreamingFrom(const NodeView &standby, const NodeView &primary);
/// It streams, has answered just now, and holds what the primary has, but for the lag that a
/// synchronous standby may have: from now on it can confirm.
bool IsConfirming(const GroupView &view, const NodeView &standby, const NodeView &primary);

/// The time until IsProvedFenced by leases alone; 0 when it is.
Milliseconds LeaseLeftWithStream(const GroupView &view, const NodeView &old_primary);

/// When every standby that could seal does, the lease of the primary ends: nobody else can extend
/// it.
bool CanLeaseEnd(const GroupView &view);

std::string Describe(const NodeView &node);

}  // namespace pgaf::core
