#pragma once

#include <algorithm>
#include <optional>
#include <string>

#include "supervisor/plan.hpp"
#include "supervisor/server_loop.hpp"

namespace pgaf::supervisor {

struct NodePorts {
    Clock &clock;
    Server &server;
    Process &process;
    Log &log;
    Files &files;
    Baton &baton;
    Link &link;
    Steps &steps;
};

struct NodeOptions {
    NodeSettings settings;
    std::string pg_version;  ///< for the monitor
    /// `create` without --run: reach the first state, then end with PostgreSQL stopped.
    bool is_init_only = false;
};

inline constexpr int kExitMonitor = 6;
inline constexpr int kExitKeeperInit = 8;
inline constexpr int kExitDropped = 121;

/// The supervisor of a data node: the keeper whenever PostgreSQL is down, a watchman when it runs.
/// The program and the simulation run this very class.
class NodeLoop final : public ServerLoop {
 public:
    NodeLoop(NodePorts ports, NodeOptions options);

    /// `tag` is that of the report which was answered.
    void OnReply(const core::Reply &reply, int tag);
    /// The monitor wants a report now.
    void OnNotify() { Report(); }
    void OnLinkProblem(const core::Problem &problem);
    /// The numeric address that the monitor's name stands for now.
    void OnResolved(const std::string &hostaddr) { SaveKeeperConfig(hostaddr); }
    void OnStepDone(StepOutcome outcome);
    void OnStreamChecked(const core::Result<core::Following> &verdict);
    void OnReload() override;
    [[nodiscard]] Condition Describe() override;

    /// As this process believes it to be; with PostgreSQL running the worker may know better.
    [[nodiscard]] const core::NodeRecord &Record() const { return record_; }
    [[nodiscard]] bool IsKeeper() const { return is_keeper_; }

 protected:
    void OnBegin() override;
    void OnDown() override;
    void OnReady() override { files_.NoteStarted(); }
    void OnStopped() override;
    void OnStopRequest() override;
    void OnTick() override;
    void OnFound() override;
    void OnStartFailed(const core::Problem &problem) override;
    core::Result<std::vector<std::string>> BeforeStart() override;

 private:
    // Keeper
    void BecomeKeeper();
    /// The record as it is on the disk, with a new epoch that is durable; else when to try again.
    [[nodiscard]] std::optional<core::Milliseconds> RenewRecord();
    void Report();
    void IgnoreOldTerm(const core::Reply &reply);
    void OnRefusal(const core::Reply &reply);
    [[nodiscard]] bool AwaitsFirstAnswer();
    void Act();
    bool ActOnce();
    bool TakeState(core::NodeState state);
    bool Save();
    void SayProblem(std::string text);
    [[nodiscard]] core::Report MakeReport() const;
    void SaveKeeperConfig(const std::string &hostaddr);
    void ExitAfterReport(int status);
    [[nodiscard]] bool IsInitDone() const;
    /// What these data hold is not what the group has.
    [[nodiscard]] bool MustCopy() const;
    [[nodiscard]] int BadStarts() const { return std::max(FailedStarts(), mute_starts_); }
    /// Number and name, for "node " and "Node ".
    [[nodiscard]] std::string Self() const;
    // Steps
    void BeginStep(core::Step step, core::NodeState next);
    void CancelStep();
    void OnStepSucceeded(const StepOutcome &outcome, core::NodeState next);
    bool GivesUp(const core::Problem &problem);
    void SayWhatIsAwaited();
    // Servers that are not as we would have started them
    void Adopt();
    [[nodiscard]] bool IsOperators() const;
    bool TurnOutStranger();
    void TurnOut(const core::Problem &why);
    void TurnOutHarder();
    void Tell(const std::string &event);
    [[nodiscard]] std::string ServerName() const;
    // Watchman
    void WatchServer();
    [[nodiscard]] bool IsWhereItShouldNotBe();
    void AwaitWorker();
    void WatchHeartbeat(const Heartbeat &heartbeat);
    void WatchPostmaster();
    void WatchStream(const Heartbeat &heartbeat);
    void WatchSmartStop(bool is_worker_up);

    Files &files_;
    Baton &baton_;
    Link &link_;
    Steps &steps_;
    NodeOptions options_;
    core::NodeRecord record_;
    core::NodeRecord saved_;  ///< as it is on the disk
    bool is_keeper_ = false;  ///< holds the baton
    std::optional<core::Reply> reply_;
    core::Refusal refusal_ = core::Refusal::kNone;  ///< of the last answer
    bool is_same_run_ = false;  ///< the machine was not started anew since the last keeper
    bool is_monitor_away_ = false;
    core::BootTime first_answer_by_;  ///< until then it is awaited; 0: it has come, or will not
    std::int64_t sequence_ = 0;       ///< of the last report
    int round_ = 0;  ///< tags reports: answers to those of an earlier one do not count
    std::string problem_;
    std::string trouble_;  ///< why no server runs as it should; until a worker shows itself
    std::optional<ControlFacts> control_;
    Alarm report_alarm_;
    Alarm baton_alarm_;
    Alarm exit_alarm_;
    Alarm step_alarm_;
    Alarm save_alarm_;
    Alarm removal_alarm_;
    std::optional<StopMode> removal_;  ///< how far the removal of the server that runs has come
    std::optional<int> exit_status_;
    /// A step that runs.
    struct Running {
        core::NodeState goal = core::NodeState::kInit;  ///< that the monitor wanted
        core::NodeState next = core::NodeState::kInit;  ///< the state when it has succeeded
        bool is_cancelled = false;
        bool may_be_damaged = false;  ///< and would be replaced then
    };
    std::optional<Running> running_;
    core::Step last_step_ = core::Step::kNone;
    int step_failures_ = 0;  ///< of that step, in a row
    core::BootTime step_failing_since_;
    core::BootTime next_wait_line_;
    core::BootTime last_tick_;
    core::BootTime awake_since_;
    core::BootTime last_reply_;
    bool is_link_needed_ = true;
    bool is_old_term_said_ = false;
    std::string event_;  ///< for the monitor, until it has answered
    bool is_stream_check_running_ = false;
    core::BootTime next_stream_check_;
    core::BootTime next_ask_;
    core::BootTime smart_since_;  ///< it waits for its clients to go; 0: it does not
    core::BootTime ready_since_;  ///< the server accepts connections; 0: not yet
    bool is_wal_gone_ = false;    ///< the upstream no longer has what this standby needs
    int mute_starts_ = 0;         ///< servers, in a row, whose worker has never shown itself
    /// Data that seemed to be damaged were replaced, and no server has worked since.
    bool has_replaced_damaged_ = false;
    bool has_own_writes_ = false;  ///< a server out of recovery was seen on a standby's data
    /// The last sign of the worker in the server that runs; 0: none yet.
    core::BootTime worker_seen_at_;
};

}  // namespace pgaf::supervisor
