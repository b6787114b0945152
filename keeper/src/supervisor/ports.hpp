#pragma once

#include <optional>
#include <string>
#include <vector>

#include "pgaf/core/node_record.hpp"
#include "pgaf/core/protocol.hpp"
#include "pgaf/core/result.hpp"
#include "pgaf/core/types.hpp"
#include "supervisor/facts.hpp"
#include "supervisor/log.hpp"
#include "supervisor/steps.hpp"

/// What the supervisor asks of the world around it. The program implements these ports over libuv
/// and the operating system, the simulation over models.
///
/// No call waits for long, and none calls back into the machine, unless it says so: what happens
/// later arrives as an event. A call may throw when the model of a machine dies within it; the
/// caller is then never used again.
namespace pgaf::supervisor {

class Clock {
 public:
    virtual ~Clock() = default;
    [[nodiscard]] virtual core::BootTime Now() const = 0;
};

enum class StopMode { kSmart, kFast, kImmediate };

/// The postmaster of the data directory. Its end is the event OnServerEnded, which comes when
/// nothing of it is left.
class Server {
 public:
    virtual ~Server() = default;
    /// Kills what an earlier one has left, and starts it with these words on its command line.
    /// kBadState while another one runs there.
    virtual core::Result<void> Start(const std::vector<std::string> &options) = 0;
    /// Watches from now on a postmaster that runs there already, whoever has started it; false
    /// when there is none.
    virtual bool Attach() = 0;
    [[nodiscard]] virtual bool IsRunning() const = 0;
    virtual void Stop(StopMode mode) = 0;
    /// SIGKILL to it and all its processes, stopped ones included.
    virtual void Kill() = 0;
    virtual void Reload() = 0;
    /// Asks the postmaster for a sign of life, as a client does; returns at once.
    virtual void Ask() = 0;
    /// When it answered last, or was started or taken over.
    [[nodiscard]] virtual core::BootTime AnsweredAt() const = 0;
    /// When it was started or taken over.
    [[nodiscard]] virtual core::BootTime StartedAt() const = 0;
    /// As the postmaster itself says; true on a standby as well.
    [[nodiscard]] virtual bool AcceptsConnections() const = 0;
    /// Recovery has ended and it accepts writes.
    [[nodiscard]] virtual bool IsOutOfRecovery() const = 0;
    /// An orderly end has begun: the server writes what it must, and its worker is gone.
    [[nodiscard]] virtual bool IsShuttingDown() const { return false; }
    /// For the operator; 0 when none is watched.
    [[nodiscard]] virtual int ProcessId() const = 0;
    /// The process was started by the postmaster that is watched.
    [[nodiscard]] virtual bool IsParentOf(int pid) const = 0;
    /// Kills the processes of a postmaster that has died, and waits until they are gone.
    virtual core::Result<void> KillLeftovers() = 0;
    /// Waits for processes that became our children when their postmaster died, without blocking.
    virtual void ReapOrphans() = 0;
};

/// What the operator chose, as far as the machine must know it.
struct NodeSettings {
    std::string formation = "default";
    std::string name{};
    std::string monitor{};  ///< connection string
};

/// The files of the node directory and of PGDATA.
class Files {
 public:
    virtual ~Files() = default;
    virtual core::Result<core::NodeRecord> LoadRecord() = 0;
    /// Durable and all or nothing.
    virtual core::Result<void> SaveRecord(const core::NodeRecord &record) = 0;
    /// keeper.conf, for the worker. `hostaddr`: numeric address of the monitor; empty: the last
    /// one that was known.
    virtual core::Result<void> SaveKeeperConfig(const core::NodeRecord &record,
                                                const std::string &hostaddr) = 0;
    /// Reads again what the operator chose.
    virtual core::Result<NodeSettings> LoadSettings() = 0;
    /// Writes what a server needs in PGDATA: settings, standby.signal when `state` is that of a
    /// standby, and the rules for the peers in `reply` when there is one. Returns what must stand
    /// on its command line. No server may run.
    virtual core::Result<std::vector<std::string>> PrepareStart(core::NodeState state,
                                                                const core::Reply *reply) = 0;
    /// Writes standby.signal for a standby's state. A promotion that was killed has removed it: a
    /// server that somebody starts by hand before we do would write on the timeline of another.
    /// True: it was missing, and the server was not shut down as a standby.
    virtual bool KeepRole(core::NodeState state) = 0;
    /// Remembers the settings of PostgreSQL that the reply brings, if it brings any.
    virtual void TakeSettings(const core::Reply & /*reply*/) {}
    /// Adds to the report what it says about them.
    virtual void FillSettings(core::Report & /*report*/) {}
    /// A server has come up with the settings of the last start; or several have not, one after
    /// the other: then the next start has those of the last one that did.
    virtual void NoteStarted() {}
    virtual void NoteFailedStarts() {}
    /// What keeps a server from coming up with what the last start was given, whatever its data
    /// are: more memory than there is, for instance. Empty: nothing is known.
    virtual std::string WhyNotStarted() { return {}; }
    /// Writes the settings anew, for a server that runs.
    virtual core::Result<void> WriteSettings() = 0;
    /// The node was dropped: PGDATA becomes that of an ordinary PostgreSQL. No server may run.
    virtual core::Result<void> LeaveOrdinary() { return {}; }
    /// What the worker of an earlier server has left to be told, once; see core::kEventFile.
    virtual std::optional<std::string> TakeEvent() { return std::nullopt; }
    /// Removes the file: the next worker makes its own.
    virtual void ForgetHeartbeat() = 0;
    virtual std::optional<Heartbeat> ReadHeartbeat() = 0;
    /// PGDATA is incomplete: a clone or a rewind was interrupted.
    virtual bool IsMarked() = 0;
    /// There is no cluster in PGDATA, or essential files of it are missing.
    virtual bool HasNoData() { return false; }
    /// None when there is no cluster, or its control file cannot be read.
    virtual std::optional<ControlFacts> ReadControl() = 0;
};

/// The lock whose holder is the keeper. It is released when its holder dies.
class Baton {
 public:
    virtual ~Baton() = default;
    /// False while somebody else holds it.
    virtual core::Result<bool> Take() = 0;
    virtual void Release() = 0;
    /// See core::Report::instance; while it is held.
    [[nodiscard]] virtual std::int64_t Instance() = 0;
};

/// The session with the monitor. Its events, which may come from within a call, are OnReply,
/// OnNotify, OnLinkProblem and OnResolved.
class Link {
 public:
    virtual ~Link() = default;
    /// Sends it as soon as possible; a newer one replaces one that was not sent yet. The answer
    /// carries the same tag.
    virtual void Send(core::Report report, int tag) = 0;
    /// The tag of the last report of which anything may have left; -1: none has.
    [[nodiscard]] virtual int SentTag() const = 0;
    /// Forgets what was not sent and ends the session.
    virtual void Close() = 0;
    virtual void SetMonitor(std::string monitor) = 0;
};

/// Long work beside the machine, which goes on meanwhile.
class Steps {
 public:
    virtual ~Steps() = default;
    /// Does CarryOut(step, ...); its end is the event OnStepDone. One at a time.
    virtual void Begin(core::Step step, const StepInput &input) = 0;
    /// The running step is no longer wanted; it ends soon, and says so as it would otherwise.
    virtual void Cancel() = 0;
    /// Of a copy that the running step makes.
    [[nodiscard]] virtual core::CopyProgress Progress() const { return {}; }
    /// Asks the node that the server itself tries to follow whether it can; the answer is the
    /// event OnStreamChecked. `position`: where the WAL of this standby ends.
    virtual void BeginStreamCheck(const core::WalPosition &position) = 0;
};

/// The program itself.
class Process {
 public:
    virtual ~Process() = default;
    /// Ends the program as soon as the event that is being handled has been.
    virtual void Exit(int status) = 0;
};

}  // namespace pgaf::supervisor
