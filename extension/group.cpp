#include "group.hpp"

#include "facts/node_facts.hpp"
#include "facts/wake.hpp"
#include "facts/workers.hpp"
#include "pg/clock.hpp"
#include "pg/report.hpp"
#include "settings.hpp"

#include <algorithm>
#include <utility>

namespace pgaf {
namespace {

using core::NodeId;

/// Every chain of rules is short; more rounds mean a mistake in the rules.
constexpr int kRoundsMax = 16;
/// The worker looks then whether the row of a removed node is gone.
constexpr core::Milliseconds kForgetAfter{60'000};

/// What was last logged as blocked by this process: said once, not with every report.
char last_blocked[256];

/// A decision that was heard of must survive a crash, whatever synchronous_commit says.
void MakeDurable() {
    pg::CallPg([] { ForceSyncCommit(); });
}

[[noreturn]] void RaiseNoNode(NodeId node) {
    throw pg::PgError(ERRCODE_UNDEFINED_OBJECT,
                      "node " + std::to_string(node.value) + " does not exist");
}

}  // namespace

Group Group::Lock(const store::GroupKey &key) {
    if (IsolationUsesXactSnapshot()) {
        throw pg::PgError(ERRCODE_INVALID_TRANSACTION_STATE,
                          "a group can be changed only in a READ COMMITTED transaction");
    }
    Group group(key);
    store::LockGroup(key);
    group.Reload();
    return group;
}

void Group::Reload() {
    std::optional<store::GroupRows> rows = store::LoadGroup(key_);
    if (!rows) {
        throw pg::PgError(ERRCODE_INVALID_OBJECT_DEFINITION,
                          "formation \"" + key_.formation + "\" does not exist", {},
                          "Create it with pg_autoctl create formation.");
    }
    view_ = std::move(rows->view);
    rows_ = std::move(rows->nodes);
    view_.timeouts = settings::CurrentTimeouts();
    const core::BootTime now = pg::BootNow();
    for (const store::NodeRow &row : rows_) {
        view_.nodes.push_back(row.view);
        core::NodeView &node = view_.nodes.back();
        const core::OldGrant old_grant = core::OldGrantOf(node.reported, node.goal);
        facts::FillView(
            facts::FindOrCreate(node.id, old_grant, view_.timeouts.lease, row.keeper_instance), now,
            node);
        node.report.formation = key_.formation;
        node.report.group = key_.group;
    }
    HoldDuringRestart();
}

/// A server that the operator has restarted comes back: nobody takes its place meanwhile. A server
/// that has not come back within a minute is lost like any other.
void Group::HoldDuringRestart() {
    for (const store::NodeRow &row : rows_) {
        const core::NodeView *const node = view_.Find(row.view.id);
        const std::int64_t runs = node->report.server_start;
        const bool is_awaited = row.is_restart_new && (runs == 0 || runs == row.restart_of);
        if (!is_awaited || !core::IsWritable(row.view.goal)) continue;
        for (core::NodeView &other : view_.nodes) {
            if (other.id != row.view.id && other.id != view_.preferred)
                other.candidate_priority = 0;
        }
    }
}

void Group::RefreshFacts(NodeId id) {
    core::NodeView *const node = view_.Find(id);
    const std::optional<facts::NodeFacts> facts = facts::Find(id);
    if (node == nullptr || !facts) return;
    facts::FillView(*facts, pg::BootNow(), *node);
    node->report.formation = key_.formation;
    node->report.group = key_.group;
}

store::NodeRow *Group::FindRow(NodeId id) {
    const auto it = std::find_if(rows_.begin(), rows_.end(),
                                 [id](const store::NodeRow &row) { return row.view.id == id; });
    return it == rows_.end() ? nullptr : &*it;
}

store::NodeRow Group::RowOf(NodeId id) const {
    const store::NodeRow *const stored = const_cast<Group *>(this)->FindRow(id);
    const core::NodeView *const node = view_.Find(id);
    if (stored == nullptr || node == nullptr) RaiseNoNode(id);
    store::NodeRow row = *stored;
    row.view = *node;
    if (node->has_report && node->report.timeline > 0) row.timeline = node->report.timeline;
    if (node->has_report && node->report.lsn.IsValid()) row.lsn = node->report.lsn;
    return row;
}

void Group::StoreReported(const store::ReportedRow &reported, Announcement announcement) {
    store::UpdateReported(reported);
    MakeDurable();
    core::NodeView *const node = view_.Find(reported.node);
    store::NodeRow *const row = FindRow(reported.node);
    if (node == nullptr || row == nullptr) return;
    node->reported = reported.state;
    row->keeper_epoch = reported.keeper_epoch;
    row->keeper_instance = reported.keeper_instance;
    if (!reported.replication_state.empty()) row->replication_state = reported.replication_state;
    if (announcement == Announcement::kNone) return;
    store::Announce(key_, RowOf(node->id),
                    "New state is reported by " + store::Describe(*node) + ": \"" +
                        std::string(core::ToString(reported.state)) + "\"");
    WakeKeepers();
}

void Group::WakeKeepers() const {
    for (const core::NodeView &node : view_.nodes)
        facts::WakeAtCommit(node.id);
}

void Group::StoreSync(const core::SyncState &sync) {
    view_.sync = sync;
    store::UpdateGroupState(view_);
    MakeDurable();
    WakeKeepers();
    pg::Log("synchronous set of formation \"" + key_.formation + "\" group " +
            std::to_string(key_.group) + ": version " + std::to_string(sync.goal_version) + " \"" +
            core::ToSetting(sync.goal) + "\"" + (sync.IsSettled() ? " is in force" : ""));
}

void Group::CarryAssignment(const core::Assignment &assignment) {
    core::NodeView *const node = view_.Find(assignment.node);
    if (node == nullptr) return;
    node->goal_version = core::NextGoalVersion(*node);
    store::UpdateGoal(node->id, assignment.goal, node->goal_version);
    node->goal = assignment.goal;
    node->goal_age = core::Milliseconds{0};
    facts::NoteGoal(node->id, assignment.reason);
    store::Announce(key_, RowOf(node->id),
                    "Setting goal state of " + store::Describe(*node) + " to " +
                        std::string(core::ToString(assignment.goal)) + ": " + assignment.reason,
                    {assignment.rule_pos, assignment.rule, assignment.reason});
}

void Group::CarryRemoval(NodeId id, const core::Decision &decision) {
    const store::NodeRow row = RowOf(id);
    facts::WakeAtCommit(id);
    store::DeleteNode(id);
    facts::ForgetAtCommit(id);
    store::Cause cause;
    for (const core::Assignment &note : decision.notes) {
        if (note.node == id) cause = {note.rule_pos, note.rule, note.reason};
    }
    store::Announce(key_, row,
                    "Removing " + store::Describe(row.view) + " from formation \"" +
                        key_.formation + "\" and group " + std::to_string(key_.group),
                    cause);
    // The facts stay until the removal has certainly been committed.
    facts::DecideBy(id, pg::BootNow() + kForgetAfter);
    std::erase_if(view_.nodes, [id](const core::NodeView &node) { return node.id == id; });
}

/// What a rule changed without a new goal for anybody has an event all the same.
void Group::TellNotes(const core::Decision &decision) const {
    for (const core::Assignment &note : decision.notes) {
        if (view_.Find(note.node) == nullptr || !decision.sync) continue;
        const std::string set = core::ToSetting(decision.sync->goal);
        store::Announce(key_, RowOf(note.node),
                        "Synchronous standbys of formation \"" + key_.formation + "\" and group " +
                            std::to_string(key_.group) + ": " + (set.empty() ? "none" : set) +
                            ": " + note.reason,
                        {note.rule_pos, note.rule, note.reason});
    }
}

void Group::Carry(const core::Decision &decision) {
    if (decision.IsEmpty()) return;
    MakeDurable();
    for (const core::Assignment &assignment : decision.assignments)
        CarryAssignment(assignment);
    for (const NodeId id : decision.removed) {
        if (FindRow(id) != nullptr && view_.Find(id) != nullptr) CarryRemoval(id, decision);
    }
    TellNotes(decision);
    CarryGroup(decision);
    WakeKeepers();
}

/// What belongs to the group itself. The assignments have been applied, one by one.
void Group::CarryGroup(core::Decision decision) {
    decision.assignments.clear();
    decision.removed.clear();
    decision.notes.clear();
    core::Apply(decision, view_);
    if (decision.known_off.IsValid()) facts::VoidGrants(decision.known_off);
    if (view_.nodes.empty()) {  // the next first node starts without a synchronous set
        const std::int64_t version = view_.sync.goal_version + 1;
        view_.sync = {
            .goal = {}, .goal_version = version, .confirmed = {}, .confirmed_version = version};
        view_.target_lsn = {};
        view_.primary = view_.preferred = {};
        view_.timeline = 0;
        StoreSync(view_.sync);
    } else if (decision.sync) {
        StoreSync(view_.sync);
    } else if (decision.ChangesGroup()) {
        store::UpdateGroupState(view_);
    }
}

void Group::Settle() {
    core::Decision decision = core::Decide(view_);
    std::string unrest;
    for (int round = 0; !decision.IsEmpty() && round < kRoundsMax; ++round) {
        Carry(decision);
        if (decision.exhausted) unrest = core::DescribeLastMoves(decision);
        decision = core::Decide(view_);
    }
    if (!decision.IsEmpty()) unrest = core::DescribeLastMoves(decision);
    if (!unrest.empty()) {
        pg::Log("rules of formation \"" + key_.formation + "\" group " +
                std::to_string(key_.group) + " undo each other: " + unrest);
    }
    StoreHealth();
    StoreStall();
    NoteBlocked(decision.blocked);
    PlanNextLook(decision.again_in);
}

void Group::StoreHealth() {
    for (const core::NodeView &node : view_.nodes) {
        const int health = core::HealthOf(view_, node);
        store::NodeRow *const row = FindRow(node.id);
        if (row == nullptr || health < 0 || row->health == health) continue;
        row->health = health;
        store::UpdateHealth(node.id, health);
        store::Announce(key_, RowOf(node.id),
                        store::Describe(node) + " is marked as " +
                            (health == 0 ? "unhealthy" : "healthy") + " by the monitor");
    }
}

/// For people, who wonder why writes hang: the primary waits for standbys, and none confirms.
void Group::StoreStall() {
    for (const core::NodeView &node : view_.nodes) {
        store::NodeRow *const row = FindRow(node.id);
        const bool waits = core::IsWritable(node.goal) && node.has_report &&
                           node.report.pg_running && !view_.sync.goal.members.empty();
        const auto &standbys = node.report.standbys;
        const bool is_stalled =
            waits &&
            std::none_of(standbys.begin(), standbys.end(), [this](const core::StandbyFact &s) {
                return s.streaming && view_.sync.goal.Contains(s.node);
            });
        if (row == nullptr || row->is_stalled == is_stalled) continue;
        row->is_stalled = is_stalled;
        store::UpdateStall(node.id, is_stalled);
    }
}

void Group::NoteBlocked(const std::string &blocked) const {
    if (blocked.compare(0, sizeof last_blocked - 1, last_blocked) == 0) return;
    strlcpy(last_blocked, blocked.c_str(), sizeof last_blocked);
    if (!blocked.empty())
        pg::Log("no failover in formation \"" + key_.formation + "\": " + blocked);
}

void Group::PlanNextLook(core::Milliseconds again_in) const {
    const bool is_planned = again_in != core::kNoLimit && !view_.nodes.empty();
    const core::BootTime at = is_planned ? pg::BootNow() + again_in : core::kForever;
    for (std::size_t i = 0; i < view_.nodes.size(); ++i) {
        const std::int64_t at_ns = i == 0 ? at.ns : facts::kNever;
        (void)facts::Update(view_.nodes.at(i).id,
                            [at_ns](facts::NodeFacts &entry) { entry.decide_at_ns = at_ns; });
    }
    facts::WakeWorkerBy(at);
}

}  // namespace pgaf
