#include "node/node_supervisor.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>

#include "io/env.hpp"
#include "io/heartbeat.hpp"
#include "io/log.hpp"
#include "io/postgres.hpp"

namespace pgaf::node {
namespace {

constexpr Milliseconds kHeartbeatLimit{5000};
constexpr Milliseconds kBatonRetry{20};
constexpr Milliseconds kSaveRetry{1000};
constexpr Milliseconds kLastReportLimit{1500};
/// `create` without --run gives up when the monitor does not answer for so long.
constexpr Milliseconds kInitSilenceLimit{30'000};
constexpr int kExitMonitor = 6;
constexpr int kExitKeeperInit = 8;
constexpr int kExitDropped = 121;

}  // namespace

NodeSupervisor::NodeSupervisor(SupervisorOptions options)
    : Supervisor(std::move(options)),
      link_(LoopHandle(), options_.config.monitor, options_.config.name,
            {.on_reply = [this](const core::Reply &reply, int tag) { OnReply(reply, tag); },
             .on_notify =
                 [this] {
                     if (baton_) Report();
                 },
             .on_problem =
                 [this](const Problem &problem) {
                     if (exit_status_ == kExitDropped)
                         return Exit(kExitDropped);  // forgotten already
                     io::LogProblem(spdlog::level::warn, problem);
                 },
             .on_resolved = [this](const std::string &hostaddr) { SaveKeeperFile(hostaddr); }}),
      report_timer_(LoopHandle(), [this] { Report(); }),
      baton_timer_(LoopHandle(), [this] { BecomeKeeper(); }),
      exit_timer_(LoopHandle(), [this] { Exit(exit_status_.value_or(0)); }),
      step_timer_(LoopHandle(), [this] { Act(); }),
      save_timer_(LoopHandle(), [this] {
          Report();
          Act();
      }) {}

void NodeSupervisor::OnBegin() {
    if (auto record = LoadRecord(options_.paths)) {
        record_ = saved_ = *record;
    } else {
        io::LogProblem(spdlog::level::err, record.error());
        return ExitAfterReport(kExitKeeperInit);
    }
    if (auto keeper = LoadKeeperConfig(options_.paths)) keeper_ = *keeper;
    SaveKeeperFile("");
    if (record_.state == core::NodeState::kDropped) {
        spdlog::error("This node was dropped from the monitor");
        spdlog::info(
            "HINT:  pg_autoctl create postgres registers it again; drop node --destroy "
            "removes its data");
        exit_status_ = kExitDropped;  // says so once more: the monitor may not have heard it
        exit_timer_.Once(kLastReportLimit);
        return BecomeKeeper();
    }
    last_reply_ = io::BootNow();
    if (postmaster_.Attach()) return;
    // A frozen process of a server that died before us could hold the baton, or an answer to a
    // client.
    auto killed = io::KillPostgres(options_.paths.pgdata, Milliseconds{5000});
    if (!killed) io::LogProblem(spdlog::level::err, killed.error());
    BecomeKeeper();
}

void NodeSupervisor::SaveKeeperFile(const std::string &hostaddr) {
    std::string address = hostaddr;
    if (address.empty() && !keeper_.monitor_conninfo.empty()) {
        if (auto old = io::ParseConninfo(keeper_.monitor_conninfo))
            address = io::OptionOf(*old, "hostaddr");
    }
    auto keeper = MakeKeeperConfig(options_.config, record_, address);
    if (!keeper) return io::LogProblem(spdlog::level::err, keeper.error());
    keeper_ = *keeper;
    if (auto saved = SaveKeeperConfig(options_.paths, keeper_); !saved) {
        io::LogProblem(spdlog::level::err, saved.error());
    }
}

// The worker let go of the baton when its server ended; what is left of that server was killed
// before this.
void NodeSupervisor::BecomeKeeper() {
    auto baton = io::FileLock::Try(options_.paths.baton);
    if (!baton) {
        io::LogProblem(spdlog::level::err, baton.error());
        return baton_timer_.Once(Milliseconds{1000});
    }
    if (!baton->has_value()) return baton_timer_.Once(kBatonRetry);
    if (auto record = LoadRecord(options_.paths)) {
        record_ = saved_ = *record;
    } else {
        io::LogProblem(spdlog::level::err, record.error());
        return baton_timer_.Once(Milliseconds{5000});
    }
    ++record_.keeper_epoch;
    if (!Save()) return baton_timer_.Once(kSaveRetry);
    baton_ = std::move(**baton);
    ++round_;
    reply_.reset();
    control_.reset();
    problem_.clear();
    if (io::InspectDataDirectory(options_.paths.pgdata) == io::DataDirectory::kCluster) {
        if (auto control = io::ReadControlData(options_.install, options_.paths.pgdata))
            control_ = *control;
    }
    spdlog::info("PostgreSQL is down: node {} \"{}\" in state {} is kept by this process",
                 record_.node.value, options_.config.name, core::ToString(record_.state));
    Report();
    if (!IsStopping()) Act();
}

core::Report NodeSupervisor::MakeReport() const {
    core::Report report;
    report.formation = options_.config.formation;
    report.node = record_.node;
    report.group = record_.group;
    report.keeper_epoch = record_.keeper_epoch;
    report.holder = core::KeeperHolder::kSupervisor;
    report.state = record_.state;
    report.term = record_.term;
    report.pg_running = false;
    report.in_recovery = core::IsStandby(record_.state);
    report.fenced = true;
    report.sync_version = record_.sync_version;
    report.system_identifier = record_.system_identifier;
    if (control_) {
        report.timeline = control_->timeline;
        report.lsn = std::max(control_->checkpoint, control_->min_recovery);
        if (report.system_identifier == 0) report.system_identifier = control_->system_identifier;
    }
    report.problem = problem_;
    report.event = event_;
    report.pg_version = options_.install.version;
    return report;
}

void NodeSupervisor::Report() {
    if (!baton_) return;
    is_link_needed_ = true;
    core::Report report = MakeReport();
    report.sequence = ++sequence_;
    link_.Send(std::move(report), round_);
    report_timer_.Once(reply_ ? reply_->report_interval : Milliseconds{500});
}

void NodeSupervisor::OnReply(const core::Reply &reply, int tag) {
    if (tag == round_) event_.clear();  // heard, also when the worker is the keeper by now
    if (!baton_ || tag != round_) return;  // answers a report of another time
    if (exit_status_) return Exit(*exit_status_);
    last_reply_ = io::BootNow();
    if (reply.term < record_.term) return IgnoreOldTerm(reply);
    is_old_term_said_ = false;
    const core::NodeRecord before = record_;
    record_.term = reply.term;
    record_.goal = reply.goal;
    record_.group = reply.group;
    record_.had_peer = record_.had_peer || !reply.peers.empty();
    if (!(before == record_) && !Save()) return;  // it comes again
    if (before.goal != reply.goal) {
        spdlog::info("The monitor assigned state {} to node {} \"{}\", which is in {}{}{}",
                     core::ToString(reply.goal), record_.node.value, options_.config.name,
                     core::ToString(record_.state), reply.reason.empty() ? "" : ": ", reply.reason);
    }
    reply_ = reply;
    if (cancel_ && reply.goal != step_goal_ && reply.goal != record_.state) cancel_->Request();
    if (!IsStopping()) Act();
}

/// A monitor that came back from an old backup must not undo a failover.
void NodeSupervisor::IgnoreOldTerm(const core::Reply &reply) {
    if (is_old_term_said_) return;
    is_old_term_said_ = true;
    spdlog::warn("The monitor has forgotten promotions (term {} after {}): its orders are ignored",
                 reply.term, record_.term);
}

void NodeSupervisor::Act() {
    for (int turn = 0; turn < 4 && ActOnce(); ++turn) {
    }
}

/// True when the state has changed and there may be more to do.
bool NodeSupervisor::ActOnce() {
    if (!baton_ || cancel_ || IsStopping() || exit_status_ || postmaster_.IsRunning()) return false;
    if (options_.is_init_only && IsInitDone()) {
        ExitAfterReport(0);
        return false;
    }
    PlanFacts facts{.state = record_.state,
                    .had_peer = record_.had_peer,
                    .is_marked = ReadMarker(options_.paths).has_value(),
                    .failed_starts = FailedStarts(),
                    .is_wal_gone = is_wal_gone_};
    if (reply_) facts.goal = reply_->goal;
    const Plan plan = MakePlan(facts);
    if (!plan.why.empty()) SayProblem(std::string(plan.why));
    if (plan.action != Action::kStart) CancelStart();
    switch (plan.action) {
        case Action::kWait:
            return false;
        case Action::kTakeState:
            if (!TakeState(plan.next)) return false;
            Report();
            return true;
        case Action::kStart:
            if (TakeState(plan.next)) StartServer();
            return false;
        case Action::kRunStep:
            if (!step_timer_.IsActive()) RunStep(plan.step, plan.next);
            return false;
        case Action::kEnd:
            if (!TakeState(core::NodeState::kDropped)) return false;
            spdlog::info("Node {} \"{}\" was dropped", record_.node.value, options_.config.name);
            ExitAfterReport(kExitDropped);
            return false;
    }
    return false;
}

bool NodeSupervisor::IsInitDone() const {
    return record_.state != core::NodeState::kInit &&
           record_.state != core::NodeState::kWaitStandby;
}

void NodeSupervisor::SayProblem(std::string text) {
    if (text == problem_) return;
    problem_ = std::move(text);
    spdlog::warn("{}", problem_);
}

/// False when it could not be made durable: then nothing has changed, and it is tried again.
bool NodeSupervisor::TakeState(core::NodeState state) {
    const core::NodeState before = record_.state;
    record_.state = state;
    if (state != before && !Save()) return false;
    problem_.clear();
    if (state == before) return true;
    spdlog::info("Node {} \"{}\": {} -> {}", record_.node.value, options_.config.name,
                 core::ToString(before), core::ToString(state));
    return true;
}

/// Without a durable record nothing may be decided: a wrong memory is worse than a node that waits.
bool NodeSupervisor::Save() {
    const auto saved = SaveRecord(options_.paths, record_);
    if (saved) {
        saved_ = record_;
        return true;
    }
    record_ = saved_;
    SayProblem(saved.error().message);
    if (!IsStopping()) save_timer_.Once(kSaveRetry);
    return false;
}

/// Ends after the monitor has answered a last report, or a little later without it.
void NodeSupervisor::ExitAfterReport(int status) {
    exit_status_ = status;
    exit_timer_.Once(baton_ ? kLastReportLimit : Milliseconds{0});
    Report();
}

void NodeSupervisor::OnDown() { BecomeKeeper(); }

void NodeSupervisor::OnStartFailed() {
    if (baton_) {
        Report();
        return StartServer();
    }
    BecomeKeeper();
}

Result<void> NodeSupervisor::BeforeStart() {
    const std::string &pgdata = options_.paths.pgdata;
    if (auto done = WriteServerFiles(options_.install, options_.config, options_.paths, pgdata);
        !done)
        return done;
    if (reply_) {
        if (auto done = WriteNodeHba(keeper_, pgdata, reply_->peers); !done) return done;
    }
    (void)::unlink(options_.paths.heartbeat.c_str());  // the next worker makes its own
    report_timer_.Stop();
    problem_.clear();
    baton_.reset();
    return {};
}

void NodeSupervisor::OnStopRequest() {
    if (cancel_) cancel_->Request();
    baton_timer_.Stop();
    step_timer_.Stop();
    save_timer_.Stop();
}

/// Tells the monitor at once, so that it need not find out.
void NodeSupervisor::OnStopped() {
    if (cancel_) return;  // the step ends first and calls again
    if (!baton_) BecomeKeeper();
    ExitAfterReport(exit_status_.value_or(0));
}

void NodeSupervisor::OnReload() {
    auto config = LoadConfig(options_.paths);
    if (!config) return io::LogProblem(spdlog::level::err, config.error());
    options_.config = std::move(*config);
    link_.SetMonitor(options_.config.monitor);
    SaveKeeperFile("");
    const std::string &pgdata = options_.paths.pgdata;
    if (postmaster_.IsRunning()) {
        auto done = WriteServerFiles(options_.install, options_.config, options_.paths, pgdata);
        if (!done) io::LogProblem(spdlog::level::err, done.error());
        postmaster_.Reload();
    }
    spdlog::info("Reloaded the configuration");
}

void NodeSupervisor::OnTick() {
    const core::BootTime now = io::BootNow();
    if (now - last_tick_ > Milliseconds{1500}) awake_since_ = now;  // we slept: so did the worker
    last_tick_ = now;
    if (postmaster_.IsRunning()) return WatchHeartbeat();
    if (cancel_) return;
    io::ReapOrphans();
    if (!options_.is_init_only || exit_status_ || now - last_reply_ < kInitSilenceLimit) return;
    spdlog::error("The monitor has not answered for {} s; the same command goes on later",
                  kInitSilenceLimit.count() / 1000);
    ExitAfterReport(kExitMonitor);
}

void NodeSupervisor::WatchHeartbeat() {
    const core::BootTime now = io::BootNow();
    const auto heartbeat = io::ReadHeartbeat(options_.paths.heartbeat);
    const bool is_worker_up = heartbeat && now - heartbeat->at < Milliseconds{1000};
    if (is_link_needed_ && (is_worker_up || now - postmaster_.StartedAt() > Milliseconds{10'000})) {
        is_link_needed_ = false;
        link_.Close();
    }
    if (!heartbeat) return;
    if (is_worker_up) WatchStream(*heartbeat);
    const core::BootTime last_sign =
        std::max({heartbeat->at, postmaster_.StartedAt(), awake_since_});
    if (now - last_sign <= kHeartbeatLimit) return;
    spdlog::error(
        "The worker in PostgreSQL (process {}) gave no sign for {} ms: killing PostgreSQL",
        heartbeat->pid, (now - last_sign).count());
    postmaster_.Kill();
}

}  // namespace pgaf::node
