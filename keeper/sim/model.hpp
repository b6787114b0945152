#pragma once

#include <deque>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "pgaf/core/decide.hpp"
#include "pgaf/core/keeper_edges.hpp"

/// Two nodes and a monitor in virtual time: the real decisions over a model of PostgreSQL and of
/// the network. One seed makes one run; everything random comes from it.
namespace pgaf::sim {

using core::BootTime;
using core::Milliseconds;
using core::NodeId;
using core::NodeState;

/// A commit, on the branch of history that wrote it.
struct Commit {
    std::int64_t id = 0;
    bool local = false;  ///< the client did not wait for the standby
};

/// A data node: its PostgreSQL, its keeper, and what survives their death.
struct Node {
    NodeId id;
    // Survives everything.
    std::vector<Commit> log;
    NodeState state = NodeState::kInit;
    std::int64_t term = 0;
    std::int64_t epoch = 0;
    std::int64_t sequence = 0;
    core::SyncSet sync_set;  ///< in the file
    std::int64_t sync_version = 0;
    NodeId upstream;  ///< in the file; 0: sealed
    int timeline = 1;
    // Processes.
    bool host_up = true;
    bool pg_running = false;
    bool in_recovery = false;
    BootTime frozen_until;
    // Memory of the worker.
    BootTime deadline;
    bool unlimited = false;
    bool fenced = true;
    bool drained = false;
    std::size_t sealed_at = 0;
    BootTime last_received;
    BootTime last_reply_at;
    BootTime next_report;
    std::optional<core::Reply> reply;
    std::deque<std::pair<BootTime, std::size_t>> heartbeats;  ///< stream extension: when, log size
    std::size_t confirmed_by_standby = 0;
    BootTime standby_replied;
    struct Waiter {
        std::size_t end;
        Commit commit;
    };
    std::vector<Waiter> waiters;  ///< commits waiting for the standby
};

struct Message {
    BootTime at;
    BootTime sent;
    bool to_monitor = false;
    NodeId node;
    std::int64_t session = 0;
    core::Report report;
    core::Reply reply;
};

class World {
 public:
    explicit World(std::uint64_t seed);

    /// Runs faults for a while, heals, and checks. Empty: all is well; else what is wrong.
    std::string Run();
    /// Turns a rule off, to show that the checks can fail.
    enum class Mutation {
        kNone,
        kIgnoreLease,
        kPromoteUnconfirmed,
        kAckWhenFenced,
        kShrinkUnasked
    };
    void Mutate(Mutation mutation) { mutation_ = mutation; }
    const std::vector<std::string> &Story() const { return story_; }

 private:
    void Step();
    void StepNode(Node &node);
    void StepSupervisor(Node &node);
    void StepWorker(Node &node);
    void StepEdge(Node &node, NodeState goal);
    void Replicate();
    void ClientWrites(Node &node);
    void Acknowledge(Node &node, const Commit &commit);
    void SendReport(Node &node);
    void Receive(Node &node, const core::Reply &reply, BootTime sent);
    void MonitorReceives(const Message &message);
    void MonitorDecides();
    core::GroupView View() const;
    void InjectFault();
    void Heal();
    bool IsConverged() const;
    std::string CheckData() const;

    bool IsFrozen(const Node &node) const { return node.frozen_until > now_; }
    bool Linked(NodeId a, NodeId b) const;  ///< NodeId 0 is the monitor
    bool GateOpen(const Node &node) const;
    Node &Other(const Node &node) { return nodes_[node.id.value == 1 ? 1 : 0]; }
    core::Report MakeReport(const Node &node) const;
    void Tell(std::string text);
    int Chance(int n) { return static_cast<int>(random_() % static_cast<unsigned>(n)); }

    std::mt19937_64 random_;
    BootTime now_{1'000'000'000};
    std::vector<Node> nodes_;
    std::deque<Message> messages_;
    bool link_[3] = {true, true, true};  ///< a-monitor, b-monitor, a-b
    // The monitor: rows and facts.
    core::GroupView group_;
    struct Facts {
        core::LeaseRecord lease;
        core::Report report;
        BootTime reported_at;
        bool has_report = false;
        BootTime goal_since;
    };
    Facts facts_[2];
    bool monitor_up_ = true;
    BootTime monitor_started_{0};
    // The witness.
    std::int64_t next_commit_ = 1;
    std::vector<std::int64_t> durable_;  ///< acknowledged, and covered by the standby
    std::int64_t owner_term_ = -1;
    NodeId owner_;
    std::string violation_;
    Mutation mutation_ = Mutation::kNone;
    std::vector<std::string> story_;
};

}  // namespace pgaf::sim
