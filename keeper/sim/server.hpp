#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster.hpp"
#include "pgaf/core/node_state.hpp"
#include "worker/gate_rules.hpp"

/// A PostgreSQL that runs: what is lost with its death.
namespace pgaf::sim {

using core::BootTime;
using core::Lsn;
using core::Milliseconds;
using core::NodeId;
using core::NodeState;

class WorkerRig;

/// One of the kinds of processes, and the settings that it has read.
struct Proc {
    Settings settings;
    BootTime reads_at = core::kForever;  ///< a reload that has not reached it yet
    BootTime frozen_until{};
};

struct Sender {
    int pid = 0;
    int peer = -1;  ///< machine of the standby; -1: somebody else's program
    NodeId app;     ///< from its application_name, which is what PostgreSQL goes by
    std::string slot;
    Proc proc;
    bool streaming = false;
    bool counts = false;        ///< for commits: it has read the set with its own slot in hand
    BootTime starts_at{};       ///< until then it has not said what it wants
    bool is_finishing = false;  ///< was asked to send everything and end
    std::size_t flush = 0;      ///< as the other side said last
    std::int64_t replies = 0;
    BootTime heard_at;
};

struct Receiver {
    int pid = 0;  ///< 0: none
    int peer = -1;
    int sender_pid = 0;
    std::string conninfo;
    bool streaming = false;
    std::size_t received = 0;  ///< flushed; of the last receiver when there is none
    std::size_t said = 0;      ///< what it confirms: never less than what was replayed at its start
    std::int64_t messages = 0;
    BootTime heard_at;
    BootTime status_at;
};

enum class SessionKind {
    kCommit,
    kLocal,    ///< synchronous_commit = local
    kPrepare,  ///< PREPARE TRANSACTION
    kIdle,     ///< holds nothing
    kLeaked,   ///< has entered the gate, and a subtransaction's abort has not left it
};

/// A client's session that is doing something.
struct Session {
    SessionKind kind = SessionKind::kIdle;
    std::int64_t record = 0;
    std::size_t start = 0;
    std::size_t end = 0;
    bool is_flushed = false;
    bool is_cancelled = false;   ///< pg_cancel_backend
    bool is_terminated = false;  ///< pg_terminate_backend, or the worker did
    bool has_left = false;       ///< its client is gone, and it waits on
    BootTime ends_at = core::kForever;
    [[nodiscard]] bool IsCommitting() const { return kind != SessionKind::kIdle; }
};

enum class Phase {
    kStarting,
    kCrashRecovery,
    kStandby,
    kWritable,
};

enum class Ending { kNone, kFast, kImmediate };

/// Where a promotion is: each is an effect after which the server may die.
enum class PromotionStep {
    kNone,
    kAsked,
    kSignalRemoved,
    kHistoryWritten,
    kEndOfRecovery,
};

struct Server {
    std::int64_t serial = 0;  ///< among all servers of the world
    Phase phase = Phase::kStarting;
    BootTime phase_ends;
    bool has_module = false;
    BootTime postmaster_frozen_until;
    Ending ending = Ending::kNone;
    BootTime ends_at = core::kForever;

    Proc postmaster, worker, startup, checkpointer;
    bool sync_defined = false;
    std::size_t sync_confirmed = 0;
    worker::WaitsLeft waits_left;
    std::size_t begun = 0;          ///< units that it had when it began to write
    bool is_sync_required = false;  ///< by the worker
    bool admits_standbys = false;   ///< the same

    worker::Fence fence = worker::Fence::kClosed;
    BootTime deadline;  ///< on the machine's clock
    std::uint32_t checkpoints_done = 0;
    BootTime checkpoint_ends = core::kForever;

    Receiver receiver;
    BootTime receiver_retry;
    bool is_barred = false;      ///< see worker::Server::BarReceiver
    int barred_pid = 0;          ///< who received when it was barred
    BootTime barred_one_ends{};  ///< until then it goes on
    std::vector<Sender> senders;
    std::vector<Session> sessions;
    int next_pid = 100;

    bool is_replay_paused = false;
    int replay_units = 64;  ///< in a turn
    bool awaits_wal = false;
    PromotionStep promotion = PromotionStep::kNone;
    BootTime promotion_next;
    int new_timeline = 0;

    /// Acknowledged or read under this number: raised when recovery ends.
    bool is_witnessed = false;

    std::unique_ptr<WorkerRig> rig;
    BootTime rig_starts = core::kForever;
    BootTime rig_began;
    bool latch = false;

    [[nodiscard]] bool IsInRecovery() const { return phase != Phase::kWritable; }
    [[nodiscard]] Sender *FindSender(int pid) {
        for (Sender &sender : senders) {
            if (sender.pid == pid) return &sender;
        }
        return nullptr;
    }
};

}  // namespace pgaf::sim
