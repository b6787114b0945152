#include <algorithm>

#include "supervisor/node_loop.hpp"

/// How NodeLoop runs the long steps: beside it, while reports go on.
namespace pgaf::supervisor {
namespace {

using core::Milliseconds;
using core::ProblemCode;

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
    steps_.Begin(
        step,
        {.record = record_, .reply = reply_, .is_wal_gone = is_wal_gone_, .must_copy = MustCopy()});
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
        OnStepSucceeded(outcome, ended.next);
    } else if (ended.is_cancelled) {
        step_failures_ = 0;  // it was not wanted any more: nothing has failed
    } else {
        const core::Problem &problem = outcome.result.error();
        const bool is_waiting = problem.code == ProblemCode::kBadState;
        if (problem.message != problem_) {
            log_.Write(is_waiting ? LogLevel::kInfo : LogLevel::kWarn, problem);
        }
        problem_ = problem.message;
        if (problem.code == ProblemCode::kRefused && options_.is_init_only) {
            return ExitAfterReport(kExitKeeperInit);
        }
        step_alarm_.Once(PauseAfter(problem, step_failures_++));
    }
    if (IsStopping()) return OnStopped();
    Act();
}

void NodeLoop::OnStepSucceeded(const StepOutcome &outcome, core::NodeState next) {
    step_failures_ = 0;
    ForgetFailedStarts();
    is_wal_gone_ = has_own_writes_ = false;
    record_.system_identifier = *outcome.result;
    if (outcome.is_replaced)
        record_.copies = std::max(record_.copies + 1, reply_ ? reply_->needed_copy : 0);
    if (const auto control = files_.ReadControl()) control_ = control;
    const bool is_saved = TakeState(next) && (record_ == saved_ || Save());
    if (!is_saved) step_alarm_.Once(Milliseconds{1000});
    Report();
}

}  // namespace pgaf::supervisor
