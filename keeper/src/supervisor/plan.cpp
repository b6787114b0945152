#include "supervisor/plan.hpp"

namespace pgaf::supervisor {
namespace {

using core::NodeState;
using core::Step;

constexpr std::string_view kIncomplete =
    "the data directory is incomplete; a copy must be made first";

/// PostgreSQL is not started in this state: it must not run, or it is the operator's.
bool StaysDown(NodeState state) {
    return core::IsStopped(state) || core::IsHandingOver(state) || state == NodeState::kMaintenance;
}

Plan StartAs(const PlanFacts &facts, NodeState next) {
    if (facts.is_marked) return {.action = Action::kWait, .next = facts.state, .why = kIncomplete};
    return {.action = Action::kStart, .next = next, .why = {}};
}

bool IsFollower(NodeState state) {
    return state == NodeState::kSecondary || state == NodeState::kCatchingup;
}

/// Its data cannot follow, or must be compared with the primary's first. Why a server does not
/// start may be another thing: without a primary it is started again, because an election may wait
/// for it.
bool NeedsRejoin(const PlanFacts &facts) {
    const bool fails = facts.failed_starts >= kStartsBeforeRejoin && facts.has_upstream;
    return facts.is_marked || facts.must_copy || facts.has_no_data || facts.is_wal_gone ||
           facts.has_own_writes || fails;
}

/// A primary that was stopped for want of a grant goes on where it was, as one that crashed does.
Plan Resume(const PlanFacts &facts) {
    const bool stopped_itself =
        facts.state == NodeState::kDemoteTimeout && core::IsWritable(facts.last_goal);
    const bool is_able = facts.may_resume && facts.had_peer && !facts.is_marked &&
                         facts.failed_starts < kStartsBeforeRejoin &&
                         (core::IsWritable(facts.state) || stopped_itself);
    if (!is_able) return {.action = Action::kWait, .next = facts.state, .why = {}};
    return {.action = Action::kStart,
            .next = stopped_itself ? facts.last_goal : facts.state,
            .why = {},
            .resumes = true};
}

/// The monitor learns from a primary whose standbys follow it. It stays fenced until then.
Plan Show(const PlanFacts &facts) {
    const bool stopped_itself =
        facts.state == NodeState::kDemoteTimeout && core::IsWritable(facts.last_goal);
    const bool is_able = !facts.is_marked && facts.failed_starts < kStartsBeforeRejoin &&
                         (core::IsWritable(facts.state) || stopped_itself);
    return {.action = is_able ? Action::kStart : Action::kWait,
            .next = is_able && stopped_itself ? facts.last_goal : facts.state,
            .why = {}};
}

Plan WithoutMonitor(const PlanFacts &facts) {
    const bool is_harmless =
        core::IsStandby(facts.state) || (facts.state == NodeState::kSingle && !facts.had_peer);
    const bool must_wait = facts.is_marked || facts.failed_starts >= kStartsBeforeRejoin ||
                           (IsFollower(facts.state) && NeedsRejoin(facts));
    if (is_harmless && !must_wait) return StartAs(facts, facts.state);
    return facts.has_monitor_forgotten ? Show(facts) : Resume(facts);
}

Plan AtGoal(const PlanFacts &facts) {
    if (facts.state == NodeState::kDropped) {
        return {.action = Action::kEnd, .next = facts.state, .why = {}};
    }
    if (StaysDown(facts.state)) {
        return {.action = Action::kWait, .next = facts.state, .why = {}};
    }
    return StartAs(facts, facts.state);
}

Plan OnEdge(const PlanFacts &facts, const core::Edge &edge) {
    switch (edge.step) {
        case Step::kDrop:
            return {.action = Action::kEnd, .next = NodeState::kDropped, .why = {}};
        case Step::kNone:
            return {.action = Action::kTakeState, .next = edge.to, .why = {}};
        case Step::kInitPrimary:
        case Step::kClone:
        case Step::kRejoin:
            return {.action = Action::kRunStep, .step = edge.step, .next = edge.to, .why = {}};
        case Step::kStart:
            return StartAs(facts, edge.to);
        // PostgreSQL is down already. On the way to a running state a former primary is a demoted
        // one.
        case Step::kStop:
            return {.action = Action::kTakeState,
                    .next = StaysDown(edge.to) ? edge.to : NodeState::kDemoted,
                    .why = {}};
        case Step::kDrain:
            return {.action = Action::kTakeState, .next = edge.to, .why = {}};
        default:
            return StartAs(facts, facts.state);  // the worker's, which needs a server
    }
}

}  // namespace

Plan MakePlan(const PlanFacts &facts) {
    if (!facts.goal) return WithoutMonitor(facts);
    if (IsFollower(facts.state) && IsFollower(*facts.goal) && NeedsRejoin(facts)) {
        return {.action = Action::kRunStep,
                .step = Step::kRejoin,
                .next = NodeState::kCatchingup,
                .why = {}};
    }
    if (*facts.goal == facts.state) return AtGoal(facts);
    const auto edge = core::FindEdge(facts.state, *facts.goal);
    if (!edge) {
        return {.action = Action::kWait,
                .next = facts.state,
                .why = "there is no way to the state the monitor wants"};
    }
    return OnEdge(facts, *edge);
}

}  // namespace pgaf::supervisor
