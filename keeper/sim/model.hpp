#pragma once

#include <deque>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "supervisor/plan.hpp"
#include "pgaf/core/decide.hpp"
#include "pgaf/core/keeper_edges.hpp"

/// A group of two to five nodes and a monitor in virtual time: the real decisions of monitor and
/// supervisor over a model of PostgreSQL, of the keeper's worker, and of the network. One seed
/// makes one run; everything random comes from it.
namespace pgaf::sim {

using core::BootTime;
using core::Milliseconds;
using core::NodeId;
using core::NodeState;

inline constexpr Milliseconds kTick{10};
inline constexpr Milliseconds kLease{3000};

/// A record in the WAL: a commit, or something that nobody waits for. Its position is its index.
struct Record {
    std::int64_t id = 0;
    bool local = false;  ///< the client does not wait for standbys
};

/// The history of one server: positions are comparable on one lineage only.
struct Wal {
    std::vector<Record> records;
    int timeline = 1;
    core::TimelineHistory history;
    [[nodiscard]] core::Lsn End() const { return {1 + records.size()}; }
    [[nodiscard]] core::WalPosition Position() const { return {timeline, End(), history}; }
};

/// A value in a file, and what the server uses: a reload takes a moment.
template <typename T>
struct Setting {
    T file{};
    T loaded{};
    BootTime loads_at;  ///< when the file is read
    void Write(T value, BootTime when) {
        file = std::move(value);
        loads_at = when;
    }
    void Poll(BootTime now) {
        if (now >= loads_at) loaded = file;
    }
};

struct SyncChoice {
    core::SyncSet set;
    std::int64_t version = 0;
};

/// A data node: its PostgreSQL, its keepers, and what survives their death.
struct Node {
    NodeId id;
    bool is_registered = false;
    double clock_rate = 1.0;  ///< of its CLOCK_BOOTTIME, against true time

    // On disk.
    Wal wal;
    NodeState state = NodeState::kInit;
    NodeState goal = NodeState::kInit;
    std::int64_t goal_version = 0;
    std::int64_t term = 0;
    std::int64_t epoch = 0;
    bool had_peer = false;
    bool is_marked = false;         ///< PGDATA is being cloned or rewound
    std::size_t consistent_at = 0;  ///< a copy is whole from here on
    Setting<SyncChoice> sync;
    Setting<NodeId> upstream;  ///< 0: none, nothing is received

    // Processes.
    bool host_up = true;
    bool pg_running = false;
    bool in_recovery = false;
    BootTime frozen_until;         ///< everything on the host
    BootTime worker_frozen_until;  ///< the worker alone
    BootTime step_until;           ///< a long step of the supervisor ends then
    NodeId step_source;

    // Memory of the server and of the keeper.
    BootTime deadline;  ///< on the node's own clock
    bool fenced = true;
    bool drained = false;
    core::Lsn sealed_lsn;
    BootTime received_at;             ///< anything from an upstream
    std::int64_t confirmed_sync = 0;  ///< version in force
    core::Lsn hold;
    std::optional<core::Reply> reply;
    BootTime answered_at;
    std::vector<NodeId> streamed;
    struct Standby {
        core::Lsn flushed;
        BootTime replied;
        bool streaming = false;
    };
    std::map<NodeId, Standby> standbys;  ///< its walsenders
    std::deque<std::pair<BootTime, core::Lsn>> markers;
    struct Waiter {
        core::Lsn end;
        Record record;
    };
    std::vector<Waiter> waiters;

    // Its link to the monitor: one report under way.
    std::int64_t sequence = 0;
    std::int64_t outstanding = 0;  ///< sequence of it; 0: none
    BootTime sent_at;              ///< node's clock
    BootTime sent_true;
    BootTime next_report;
    std::int64_t connection = 0;
};

struct Message {
    BootTime at;
    bool to_monitor = false;
    NodeId node;
    std::int64_t connection = 0;
    core::Report report;
    std::int64_t answers = 0;  ///< sequence
    core::Reply reply;
};

class World {
 public:
    explicit World(std::uint64_t seed);

    /// Runs faults for a while, heals, and checks. Empty: all is well; else what is wrong.
    std::string Run();
    [[nodiscard]] const std::vector<std::string> &Story() const { return story_; }

 private:
    // world.cpp
    void Tick();
    void Deliver();
    void Heal();
    void EndMaintenance();
    [[nodiscard]] bool IsConverged() const;
    [[nodiscard]] std::string Summary() const;
    void Violate(const std::string &text);
    void Tell(std::string text);
    int Chance(int n) { return static_cast<int>(random_() % static_cast<unsigned>(n)); }
    [[nodiscard]] bool Linked(NodeId from, NodeId to) const;  ///< one way; NodeId 0 is the monitor
    [[nodiscard]] bool Connected(NodeId a, NodeId b) const { return Linked(a, b) && Linked(b, a); }
    Node *Find(NodeId id);
    [[nodiscard]] const Node *Find(NodeId id) const;
    [[nodiscard]] bool IsFrozen(const Node &node) const { return node.frozen_until > now_; }
    [[nodiscard]] BootTime ClockOf(const Node &node) const;

    // postgres.cpp
    void Replicate();
    [[nodiscard]] bool StreamsFrom(const Node &standby, const Node &upstream) const;
    void ClientWrites(Node &node);
    void Acknowledge(Node &node, const Record &record);
    [[nodiscard]] bool GateOpen(const Node &node) const;
    [[nodiscard]] bool IsConfirmed(const Node &node, const core::SyncSet &set, core::Lsn end) const;
    void KillServer(Node &node);
    void StartServer(Node &node);
    void CheckPromotion(const Node &node);

    // keeper.cpp
    void StepNode(Node &node);
    void StepSupervisor(Node &node);
    void RunLongStep(Node &node, core::Step step, NodeState next);
    void EndLongStep(Node &node);
    void StepWorker(Node &node);
    void KeepLease(Node &node);
    void Advance(Node &node);
    void StayInState(Node &node);
    bool ApplySync(Node &node);
    bool Carry(Node &node, const core::Edge &edge);
    void TakeState(Node &node, NodeState state);
    [[nodiscard]] bool Promote(Node &node);
    [[nodiscard]] bool Drain(Node &node);
    [[nodiscard]] bool Follow(Node &node, NodeState goal);
    [[nodiscard]] core::Report MakeReport(const Node &node) const;
    void SendReport(Node &node);
    void Receive(Node &node, const core::Reply &reply);
    [[nodiscard]] bool CrashesNow(Node &node);

    // monitor.cpp
    [[nodiscard]] core::GroupView View() const;
    void MonitorDecides();
    void MonitorReceives(const Message &message);
    void CarryDecision(const core::Decision &decision);
    void RestartMonitor();
    void Register(Node &node);

    // faults.cpp
    void InjectFault();
    void Operate();
    void OperateOnNode(NodeId id);

    std::mt19937_64 random_;
    BootTime now_{1'000'000'000};
    std::vector<Node> nodes_;
    std::vector<Message> messages_;
    std::vector<std::vector<bool>> link_;  ///< [from][to]; 0 is the monitor

    core::GroupView group_;
    struct Facts {
        core::LeaseRecord lease;
        core::Report report;
        BootTime reported_at;
        bool has_report = false;
        BootTime goal_since;
    };
    std::map<NodeId, Facts> facts_;
    bool monitor_up_ = true;
    BootTime monitor_started_{0};

    // The witness.
    std::int64_t next_record_ = 1;
    std::vector<std::int64_t> durable_;  ///< acknowledged, and promised to survive
    bool promises_ = true;               ///< the formation's standbys count for the quorum
    std::int64_t owner_term_ = -1;
    NodeId owner_;
    std::string violation_;
    std::vector<std::string> story_;
};

}  // namespace pgaf::sim
