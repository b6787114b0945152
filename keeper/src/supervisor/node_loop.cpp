#include "supervisor/node_loop.hpp"

#include <algorithm>
#include <utility>

/// NodeLoop as the keeper: what it reports, and how it obeys. Steps are in node_steps.cpp, what it
/// watches while PostgreSQL runs in node_watch.cpp.
#include "pgaf/core/intake.hpp"
#include "pgaf/core/plausible.hpp"

namespace pgaf::supervisor {
namespace {

using core::Milliseconds;
using core::NodeState;

constexpr Milliseconds kBatonRetry{20};
constexpr Milliseconds kSaveRetry{1000};
constexpr Milliseconds kLastReportLimit{1500};
/// A copy waits until the original is gone.
constexpr Milliseconds kRefusedInterval{2000};
/// For the first answer of the monitor after our start.
constexpr Milliseconds kFirstAnswerLimit{3000};

}  // namespace

NodeLoop::NodeLoop(NodePorts ports, NodeOptions options)
    : ServerLoop({ports.clock, ports.server, ports.process, ports.log}),
      files_(ports.files),
      baton_(ports.baton),
      link_(ports.link),
      steps_(ports.steps),
      options_(std::move(options)),
      report_alarm_(AlarmList(), [this] { Report(); }),
      baton_alarm_(AlarmList(), [this] { BecomeKeeper(); }),
      exit_alarm_(AlarmList(), [this] { Exit(exit_status_.value_or(0)); }),
      step_alarm_(AlarmList(), [this] { Act(); }),
      save_alarm_(AlarmList(),
                  [this] {
                      Report();
                      Act();
                  }),
      removal_alarm_(AlarmList(), [this] { TurnOutHarder(); }) {}

std::string NodeLoop::Self() const {
    return std::to_string(record_.node.value) + " \"" + options_.settings.name + "\"";
}

void NodeLoop::OnBegin() {
    if (auto record = files_.LoadRecord()) {
        record_ = saved_ = *record;
    } else {
        log_.Error(record.error());
        return ExitAfterReport(kExitKeeperInit);
    }
    SaveKeeperConfig("");
    if (record_.state == NodeState::kDropped) {
        log_.Error("This node was dropped from the monitor");
        log_.Info("HINT:  pg_autoctl create postgres registers it again.");
        exit_status_ = kExitDropped;  // says so once more: the monitor may not have heard it
        exit_alarm_.Once(kLastReportLimit);
        return BecomeKeeper();
    }
    last_reply_ = Now();
    first_answer_by_ = Now() + kFirstAnswerLimit;
    if (server_.Attach()) return Adopt();
    // A frozen process of a server that died before us could hold the baton, or an answer to a
    // client.
    if (auto killed = server_.KillLeftovers(); !killed) log_.Error(killed.error());
    BecomeKeeper();
}

void NodeLoop::SaveKeeperConfig(const std::string &hostaddr) {
    if (auto saved = files_.SaveKeeperConfig(record_, hostaddr); !saved) log_.Error(saved.error());
}

// The worker let go of the baton when its server ended; what is left of that server was killed
// before this.
void NodeLoop::BecomeKeeper() {
    const auto taken = baton_.Take();
    if (!taken) {
        log_.Error(taken.error());
        return baton_alarm_.Once(Milliseconds{1000});
    }
    if (!*taken) {
        // Of a server that somebody has started meanwhile, perhaps.
        if (!TurnOutStranger()) baton_alarm_.Once(kBatonRetry);
        return;
    }
    if (const auto pause = RenewRecord()) {
        baton_.Release();
        return baton_alarm_.Once(*pause);
    }
    // Only a promotion, or somebody's hand, takes it away.
    if (!server_.IsRunning() && files_.KeepRole(record_.state) && !record_.has_own_writes) {
        record_.has_own_writes = has_own_writes_ = true;
        (void)Save();  // as long as this process lives it knows
        log_.Warn("standby.signal was missing: PostgreSQL may have been out of recovery");
    }
    is_keeper_ = true;
    ++round_;
    reply_.reset();
    problem_.clear();
    control_ = files_.ReadControl();
    if (const auto event = files_.TakeEvent()) Tell(*event);
    log_.Info("PostgreSQL is down: node " + Self() + " in state " +
              std::string(core::ToString(record_.state)) + " is kept by this process");
    Report();
    if (!IsStopping()) Act();
}

std::optional<Milliseconds> NodeLoop::RenewRecord() {
    auto record = files_.LoadRecord();
    if (!record) {
        log_.Error(record.error());
        return Milliseconds{5000};
    }
    record_ = saved_ = *record;
    ++record_.keeper_epoch;
    is_same_run_ = record_.instance != 0 && record_.instance == baton_.Instance();
    is_monitor_away_ = record_.resumes = is_old_term_said_ = false;
    if (has_own_writes_) record_.has_own_writes = true;
    record_.instance = baton_.Instance();
    if (!Save()) return kSaveRetry;
    return std::nullopt;
}

core::Report NodeLoop::MakeReport() const {
    core::Report report;
    report.formation = options_.settings.formation;
    report.node = record_.node;
    report.group = record_.group;
    report.keeper_epoch = record_.keeper_epoch;
    report.instance = record_.instance;
    report.holder = core::KeeperHolder::kSupervisor;
    report.state = record_.state;
    report.term = record_.term;
    report.promotion_term = record_.promotion_term;
    report.copies = record_.copies;
    report.pg_running = false;
    report.in_recovery = core::IsStandby(record_.state);
    report.fenced = true;
    report.sync_version = record_.sync_version;
    report.known_sync_version = record_.known_sync_version;
    report.system_identifier = record_.system_identifier;
    if (control_) {
        // What is incomplete is on no timeline.
        if (!files_.IsMarked()) {
            report.timeline = control_->timeline;
            report.history = control_->history;
            report.lsn = std::max(control_->checkpoint, control_->min_recovery);
        }
        if (report.system_identifier == 0) report.system_identifier = control_->system_identifier;
    }
    report.problem = problem_.empty() ? trouble_ : problem_;
    report.event = event_;
    if (running_) report.copying = steps_.Progress();
    report.pg_version = options_.pg_version;
    files_.FillSettings(report);
    return report;
}

void NodeLoop::Report() {
    // A report says that nothing runs: that must be so.
    if (!is_keeper_ || TurnOutStranger()) return;
    is_link_needed_ = true;
    core::Report report = MakeReport();
    report.sequence = ++sequence_;
    link_.Send(std::move(report), round_);
    const Milliseconds interval = reply_ ? reply_->report_interval : Milliseconds{500};
    report_alarm_.Once(refusal_ == core::Refusal::kSecondInstance ? kRefusedInterval : interval);
}

void NodeLoop::OnReply(const core::Reply &reply, int tag) {
    if (tag == round_) event_.clear();         // heard, also when the worker is the keeper by now
    if (!is_keeper_ || tag != round_) return;  // answers a report of another time
    if (exit_status_) return Exit(*exit_status_);
    const std::string why = core::ImplausibleOrder(record_, reply);
    if (!why.empty()) return SayProblem("the monitor's answer is not believed: " + why);
    last_reply_ = Now();
    refusal_ = reply.refusal;
    first_answer_by_ = {};
    if (refusal_ != core::Refusal::kNone) return OnRefusal(reply);
    if (core::HasForgotten(record_, reply)) return IgnoreOldTerm(reply);
    is_old_term_said_ = false;
    const core::NodeRecord before = record_;
    core::NoteReply(record_, reply);
    record_.group = reply.group;
    if (!(before == record_) && !Save()) return;  // it comes again
    if (before.goal != reply.goal) {
        log_.Info("The monitor assigned state " + std::string(core::ToString(reply.goal)) +
                  " to node " + Self() + ", which is in " +
                  std::string(core::ToString(record_.state)) +
                  (reply.reason.empty() ? "" : ": " + reply.reason));
    }
    reply_ = reply;
    if (!running_) files_.TakeSettings(reply);
    if (running_ && reply.goal != running_->goal && reply.goal != record_.state) CancelStep();
    if (!IsStopping()) Act();
}

void NodeLoop::OnRefusal(const core::Reply &reply) {
    reply_.reset();
    if (refusal_ == core::Refusal::kSecondInstance) {
        CancelStep();
        return SayProblem(core::ExplainSecondInstance(reply));
    }
    // What is on record here may be long past. The monitor says what the node is now; as a primary
    // it does not come back by itself.
    Tell("the node was set back to an old disk: its keeper counted " +
         std::to_string(record_.keeper_epoch) + " starts, the monitor " +
         std::to_string(reply.known_epoch));
    record_.keeper_epoch = reply.known_epoch + 1;
    if (core::IsPrimaryIsh(record_.state)) record_.state = NodeState::kDemoted;
    if (!Save()) return;
    refusal_ = core::Refusal::kNone;
    ++round_;
    Report();
}

/// A monitor that came back from an old backup must not undo a failover.
void NodeLoop::IgnoreOldTerm(const core::Reply &reply) {
    if (is_old_term_said_) return;
    is_old_term_said_ = true;
    log_.Warn("The monitor has forgotten decisions (term " + std::to_string(reply.term) + ", set " +
              std::to_string(reply.sync_version) + " after term " + std::to_string(record_.term) +
              ", set " + std::to_string(record_.known_sync_version) + "): its orders are ignored");
    Act();
}

void NodeLoop::OnLinkProblem(const core::Problem &problem) {
    const bool was_awaited = std::exchange(first_answer_by_, {}).ns != 0;
    if (exit_status_ == kExitDropped) return Exit(kExitDropped);  // forgotten already
    log_.Warn(problem);
    const bool is_news = !std::exchange(is_monitor_away_, true);
    if ((was_awaited || is_news) && !IsStopping()) Act();
}

void NodeLoop::Act() {
    for (int turn = 0; turn < 4 && ActOnce(); ++turn) {
    }
}

/// True when the state has changed and there may be more to do.
bool NodeLoop::ActOnce() {
    if (!is_keeper_ || running_ || IsStopping() || exit_status_ || server_.IsRunning()) {
        return false;
    }
    if (options_.is_init_only && IsInitDone()) {
        ExitAfterReport(0);
        return false;
    }
    PlanFacts facts{.state = record_.state,
                    .last_goal = record_.goal,
                    .may_resume = is_same_run_ && is_monitor_away_ && link_.SentTag() != round_,
                    .has_monitor_forgotten = is_old_term_said_,
                    .had_peer = record_.had_peer,
                    .is_marked = files_.IsMarked(),
                    .failed_starts = reply_ ? BadStarts() : FailedStarts(),
                    .has_upstream = !reply_ || reply_->upstream.IsValid(),
                    .must_copy = MustCopy(),
                    .has_no_data = files_.HasNoData(),
                    .is_wal_gone = is_wal_gone_,
                    .has_own_writes = has_own_writes_ || record_.has_own_writes};
    if (reply_) facts.goal = reply_->goal;
    if (refusal_ != core::Refusal::kNone) return false;
    const Plan plan = MakePlan(facts);
    if (!plan.why.empty()) SayProblem(std::string(plan.why));
    if (plan.action == Action::kStart && AwaitsFirstAnswer()) return false;
    if (plan.action != Action::kStart) CancelStart();
    switch (plan.action) {
        case Action::kWait:
            return false;
        case Action::kTakeState:
            if (!TakeState(plan.next)) return false;
            Report();
            return true;
        case Action::kStart:
            record_.resumes = plan.resumes;
            if (plan.resumes) log_.Info("The monitor is away: the synchronous standbys decide");
            if (TakeState(plan.next)) StartServer();
            return false;
        case Action::kRunStep:
            BeginStep(plan.step, plan.next);
            return false;
        case Action::kEnd:
            if (!TakeState(NodeState::kDropped)) return false;
            log_.Info("Node " + Self() + " was dropped");
            if (auto left = files_.LeaveOrdinary(); !left) log_.Error(left.error());
            ExitAfterReport(kExitDropped);
            return false;
    }
    return false;
}

/// Whether this node is a copy of another one is known with the first answer. Without a monitor
/// that answers, it starts as what it is on record.
bool NodeLoop::AwaitsFirstAnswer() {
    if (first_answer_by_.ns == 0) return false;
    if (Now() >= first_answer_by_) {
        first_answer_by_ = {};
        return false;
    }
    step_alarm_.Once(first_answer_by_ - Now() + Milliseconds{1});
    return true;
}

bool NodeLoop::MustCopy() const { return reply_ && record_.copies < reply_->needed_copy; }

bool NodeLoop::IsInitDone() const {
    if (core::IsStandby(record_.state) && files_.HasNoData()) return false;  // it is copied first
    return record_.state != NodeState::kInit && record_.state != NodeState::kWaitStandby;
}

void NodeLoop::SayProblem(std::string text) {
    if (text == problem_) return;
    problem_ = std::move(text);
    log_.Warn(problem_);
}

/// False when it could not be made durable: then nothing has changed, and it is tried again.
bool NodeLoop::TakeState(NodeState state) {
    const NodeState before = record_.state;
    record_.state = state;
    if ((state != before || record_.resumes != saved_.resumes) && !Save()) return false;
    problem_.clear();
    if (state == before) return true;
    log_.Info("Node " + Self() + ": " + std::string(core::ToString(before)) + " -> " +
              std::string(core::ToString(state)));
    return true;
}

/// Without a durable record nothing may be decided: a wrong memory is worse than a node that waits.
bool NodeLoop::Save() {
    const auto saved = files_.SaveRecord(record_);
    if (saved) {
        saved_ = record_;
        return true;
    }
    record_ = saved_;
    SayProblem(saved.error().message);
    if (!IsStopping()) save_alarm_.Once(kSaveRetry);
    return false;
}

/// Ends after the monitor has answered a last report, or a little later without it.
void NodeLoop::ExitAfterReport(int status) {
    exit_status_ = status;
    exit_alarm_.Once(is_keeper_ ? kLastReportLimit : Milliseconds{0});
    Report();
}

void NodeLoop::OnStartFailed(const core::Problem &problem) {
    trouble_ = problem.message;
    if (FailedStarts() >= kStartsBeforeRejoin - 1) files_.NoteFailedStarts();
    if (!is_keeper_) return BecomeKeeper();
    Report();
    const bool is_damaged =
        problem.code == core::ProblemCode::kCorrupt && BadStarts() >= kStartsBeforeRejoin;
    return files_.HasNoData() || is_damaged ? Act() : StartServer();
}

core::Result<std::vector<std::string>> NodeLoop::BeforeStart() {
    auto options = files_.PrepareStart(record_.state, reply_ ? &*reply_ : nullptr);
    if (!options) return options;
    files_.ForgetHeartbeat();
    worker_seen_at_ = {};
    report_alarm_.Stop();
    problem_.clear();
    is_keeper_ = false;
    baton_.Release();
    return options;
}

void NodeLoop::OnStopRequest() {
    CancelStep();
    baton_alarm_.Stop();
    step_alarm_.Stop();
    save_alarm_.Stop();
}

/// Tells the monitor at once, so that it need not find out.
void NodeLoop::OnStopped() {
    if (running_) return;  // the step ends first and calls again
    if (!is_keeper_) BecomeKeeper();
    ExitAfterReport(exit_status_.value_or(0));
}

void NodeLoop::OnReload() {
    auto settings = files_.LoadSettings();
    if (!settings) return log_.Error(settings.error());
    options_.settings = std::move(*settings);
    link_.SetMonitor(options_.settings.monitor);
    SaveKeeperConfig("");
    if (server_.IsRunning()) {
        if (auto done = files_.WriteSettings(); !done) log_.Error(done.error());
        server_.Reload();
    }
    log_.Info("Reloaded the configuration");
}

}  // namespace pgaf::supervisor
