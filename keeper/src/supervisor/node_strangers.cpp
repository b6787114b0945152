#include "supervisor/node_loop.hpp"

/// NodeLoop and the servers that somebody else starts in its directory: they are stopped, which is
/// said, and PostgreSQL is started again in the right way where it is to run.
namespace pgaf::supervisor {
namespace {

using core::Milliseconds;
using core::NodeState;

// Whoever waits for its checkpoint waits with a directory that two may write to.
constexpr Milliseconds kFastRemoval{10'000};
constexpr Milliseconds kImmediateRemoval{5'000};
constexpr std::size_t kLongestEvent = 1000;

}  // namespace

std::string NodeLoop::ServerName() const {
    return "PostgreSQL (process " + std::to_string(server_.ProcessId()) + ")";
}

/// For the monitor, with the next reports, until it has answered one of them.
void NodeLoop::Tell(const std::string &event) {
    const bool is_full = event_.size() > kLongestEvent;
    event_ = event_.empty() || is_full ? event : event_ + "; " + event;
    ++round_;  // answers to reports from before it do not say that it was heard
}

/// In maintenance the operator does as he likes, and a dropped node is no longer ours.
bool NodeLoop::IsOperators() const {
    const bool rests = !reply_ || reply_->goal == NodeState::kMaintenance;
    return record_.state == NodeState::kDropped ||
           (record_.state == NodeState::kMaintenance && rests);
}

/// True when a server runs that somebody else has started; it is on its way out then, unless it is
/// the operator's and its worker keeps the node.
bool NodeLoop::TurnOutStranger() {
    if (running_) return false;
    if (server_.IsRunning()) return is_keeper_;
    if ((is_keeper_ && IsOperators()) || !server_.Attach()) return false;
    if (!IsOperators()) OnFound();
    return true;
}

/// One that ran before this process did may be what an earlier supervisor has started: then its
/// worker shows itself.
void NodeLoop::Adopt() {
    if (core::IsStopped(record_.state)) OnFound();
}

/// As long as this process watches the node nobody else starts its server: it would not know what
/// that one read, nor which settings it lacks.
void NodeLoop::OnFound() {
    worker_seen_at_ = {};
    TurnOut({core::ProblemCode::kBadState,
             ServerName() + " was started by somebody else while the node is in state " +
                 std::string(core::ToString(record_.state)),
             "A node's PostgreSQL is started by pg_autoctl alone, which knows whether it is a "
             "primary or a standby.",
             "Do not start this cluster with pg_ctl, and disable a service of the system that "
             "does. \"pg_autoctl enable maintenance\" gives it into your hands."});
}

void NodeLoop::TurnOut(const core::Problem &why) {
    if (removal_) return;
    log_.Error(why);
    trouble_ = why.message;
    Tell(why.message + ": it was stopped");
    ExpectEnd();
    removal_ = StopMode::kFast;
    server_.Stop(StopMode::kFast);
    removal_alarm_.Once(kFastRemoval);
}

void NodeLoop::TurnOutHarder() {
    if (!server_.IsRunning()) return;
    removal_alarm_.Once(kImmediateRemoval);
    if (removal_ == StopMode::kFast) {
        log_.Warn(ServerName() + " does not stop, stopping it in mode immediate");
        removal_ = StopMode::kImmediate;
        return server_.Stop(StopMode::kImmediate);
    }
    log_.Warn(ServerName() + " does not stop, killing it");
    server_.Kill();
}

void NodeLoop::OnDown() {
    ready_since_ = {};
    const bool was_turned_out = removal_.has_value();
    removal_.reset();
    removal_alarm_.Stop();
    if (!is_keeper_) {  // the worker was, and has written the record
        reply_.reset();
        if (const auto record = files_.LoadRecord()) record_ = saved_ = *record;
    }
    if (was_turned_out && core::IsStandby(record_.state)) {
        const auto control = files_.ReadControl();
        has_own_writes_ = has_own_writes_ || (control && !control->IsStandbys());
    }
    if (FailedStarts() >= kStartsBeforeRejoin - 1) files_.NoteFailedStarts();
    if (FailedStarts() > 0) {
        if (std::string why = files_.WhyNotStarted(); !why.empty()) trouble_ = std::move(why);
    }
    if (!is_keeper_) return BecomeKeeper();
    control_ = files_.ReadControl();
    Report();
    if (!IsStopping()) Act();
}

}  // namespace pgaf::supervisor
