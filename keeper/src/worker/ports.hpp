#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pgaf/core/protocol.hpp"
#include "pgaf/core/result.hpp"
#include "pgaf/core/types.hpp"
#include "worker/facts.hpp"
#include "worker/gate_rules.hpp"

/// What the worker's logic needs of the world. In the server these are thin adapters (`bgworker/`);
/// in unit tests and in the simulation they are models. A method that does something to the server
/// may throw std::exception: the turn is given up then, and repeated soon.
namespace pgaf::worker {

class Clock {
 public:
    virtual ~Clock() = default;
    [[nodiscard]] virtual core::BootTime Now() = 0;
};

/// The commit gate that every backend reads. Only the worker changes it.
class Gate {
 public:
    virtual ~Gate() = default;
    [[nodiscard]] virtual core::BootTime Deadline() const = 0;
    virtual void SetDeadline(core::BootTime deadline) = 0;
    [[nodiscard]] virtual Fence CurrentFence() const = 0;
    virtual void SetFence(Fence fence) = 0;
    /// Backends that passed the gate and have not finished. With a fence set before, it only falls.
    [[nodiscard]] virtual int CommittingCount() = 0;
    /// Ends the committing backends that wait for synchronous standbys; none of them is answered.
    virtual void TerminateSyncWaiters() = 0;
    /// Whoever was cancelled before its wait began is told again.
    virtual void RepeatCancels() = 0;
    [[nodiscard]] virtual WaitsLeft LeftWaiting() const = 0;
    /// While it is true a commit that asks for synchronous standbys is acknowledged only when they
    /// have confirmed it, also when PostgreSQL no longer knows that it has any.
    virtual void RequireSync(bool is_required) = 0;
    /// From now on standbys may stream from this server. One that has restarted as a primary does
    /// not know whether they have more than it has, and would overwrite that.
    virtual void AdmitStandbys() = 0;
    [[nodiscard]] virtual bool AdmitsStandbys() const = 0;
    /// Grows with every checkpoint that StartCheckpointProcess has begun and that has ended.
    [[nodiscard]] virtual std::uint32_t CheckpointsDone() const = 0;
};

/// With any a start fails.
struct ConfigProblem {
    std::string words;
    bool stops_reload = false;  ///< nothing of the files is applied; else all but that value
};

/// This node's PostgreSQL.
class Server {
 public:
    virtual ~Server() = default;

    [[nodiscard]] virtual ServerFacts Observe() = 0;
    /// Only what tells when something was last received.
    [[nodiscard]] virtual ReceiverState ObserveReceiver() = 0;
    /// From now on the end of the WAL receiver wakes the worker, once. Call it before observing.
    virtual void AwaitReceiverEnd() = 0;
    [[nodiscard]] virtual std::uint64_t SystemIdentifier() = 0;
    [[nodiscard]] virtual std::string Version() const = 0;

    /// Everybody, this process included, reads the settings again, soon.
    virtual void Reload() = 0;
    /// Ends this server at once; the supervisor starts what comes next.
    virtual void StopImmediately() = 0;
    virtual void RequestPromotion() = 0;
    /// What was replayed is a whole: before that, the end of recovery would be the end of the
    /// server.
    [[nodiscard]] virtual bool IsConsistent() = 0;
    /// From now on no WAL receiver of this server receives anything or confirms it, whatever the
    /// settings say; one that runs is asked to end. Holds until AdmitReceiver, or until the server
    /// ends.
    virtual void BarReceiver() = 0;
    virtual void AdmitReceiver() = 0;
    /// Without waiting for it.
    virtual void RequestImmediateCheckpoint() = 0;
    /// A helper process that checkpoints, counts that in the gate, and wakes the worker; false when
    /// none is free.
    [[nodiscard]] virtual bool StartCheckpointProcess() = 0;
    /// Ends client sessions, autovacuum and everything else that works in a database, walsenders
    /// excepted. They end by themselves, soon after.
    virtual void TerminateSessions() = 0;
    /// How many of those there still are.
    [[nodiscard]] virtual int CountSessions() = 0;
    /// Ends client sessions only.
    virtual void TerminateClients() = 0;
    /// Flushes all WAL and returns its end.
    virtual core::Lsn FlushEverything() = 0;
    /// A walsender that gets this sends everything, waits until its standby has confirmed, and
    /// ends.
    virtual void AskSenderToFinish(int pid) = 0;
    virtual void EndSender(int pid) = 0;
    /// A walsender is born without a say in commits; it gets one by reading the set again while it
    /// holds the slot whose name it bears.
    virtual void LetSenderCount(int pid) = 0;
    /// A no-op WAL record, on its way to disk and standbys. Returns its end.
    virtual core::Lsn WriteMarker() = 0;

    /// A file of pg_wal that somebody else has written is to be archived, when anything is.
    virtual void Archive(const std::string &name) = 0;

    virtual void CreateSlot(const std::string &name) = 0;
    /// Moves an inactive slot forward; never backwards.
    virtual void AdvanceSlot(const std::string &name, core::Lsn to) = 0;
    /// Of an inactive slot: dead rows are no longer kept for it.
    virtual void ReleaseSlotXmin(const std::string &name) = 0;
    virtual void DropSlot(const std::string &name) = 0;
    /// What the server says against a setting in its configuration, when it cannot have it.
    [[nodiscard]] virtual core::Result<void> CheckSetting(const std::string & /*name*/,
                                                          const std::string & /*value*/) {
        return {};
    }
    /// The first error in the configuration's files; without words there is none.
    [[nodiscard]] virtual ConfigProblem FindConfigProblem() { return {}; }
    /// The settings that were written, and all others that wait for a restart, as they are in
    /// force.
    [[nodiscard]] virtual std::vector<core::SettingState> SettingStates(
        const std::vector<core::PostgresSetting> & /*written*/) {
        return {};
    }
    /// Ends this server in an orderly way; the supervisor starts it again.
    virtual void StopOrderly() { StopImmediately(); }

    /// Path of pg_hba.conf; empty when there is none.
    [[nodiscard]] virtual std::string HbaFile() = 0;
    /// Releases what an exception left behind.
    virtual void CleanUpAfterError() = 0;
};

/// Files of the node directory and of PGDATA.
class Files {
 public:
    virtual ~Files() = default;
    virtual core::Result<std::string> Read(const std::string &path) = 0;
    /// Replaces the file so that a crash leaves the old text or the new one.
    virtual core::Result<void> WriteAtomic(const std::string &path, std::string_view text) = 0;
    [[nodiscard]] virtual bool Exists(const std::string &path) = 0;
    /// Changes whenever the file is replaced or written; 0 without the file.
    [[nodiscard]] virtual std::int64_t Stamp(const std::string &path) = 0;
};

/// The flock that says who is the keeper. Held until the process ends.
class Baton {
 public:
    virtual ~Baton() = default;
    /// True when it is held, now or before.
    [[nodiscard]] virtual bool TryTake() = 0;
    /// See core::Report::instance.
    [[nodiscard]] virtual std::int64_t Instance() = 0;
};

/// The sign of life that the supervisor watches.
class Heartbeat {
 public:
    virtual ~Heartbeat() = default;
    virtual void Beat(core::BootTime now) = 0;
    /// A standby that should stream and has not since `since` (0: all is well), and where its WAL
    /// ends.
    virtual void NoteStream(core::BootTime since, core::Lsn lsn, int timeline) = 0;
};

/// The session with the monitor: one statement under way at a time, a limit on every wait,
/// reconnects with a bounded back-off. Never blocks.
class Link {
 public:
    struct Answer {
        core::Result<core::Reply> reply;
        core::BootTime sent_at;  ///< clock just before the report left
    };

    virtual ~Link() = default;
    virtual void SetConninfo(const std::string &conninfo) = 0;
    /// Moves things along; call in every turn.
    virtual void Poll(core::BootTime now) = 0;
    [[nodiscard]] virtual bool IsReady() const = 0;
    /// Only when IsReady. The time is taken inside, before anything is sent.
    virtual void SendReport(const core::Report &report, core::BootTime now) = 0;
    /// LISTENs on the channel unless that is done; true when it sent something.
    virtual bool Listen(const std::string &channel, core::BootTime now) = 0;
    virtual std::optional<Answer> TakeAnswer() = 0;
    /// A notification came, or LISTEN has just begun: report now.
    virtual bool TakeWakeUp() = 0;
    /// What went wrong last; empty once a report has been answered.
    [[nodiscard]] virtual const std::string &Problem() const = 0;
    /// When to poll again unless the socket says so.
    [[nodiscard]] virtual core::BootTime NextDeadline() const = 0;
};

class Log {
 public:
    virtual ~Log() = default;
    virtual void Line(const std::string &text) = 0;
    virtual void Warning(const std::string &text) = 0;
};

struct Ports {
    Clock &clock;
    Gate &gate;
    Server &server;
    Files &files;
    Baton &baton;
    Heartbeat &heartbeat;
    Link &link;
    Log &log;
};

}  // namespace pgaf::worker
