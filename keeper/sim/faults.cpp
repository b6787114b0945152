#include <algorithm>

#include "model.hpp"

/// What goes wrong, and what operators do meanwhile.
namespace pgaf::sim {

using namespace core;  // NOLINT: the model speaks of nothing but the core
using enum NodeState;

void World::InjectFault() {
    Node &node = nodes_.at(static_cast<std::size_t>(Chance(static_cast<int>(nodes_.size()))));
    const std::string who = "node " + std::to_string(node.id.value);
    switch (Chance(12)) {
        case 0:
        case 1:
            Tell("fault: PostgreSQL of " + who + " killed");
            return KillServer(node);
        case 2:
            Tell("fault: host of " + who + (node.host_up ? " down" : " up"));
            node.host_up = !node.host_up;
            node.step_source = {};
            return KillServer(node);
        case 3:
            Tell("fault: " + who + " frozen");
            node.frozen_until = now_ + Milliseconds{200 + Chance(15'000)};
            return;
        case 4:
            Tell("fault: worker of " + who + " frozen");
            node.worker_frozen_until = now_ + Milliseconds{200 + Chance(8'000)};
            return;
        case 5:
        case 6:
        case 7: {
            const auto count = static_cast<int>(link_.size());
            const int from = Chance(count);
            const int to = (from + 1 + Chance(count - 1)) % count;
            const bool up =
                !link_.at(static_cast<std::size_t>(from)).at(static_cast<std::size_t>(to));
            link_[static_cast<std::size_t>(from)][static_cast<std::size_t>(to)] = up;
            const bool is_one_way = Chance(3) == 0;
            if (!is_one_way)
                link_[static_cast<std::size_t>(to)][static_cast<std::size_t>(from)] = up;
            Tell("fault: link " + std::to_string(from) + (is_one_way ? " -> " : " <-> ") +
                 std::to_string(to) + (up ? " up" : " cut"));
            return;
        }
        case 8:
            Tell(monitor_up_ ? "fault: monitor down" : "monitor up");
            if (monitor_up_) {
                monitor_up_ = false;
                // Its backends die with what they were about to look at; answers may be on their
                // way.
                std::erase_if(messages_, [](const Message &m) { return m.to_monitor; });
            } else {
                RestartMonitor();
            }
            return;
        case 9:
        case 10:
            return Operate();
        default:
            return OperateOnNode(node.id);
    }
}

void World::Operate() {
    if (!monitor_up_) return;
    GroupView view = View();
    switch (Chance(4)) {
        case 0:
        case 1: {
            FailoverRequest request;
            if (Chance(2) == 0)
                request.preferred =
                    nodes_.at(static_cast<std::size_t>(Chance(static_cast<int>(nodes_.size())))).id;
            const auto decision = RequestFailover(view, request);
            if (!decision) return;
            Tell("operator: failover");
            return CarryDecision(*decision);
        }
        case 2: {
            const int number = Chance(3);
            if (!CheckNumberSyncStandbys(view, number)) return;
            Tell("operator: number_sync_standbys " + std::to_string(number));
            group_.number_sync_standbys = number;
            return;
        }
        default: {
            if (Chance(4) != 0) return;
            const auto decision = RequestFailover(view, {.allow_data_loss = true});
            if (!decision || !decision->accepts_data_loss) return;
            Tell("operator: failover, data may be lost");
            durable_.clear();
            return CarryDecision(*decision);
        }
    }
}

void World::OperateOnNode(NodeId id) {
    if (!monitor_up_) return;
    Node &node = *Find(id);
    const GroupView view = View();
    const std::string who = "node " + std::to_string(id.value);
    if (view.Find(id) == nullptr) {
        if (Chance(2) == 0) Register(node);
        return;
    }
    const auto carry = [&](const Result<Decision> &decision, const std::string &what) {
        if (!decision || decision->IsEmpty()) return;
        Tell("operator: " + what + " " + who);
        CarryDecision(*decision);
    };
    switch (Chance(4)) {
        case 0:
            return carry(RequestMaintenance(view, id, nullptr), "maintenance of");
        case 1:
            return carry(RequestEndOfMaintenance(view, id), "end of maintenance of");
        case 2: {
            group_.Find(id)->candidate_priority = Chance(3) == 0 ? 0 : Chance(101);
            Tell("operator: priority of " + who + " " +
                 std::to_string(group_.Find(id)->candidate_priority));
            return;
        }
        default: {
            if (Chance(3) != 0 || group_.nodes.size() <= 2) return;
            const auto decision = RequestRemoval(view, id, false);
            if (!decision) return;
            group_.number_sync_standbys = NumberSyncStandbysAfterRemoval(view, id);
            return carry(decision, "removal of");
        }
    }
}

}  // namespace pgaf::sim
