#pragma once

#include <memory>
#include <optional>

#include "io/loop.hpp"
#include "node/config.hpp"
#include "node/postmaster.hpp"

namespace pgaf::node {

/// An event loop that outlives the handles in it.
class Loop {
 public:
    Loop();
    Loop(const Loop &) = delete;
    Loop &operator=(const Loop &) = delete;
    ~Loop();
    [[nodiscard]] uv_loop_t *Get() { return &loop_; }

 private:
    uv_loop_t loop_{};
};

struct SupervisorOptions {
    Config config;
    Paths paths;
    io::PgInstall install;
    /// `create` without --run: reach the first state, then end with PostgreSQL stopped.
    bool is_init_only = false;
};

/// `pg_autoctl run`: parent of the postmaster. Restarts, signals and the orderly end are here; what
/// a node or a monitor does when PostgreSQL is down is theirs.
class Supervisor {
 public:
    explicit Supervisor(SupervisorOptions options);
    Supervisor(const Supervisor &) = delete;
    Supervisor &operator=(const Supervisor &) = delete;
    virtual ~Supervisor() = default;
    /// Until a signal or the end of the work; returns the exit status.
    int Run();

 protected:
    virtual void OnBegin() = 0;
    virtual void OnDown() = 0;             ///< PostgreSQL has ended and nobody asked for it
    virtual void OnStopped() { Exit(0); }  ///< it has ended because we are to end
    virtual void OnStopRequest() {}
    virtual void OnReload() = 0;
    /// PostgreSQL accepts connections, for the first time since it was started or attached to.
    virtual void OnReady() {}
    virtual void OnTick() {}
    virtual Result<void> BeforeStart() = 0;  ///< write files, let go of locks
    virtual void OnStartFailed() {}

    /// At once the first time, later with a growing pause.
    void StartServer();
    /// A start that waits for its time is no longer wanted.
    void CancelStart() { start_timer_.Stop(); }
    void Exit(int status);
    [[nodiscard]] bool IsStopping() const { return stop_mode_.has_value(); }
    [[nodiscard]] uv_loop_t *LoopHandle() { return loop_.Get(); }
    [[nodiscard]] int FailedStarts() const { return failed_starts_; }
    /// The data has changed: earlier failures say nothing about it.
    void ForgetFailedStarts() { failed_starts_ = 0; }

    Loop loop_;
    SupervisorOptions options_;
    Postmaster postmaster_;

 private:
    void OnSignal(StopMode mode);
    void Escalate();
    void OnEnd(int status);
    void Tick();
    void StartNow();
    [[nodiscard]] Milliseconds PauseBeforeStart();

    io::Timer tick_;
    io::Timer start_timer_;
    io::Timer escalate_timer_;
    std::vector<std::unique_ptr<io::Signal>> signals_;
    std::optional<StopMode> stop_mode_;
    bool was_ready_ = false;
    int failed_starts_ = 0;
    int recent_starts_ = 0;
    core::BootTime last_start_;
    int exit_status_ = 0;
};

/// The supervisor of a monitor: its PostgreSQL runs, always.
class MonitorSupervisor final : public Supervisor {
 public:
    using Supervisor::Supervisor;

 protected:
    void OnBegin() override;
    void OnReady() override;
    void OnDown() override { StartServer(); }
    void OnReload() override;
    void OnStartFailed() override { StartServer(); }
    Result<void> BeforeStart() override;
};

}  // namespace pgaf::node
