#pragma once

#include <memory>
#include <optional>
#include <string>

#include "io/files.hpp"
#include "io/heartbeat.hpp"
#include "node/monitor_link.hpp"
#include "supervisor/plan.hpp"
#include "node/steps/steps.hpp"
#include "node/supervisor.hpp"
#include "pgaf/core/wal_files.hpp"

namespace pgaf::node {

/// The supervisor of a data node: the keeper whenever PostgreSQL is down, a watchman when it runs.
class NodeSupervisor final : public Supervisor {
 public:
    explicit NodeSupervisor(SupervisorOptions options);

 protected:
    void OnBegin() override;
    void OnDown() override;
    void OnStopped() override;
    void OnStopRequest() override;
    void OnReload() override;
    void OnTick() override;
    void OnStartFailed() override;
    Result<void> BeforeStart() override;

 private:
    // Keeper
    void BecomeKeeper();
    void Report();
    void OnReply(const core::Reply &reply, int tag);
    void IgnoreOldTerm(const core::Reply &reply);
    void Act();
    bool ActOnce();
    bool TakeState(core::NodeState state);
    bool Save();
    void SayProblem(std::string text);
    [[nodiscard]] core::Report MakeReport() const;
    void SaveKeeperFile(const std::string &hostaddr);
    void ExitAfterReport(int status);
    [[nodiscard]] bool IsInitDone() const;
    // Steps
    void RunStep(core::Step step, core::NodeState next);
    void OnStepDone(core::NodeState next, Result<std::uint64_t> result);
    [[nodiscard]] StepContext MakeContext();
    // Watchman
    void WatchHeartbeat();
    void WatchStream(const io::Heartbeat &heartbeat);
    void OnStreamChecked(core::Following verdict);

    core::NodeRecord record_;
    core::NodeRecord saved_;  ///< as it is on the disk
    core::KeeperConfig keeper_;
    std::optional<io::FileLock> baton_;
    std::optional<core::Reply> reply_;
    MonitorLink link_;
    std::int64_t sequence_ = 0;  ///< of the last report
    int round_ = 0;              ///< tags reports: answers to those of an earlier one do not count
    std::string problem_;
    std::optional<io::ControlData> control_;
    io::Timer report_timer_;
    io::Timer baton_timer_;
    io::Timer exit_timer_;
    io::Timer step_timer_;
    io::Timer save_timer_;
    std::optional<int> exit_status_;
    std::unique_ptr<io::Cancel> cancel_;  ///< while a step runs
    core::NodeState step_goal_ = core::NodeState::kInit;
    int step_failures_ = 0;
    core::BootTime last_tick_;
    core::BootTime awake_since_;
    core::BootTime last_reply_;
    bool is_link_needed_ = true;
    bool is_old_term_said_ = false;
    std::string event_;  ///< for the monitor, until it has answered
    bool is_stream_check_running_ = false;
    core::BootTime next_stream_check_;
    bool is_wal_gone_ = false;  ///< the upstream no longer has what this standby needs
};

}  // namespace pgaf::node
