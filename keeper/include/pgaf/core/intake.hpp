#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "pgaf/core/cancelled_waits.hpp"
#include "pgaf/core/group_view.hpp"
#include "pgaf/core/node_record.hpp"
#include "pgaf/core/result.hpp"

/// What the monitor makes of a report before it decides, and of the grants that it has forgotten.
namespace pgaf::core {

/// A keeper of ours counts its reports and holds leases; a foreign one is trusted with nothing.
enum class Reporter { kOurs, kForeign };

/// What is on record of the node that reports.
struct ReporterRow {
    std::string who;                                 ///< how messages call the node
    std::int64_t keeper_epoch = 0;                   ///< the highest that has reported
    std::optional<std::uint64_t> system_identifier;  ///< nothing: not known yet
    NodeState reported = NodeState::kInit;
    const Report *last = nullptr;  ///< the last one since the monitor started, if any
    std::int64_t instance = 0;     ///< that reported last; 0: not known
    bool is_connected = false;     ///< by a session other than the one that brings the report
    Milliseconds silent_age{0};    ///< since it reported, or the monitor was started
    Milliseconds lease_left{0};    ///< kNoLimit: it has an unlimited grant
};

/// See Report::instance. The boot id changes with each start of the machine, device and inode (of
/// the file whose lock makes a keeper) with each copy of the directory.
std::int64_t InstanceOf(std::string_view boot_id, std::uint64_t device, std::uint64_t inode);

/// Whether the keeper that reports may speak for its node; to be called, under the group's lock,
/// before anything of the report is noted. A copy of a node is refused while the original gives
/// signs of life: an open session, or a lease that has not run out. kBadArgument: numbers that no
/// keeper can have reached, and that nobody would catch up with.
Result<Refusal> CheckKeeper(const ReporterRow &row, const Report &report, Reporter reporter);
Reply RefusalReply(const ReporterRow &row, const Report &report, Refusal refusal);

/// What a keeper says that the monitor does not listen to because of another one: what is waited
/// for, for how long, and what it means when that does not end.
std::string ExplainSecondInstance(const Reply &reply);

/// A state that no node can be in is refused with kBadArgument.
Result<void> CheckReportedState(NodeState state);

/// The report as it counts, of a keeper that CheckKeeper has let in; to be called, under the
/// group's lock, before anything of it is noted. Of a foreign keeper's the facts that it does not
/// know of are filled in.
///
/// Fails with kRefused when a later report of the same keeper has been answered: what it says, that
/// the node is fenced above all, may be untrue by now.
Result<Report> AdmitReport(const ReporterRow &row, Report report, Reporter reporter);

/// What a report changes in the rows. Most change nothing: then nothing is written.
struct RowChange {
    bool state = false;
    bool identity = false;
    bool epoch = false;
    bool timeline = false;  ///< its history must be stored
    [[nodiscard]] bool ChangesNode() const { return state || identity || epoch; }
};
RowChange ChangeBy(const ReporterRow &row, const Report &report);

/// Whether nothing limits how long a node with a foreign keeper may write, after decisions: such a
/// keeper does not know of leases.
bool MayWriteForEver(const NodeView &node, const Report &report);

/// The monitor that answers has forgotten what this node obeyed: its rows come from a backup. It is
/// as good as a silent one.
bool HasForgotten(const NodeRecord &record, const Reply &reply);
/// What an answer that counts leaves in the record.
void NoteReply(NodeRecord &record, const Reply &reply);
/// It has obeyed newer rows than these, and does not obey a monitor that has them.
bool IsNewerThanRows(const GroupView &view, const NodeView &node);
/// By its own last word, whatever the rows say of it.
bool MayWrite(const NodeView &node);
/// A node that has obeyed newer rows; null: there is none.
const NodeView *NewerThanRows(const GroupView &view);

/// For NoteHeld: the furthest that another node has had on the timeline of the report. In the first
/// report of a server none of it comes from this server: it sends nothing before the answer.
Lsn HeldByOthers(const GroupView &view, const Report &report);

/// The grant that a node may hold from before a restart of the monitor, which has forgotten it.
enum class OldGrant { kNone, kTimed, kUnlimited };
OldGrant OldGrantOf(NodeState reported, NodeState goal);
/// What must be assumed of it at `now`, of which it is known only that the restart was earlier.
/// `instance`: that reported last.
LeaseRecord LeaseAfterRestart(OldGrant old_grant, Milliseconds lease, BootTime now,
                              std::int64_t instance = 0);

}  // namespace pgaf::core
