#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "pgaf/core/group_view.hpp"
#include "pgaf/core/result.hpp"

namespace pgaf::core {

struct Assignment {
    NodeId node;
    NodeState from = NodeState::kUnknown;  ///< previous goal
    NodeState goal = NodeState::kUnknown;
    int rule_pos = 0;
    std::string rule;    ///< name of the rule
    std::string reason;  ///< for people
};

/// What changes. The caller persists all of it in one transaction before anybody hears of it.
struct Decision {
    std::vector<Assignment> assignments;  ///< in order; a node may appear more than once
    std::optional<SyncState> sync;
    std::optional<std::int64_t> term;
    std::optional<Lsn> target_lsn;
    std::vector<NodeId> removed;          ///< rows to delete
    /// Decide again not later than this from now, even if nothing is reported.
    Milliseconds again_in{kNoLimit};
    /// Why a failover that seems due does not happen; empty otherwise.
    std::string blocked;
    [[nodiscard]] bool IsEmpty() const {
        return assignments.empty() && !sync && !term && !target_lsn && removed.empty();
    }
};

/// The monitor's rules as rows for people: SQL function dump_fsm, documentation.
struct RuleInfo {
    int pos = 0;
    std::string_view name;
    std::string_view section;
    std::string_view reason;
};
std::span<const RuleInfo> Rules();

/// The only place that chooses goals. Pure.
Decision Decide(const GroupView &view);
/// Writes a decision into the view, as the store does into the rows.
void Apply(const Decision &decision, GroupView &view);

/// The synchronous set as confirmed by this report of the primary, when it confirms the one under way.
std::optional<SyncState> ConfirmSync(const GroupView &view, const Report &report);

/// Operator requests. They fail with kRefused (state does not allow it) or kNotFound.
Result<Decision> RequestFailover(const GroupView &view);
Result<Decision> RequestRemoval(const GroupView &view, NodeId node, bool force);
/// The view already holds the changed replication_quorum of the node: the synchronous set is built anew.
Result<Decision> RequestQuorumChange(const GroupView &view, NodeId node);

/// Goal of a node that registers now: single in an empty group, else wait_standby; kRefused when the group
/// has nodes but no primary to copy from, or more nodes than are supported.
Result<NodeState> GoalForNewNode(const GroupView &view);

/// Name of the primary: the node whose goal is writable, else the one on its way out of that.
const NodeView *FindPrimary(const GroupView &view);

/// The standby may be promoted when the primary is gone: it reports and should be secondary, and its
/// membership of the synchronous set in force is confirmed (or it is asynchronous by choice).
bool IsPromotable(const GroupView &view, const NodeView &node);

enum class Liveness { kHealthy, kUnsure, kGone };
/// kGone needs strong evidence (PostgreSQL reported down, or session lost and port refused) or silence beyond
/// the limits confirmed by a second witness. kUnsure: neither healthy nor provably gone.
Liveness LivenessOf(const GroupView &view, const NodeView &node, std::string *why);

/// For the column `health` of the SQL interface: -1 unknown, 0 bad, 1 good.
int HealthOf(const GroupView &view, const NodeView &node);

/// True when nothing that the node was granted can still acknowledge a write.
bool IsProvedFenced(const GroupView &view, const NodeView &old_primary, std::string *why);

/// The answer to a report, after decisions. Its grant must be recorded before it is sent: `lease_left`
/// becomes MonitorLease(lease) for kTimed, kNoLimit for kUnlimited.
Reply BuildReply(const GroupView &view, NodeId node, KeeperHolder holder);

}  // namespace pgaf::core
