#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "io/log.hpp"
#include "node/node_supervisor.hpp"

/// How NodeSupervisor runs the long steps: in a thread, while reports go on.
namespace pgaf::node {
namespace {

std::string_view NameOf(core::Step step) {
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

Result<std::uint64_t> Carry(core::Step step, const StepContext &context) {
    switch (step) {
        case core::Step::kInitPrimary:
            return InitPrimary(context);
        case core::Step::kClone:
            return Clone(context);
        case core::Step::kRejoin:
            return Rejoin(context);
        default:
            return Fail(ProblemCode::kInternal, "not a step of the supervisor");
    }
}

Milliseconds PauseAfter(const Problem &problem, int failures) {
    if (problem.code == ProblemCode::kBadState)
        return Milliseconds{250};  // something is not ready yet
    return std::min(Milliseconds{30'000}, Milliseconds{500} * (1 << std::min(failures, 6)));
}

}  // namespace

StepContext NodeSupervisor::MakeContext() {
    return StepContext{.config = options_.config,
                       .paths = options_.paths,
                       .install = options_.install,
                       .record = record_,
                       .keeper = keeper_,
                       .reply = reply_,
                       .cancel = cancel_.get(),
                       .is_wal_gone = is_wal_gone_};
}

void NodeSupervisor::RunStep(core::Step step, core::NodeState next) {
    cancel_ = std::make_unique<io::Cancel>();
    step_goal_ = reply_ ? reply_->goal : next;
    if (step_failures_ == 0) spdlog::info("Started {}", NameOf(step));
    struct Shared {
        StepContext context;
        Result<std::uint64_t> result = 0;
        std::string note{};
    };
    auto shared = std::make_shared<Shared>(Shared{MakeContext()});
    shared->context.note = &shared->note;
    io::RunInThread(
        LoopHandle(), [shared, step] { shared->result = Carry(step, shared->context); },
        [this, shared, next] {
            if (!shared->note.empty()) {
                event_ = std::move(shared->note);
                ++round_;  // answers to reports from before it do not say that it was heard
            }
            OnStepDone(next, std::move(shared->result));
        });
}

void NodeSupervisor::OnStepDone(core::NodeState next, Result<std::uint64_t> result) {
    const bool was_cancelled = cancel_->IsRequested();
    cancel_.reset();
    if (result) {
        step_failures_ = 0;
        ForgetFailedStarts();
        is_wal_gone_ = false;
        record_.system_identifier = *result;
        if (auto control = io::ReadControlData(options_.install, options_.paths.pgdata))
            control_ = *control;
        const bool is_saved = TakeState(next) && (record_ == saved_ || Save());
        if (!is_saved) step_timer_.Once(Milliseconds{1000});
        Report();
    } else {
        if (!was_cancelled && result.error().message != problem_) {
            const bool is_waiting = result.error().code == ProblemCode::kBadState;
            io::LogProblem(is_waiting ? spdlog::level::info : spdlog::level::warn, result.error());
        }
        problem_ = result.error().message;
        if (result.error().code == ProblemCode::kRefused && options_.is_init_only &&
            !was_cancelled) {
            return ExitAfterReport(8);
        }
        step_timer_.Once(PauseAfter(result.error(), step_failures_++));
    }
    if (IsStopping()) return OnStopped();
    Act();
}

}  // namespace pgaf::node
