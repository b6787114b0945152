#include <algorithm>

#include "supervisor/node_loop.hpp"
#include "supervisor/permanent.hpp"

/// How NodeLoop runs the long steps: beside it, while reports go on.
namespace pgaf::supervisor {
namespace {

using core::Milliseconds;
using core::ProblemCode;

/// `create` tries again for so long what fails for an unknown reason.
constexpr Milliseconds kStepPatience{60'000};
constexpr Milliseconds kWaitLines{10'000};

std::string NameOf(core::Step step) {
    switch (step) {
        case core::Step::kInitPrimary:
            return "initialising PostgreSQL";
        case core::Step::kClone:
            return "copying the primary";
        case core::Step::kRejoin:
            return "rejoining the group";
        default:
            return "step";
    }
}

Milliseconds PauseAfter(const core::Problem &problem, int failures) {
    if (problem.code == ProblemCode::kBadState)
        return Milliseconds{250};  // something is not ready yet
    return std::min(Milliseconds{30'000}, Milliseconds{500} * (1 << std::min(failures, 6)));
}

}  // namespace

void NodeLoop::BeginStep(core::Step step, core::NodeState next) {
    if (step != last_step_) {
        // How another one went says nothing about this one.
        step_failures_ = 0;
        step_alarm_.Stop();
        last_step_ = step;
    }
    if (step_alarm_.IsActive() || TurnOutStranger()) return;
    running_ = Running{.goal = reply_ ? reply_->goal : next, .next = next};
    if (step_failures_ == 0) log_.Info("Started " + NameOf(step));
    running_->may_be_damaged = BadStarts() >= kStartsBeforeRejoin && !has_replaced_damaged_;
    steps_.Begin(step, {.record = record_,
                        .reply = reply_,
                        .is_wal_gone = is_wal_gone_,
                        .must_copy = MustCopy(),
                        .has_failed_starts = running_->may_be_damaged});
}

void NodeLoop::CancelStep() {
    if (!running_) return;
    running_->is_cancelled = true;
    steps_.Cancel();
}

void NodeLoop::OnStepDone(StepOutcome outcome) {
    if (!outcome.note.empty()) Tell(outcome.note);
    const Running ended = *running_;
    running_.reset();
    if (outcome.result) {
        if (ended.may_be_damaged && outcome.is_replaced) has_replaced_damaged_ = true;
        OnStepSucceeded(outcome, ended.next);
    } else if (ended.is_cancelled) {
        step_failures_ = 0;  // it was not wanted any more: nothing has failed
    } else {
        const core::Problem &problem = outcome.result.error();
        const bool is_waiting = problem.code == ProblemCode::kBadState;
        if (!problem_.starts_with(problem.message)) {
            log_.Write(is_waiting ? LogLevel::kInfo : LogLevel::kWarn, problem);
        }
        problem_ = WithCause(problem);
        if (!is_waiting && GivesUp(problem)) return ExitAfterReport(kExitKeeperInit);
        step_alarm_.Once(PauseAfter(problem, step_failures_++));
    }
    if (IsStopping()) return OnStopped();
    Act();
}

/// `create` ends with an error when waiting does not help; a node that runs goes on trying.
bool NodeLoop::GivesUp(const core::Problem &problem) {
    if (!options_.is_init_only) return false;
    if (step_failures_ == 0) step_failing_since_ = Now();
    const auto remedy = RemedyOf(problem);
    const bool is_refused = problem.code == ProblemCode::kRefused;
    if (!is_refused && !remedy && Now() - step_failing_since_ < kStepPatience) return false;
    core::Problem last = problem;
    if (last.hint.empty())
        last.hint = remedy.value_or("The same command goes on when the reason is gone.");
    log_.Error(last);
    return true;
}

/// What `create` waits for: at once, and every 10 s.
void NodeLoop::SayWhatIsAwaited() {
    if (!options_.is_init_only || exit_status_ || running_ || Now() < next_wait_line_) return;
    if (!reply_ ||
        (record_.state != core::NodeState::kInit && record_.state != core::NodeState::kWaitStandby))
        return;
    next_wait_line_ = Now() + kWaitLines;
    if (!problem_.empty()) return log_.Info("Still waiting: " + problem_);
    for (const core::Peer &peer : reply_->peers) {
        if (!peer.is_primary) continue;
        return log_.Info("Waiting for node " + std::to_string(peer.node.value) + " \"" + peer.name +
                         "\" (" + peer.host + ":" + std::to_string(peer.port) +
                         "), which must run and accept this standby: pg_autoctl run");
    }
    log_.Info("Waiting for a primary in the group");
}

void NodeLoop::OnStepSucceeded(const StepOutcome &outcome, core::NodeState next) {
    step_failures_ = 0;
    ForgetFailedStarts();
    mute_starts_ = 0;
    is_wal_gone_ = has_own_writes_ = record_.has_own_writes = false;
    record_.system_identifier = *outcome.result;
    if (outcome.is_replaced)
        record_.copies = std::max(record_.copies + 1, reply_ ? reply_->needed_copy : 0);
    if (const auto control = files_.ReadControl()) control_ = control;
    const bool is_saved = TakeState(next) && (record_ == saved_ || Save());
    if (!is_saved) step_alarm_.Once(Milliseconds{1000});
    Report();
}

}  // namespace pgaf::supervisor
