#include <algorithm>

#include "model.hpp"

/// Time, the network, and the judgement at the end.
namespace pgaf::sim {

using namespace core;  // NOLINT: the model speaks of nothing but the core
using enum NodeState;

World::World(std::uint64_t seed) : random_(seed) {
    const int count = 2 + Chance(4);
    promises_ = Chance(10) != 0;
    for (std::int64_t id = 1; id <= count; ++id) {
        Node node;
        node.id = NodeId{id};
        node.clock_rate = 1.0 + (Chance(3) - 1) / 128.0;
        nodes_.push_back(node);
    }
    link_.assign(static_cast<std::size_t>(count) + 1,
                 std::vector<bool>(static_cast<std::size_t>(count) + 1, true));
}

void World::Tell(std::string text) {
    story_.push_back(std::to_string(now_.ns / 1'000'000) + " " + std::move(text));
    if (story_.size() > 600) story_.erase(story_.begin());
}

void World::Violate(const std::string &text) {
    if (!violation_.empty()) return;
    violation_ = text;
    Tell("violation: " + text);
}

bool World::Linked(NodeId from, NodeId to) const {
    if ((from.value == 0 || to.value == 0) && !monitor_up_) return false;
    return link_.at(static_cast<std::size_t>(from.value)).at(static_cast<std::size_t>(to.value));
}

Node *World::Find(NodeId id) {
    return id.IsValid() && id.value <= static_cast<std::int64_t>(nodes_.size())
               ? &nodes_.at(static_cast<std::size_t>(id.value - 1))
               : nullptr;
}

const Node *World::Find(NodeId id) const { return const_cast<World *>(this)->Find(id); }

BootTime World::ClockOf(const Node &node) const {
    return {static_cast<std::int64_t>(static_cast<double>(now_.ns) * node.clock_rate)};
}

void World::Deliver() {
    std::vector<Message> due;
    std::erase_if(messages_, [&](const Message &message) {
        const Node &node = *Find(message.node);
        const bool waits =
            message.at > now_ ||
            (!message.to_monitor && (IsFrozen(node) || node.worker_frozen_until > now_));
        if (!waits) due.push_back(message);
        return !waits;
    });
    for (const Message &message : due) {
        Node &node = *Find(message.node);
        if (message.to_monitor) {
            if (Linked(node.id, NodeId{0})) MonitorReceives(message);
        } else if (Linked(NodeId{0}, node.id) && node.host_up &&
                   node.connection == message.connection && node.outstanding == message.answers) {
            Receive(node, message.reply);
        }
    }
}

void World::Heal() {
    Tell("all faults heal");
    for (auto &row : link_)
        row.assign(row.size(), true);
    for (Node &node : nodes_) {
        node.host_up = true;
        node.frozen_until = node.worker_frozen_until = {};
    }
    if (!monitor_up_) RestartMonitor();
    for (NodeView &row : group_.nodes)
        row.candidate_priority = std::max(row.candidate_priority, 1);
}

/// The operator ends what he began.
void World::EndMaintenance() {
    const std::vector<NodeView> rows = group_.nodes;
    for (const NodeView &row : rows) {
        const auto end = RequestEndOfMaintenance(View(), row.id);
        if (end && !end->IsEmpty()) CarryDecision(*end);
    }
}

void World::Tick() {
    now_ = now_ + kTick;
    Deliver();
    Replicate();
    for (Node &node : nodes_)
        StepNode(node);
    for (Node &node : nodes_)
        ClientWrites(node);
    if (monitor_up_) MonitorDecides();
}

bool World::IsConverged() const {
    std::size_t primaries = 0;
    std::size_t secondaries = 0;
    for (const NodeView &row : group_.nodes) {
        if (row.goal != row.reported) return false;
        primaries +=
            row.goal == kPrimary || (group_.nodes.size() == 1 && row.goal == kSingle) ? 1 : 0;
        secondaries += row.goal == kSecondary ? 1 : 0;
    }
    return primaries == 1 && primaries + secondaries == group_.nodes.size() &&
           group_.sync.IsSettled();
}

std::string World::Summary() const {
    std::string text;
    for (const NodeView &row : group_.nodes) {
        const Node &node = *Find(row.id);
        text += " " + row.name + " " + std::string(ToString(row.reported)) + "/" +
                std::string(ToString(row.goal)) + " " + std::to_string(node.wal.timeline) + "@" +
                std::to_string(node.wal.End().value) + "(" + EncodeHistory(node.wal.history) + ")" +
                (node.pg_running ? " up" : " down") + (node.fenced ? " fenced" : "");
    }
    return text + "; set " + EncodeSets(PossibleSets(group_.sync)) + "; " + Decide(View()).blocked;
}

std::string World::Run() {
    for (Node &node : nodes_) {
        Register(node);
        for (int i = 0;
             i < 3000 && violation_.empty() && (node.id.value == 1 ? i < 300 : !IsConverged()); ++i)
            Tick();
    }
    if (violation_.empty() && !IsConverged())
        return "fresh nodes did not become primary and secondaries:" + Summary();
    const int faults = 2 + Chance(10);
    for (int fault = 0; fault < faults && violation_.empty(); ++fault) {
        InjectFault();
        const int steps = Chance(3) == 0 ? Chance(50) : Chance(1200);
        for (int i = 0; i < steps && violation_.empty(); ++i)
            Tick();
    }
    Heal();
    for (int i = 0; i < 6000 && violation_.empty() && !IsConverged(); ++i) {
        if (i % 100 == 0) EndMaintenance();
        Tick();
    }
    if (!violation_.empty()) return violation_;
    if (!IsConverged()) return "no convergence after the faults healed:" + Summary();
    if (const NodeView *primary = FindPrimary(group_)) CheckPromotion(*Find(primary->id));
    return violation_;
}

}  // namespace pgaf::sim
