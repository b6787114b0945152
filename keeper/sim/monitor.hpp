#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "pgaf/core/decide.hpp"

/// The monitor: rows that survive, facts that do not, and the decisions that ship.
namespace pgaf::sim {

using core::BootTime;
using core::Milliseconds;
using core::NodeId;
using core::NodeState;

class Machine;
class World;
struct Packet;

class Monitor {
 public:
    explicit Monitor(World &world) : world_(world) {
        // A position counts units here, not bytes.
        group_.timeouts.replay_lag_bytes = 300;
        group_.timeouts.last_record_bytes = 0;
    }
    void Tick();
    void Receive(Packet &packet);

    /// What an operator does; the text is the refusal, or empty.
    /// `is_all_there`: nothing can be lost, and what was promised still counts.
    std::string Failover(const core::FailoverRequest &request, bool is_all_there = false);
    std::string Remove(NodeId node, bool force);
    std::string BeginMaintenance(NodeId node);
    std::string EndMaintenance(NodeId node);
    void SetPriority(NodeId node, int priority);
    std::string SetNumberSyncStandbys(int number);
    /// `create postgres` on a machine with nothing on it; false when it is refused now.
    bool Register(Machine &machine, bool quorum);

    void Stop();
    void Start();
    /// An open transaction holds the group's lock until then.
    void Lock(BootTime until);
    struct Backup {
        core::GroupView group;
        std::map<NodeId, std::int64_t> epochs;
        std::map<NodeId, std::int64_t> instances;
        std::int64_t last_node = 0;
    };
    [[nodiscard]] std::int64_t InstanceOf(NodeId node) const {
        const auto at = instances_.find(node);
        return at == instances_.end() ? 0 : at->second;
    }
    [[nodiscard]] bool Hears(NodeId node, std::int64_t instance) const;
    /// As update_node_metadata does.
    void Move(NodeId node, const std::string &address);
    [[nodiscard]] Backup Save() const { return {group_, epochs_, instances_, last_node_}; }
    /// An older one takes its place.
    void Restore(const Backup &backup);

    /// A candidate has died that was given the next number.
    void SkipTimeline() { ++group_.highest_timeline; }

    [[nodiscard]] const core::GroupView &Rows() const { return group_; }
    [[nodiscard]] core::GroupView View() const;
    [[nodiscard]] bool IsUp() const { return is_up_; }
    [[nodiscard]] std::int64_t Assignments() const { return assignments_; }
    [[nodiscard]] int BlockedBackends() const { return blocked_; }

 private:
    struct Facts {
        core::LeaseRecord lease;
        core::HeldWal held;
        core::Report report;
        BootTime reported_at;
        bool has_report = false;
        BootTime goal_since;
        std::int64_t session = 0;
        core::SessionFact session_fact = core::SessionFact::kNone;
        BootTime session_lost_at;
        core::ProbeFact probe = core::ProbeFact::kUnknown;
        BootTime probed_at;
        bool is_probed_since_loss = false;
        std::optional<std::pair<BootTime, core::ProbeFact>> probing;  ///< ends then, with this
    };
    struct Caller {
        int place = 0;
        NodeId node;
        std::optional<BootTime> lost_at;
        int boots = 0;  ///< of the machine that connected
    };

    void Settle();
    void CarryOut(const core::Decision &decision);
    void OnReport(const Packet &packet);
    void Answer(const Packet &packet, core::Reply reply);
    void Refuse(const Packet &packet, std::string text);
    void LoseSession(std::int64_t session);
    void Probe(NodeId node, Facts &facts);
    [[nodiscard]] core::ProbeFact AnswerOf(const core::NodeView &row) const;
    Facts &FactsOf(NodeId node);
    void WakeKeepers();
    std::string Carry(const core::Result<core::Decision> &decision, const std::string &what);

    World &world_;
    core::GroupView group_;
    std::map<NodeId, std::int64_t> epochs_;     ///< column of the row
    std::map<NodeId, std::int64_t> instances_;  ///< column of the row
    std::int64_t last_node_ = 0;
    std::map<NodeId, Facts> facts_;
    std::map<std::int64_t, Caller> callers_;
    bool is_up_ = true;
    BootTime started_at_{0};
    BootTime locked_until_;
    int blocked_ = 0;
    BootTime decide_at_ = core::kForever;
    std::int64_t assignments_ = 0;
};

}  // namespace pgaf::sim
