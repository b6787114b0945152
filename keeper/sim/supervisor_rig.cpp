#include <utility>

#include "pgaf/core/pg_files.hpp"
#include "pgaf/core/server_options.hpp"
#include "rigs.hpp"
#include "world.hpp"

/// The supervisor's ports.
namespace pgaf::sim {

using supervisor::ClusterState;

core::KeeperConfig ConfigOf(const Machine &machine) {
    core::KeeperConfig config;
    config.monitor_conninfo = "host=monitor";
    config.node = machine.node;
    config.name = machine.name;
    config.host = machine.address;
    config.pgdata = kDataDirectory;
    config.auth_method = "skip";
    return config;
}

namespace {

core::TimelineHistory HistoryOf(const Cluster &cluster, int timeline) {
    if (timeline == cluster.wal.timeline) return cluster.wal.history;
    const auto file = cluster.files.find(HistoryPath(timeline));
    return file == cluster.files.end() ? core::TimelineHistory{}
                                       : core::ParseTimelineHistory(file->second);
}

}  // namespace

supervisor::ControlFacts ControlOf(const Cluster &cluster) {
    return {.system_identifier = cluster.system_identifier,
            .state = cluster.control.state,
            .timeline = cluster.control.timeline,
            .checkpoint = LsnOf(cluster.control.checkpoint),
            .min_recovery = LsnOf(cluster.control.min_recovery),
            .history = HistoryOf(cluster, cluster.control.timeline),
            .received_timeline = cluster.wal.timeline,
            .is_fresh_copy = cluster.is_fresh_copy};
}

SupervisorRig::SupervisorRig(Machine &machine)
    : machine_(machine),
      wire_(machine),
      loop_({.clock = *this,
             .server = *this,
             .process = *this,
             .log = *this,
             .files = *this,
             .baton = *this,
             .link = *this,
             .steps = *this},
            {.settings = {.formation = "default", .name = machine.name, .monitor = "monitor"},
             .pg_version = "15",
             .is_init_only = false}) {}

void SupervisorRig::Turn() {
    const BootTime now = Now();
    if (ended_ && watched_ != 0) {
        const int status = *std::exchange(ended_, std::nullopt);
        watched_ = 0;
        loop_.OnServerEnded(status);
    }
    ended_.reset();
    wire_.Poll(now, wants_session_);
    if (wire_.problem() != said_problem_) {
        said_problem_ = wire_.problem();
        if (!said_problem_.empty())
            loop_.OnLinkProblem({core::ProblemCode::kMonitor, said_problem_, {}, {}});
    }
    if (auto answer = std::exchange(wire_.answer, std::nullopt))
        loop_.OnReply(answer->reply, sent_tag_);
    if (std::exchange(wire_.is_woken, false)) loop_.OnNotify();
    if (work_ && (now >= work_->ends_at || work_->is_cancelled)) {
        const Work work = *work_;
        Effects effects(machine_, work.is_cancelled);
        auto outcome = supervisor::CarryOut(work.step, effects, *this, work.input);
        work_.reset();
        loop_.OnStepDone(std::move(outcome));
    }
    if (stream_check_ && now >= *stream_check_) {
        stream_check_.reset();
        loop_.OnStreamChecked(core::Following::kPossible);
    }
    if (now >= loop_.NextWake()) loop_.Poll();
    if (pending_ && wire_.state() == Wire::State::kIdle) {
        sent_tag_ = pending_->second;
        wire_.SendReport(pending_->first, now);
        pending_.reset();
    }
}

bool SupervisorRig::Takes(const Packet &packet) { return wire_.Takes(packet); }

core::Result<void> SupervisorRig::Start(const std::vector<std::string> &options) {
    machine_.Effect();
    auto started = machine_.StartServer(options);
    if (!started) return started;
    watched_ = machine_.server->serial;
    started_at_ = Now();
    return {};
}

void SupervisorRig::Ask() {
    const bool answers = machine_.server && machine_.server->serial == watched_ &&
                         machine_.server->postmaster_frozen_until <= machine_.world.Now();
    if (answers) answered_at_ = Now();
}

bool SupervisorRig::Attach() {
    if (!machine_.server) return false;
    watched_ = machine_.server->serial;
    started_at_ = Now();
    return true;
}

void SupervisorRig::Stop(supervisor::StopMode mode) {
    machine_.StopServer(mode == supervisor::StopMode::kImmediate ? Ending::kImmediate
                                                                 : Ending::kFast);
}

void SupervisorRig::Kill() { machine_.KillServer(); }

bool SupervisorRig::AcceptsConnections() const {
    if (!machine_.server) return false;
    const Phase phase = machine_.server->phase;
    return phase == Phase::kWritable ||
           (phase == Phase::kStandby && machine_.data->applied >= machine_.data->consistent_at);
}

bool SupervisorRig::IsOutOfRecovery() const {
    return machine_.server && machine_.server->phase == Phase::kWritable;
}

void SupervisorRig::Write(supervisor::LogLevel, const std::string &text) {
    machine_.world.CountLogLine(machine_, "supervisor: " + text);
}

core::Result<core::NodeRecord> SupervisorRig::LoadRecord() {
    return core::DecodeNodeRecord(machine_.files[kNodeDirectory + "/pg_autoctl.state"]);
}

core::Result<void> SupervisorRig::SaveRecord(const core::NodeRecord &record) {
    machine_.files[kNodeDirectory + "/pg_autoctl.state"] = core::Encode(record);
    machine_.Effect();
    return {};
}

core::Result<void> SupervisorRig::SaveKeeperConfig(const core::NodeRecord &, const std::string &) {
    auto text = core::Encode(ConfigOf(machine_));
    if (!text) return tl::unexpected(text.error());
    machine_.files[kNodeDirectory + "/keeper.conf"] = *text;
    return {};
}

core::Result<supervisor::NodeSettings> SupervisorRig::LoadSettings() {
    return supervisor::NodeSettings{
        .formation = "default", .name = machine_.name, .monitor = "monitor"};
}

core::Result<std::vector<std::string>> SupervisorRig::PrepareStart(core::NodeState state,
                                                                   const core::Reply *) {
    if (machine_.server) return core::Fail(core::ProblemCode::kBadState, "a server runs already");
    if (!machine_.data) return std::vector<std::string>{};
    machine_.data->files[kMainFile] = core::EnsureInclude(machine_.data->files[kMainFile]);
    machine_.Effect();
    if (core::IsStandby(state)) machine_.data->standby_signal = true;
    machine_.Effect();
    return core::SafetyOptions({.libraries = core::SettingOf(machine_.data->files[kAutomaticFile],
                                                             "shared_preload_libraries"),
                                .wal_level = "replica",
                                .has_checksums = false,
                                .keeper_directory = kNodeDirectory});
}

core::Result<void> SupervisorRig::WriteSettings() {
    if (machine_.data)
        machine_.data->files[kMainFile] = core::EnsureInclude(machine_.data->files[kMainFile]);
    return {};
}

std::optional<supervisor::Heartbeat> SupervisorRig::ReadHeartbeat() {
    if (!machine_.heartbeat) return std::nullopt;
    return supervisor::Heartbeat{.pid = static_cast<int>(machine_.heartbeat->second),
                                 .at = machine_.heartbeat->first,
                                 .no_stream_since = machine_.no_stream_since,
                                 .lsn = machine_.heartbeat_lsn,
                                 .timeline = machine_.heartbeat_timeline};
}

std::optional<supervisor::ControlFacts> SupervisorRig::ReadControl() {
    if (!machine_.data) return std::nullopt;
    return ControlOf(*machine_.data);
}

core::Result<bool> SupervisorRig::Take() {
    if (machine_.baton == Machine::Holder::kWorker) return false;
    machine_.baton = Machine::Holder::kSupervisor;
    return true;
}

void SupervisorRig::Release() {
    if (machine_.baton == Machine::Holder::kSupervisor) machine_.baton = Machine::Holder::kNobody;
}

void SupervisorRig::Send(core::Report report, int tag) {
    wants_session_ = true;
    pending_ = {std::move(report), tag};
}

void SupervisorRig::Close() {
    wants_session_ = false;
    pending_.reset();
    wire_.End();
}

void SupervisorRig::Begin(core::Step step, const supervisor::StepInput &input) {
    Milliseconds takes = Milliseconds{20} + machine_.world.random().UpTo(200);
    if (machine_.world.random().OneIn(4)) takes += machine_.world.random().UpTo(3000);
    work_ = Work{step, input, Now() + takes, false};
}

void SupervisorRig::Cancel() {
    if (work_) work_->is_cancelled = true;
}

void SupervisorRig::BeginStreamCheck(const core::WalPosition &) {
    stream_check_ = Now() + machine_.world.random().UpTo(300);
}

}  // namespace pgaf::sim
