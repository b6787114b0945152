#pragma once

#include <optional>
#include <span>

#include "election.hpp"
#include "evidence.hpp"

namespace pgaf::core {

/// What a guard looks at.
struct RuleContext {
    const GroupView &view;
    const NodeView &node;         ///< the node that the rule is about
    const NodeView *primary;      ///< FindPrimary; may be the node itself, may be null
    const NodeView *old_primary;  ///< who must be fenced before another node may write; may be null
    const Election &election;
    std::string *why;  ///< facts for the reason
};

enum class Extra {
    kNone,
    kRemoveNode,       ///< the row goes
    kSetSync,          ///< the synchronous set becomes DesiredSync
    kForgetPrimary,    ///< nobody is, or was, the primary: it has lost what it had become that with
    kEndElection,      ///< the old primary goes on: what was found out about its end is void
    kRestartElection,  ///< who was chosen is not available any more
    kRecordTarget,     ///< the standby must hold the sealed position of the old primary
    kRecordRequired,   ///< the winner must hold what the election requires
    kNewTerm,          ///< a promotion is decided: next term
    kUndoTerm,         ///< the last promotion came to nothing: the former primary, in a next term
};

/// One row: for a node in such a situation, these goals.
struct Rule {
    int pos;
    std::string_view name;
    std::string_view section;
    std::string_view reason;
    bool (*when)(const RuleContext &);
    NodeState node_goal = NodeState::kUnknown;     ///< kUnknown: unchanged
    NodeState primary_goal = NodeState::kUnknown;  ///< of `old_primary`; kUnknown: unchanged
    Extra extra = Extra::kNone;
};

/// In order of precedence.
std::span<const Rule> RuleTable();

/// The synchronous set that the group should have, as it is now: the healthy standbys that count.
/// With too few of them for number_sync_standbys the set stays as it is, and writes wait.
SyncSet DesiredSync(const GroupView &view);
/// primary or wait_primary, as the standbys allow.
NodeState DesiredPrimaryState(const GroupView &view);
/// The set with which a node becomes the primary of a new term.
SyncSet SyncOfNewTerm(const GroupView &view, NodeId primary);

/// The conditions of the rules, by name.
namespace when {

bool IsPrimary(const RuleContext &c);
bool HasOtherPrimary(const RuleContext &c);
/// A primary that can be copied and followed now.
bool IsReadyPrimary(const GroupView &view, const NodeView *primary);

bool IsForgettable(const RuleContext &c);
bool IsLonePrimary(const RuleContext &c);
bool IsLoneStandby(const RuleContext &c);
bool IsLoneDemoted(const RuleContext &c);
bool HasNewStandby(const RuleContext &c);
bool CanBeCopied(const RuleContext &c);
bool IsInMaintenance(const RuleContext &c);
bool WasDropped(const RuleContext &c);
bool CanRejoin(const RuleContext &c);
bool IsReadyForMaintenance(const RuleContext &c);

bool CanBePromoted(const RuleContext &c);
bool CanBePromotedAfterDrop(const RuleContext &c);
bool CanBePromotedForMaintenance(const RuleContext &c);
bool MustCallOff(const RuleContext &c);
bool HasDrainExpired(const RuleContext &c);
bool IsPrimaryBack(const RuleContext &c);
bool MustUndoPromotion(const RuleContext &c);
bool IsPrimarySetBack(const RuleContext &c);
bool MustWaitForLease(const RuleContext &c);
bool IsCandidateLost(const RuleContext &c);
bool LacksWal(const RuleContext &c);
bool HasLostPrimaryAlone(const RuleContext &c);
bool HasLostPrimary(const RuleContext &c);
bool IsPrimarySealed(const RuleContext &c);
bool MustJoinElection(const RuleContext &c);
bool IsElected(const RuleContext &c);
bool MustFastForward(const RuleContext &c);
bool HasFastForwarded(const RuleContext &c);
bool HasLostSource(const RuleContext &c);
bool HasLostElection(const RuleContext &c);
bool HasDiverged(const RuleContext &c);
bool MustFollow(const RuleContext &c);

bool HasLostStandby(const RuleContext &c);
bool MustBeCopied(const RuleContext &c);
bool HasCaughtUp(const RuleContext &c);
bool MustDisableSync(const RuleContext &c);
bool CanEnableSync(const RuleContext &c);
bool MustResizeSync(const RuleContext &c);
bool MustResizeWaiting(const RuleContext &c);
bool HasAppliedSettings(const RuleContext &c);

}  // namespace when

}  // namespace pgaf::core
