#include "pgaf/core/keeper_edges.hpp"

namespace pgaf::core {
namespace {

using enum NodeState;

constexpr std::array kEdges{
    // A node comes into being.
    Edge{kInit, kSingle, Step::kInitPrimary, Actor::kSupervisor},
    Edge{kWaitStandby, kSingle, Step::kInitPrimary, Actor::kSupervisor},
    Edge{kInit, kWaitStandby, Step::kNone, Actor::kSupervisor},
    Edge{kInit, kCatchingup, Step::kClone, Actor::kSupervisor},
    Edge{kWaitStandby, kCatchingup, Step::kClone, Actor::kSupervisor},

    // A primary gains and loses standbys.
    Edge{kSingle, kWaitPrimary, Step::kApplySync, Actor::kWorker},
    Edge{kSingle, kPrimary, Step::kApplySync, Actor::kWorker},
    Edge{kWaitPrimary, kPrimary, Step::kApplySync, Actor::kWorker},
    Edge{kApplySettings, kPrimary, Step::kApplySync, Actor::kWorker},
    Edge{kPrimary, kWaitPrimary, Step::kApplySync, Actor::kWorker},
    Edge{kApplySettings, kWaitPrimary, Step::kApplySync, Actor::kWorker},
    Edge{kPrimary, kApplySettings, Step::kNone, Actor::kWorker},
    Edge{kWaitPrimary, kApplySettings, Step::kNone, Actor::kWorker},
    Edge{kWaitPrimary, kSingle, Step::kApplySync, Actor::kWorker},
    Edge{kPrimary, kSingle, Step::kApplySync, Actor::kWorker},
    Edge{kApplySettings, kSingle, Step::kApplySync, Actor::kWorker},

    // A primary hands over.
    Edge{kPrimary, kDraining, Step::kDrain, Actor::kWorker},
    Edge{kWaitPrimary, kDraining, Step::kDrain, Actor::kWorker},
    Edge{kApplySettings, kDraining, Step::kDrain, Actor::kWorker},
    Edge{kSingle, kDraining, Step::kDrain, Actor::kWorker},
    Edge{kDraining, kPrimary, Step::kUnfence, Actor::kWorker},
    Edge{kDraining, kWaitPrimary, Step::kUnfence, Actor::kWorker},
    Edge{kDraining, kSingle, Step::kUnfence, Actor::kWorker},

    // A primary is stopped, and comes back.
    Edge{kSingle, kDemoteTimeout, Step::kStop, Actor::kAny},
    Edge{kWaitPrimary, kDemoteTimeout, Step::kStop, Actor::kAny},
    Edge{kPrimary, kDemoteTimeout, Step::kStop, Actor::kAny},
    Edge{kApplySettings, kDemoteTimeout, Step::kStop, Actor::kAny},
    Edge{kDraining, kDemoteTimeout, Step::kStop, Actor::kAny},
    Edge{kSingle, kDemoted, Step::kStop, Actor::kAny},
    Edge{kWaitPrimary, kDemoted, Step::kStop, Actor::kAny},
    Edge{kPrimary, kDemoted, Step::kStop, Actor::kAny},
    Edge{kApplySettings, kDemoted, Step::kStop, Actor::kAny},
    Edge{kDraining, kDemoted, Step::kStop, Actor::kAny},
    Edge{kDemoteTimeout, kDemoted, Step::kStop, Actor::kAny},
    Edge{kDemoteTimeout, kDraining, Step::kNone, Actor::kSupervisor},
    Edge{kDemoteTimeout, kPrimary, Step::kStart, Actor::kSupervisor},
    Edge{kDemoteTimeout, kWaitPrimary, Step::kStart, Actor::kSupervisor},
    Edge{kDemoteTimeout, kSingle, Step::kStart, Actor::kSupervisor},
    Edge{kDemoted, kPrimary, Step::kStart, Actor::kSupervisor},
    Edge{kDemoted, kWaitPrimary, Step::kStart, Actor::kSupervisor},
    Edge{kDemoted, kSingle, Step::kStart, Actor::kSupervisor},
    Edge{kDemoted, kCatchingup, Step::kRejoin, Actor::kSupervisor},
    Edge{kDemoteTimeout, kCatchingup, Step::kRejoin, Actor::kSupervisor},
    Edge{kDraining, kCatchingup, Step::kStop, Actor::kWorker},
    Edge{kPrimary, kCatchingup, Step::kStop, Actor::kWorker},
    Edge{kWaitPrimary, kCatchingup, Step::kStop, Actor::kWorker},
    Edge{kApplySettings, kCatchingup, Step::kStop, Actor::kWorker},
    Edge{kSingle, kCatchingup, Step::kStop, Actor::kWorker},

    // A standby.
    Edge{kCatchingup, kSecondary, Step::kFollow, Actor::kWorker},
    Edge{kSecondary, kCatchingup, Step::kFollow, Actor::kWorker},
    Edge{kPreparePromotion, kSecondary, Step::kFollow, Actor::kWorker},
    Edge{kStopReplication, kSecondary, Step::kFollow, Actor::kWorker},
    Edge{kPreparePromotion, kCatchingup, Step::kFollow, Actor::kWorker},
    Edge{kStopReplication, kCatchingup, Step::kFollow, Actor::kWorker},

    // A standby is promoted.
    Edge{kSecondary, kPreparePromotion, Step::kSeal, Actor::kWorker},
    Edge{kCatchingup, kPreparePromotion, Step::kSeal, Actor::kWorker},
    Edge{kPreparePromotion, kStopReplication, Step::kNone, Actor::kWorker},
    Edge{kPreparePromotion, kWaitPrimary, Step::kPromote, Actor::kWorker},
    Edge{kStopReplication, kWaitPrimary, Step::kPromote, Actor::kWorker},
    Edge{kPreparePromotion, kSingle, Step::kPromote, Actor::kWorker},
    Edge{kStopReplication, kSingle, Step::kPromote, Actor::kWorker},
    Edge{kSecondary, kSingle, Step::kPromote, Actor::kWorker},
    Edge{kCatchingup, kSingle, Step::kPromote, Actor::kWorker},
};

constexpr bool EveryEdgeMovesAndIsUnique() {
    for (std::size_t i = 0; i < kEdges.size(); ++i) {
        if (kEdges.at(i).from == kEdges.at(i).to) return false;
        for (std::size_t j = i + 1; j < kEdges.size(); ++j) {
            if (kEdges.at(i).from == kEdges.at(j).from && kEdges.at(i).to == kEdges.at(j).to) {
                return false;
            }
        }
    }
    return true;
}
static_assert(EveryEdgeMovesAndIsUnique(), "an edge leads elsewhere, and there is one for each pair");

}  // namespace

std::span<const Edge> KeeperEdges() { return kEdges; }

std::optional<Edge> FindEdge(NodeState from, NodeState to) {
    if (from == to) return std::nullopt;
    if (to == kDropped) return Edge{from, to, Step::kDrop, Actor::kAny};
    for (const Edge &edge : kEdges) {
        if (edge.from == from && edge.to == to) return edge;
    }
    return std::nullopt;
}

}  // namespace pgaf::core
