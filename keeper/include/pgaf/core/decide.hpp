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
    /// The rules behind what is no assignment (a removal, a new set alone); `goal` is unchanged.
    std::vector<Assignment> notes;
    std::optional<SyncState> sync;
    std::optional<std::int64_t> term;
    std::optional<Lsn> target_lsn;
    std::optional<NodeId> primary;  ///< GroupView::primary, and so on
    std::optional<NodeId> former;
    std::optional<NodeId> preferred;
    std::optional<int> timeline;
    std::optional<int> highest_timeline;
    std::optional<bool> accepts_data_loss;
    /// The operator answers for it that this node cannot acknowledge anything: its grants are void.
    NodeId known_off;
    std::vector<NodeId> removed;  ///< rows to delete
    /// Decide again not later than this from now, even if nothing is reported.
    Milliseconds again_in{kNoLimit};
    /// Why a failover that seems due does not happen; empty otherwise.
    std::string blocked;
    /// The rules undo each other, and were stopped: a mistake in them.
    bool exhausted = false;
    [[nodiscard]] bool IsEmpty() const {
        return assignments.empty() && removed.empty() && !ChangesGroup();
    }
    /// Something of the group itself changes.
    [[nodiscard]] bool ChangesGroup() const {
        return sync || term || target_lsn || primary || former || preferred || timeline ||
               highest_timeline || accepts_data_loss;
    }
};

/// The monitor's rules as rows for people: SQL function dump_fsm, documentation.
struct RuleInfo {
    int pos = 0;
    std::string_view name;
    std::string_view section;
    std::string_view reason;
    NodeState node_goal =
        NodeState::kUnknown;  ///< of the node that the rule is about; kUnknown: unchanged
    NodeState primary_goal = NodeState::kUnknown;  ///< of the old primary; kUnknown: unchanged
};
std::span<const RuleInfo> Rules();

/// A number that no report of the node bears yet, also when the rows are older than its reports.
constexpr std::int64_t NextGoalVersion(const NodeView &node) {
    return (node.report.goal_version > node.goal_version ? node.report.goal_version
                                                         : node.goal_version) +
           1;
}

/// The only place that chooses goals. Pure.
Decision Decide(const GroupView &view);
/// The last two moves of a decision, for the log of rules that undo each other.
std::string DescribeLastMoves(const Decision &decision);
/// Writes a decision into the view, as the store does into the rows.
void Apply(const Decision &decision, GroupView &view);

/// The synchronous set as confirmed by this report of the primary, when it confirms the one under
/// way.
std::optional<SyncState> ConfirmSync(const GroupView &view, const Report &report);

/// Operator requests. They fail with kRefused (state does not allow it), kNotFound or kBadArgument.
struct FailoverRequest {
    NodeId preferred{};  ///< whom to promote; 0: whom the priorities say
    /// Go on although acknowledged commits may be lost.
    bool allow_data_loss = false;
    /// The operator has seen to it that the machine of the old primary is off: its lease need not
    /// be waited for.
    bool primary_is_off = false;
};
Result<Decision> RequestFailover(const GroupView &view, const FailoverRequest &request = {});
Result<Decision> RequestRemoval(const GroupView &view, NodeId node, bool force);
/// `warning` is set when the request is carried out and there is something to know.
Result<Decision> RequestMaintenance(const GroupView &view, NodeId node, std::string *warning);
Result<Decision> RequestEndOfMaintenance(const GroupView &view, NodeId node);
/// Its data are to be replaced by a copy: it rests, and nobody depends on them. Maintenance ends.
Result<Decision> RequestCopy(const GroupView &view, NodeId node);
/// The number of that copy.
std::int64_t NextCopy(const NodeView &node);
/// Checks a number that the formation is about to be given.
Result<void> CheckNumberSyncStandbys(const GroupView &view, int number);
/// Checks before the replication quorum of a node is changed.
Result<void> CheckQuorumChange(const GroupView &view, NodeId node, bool quorum);
/// The number of synchronous standbys after a node has joined or left; the same when nothing needs
/// to change.
int NumberSyncStandbysAfterJoin(const GroupView &view);
int NumberSyncStandbysAfterRemoval(const GroupView &view, NodeId removed);

/// Goal of a node that registers now: single in an empty group, else wait_standby; kRefused when
/// the group has nodes but no primary to copy from.
Result<NodeState> GoalForNewNode(const GroupView &view);
/// The same for a node that another monitor has known, under the same number, in `state`. What it
/// knows of term, set and its place comes with its reports, see Learn.
Result<NodeState> GoalForKnownNode(const GroupView &view, NodeState state);

/// Name of the primary: the node whose goal is writable, else the one on its way out of that.
const NodeView *FindPrimary(const GroupView &view);

/// Whether the standby could be promoted if the primary were gone: enough standbys report for an
/// election to be sure of every acknowledged commit (or the group is asynchronous by choice), and
/// it may win it.
bool IsPromotable(const GroupView &view, const NodeView &node);

/// What a failover would find now, for people.
struct FailoverOutlook {
    NodeId primary;    ///< 0: there is none
    NodeId candidate;  ///< who would be promoted if the primary were gone; 0: nobody
    bool can_fail_over = false;
    std::string reason;  ///< why not, or why an election that is under way waits
};
FailoverOutlook OutlookOf(const GroupView &view);

enum class Liveness { kHealthy, kUnsure, kGone };
/// kGone needs strong evidence (PostgreSQL reported down, or session lost and port refused) or
/// silence beyond the limits confirmed by a second witness. kUnsure: neither healthy nor provably
/// gone.
Liveness LivenessOf(const GroupView &view, const NodeView &node, std::string *why);

/// For the column `health` of the SQL interface: -1 unknown, 0 bad, 1 good.
int HealthOf(const GroupView &view, const NodeView &node);

/// True when nothing that the node was granted can still acknowledge a write.
bool IsProvedFenced(const GroupView &view, const NodeView &old_primary, std::string *why);

/// The answer to a report, after decisions. Its grant must be recorded before it is sent:
/// `lease_left` becomes MonitorLease(lease) for kTimed, kNoLimit for kUnlimited.
Reply BuildReply(const GroupView &view, NodeId node, KeeperHolder holder);

}  // namespace pgaf::core
