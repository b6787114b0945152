#include <algorithm>
#include <utility>

#include "worker/keeper.hpp"

/// The keeper's way from its state to the monitor's goal.
namespace pgaf::worker {
namespace {

constexpr core::Milliseconds kBackoffMin{250};
constexpr core::Milliseconds kBackoffMax{8000};

constexpr std::string_view kMustCompare =
    "this node was out of recovery as a standby: its data are compared with the primary's";

bool Follows(core::NodeState state) {
    return state == core::NodeState::kCatchingup || state == core::NodeState::kSecondary;
}

/// The monitor takes a node that may write for something else, and somebody else for the primary. A
/// grant without a limit, of whomever, must not outlast that.
void EndGrant(const Ports &ports) {
    const Fence fence = ports.gate.CurrentFence();
    if (fence != Fence::kOpen && fence != Fence::kHeld) return;
    ports.gate.SetFence(Fence::kClosed);
    ports.log.Warning("the monitor knows this node as a standby: it is fenced");
    ports.server.TerminateClients();
}

}  // namespace

void Keeper::Advance(Context &context) {
    // The settings hold what the bar was for.
    if (context.facts.is_barred && context.facts.has_no_upstream) ports_.server.AdmitReceiver();
    const core::NodeState goal = reply_->goal;
    if (goal == core::NodeState::kDropped) {
        Drop(context);
        return;
    }
    const bool has_left =
        core::IsStandby(record_->state) && !context.facts.in_recovery && !core::IsWritable(goal);
    if (has_left && !record_->has_own_writes) LeaveEvent();
    if (has_left && !NoteOwnWrites()) return;
    if (step_goal_ != goal) {
        step_.reset();
        step_goal_ = goal;
        step_retry_at_ = {};
        step_backoff_ = {};
    }
    // It was stopped before it had been promoted, or between the end of recovery and our record of
    // it.
    const bool must_promote = record_->state == goal && core::IsWritable(goal) &&
                              context.facts.in_recovery && !context.facts.is_crash_recovery;
    if (record_->state == goal && !must_promote) {
        StayInState(context);
        return;
    }
    if (step_ == nullptr) {
        if (now_ < step_retry_at_) return;
        auto edge = core::FindEdge(record_->state, goal);
        if (must_promote) edge = core::Edge{goal, goal, core::Step::kPromote, core::Actor::kWorker};
        if (!edge) {
            SetProblem("there is no way from state " + std::string(core::ToString(record_->state)) +
                       " to " + std::string(core::ToString(goal)));
            if (core::IsWritable(record_->state) && !core::IsWritable(goal)) EndGrant(ports_);
            return;
        }
        BeginStep(*edge, context.facts);
    }
    if (step_ != nullptr) PollStep(context);
}

void Keeper::BeginStep(const core::Edge &edge, const ServerFacts &facts) {
    if (edge.step == core::Step::kFollow && record_->has_own_writes) {
        StopServer(core::NodeState::kDemoted, std::string(kMustCompare));
        return;
    }
    const bool must_copy = record_->copies < reply_->needed_copy;
    if (edge.step == core::Step::kRejoin && (must_copy || !facts.in_recovery)) {
        StopServer(record_->state, must_copy && !reply_->copy_reason.empty()
                                       ? reply_->copy_reason
                                       : "a stopped server is needed to rejoin");
        return;
    }
    if (edge.step == core::Step::kStop) {
        // What follows a stop is the supervisor's; catchingup begins with a stopped server too.
        const bool rejoins = edge.to == core::NodeState::kCatchingup;
        StopServer(rejoins ? core::NodeState::kDemoted : edge.to, reply_->reason);
        return;
    }
    step_ = MakeStep(edge, ports_);
}

void Keeper::PollStep(Context &context) {
    const Progress progress = step_->Poll(context);
    switch (progress.kind) {
        case Progress::Kind::kRunning:
            if (!progress.problem.empty()) SetProblem(progress.problem);
            return;
        case Progress::Kind::kFailed:
            step_.reset();
            step_backoff_ = std::clamp(step_backoff_ * 2, kBackoffMin, kBackoffMax);
            step_retry_at_ = now_ + step_backoff_;
            report_at_ = now_;
            SetProblem(progress.problem);
            return;
        case Progress::Kind::kMustStop:
            report_at_ = now_;
            SetProblem(progress.problem);
            StopServer(record_->state, progress.problem);
            return;
        case Progress::Kind::kDone:
            if (!SetState(reply_->goal, reply_->reason)) return;
            step_.reset();
            has_more_ = true;
            step_backoff_ = {};
            drained_again_ = false;
            SetProblem({});
            return;
    }
}

void Keeper::DrainAgain(Context &context) {
    // Only the position is missing: the fence has survived in shared memory. After a restart of the
    // server it has not, and nobody needs the position any more.
    const bool needs = !sealed_lsn_.IsValid() && !drained_again_ && !context.facts.in_recovery &&
                       ports_.gate.CurrentFence() == Fence::kDraining;
    if (!needs || now_ < step_retry_at_) return;
    if (step_ == nullptr) step_ = MakeDrain(DrainPurpose::kAgain, ports_.gate);
    const Progress progress = step_->Poll(context);
    if (progress.kind == Progress::Kind::kRunning) return;
    step_.reset();
    step_retry_at_ = now_ + core::Milliseconds{1000};
    drained_again_ = progress.kind == Progress::Kind::kDone;
    report_at_ = now_;
}

void Keeper::StayInState(Context &context) {
    if (core::IsHandingOver(record_->state)) {
        DrainAgain(context);
        return;
    }
    step_.reset();
    std::string problem;
    if (record_->state == core::NodeState::kDemoted ||
        record_->state == core::NodeState::kDemoteTimeout) {
        StopServer(record_->state, "PostgreSQL must not run in this state");
        return;
    }
    if (core::IsStandby(record_->state) && !context.facts.in_recovery) {
        // Promoted by hand, or started without its signal file: what it writes is nobody's.
        // Who followed compares his data with the primary's before he follows again; who was to
        // seal comes back as what he was.
        StopServer(Follows(record_->state) ? core::NodeState::kDemoted : record_->state,
                   "PostgreSQL has left recovery, and this node is a standby");
        return;
    }
    if (Follows(record_->state) && record_->has_own_writes) {
        StopServer(core::NodeState::kDemoted, std::string(kMustCompare));
        return;
    }
    // Its data are of no use, however well it follows.
    if (Follows(record_->state) && !reply_->copy_reason.empty() &&
        record_->copies < reply_->needed_copy) {
        StopServer(record_->state, reply_->copy_reason);
        return;
    }
    if (Follows(record_->state) && !context.facts.lacks.empty()) {
        // Its replay never goes on in this server. The supervisor starts it with what it lacks.
        StopServer(record_->state, context.facts.lacks);
        return;
    }
    if (core::IsWritable(record_->state) && !context.facts.in_recovery) {
        const std::int64_t before = sync_.confirmed_version();
        const Progress progress = sync_.Poll(context);
        problem = progress.problem;
        if (sync_.confirmed_version() != before) report_at_ = now_;
    }
    // A step that was given up may have left it pointing at somebody.
    const bool must_be_sealed =
        core::IsInElection(record_->state) && record_->state != core::NodeState::kFastForward;
    if (must_be_sealed && !context.facts.primary_conninfo.empty() && now_ >= step_retry_at_) {
        if (const auto written = PointAtNobody(context); !written)
            problem = written.error().message;
        // Each try is some lines of the log while the settings cannot be read.
        step_retry_at_ = now_ + core::Milliseconds{config_problem_.stops_reload ? 5000 : 500};
    }
    if (Follows(record_->state) && context.reply.upstream.IsValid() && now_ >= step_retry_at_) {
        if (const auto kept = KeepUpstream(context); !kept) problem = kept.error().message;
    }
    SetProblem(std::move(problem));
}

core::Result<void> Keeper::KeepUpstream(const Context &context) {
    const auto pointed = PointsAtUpstream(context);
    if (pointed && *pointed) {
        EndBar(context);
        return {};
    }
    // A file that was just written takes a moment to be read; do not write again meanwhile.
    step_retry_at_ = now_ + core::Milliseconds{500};
    if (!pointed) return tl::unexpected(pointed.error());
    return PointAtUpstream(context);
}

void Keeper::RestartWhenAsked(const ServerFacts &facts) {
    constexpr core::Milliseconds kOrderlyLimit{60'000};
    const bool is_asked = reply_->restart_of != 0 && reply_->restart_of == facts.started_at;
    if (!is_asked || stopping_ || step_ != nullptr || record_->state != reply_->goal) return;
    ports_.log.Line("restarting PostgreSQL, as the operator wants");
    damage_.Forget(ports_.files);
    stopping_ = true;
    stop_again_at_ = now_ + kOrderlyLimit;
    ports_.server.StopOrderly();
}

/// A report of a server that is stopped at once is heard by nobody.
void Keeper::LeaveEvent() {
    const auto left = ports_.files.WriteAtomic(
        directory_ + "/" + std::string(core::kEventFile),
        "PostgreSQL accepted writes although the node is a standby (" +
            std::string(core::ToString(record_->state)) +
            "): it was promoted, or started without standby.signal, by somebody else. It was "
            "stopped");
    if (!left) ports_.log.Warning(left.error().message);
}

/// A promotion that is on record is not undone: from now on something may be acknowledged.
bool Keeper::BeginsToPromote(const core::NodeRecord &record) const {
    return core::IsWritable(record.goal) && core::IsStandby(record.state) &&
           record.promotion_term != record.term && ports_.server.IsConsistent();
}

/// False as long as the promotion is not on record.
bool Keeper::NotePromotion() {
    if (BeginsToPromote(*record_)) {
        core::NodeRecord next = *record_;
        next.promotion_term = next.term;
        if (!SaveRecord(next)) return false;
    }
    return !core::IsStandby(record_->state) || record_->promotion_term == record_->term;
}

/// False when it could not be made durable.
bool Keeper::NoteOwnWrites() {
    core::NodeRecord next = *record_;
    next.has_own_writes = true;
    return SaveRecord(next);
}

void Keeper::StopServer(core::NodeState record_state, const std::string &why) {
    ports_.gate.SetFence(Fence::kClosed);
    if (record_->state != record_state && !SetState(record_state, why)) return;
    step_.reset();
    stopping_ = true;
    stop_again_at_ = now_;
}

void Keeper::Drop(Context &context) {
    const bool hands_over = core::IsWritable(record_->state) && !context.facts.in_recovery &&
                            std::any_of(reply_->peers.begin(), reply_->peers.end(),
                                        [](const core::Peer &peer) { return peer.is_promotable; });
    if (!hands_over || drained_for_drop_) {
        StopServer(core::NodeState::kDropped, reply_->reason);
        return;
    }
    if (step_goal_ != core::NodeState::kDropped || step_ == nullptr) {
        if (step_goal_ == core::NodeState::kDropped && now_ < step_retry_at_) return;
        step_ = MakeDrain(DrainPurpose::kHandOver, ports_.gate);
        step_goal_ = core::NodeState::kDropped;
    }
    const Progress progress = step_->Poll(context);
    if (progress.kind == Progress::Kind::kRunning) return;
    step_.reset();
    step_backoff_ = std::clamp(step_backoff_ * 2, kBackoffMin, kBackoffMax);
    step_retry_at_ = now_ + step_backoff_;
    if (progress.kind == Progress::Kind::kFailed) SetProblem(progress.problem);
    drained_for_drop_ = progress.kind == Progress::Kind::kDone;
}

}  // namespace pgaf::worker
