#pragma once

#include <memory>
#include <optional>
#include <string>

#include "machine.hpp"
#include "supervisor/node_loop.hpp"
#include "wire.hpp"
#include "worker/keeper.hpp"

/// The keeper's two processes: the code that ships, on ports over the models.
namespace pgaf::sim {

/// The worker in the server.
class WorkerRig final : worker::Clock,
                        worker::Gate,
                        worker::Server,
                        worker::Files,
                        worker::Baton,
                        worker::Heartbeat,
                        worker::Link,
                        worker::Log {
 public:
    explicit WorkerRig(Machine &machine);
    void Turn();
    bool Takes(const Packet &packet) { return wire_.Takes(packet); }
    void OnProcessEnd() { wire_.End(); }
    /// The host has lost its power: nobody says good-bye.
    void Abandon() {}

 private:
    [[nodiscard]] sim::Server &S() const { return *machine_.server; }
    [[nodiscard]] Cluster &D() const { return *machine_.data; }
    std::map<std::string, std::string> &FilesOf(const std::string &path) const;

    BootTime Now() override { return machine_.Clock(); }

    [[nodiscard]] BootTime Deadline() const override { return S().deadline; }
    void SetDeadline(BootTime deadline) override { S().deadline = deadline; }
    [[nodiscard]] worker::Fence CurrentFence() const override { return S().fence; }
    void SetFence(worker::Fence fence) override { S().fence = fence; }
    int CommittingCount() override;
    void TerminateSyncWaiters() override;
    void RepeatCancels() override {}
    [[nodiscard]] worker::ConfigProblem FindConfigProblem() override;
    [[nodiscard]] worker::WaitsLeft LeftWaiting() const override;
    void RequireSync(bool is_required) override { S().is_sync_required = is_required; }
    void AdmitStandbys() override { S().admits_standbys = true; }
    [[nodiscard]] bool AdmitsStandbys() const override { return S().admits_standbys; }
    [[nodiscard]] std::uint32_t CheckpointsDone() const override { return S().checkpoints_done; }

    worker::ServerFacts Observe() override;
    worker::ReceiverState ObserveReceiver() override;
    void AwaitReceiverEnd() override {}
    std::uint64_t SystemIdentifier() override { return D().system_identifier; }
    [[nodiscard]] std::string Version() const override { return "15"; }
    void Reload() override;
    void StopImmediately() override { machine_.StopServer(Ending::kImmediate); }
    void RequestPromotion() override;
    bool IsConsistent() override {
        return S().phase == Phase::kStandby && D().applied >= D().consistent_at;
    }
    void BarReceiver() override;
    void AdmitReceiver() override { S().is_barred = false; }
    void RequestImmediateCheckpoint() override { machine_.RequestCheckpoint(); }
    bool StartCheckpointProcess() override;
    void TerminateSessions() override { TerminateClients(); }
    int CountSessions() override { return static_cast<int>(S().sessions.size()); }
    void TerminateClients() override;
    Lsn FlushEverything() override;
    void AskSenderToFinish(int pid) override;
    void EndSender(int pid) override { machine_.EndSender(pid); }
    void LetSenderCount(int pid) override;
    void Archive(const std::string &name) override;
    Lsn WriteMarker() override;
    void CreateSlot(const std::string &name) override;
    void AdvanceSlot(const std::string &name, Lsn to) override;
    void ReleaseSlotXmin(const std::string &name) override { D().slots[name].holds_xmin = false; }
    void DropSlot(const std::string &name) override { D().slots.erase(name); }
    std::string HbaFile() override { return ""; }
    void CleanUpAfterError() override {}

    core::Result<std::string> Read(const std::string &path) override;
    core::Result<void> WriteAtomic(const std::string &path, std::string_view text) override;
    bool Exists(const std::string &path) override { return FilesOf(path).contains(path); }
    std::int64_t Stamp(const std::string &path) override;

    bool TryTake() override;
    std::int64_t Instance() override { return machine_.Instance(); }
    void Beat(BootTime now) override;
    void NoteStream(BootTime since, Lsn lsn, int timeline) override;

    void SetConninfo(const std::string &) override {}
    void Poll(BootTime now) override { wire_.Poll(now, true); }
    [[nodiscard]] bool IsReady() const override { return wire_.state() == Wire::State::kIdle; }
    void SendReport(const core::Report &report, BootTime now) override {
        wire_.SendReport(report, now);
    }
    bool Listen(const std::string &, BootTime) override { return false; }
    std::optional<Answer> TakeAnswer() override;
    bool TakeWakeUp() override { return std::exchange(wire_.is_woken, false); }
    [[nodiscard]] const std::string &Problem() const override { return wire_.problem(); }
    [[nodiscard]] BootTime NextDeadline() const override { return wire_.NextDeadline(); }

    void Line(const std::string &text) override;
    void Warning(const std::string &text) override { Line(text); }

    Machine &machine_;
    Wire wire_;
    worker::Keeper keeper_;
};

/// The supervisor's process.
class SupervisorRig final : supervisor::Clock,
                            supervisor::Server,
                            supervisor::Process,
                            supervisor::Log,
                            supervisor::Files,
                            supervisor::Baton,
                            supervisor::Link,
                            supervisor::Steps {
 public:
    explicit SupervisorRig(Machine &machine);
    void Begin() { loop_.Begin(); }
    void Turn();
    bool Takes(const Packet &packet);
    void OnProcessEnd() { wire_.End(); }
    void OnServerEnded(int status) { ended_ = status; }
    void OnStopSignal(supervisor::StopMode mode) { loop_.OnStopSignal(mode); }
    [[nodiscard]] bool HasExited() const { return exit_status_.has_value(); }

 private:
    [[nodiscard]] BootTime Now() const override { return machine_.Clock(); }

    core::Result<void> Start(const std::vector<std::string> &options) override;
    bool Attach() override;
    [[nodiscard]] bool IsRunning() const override { return watched_ != 0; }
    void Stop(supervisor::StopMode mode) override;
    void Kill() override;
    void Reload() override { machine_.Reload(); }
    void Ask() override;
    [[nodiscard]] BootTime AnsweredAt() const override { return answered_at_; }
    [[nodiscard]] BootTime StartedAt() const override { return started_at_; }
    [[nodiscard]] bool AcceptsConnections() const override;
    [[nodiscard]] bool IsOutOfRecovery() const override;
    [[nodiscard]] int ProcessId() const override { return static_cast<int>(watched_); }
    [[nodiscard]] bool IsParentOf(int pid) const override { return pid == watched_; }
    core::Result<void> KillLeftovers() override { return {}; }
    void ReapOrphans() override {}

    void Exit(int status) override { exit_status_ = status; }
    void Write(supervisor::LogLevel level, const std::string &text) override;
    void Write(supervisor::LogLevel level, const core::Problem &problem) override {
        Write(level, problem.message);
    }

    core::Result<core::NodeRecord> LoadRecord() override;
    core::Result<void> SaveRecord(const core::NodeRecord &record) override;
    core::Result<void> SaveKeeperConfig(const core::NodeRecord &record,
                                        const std::string &hostaddr) override;
    core::Result<supervisor::NodeSettings> LoadSettings() override;
    core::Result<std::vector<std::string>> PrepareStart(core::NodeState state,
                                                        const core::Reply *reply) override;
    bool KeepRole(core::NodeState state) override {
        if (!machine_.data || !core::IsStandby(state)) return false;
        const bool was_missing = !std::exchange(machine_.data->standby_signal, true);
        return was_missing &&
               machine_.data->control.state != supervisor::ClusterState::kShutDownInRecovery;
    }
    core::Result<void> WriteSettings() override;
    void ForgetHeartbeat() override { machine_.heartbeat.reset(); }
    std::optional<supervisor::Heartbeat> ReadHeartbeat() override;
    bool IsMarked() override { return machine_.files.contains(kNodeDirectory + "/unsafe"); }
    std::optional<supervisor::ControlFacts> ReadControl() override;

    core::Result<bool> Take() override;
    void Release() override;
    std::int64_t Instance() override { return machine_.Instance(); }

    void Send(core::Report report, int tag) override;
    [[nodiscard]] int SentTag() const override { return sent_tag_; }
    void Close() override;
    void SetMonitor(std::string) override {}

    void Begin(core::Step step, const supervisor::StepInput &input) override;
    void Cancel() override;
    void BeginStreamCheck(const core::WalPosition &position) override;

    Machine &machine_;
    Wire wire_;
    std::optional<int> ended_;
    std::optional<int> exit_status_;
    std::int64_t watched_ = 0;  ///< serial of the server
    BootTime started_at_;
    BootTime answered_at_;
    std::optional<std::pair<core::Report, int>> pending_;
    int sent_tag_ = -1;
    bool wants_session_ = false;
    std::string said_problem_;
    struct Work {
        core::Step step = core::Step::kNone;
        supervisor::StepInput input;
        BootTime ends_at;
        bool is_cancelled = false;
    };
    std::optional<Work> work_;
    std::optional<BootTime> stream_check_;
    supervisor::NodeLoop loop_;
};

/// The effects of the supervisor's steps on the disk and on the node that is followed.
class Effects final : public supervisor::StepEffects {
 public:
    Effects(Machine &machine, bool is_cancelled) : machine_(machine), is_cancelled_(is_cancelled) {}
    bool IsCancelled() override { return is_cancelled_; }
    [[nodiscard]] std::string DataDirectoryPath() const override { return kDataDirectory; }
    supervisor::DataDirectory InspectDataDirectory() override;
    core::Result<supervisor::ControlFacts> ReadControl(supervisor::Place place) override;
    core::Result<void> LockDirectory() override;
    void UnlockDirectory() override;
    bool IsMarked() override { return machine_.files.contains(kNodeDirectory + "/unsafe"); }
    core::Result<void> SetMarker(std::string_view what) override;
    core::Result<void> ClearMarker() override;
    core::Result<void> Connect(const core::Peer &upstream) override;
    core::Result<supervisor::SourceIdentity> Identify() override;
    core::Result<void> MustBePrimary() override;
    core::Result<void> EnsureCheckpoint(int timeline) override;
    void CheckpointSource() override;
    core::Result<void> RemoveCopy() override;
    core::Result<void> TakeBaseBackup(const core::Peer &upstream) override;
    core::Result<void> MakeCopyOurs(const core::Peer &upstream) override;
    core::Result<void> ExchangeDirectories() override;
    void ArchiveReadyWal() override {}
    std::optional<std::string> FindDamage() override;
    bool HasWalBeyond(int timeline, core::Lsn fork) override;
    core::Result<void> RemoveStandbySignal() override;
    core::Result<void> RecoverInSingleUserMode() override;
    std::string KeepDiscardedWal(const supervisor::SourceIdentity &,
                                 const supervisor::ControlFacts &) override {
        return "";
    }
    core::Result<void> RunPgRewind(const core::Peer &upstream) override;
    core::Result<void> MakeStandby(const core::Peer &upstream) override;
    core::Result<std::uint64_t> InitPrimary() override;

 private:
    /// Changes PGDATA: nobody may use it meanwhile.
    core::Result<void> Touch(const char *what);
    core::Result<void> WriteStandby(Cluster &cluster, const core::Peer &upstream);
    Machine *Source();
    Machine &machine_;
    bool is_cancelled_;
    int source_ = 0;
};

core::KeeperConfig ConfigOf(const Machine &machine);
supervisor::ControlFacts ControlOf(const Cluster &cluster);

}  // namespace pgaf::sim
