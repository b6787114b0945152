#include "pgaf/core/decide.hpp"
#include "pgaf/core/cancelled_waits.hpp"

#include <algorithm>
#include <array>

#include "pgaf/core/cancelled_waits.hpp"
#include "pgaf/core/intake.hpp"
#include "rules.hpp"

namespace pgaf::core {
namespace {

/// A rule moves a goal, and every chain of moves ends; this bound only guards against a mistake in
/// the table.
constexpr int kRoundsMax = 256;

void SetGoal(Decision &decision, GroupView &view, NodeId id, const Rule &rule, NodeState goal,
             const std::string &reason) {
    NodeView *node = view.Find(id);
    if (goal == NodeState::kUnknown || node == nullptr || node->goal == goal) return;
    decision.assignments.push_back(
        {id, node->goal, goal, rule.pos, std::string(rule.name), reason});
    node->goal = goal;
    node->goal_age = Milliseconds{0};
    node->goal_version = NextGoalVersion(*node);
}

void SetSync(Decision &decision, GroupView &view, SyncSet set) {
    if (view.sync.goal == set) return;
    ReplaceGoal(view.sync, std::move(set));
    decision.sync = view.sync;
}

template <typename T>
void Set(std::optional<T> &change, T &field, T value) {
    if (field == value) return;
    field = value;
    change = value;
}

/// What was found out, or wished, about the next primary is of no use any more.
void ForgetElection(Decision &decision, GroupView &view) {
    Set(decision.target_lsn, view.target_lsn, Lsn{});
    Set(decision.preferred, view.preferred, NodeId{});
    Set(decision.accepts_data_loss, view.accepts_data_loss, false);
}

void BeginTerm(Decision &decision, GroupView &view, NodeId primary) {
    decision.term = ++view.term;
    decision.highest_timeline = ++view.highest_timeline;  // the one that its promotion begins
    SetSync(decision, view, SyncOfNewTerm(view, primary));
    Set(decision.former, view.former, view.primary);
    Set(decision.primary, view.primary, primary);
    ForgetElection(decision, view);
}

/// The former primary writes again where it ended. That is a term too: what the other one was told
/// in its own is void.
void UndoTerm(Decision &decision, GroupView &view, const NodeView &former) {
    decision.term = ++view.term;
    SetSync(decision, view, SyncOfNewTerm(view, former.id));
    Set(decision.timeline, view.timeline, former.report.timeline);
    Set(decision.former, view.former, NodeId{});
    Set(decision.primary, view.primary, former.id);
    ForgetElection(decision, view);
}

/// The position that a switchover needs is proved by the old primary; one that an election needs,
/// by those who were there, and they may be others now.
void RestartElection(Decision &decision, GroupView &view) {
    if (!HasSealedPrimary(view)) Set(decision.target_lsn, view.target_lsn, Lsn{});
}

void CarryOut(const Rule &rule, const RuleContext &context, Decision &decision, GroupView &view) {
    std::string reason(rule.reason);
    // Nobody is told that everything is there when that was not proved.
    if (rule.extra == Extra::kNewTerm && view.accepts_data_loss)
        reason = "the operator accepted that acknowledged commits may be lost";
    if (!context.why->empty()) reason += ": " + *context.why;
    if (rule.extra == Extra::kNewTerm && context.old_primary != nullptr &&
        context.old_primary->unconfirmed_waits > 0)
        reason += "; " + DescribeUnconfirmed(context.old_primary->unconfirmed_waits);
    const NodeId id = context.node.id;
    const NodeId old_primary = context.old_primary == nullptr ? NodeId{} : context.old_primary->id;
    const Lsn sealed =
        context.old_primary == nullptr ? Lsn{} : context.old_primary->report.sealed_lsn;
    SetGoal(decision, view, id, rule, rule.node_goal, reason);
    SetGoal(decision, view, old_primary, rule, rule.primary_goal, reason);
    if (rule.node_goal == NodeState::kUnknown && rule.primary_goal == NodeState::kUnknown) {
        const NodeState goal = context.node.goal;
        decision.notes.push_back(
            {id, goal, goal, rule.pos, std::string(rule.name), std::move(reason)});
    }
    switch (rule.extra) {
        case Extra::kNone:
            break;
        case Extra::kRemoveNode:
            decision.removed.push_back(id);
            std::erase_if(view.nodes, [&](const NodeView &node) { return node.id == id; });
            break;
        case Extra::kSetSync:
            SetSync(decision, view, DesiredSync(view));
            break;
        case Extra::kForgetPrimary:
            Set(decision.former, view.former, NodeId{});
            Set(decision.primary, view.primary, NodeId{});
            ForgetElection(decision, view);
            break;
        case Extra::kEndElection:
            ForgetElection(decision, view);
            break;
        case Extra::kRestartElection:
            RestartElection(decision, view);
            break;
        case Extra::kRecordTarget:
            Set(decision.target_lsn, view.target_lsn, sealed);
            break;
        case Extra::kRecordRequired:
            Set(decision.target_lsn, view.target_lsn, context.election.required);
            break;
        case Extra::kNewTerm:
            BeginTerm(decision, view, id);
            break;
        case Extra::kUndoTerm:
            UndoTerm(decision, view, *view.Find(id));
            break;
    }
}

/// Carries the first rule that applies out; false when none does.
bool DecideOnce(Decision &decision, GroupView &view) {
    const NodeView *primary = FindPrimary(view);
    const Election election = AssessElection(view);
    for (const Rule &rule : RuleTable()) {
        for (const NodeView &node : view.nodes) {
            std::string why;
            const RuleContext context{view,     node, primary, FindOldPrimary(view, node),
                                      election, &why};
            if (!rule.when(context)) continue;
            CarryOut(rule, context, decision, view);
            return true;
        }
    }
    return false;
}

/// Facts about the group itself that reports bring.
void NoteGroupFacts(Decision &decision, GroupView &view) {
    for (const NodeView &node : view.nodes) {
        if (!node.has_report || node.report.timeline <= view.highest_timeline) continue;
        Set(decision.highest_timeline, view.highest_timeline, node.report.timeline);
    }
    const NodeView *primary = FindPrimary(view);
    if (primary == nullptr) return;
    Set(decision.primary, view.primary, primary->id);
    const bool writes = primary->has_report && primary->report.pg_running &&
                        !primary->report.in_recovery && IsWritable(primary->reported) &&
                        primary->report.state == primary->reported;
    if (writes && primary->report.timeline > 0) {
        Set(decision.timeline, view.timeline, primary->report.timeline);
    }
}

/// The next moment at which time alone can change an answer.
Milliseconds NextDeadline(const GroupView &view) {
    Milliseconds next = kNoLimit;
    const auto consider = [&](Milliseconds in) {
        if (in > Milliseconds{0} && in != kNoLimit) next = std::min(next, in + Milliseconds{1});
    };
    for (const NodeView &node : view.nodes) {
        consider(view.timeouts.unhealthy - node.silent_age);
        consider(node.lease_left);  // of one that no standby has stopped following yet
        consider(LeaseLeftWithStream(view, node));
        if (IsHandingOver(node.goal)) {
            consider(view.timeouts.drain - node.goal_age);
        }
        if (IsInElection(node.goal)) {
            consider(view.timeouts.stragglers - node.goal_age);
            consider(view.timeouts.candidate - node.goal_age);
        }
    }
    return next;
}

/// Of rows that a node has obeyed newer ones than; else empty.
std::string WhyOld(const GroupView &view) {
    const NodeView *const newer = NewerThanRows(view);
    if (newer == nullptr) return "";
    return "the monitor's rows are older than what " + Describe(*newer) + " has obeyed (term " +
           std::to_string(newer->report.term) + ", set " +
           std::to_string(newer->report.known_sync_version) +
           "): it was restored from a backup, or made anew, and decides nothing";
}

/// Without durations: the text is logged when it changes.
std::string WhyBlocked(const GroupView &view) {
    if (const Election election = AssessElection(view); election.is_open) {
        return election.why_not.empty() ? "" : "the election waits: " + election.why_not;
    }
    const NodeView *primary = FindPrimary(view);
    std::string why;
    if (primary == nullptr && !view.nodes.empty()) {
        return CouldConclude(view, &why)
                   ? ""
                   : "the group has no primary, and no standby is promoted: " + why;
    }
    if (primary == nullptr || !IsWritable(primary->goal) || view.nodes.size() < 2 ||
        LivenessOf(view, *primary, nullptr) != Liveness::kGone) {
        return "";
    }
    if (CouldConclude(view, &why)) return "";
    return "the primary, " + Describe(*primary) + ", is gone, and no standby is promoted: " + why;
}

}  // namespace

const NodeView *GroupView::Find(NodeId id) const {
    const auto it = std::find_if(nodes.begin(), nodes.end(),
                                 [&](const NodeView &node) { return node.id == id; });
    return it == nodes.end() ? nullptr : &*it;
}

NodeView *GroupView::Find(NodeId id) {
    return const_cast<NodeView *>(static_cast<const GroupView &>(*this).Find(id));
}

Decision Decide(const GroupView &view) {
    Decision decision;
    GroupView working = view;
    decision.blocked = WhyOld(view);
    if (!decision.blocked.empty()) return decision;
    NoteGroupFacts(decision, working);
    int rounds = 0;
    while (rounds < kRoundsMax && DecideOnce(decision, working))
        ++rounds;
    decision.exhausted = rounds == kRoundsMax;
    decision.again_in = NextDeadline(working);
    decision.blocked = WhyBlocked(working);
    return decision;
}

std::string DescribeLastMoves(const Decision &decision) {
    const auto &moves = decision.assignments.empty() ? decision.notes : decision.assignments;
    std::string text;
    for (std::size_t i = moves.size() < 2 ? 0 : moves.size() - 2; i < moves.size(); ++i) {
        const Assignment &move = moves.at(i);
        text += (text.empty() ? "" : ", ") + move.rule + " (node " +
                std::to_string(move.node.value) + " -> " + std::string(ToString(move.goal)) + ")";
    }
    return text;
}

void Apply(const Decision &decision, GroupView &view) {
    for (const Assignment &assignment : decision.assignments) {
        if (NodeView *node = view.Find(assignment.node)) {
            node->goal = assignment.goal;
            node->goal_age = Milliseconds{0};
            node->goal_version = NextGoalVersion(*node);
        }
    }
    for (const NodeId id : decision.removed) {
        std::erase_if(view.nodes, [&](const NodeView &node) { return node.id == id; });
    }
    if (decision.sync) view.sync = *decision.sync;
    if (decision.term) view.term = *decision.term;
    if (decision.target_lsn) view.target_lsn = *decision.target_lsn;
    if (decision.primary) view.primary = *decision.primary;
    if (decision.former) view.former = *decision.former;
    if (decision.preferred) view.preferred = *decision.preferred;
    if (decision.timeline) view.timeline = *decision.timeline;
    if (decision.highest_timeline) view.highest_timeline = *decision.highest_timeline;
    if (decision.accepts_data_loss) view.accepts_data_loss = *decision.accepts_data_loss;
}

std::optional<SyncState> ConfirmSync(const GroupView &view, const Report &report) {
    const NodeView *primary = FindPrimary(view);
    if (primary == nullptr || primary->id != report.node || view.sync.IsSettled() ||
        report.sync_version != view.sync.goal_version || !IsWritable(report.state)) {
        return std::nullopt;
    }
    // With members, the lease must be in force too: from now on another node can be promoted.
    const bool is_in_force = view.sync.goal.members.empty() ||
                             (report.lease_mode && (report.state == NodeState::kPrimary ||
                                                    report.state == NodeState::kApplySettings));
    if (!is_in_force) return std::nullopt;
    SyncState confirmed = view.sync;
    ConfirmGoal(confirmed);
    return confirmed;
}

const NodeView *FindPrimary(const GroupView &view) {
    const auto find = [&](auto is) -> const NodeView * {
        const auto it = std::find_if(view.nodes.begin(), view.nodes.end(), is);
        return it == view.nodes.end() ? nullptr : &*it;
    };
    const NodeView *primary = find([](const NodeView &node) { return IsWritable(node.goal); });
    if (primary != nullptr) return primary;
    return find([](const NodeView &node) { return IsPrimaryIsh(node.goal); });
}

FailoverOutlook OutlookOf(const GroupView &view) {
    FailoverOutlook outlook;
    if (const NodeView *primary = FindPrimary(view)) outlook.primary = primary->id;
    outlook.reason = WhyOld(view);
    if (!outlook.reason.empty()) return outlook;
    outlook.reason = WhyBlocked(view);
    if (IsElectionOpen(view)) {
        outlook.candidate = AssessElection(view).winner;
        outlook.can_fail_over = outlook.candidate.IsValid();
        return outlook;
    }
    std::string why;
    outlook.candidate = BestCandidate(view);
    outlook.can_fail_over = CouldConclude(view, &why) && outlook.candidate.IsValid();
    if (outlook.can_fail_over || !outlook.reason.empty()) return outlook;
    outlook.reason = why.empty() ? "no standby is a healthy secondary" : why;
    return outlook;
}

bool IsPromotable(const GroupView &view, const NodeView &node) {
    if (!IsStable(node, NodeState::kSecondary) || node.candidate_priority <= 0) return false;
    if (IsReplayStuck(view, node) || LetsNobodyIn(view, node) || CannotReload(node)) return false;
    return CouldConclude(view, nullptr);
}

}  // namespace pgaf::core
