#pragma once

#include "pg/headers.hpp"

#include <array>
#include <cstdint>

#include "pgaf/core/cancelled_waits.hpp"
#include "pgaf/core/group_view.hpp"

/// Layout of the monitor's shared memory: fixed-size plain structs. One LWLock guards all of it; it
/// is held for copying only. Empty after every start of the server.
namespace pgaf::facts {

inline constexpr std::int64_t kNever = INT64_MAX;
/// As many as a group may have, see core::kGroupNodesMax.
inline constexpr int kStandbysMax = core::kGroupNodesMax;
inline constexpr int kWorkersMax = 64;

/// Hashed as bytes: zero it before filling it.
struct NodeKey {
    std::int64_t node;
    Oid database;
    std::uint32_t zero;
};

struct PlainSwitch {
    int timeline;
    std::uint64_t at;
};

struct PlainStandby {
    std::int64_t node;
    std::uint64_t flush_lsn;
    std::int64_t reply_age_ms;
    bool streaming;
    bool in_sync_set;
};

/// core::Report without its identity, cut to fixed sizes.
struct PlainReport {
    std::int64_t keeper_epoch;
    std::int64_t instance;
    std::int64_t sequence;
    std::int64_t copies;
    std::int64_t goal_version;
    std::int64_t term;
    std::int64_t sync_version;
    std::int64_t known_sync_version;
    std::uint64_t lsn;
    std::uint64_t begun_at;
    std::uint64_t sealed_lsn;
    std::uint64_t system_identifier;
    std::int64_t receiver_upstream;
    std::int64_t receiver_age_ms;
    std::uint64_t replay_lsn;
    std::int64_t stall_ms;
    std::int64_t cancelled_waits;
    std::int64_t unconfirmed_waits;
    int timeline;
    core::KeeperHolder holder;
    core::NodeState state;
    bool pg_running;
    bool in_recovery;
    bool fenced;
    bool lease_mode;
    bool receiver_streaming;
    bool receiver_sealed;
    bool replay_paused;
    bool cannot_reload;
    bool damaged;
    int switch_count;
    std::array<PlainSwitch, core::kTimelineSwitchesMax> switches;
    int standby_count;
    std::array<PlainStandby, kStandbysMax> standbys;
    char problem[256];
    char pg_version[32];
    std::int64_t settings_version;
    std::int64_t server_start;
    core::CopyProgress copying;
    bool has_sizes;
    core::ServerSizes sizes;
};

/// What is known of one node beyond its row. Instants are CLOCK_BOOTTIME nanoseconds.
struct NodeFacts {
    NodeKey key;
    std::int64_t known_since_ns;  ///< registration, or start of the server
    int registrar;                ///< process whose transaction registers it; 0: committed
    SubTransactionId registered_in;
    int remover;  ///< process whose transaction removes it; 0: none
    SubTransactionId removed_in;
    std::int64_t goal_since_ns;
    char goal_reason[256];  ///< for people; lost with a restart

    char address[64];  ///< numeric; empty: not resolved
    int port;

    bool has_report;
    std::int64_t report_ns;
    TimestampTz report_time;
    PlainReport report;

    core::LeaseRecord lease;
    core::HeldWal held;
    core::CancelledWaits waits;

    core::SessionFact session;
    int session_pid;
    int session_slot;   ///< OwnWakeSlot of that process
    bool session_news;  ///< lost, and its peers have not been told
    std::int64_t session_lost_ns;

    core::ProbeFact probe;
    bool probed_since_session_lost;
    std::int64_t probed_ns;
    std::int64_t broken_since_ns;  ///< first answer kBroken; 0: none that still counts
    std::int64_t broken_ns;        ///< the last one
    char broken[160];              ///< what the server said

    std::int64_t decide_at_ns;  ///< when its group must be looked at again
};

enum class WorkerState : int { kFree, kWanted, kStarting, kRunning };

/// The worker of one database.
struct WorkerSlot {
    Oid database;
    WorkerState state;
    int pid;
    bool has_events;  ///< committed, and not told yet
    Latch *latch;     ///< in shared memory; setting it after its owner is gone is harmless
    std::int64_t not_before_ns;
    std::int64_t next_wake_ns;  ///< when the running worker looks again by itself
};

struct Shared {
    LWLock *lock;
    std::int64_t server_start_ns;
    Latch *launcher_latch;
    std::array<WorkerSlot, kWorkersMax> workers;
};

/// Postgres regime. Request in the shmem request hook, attach in the startup hook.
void RequestSharedUnsafe();
void AttachSharedUnsafe();

Shared &GetShared();
HTAB *NodeTable();

/// Holds the lock for the life of the object.
class LockScope {
 public:
    explicit LockScope(LWLockMode mode);
    ~LockScope();
    LockScope(const LockScope &) = delete;
    LockScope &operator=(const LockScope &) = delete;
};

}  // namespace pgaf::facts
