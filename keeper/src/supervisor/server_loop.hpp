#pragma once

#include <optional>
#include <string>
#include <vector>

#include "supervisor/alarms.hpp"
#include "supervisor/ports.hpp"

namespace pgaf::supervisor {

struct ServerPorts {
    Clock &clock;
    Server &server;
    Process &process;
    Log &log;
};

/// For whoever watches the program.
struct Condition {
    std::string text;         ///< one line
    bool is_serving = false;  ///< it does what it is there for
};

/// The parent of a postmaster, as a machine: it is told what happened and never waits. Restarts
/// and the orderly end are here; what a node or a monitor does when PostgreSQL is down is theirs.
class ServerLoop {
 public:
    explicit ServerLoop(ServerPorts ports);
    ServerLoop(const ServerLoop &) = delete;
    ServerLoop &operator=(const ServerLoop &) = delete;
    virtual ~ServerLoop() = default;

    /// Once, before everything else.
    void Begin();
    /// PostgreSQL has ended and nothing of it is left. `status`: 128 + signal for a signal, -1
    /// when it is not known.
    void OnServerEnded(int status);
    void OnStopSignal(StopMode mode);
    /// The operator wants the configuration to be read again.
    virtual void OnReload() = 0;
    /// Does what is due. To be called at NextWake() or soon after; more often does no harm.
    void Poll() { alarms_.Run(); }
    /// It may change with every event.
    [[nodiscard]] core::BootTime NextWake() const { return alarms_.Next(); }
    [[nodiscard]] bool IsStopping() const { return stop_mode_.has_value(); }
    /// Reads files; not for every turn.
    [[nodiscard]] virtual Condition Describe();

 protected:
    virtual void OnBegin() = 0;
    virtual void OnDown() = 0;             ///< PostgreSQL has ended and nobody asked for it
    virtual void OnStopped() { Exit(0); }  ///< it has ended because we are to end
    virtual void OnStopRequest() {}
    /// PostgreSQL accepts connections, for the first time since it was started or attached to.
    virtual void OnReady() {}
    virtual void OnTick() {}
    /// A server runs that this loop has not started, when it was about to start one; it is watched
    /// from now on.
    virtual void OnFound() = 0;
    /// Write files, let go of locks; returns what stands on the server's command line.
    virtual core::Result<std::vector<std::string>> BeforeStart() = 0;
    virtual void OnStartFailed(const core::Problem &problem) = 0;

    /// At once the first time, later with a growing pause.
    void StartServer();
    /// A start that waits for its time is no longer wanted.
    void CancelStart() { start_.Stop(); }
    void Exit(int status) { process_.Exit(status); }
    [[nodiscard]] int FailedStarts() const { return failed_starts_; }
    /// It has accepted connections since it was started or taken over.
    [[nodiscard]] bool IsReady() const { return was_ready_; }
    /// The end of the server that runs will say nothing about the data. It is one that we bring
    /// about: what made it necessary may come again at once.
    void ExpectEnd() {
        was_ready_ = true;
        came_up_at_ = {};
    }
    /// The data has changed: earlier failures say nothing about it.
    void ForgetFailedStarts() { failed_starts_ = 0; }
    [[nodiscard]] core::BootTime Now() const { return clock_.Now(); }
    [[nodiscard]] Alarms &AlarmList() { return alarms_; }

    Server &server_;
    Log &log_;

 private:
    void Escalate();
    void Tick();
    void StartNow();
    [[nodiscard]] core::Milliseconds PauseBeforeStart();

    Clock &clock_;
    Process &process_;
    Alarms alarms_;
    Alarm tick_;
    Alarm start_;
    Alarm escalate_;
    std::optional<StopMode> stop_mode_;
    bool was_ready_ = false;
    int failed_starts_ = 0;
    int recent_starts_ = 0;
    core::BootTime last_start_;
    core::BootTime came_up_at_;  ///< the server that runs; 0: not yet, or its end is ours
};

}  // namespace pgaf::supervisor
