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
    Edge{kSingle, kApplySettings, Step::kNone, Actor::kWorker},

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
    Edge{kPrimary, kPrepareMaintenance, Step::kDrain, Actor::kWorker},
    Edge{kWaitPrimary, kPrepareMaintenance, Step::kDrain, Actor::kWorker},
    Edge{kApplySettings, kPrepareMaintenance, Step::kDrain, Actor::kWorker},
    Edge{kDraining, kPrimary, Step::kUnfence, Actor::kWorker},
    Edge{kDraining, kWaitPrimary, Step::kUnfence, Actor::kWorker},
    Edge{kDraining, kSingle, Step::kUnfence, Actor::kWorker},
    Edge{kDraining, kApplySettings, Step::kUnfence, Actor::kWorker},
    Edge{kPrepareMaintenance, kApplySettings, Step::kUnfence, Actor::kWorker},
    Edge{kPrepareMaintenance, kPrimary, Step::kUnfence, Actor::kWorker},
    Edge{kPrepareMaintenance, kWaitPrimary, Step::kUnfence, Actor::kWorker},
    Edge{kPrepareMaintenance, kSingle, Step::kUnfence, Actor::kWorker},

    // A primary is stopped, and comes back.
    Edge{kSingle, kDemoteTimeout, Step::kStop, Actor::kAny},
    Edge{kWaitPrimary, kDemoteTimeout, Step::kStop, Actor::kAny},
    Edge{kPrimary, kDemoteTimeout, Step::kStop, Actor::kAny},
    Edge{kApplySettings, kDemoteTimeout, Step::kStop, Actor::kAny},
    Edge{kDraining, kDemoteTimeout, Step::kStop, Actor::kAny},
    Edge{kPrepareMaintenance, kDemoteTimeout, Step::kStop, Actor::kAny},
    Edge{kSingle, kDemoted, Step::kStop, Actor::kAny},
    Edge{kWaitPrimary, kDemoted, Step::kStop, Actor::kAny},
    Edge{kPrimary, kDemoted, Step::kStop, Actor::kAny},
    Edge{kApplySettings, kDemoted, Step::kStop, Actor::kAny},
    Edge{kDraining, kDemoted, Step::kStop, Actor::kAny},
    Edge{kPrepareMaintenance, kDemoted, Step::kStop, Actor::kAny},
    Edge{kDemoteTimeout, kDemoted, Step::kStop, Actor::kAny},
    Edge{kMaintenance, kDemoted, Step::kStop, Actor::kAny},
    Edge{kDemoteTimeout, kDraining, Step::kNone, Actor::kSupervisor},
    Edge{kDemoteTimeout, kPrepareMaintenance, Step::kNone, Actor::kSupervisor},
    Edge{kDemoteTimeout, kPrimary, Step::kStart, Actor::kSupervisor},
    Edge{kDemoteTimeout, kWaitPrimary, Step::kStart, Actor::kSupervisor},
    Edge{kDemoteTimeout, kSingle, Step::kStart, Actor::kSupervisor},
    Edge{kDemoteTimeout, kApplySettings, Step::kStart, Actor::kSupervisor},
    Edge{kDemoted, kPrimary, Step::kStart, Actor::kSupervisor},
    Edge{kDemoted, kWaitPrimary, Step::kStart, Actor::kSupervisor},
    Edge{kDemoted, kSingle, Step::kStart, Actor::kSupervisor},
    Edge{kDemoted, kApplySettings, Step::kStart, Actor::kSupervisor},
    Edge{kDemoted, kCatchingup, Step::kRejoin, Actor::kSupervisor},
    // What it has is wanted in an election: it starts as a standby of nobody.
    Edge{kDemoted, kReportLsn, Step::kStart, Actor::kSupervisor},
    Edge{kDemoted, kPreparePromotion, Step::kStart, Actor::kSupervisor},
    Edge{kDemoteTimeout, kCatchingup, Step::kRejoin, Actor::kSupervisor},
    Edge{kDraining, kCatchingup, Step::kStop, Actor::kWorker},
    Edge{kPrimary, kCatchingup, Step::kStop, Actor::kWorker},
    Edge{kWaitPrimary, kCatchingup, Step::kStop, Actor::kWorker},
    Edge{kApplySettings, kCatchingup, Step::kStop, Actor::kWorker},
    Edge{kSingle, kCatchingup, Step::kStop, Actor::kWorker},

    // A standby that has left the history of the group is stopped before it is rewound.
    Edge{kSecondary, kDemoted, Step::kStop, Actor::kAny},
    Edge{kCatchingup, kDemoted, Step::kStop, Actor::kAny},
    Edge{kReportLsn, kDemoted, Step::kStop, Actor::kAny},
    Edge{kFastForward, kDemoted, Step::kStop, Actor::kAny},
    Edge{kJoinSecondary, kDemoted, Step::kStop, Actor::kAny},
    Edge{kPreparePromotion, kDemoted, Step::kStop, Actor::kAny},
    Edge{kStopReplication, kDemoted, Step::kStop, Actor::kAny},
    Edge{kWaitMaintenance, kDemoted, Step::kStop, Actor::kAny},
    // It was to be the primary, and was lost before it had become that; or its disk is an old one.
    Edge{kCatchingup, kDemoteTimeout, Step::kStop, Actor::kAny},
    Edge{kSecondary, kDemoteTimeout, Step::kStop, Actor::kAny},
    Edge{kReportLsn, kDemoteTimeout, Step::kStop, Actor::kAny},
    Edge{kFastForward, kDemoteTimeout, Step::kStop, Actor::kAny},
    Edge{kJoinSecondary, kDemoteTimeout, Step::kStop, Actor::kAny},
    Edge{kWaitMaintenance, kDemoteTimeout, Step::kStop, Actor::kAny},
    Edge{kPreparePromotion, kDemoteTimeout, Step::kStop, Actor::kAny},
    Edge{kStopReplication, kDemoteTimeout, Step::kStop, Actor::kAny},

    // A primary rests, and comes back as a standby.
    Edge{kPrepareMaintenance, kMaintenance, Step::kStop, Actor::kAny},
    Edge{kPrimary, kMaintenance, Step::kStop, Actor::kAny},
    Edge{kWaitPrimary, kMaintenance, Step::kStop, Actor::kAny},
    Edge{kApplySettings, kMaintenance, Step::kStop, Actor::kAny},
    Edge{kDraining, kMaintenance, Step::kStop, Actor::kAny},
    Edge{kDemoteTimeout, kMaintenance, Step::kNone, Actor::kSupervisor},
    Edge{kDemoted, kMaintenance, Step::kNone, Actor::kSupervisor},
    Edge{kPrepareMaintenance, kCatchingup, Step::kStop, Actor::kWorker},
    Edge{kMaintenance, kCatchingup, Step::kRejoin, Actor::kAny},
    // Nobody else is left: it starts with what it has, and is promoted if that is a standby's.
    Edge{kMaintenance, kSingle, Step::kStart, Actor::kSupervisor},
    Edge{kMaintenance, kWaitPrimary, Step::kStart, Actor::kSupervisor},
    Edge{kMaintenance, kReportLsn, Step::kSeal, Actor::kWorker},
    Edge{kMaintenance, kPreparePromotion, Step::kSeal, Actor::kWorker},
    Edge{kMaintenance, kFastForward, Step::kFetch, Actor::kWorker},

    // A standby.
    Edge{kCatchingup, kSecondary, Step::kFollow, Actor::kWorker},
    Edge{kSecondary, kCatchingup, Step::kFollow, Actor::kWorker},
    Edge{kPreparePromotion, kCatchingup, Step::kFollow, Actor::kWorker},
    Edge{kStopReplication, kCatchingup, Step::kFollow, Actor::kWorker},
    Edge{kReportLsn, kCatchingup, Step::kFollow, Actor::kWorker},
    Edge{kFastForward, kCatchingup, Step::kFollow, Actor::kWorker},
    Edge{kJoinSecondary, kCatchingup, Step::kFollow, Actor::kWorker},
    Edge{kWaitMaintenance, kCatchingup, Step::kFollow, Actor::kWorker},
    Edge{kReportLsn, kSecondary, Step::kFollow, Actor::kWorker},
    Edge{kJoinSecondary, kSecondary, Step::kFollow, Actor::kWorker},
    Edge{kFastForward, kSecondary, Step::kFollow, Actor::kWorker},
    Edge{kPreparePromotion, kSecondary, Step::kFollow, Actor::kWorker},
    Edge{kStopReplication, kSecondary, Step::kFollow, Actor::kWorker},
    Edge{kWaitMaintenance, kSecondary, Step::kFollow, Actor::kWorker},
    Edge{kSecondary, kWaitMaintenance, Step::kNone, Actor::kWorker},
    Edge{kCatchingup, kWaitMaintenance, Step::kNone, Actor::kWorker},
    Edge{kSecondary, kMaintenance, Step::kNone, Actor::kAny},
    Edge{kCatchingup, kMaintenance, Step::kNone, Actor::kAny},
    Edge{kWaitMaintenance, kMaintenance, Step::kNone, Actor::kAny},

    // A standby takes part in an election.
    Edge{kSecondary, kReportLsn, Step::kSeal, Actor::kWorker},
    Edge{kCatchingup, kReportLsn, Step::kSeal, Actor::kWorker},
    Edge{kWaitMaintenance, kReportLsn, Step::kSeal, Actor::kWorker},
    Edge{kFastForward, kReportLsn, Step::kSeal, Actor::kWorker},
    Edge{kPreparePromotion, kReportLsn, Step::kSeal, Actor::kWorker},
    Edge{kStopReplication, kReportLsn, Step::kSeal, Actor::kWorker},
    Edge{kJoinSecondary, kReportLsn, Step::kSeal, Actor::kWorker},
    Edge{kReportLsn, kFastForward, Step::kFetch, Actor::kWorker},
    Edge{kSecondary, kFastForward, Step::kFetch, Actor::kWorker},
    Edge{kCatchingup, kFastForward, Step::kFetch, Actor::kWorker},
    Edge{kJoinSecondary, kFastForward, Step::kFetch, Actor::kWorker},
    Edge{kPreparePromotion, kFastForward, Step::kFetch, Actor::kWorker},
    Edge{kStopReplication, kFastForward, Step::kFetch, Actor::kWorker},
    Edge{kReportLsn, kJoinSecondary, Step::kNone, Actor::kWorker},
    // Orders may overtake what the node is doing.
    Edge{kFastForward, kJoinSecondary, Step::kSeal, Actor::kWorker},
    Edge{kPreparePromotion, kJoinSecondary, Step::kSeal, Actor::kWorker},
    Edge{kStopReplication, kJoinSecondary, Step::kSeal, Actor::kWorker},
    Edge{kSecondary, kJoinSecondary, Step::kSeal, Actor::kWorker},
    Edge{kCatchingup, kJoinSecondary, Step::kSeal, Actor::kWorker},

    // A standby is promoted.
    Edge{kSecondary, kPreparePromotion, Step::kSeal, Actor::kWorker},
    Edge{kCatchingup, kPreparePromotion, Step::kSeal, Actor::kWorker},
    Edge{kWaitMaintenance, kPreparePromotion, Step::kSeal, Actor::kWorker},
    Edge{kReportLsn, kPreparePromotion, Step::kSeal, Actor::kWorker},
    Edge{kFastForward, kPreparePromotion, Step::kSeal, Actor::kWorker},
    Edge{kJoinSecondary, kPreparePromotion, Step::kSeal, Actor::kWorker},
    Edge{kStopReplication, kPreparePromotion, Step::kSeal, Actor::kWorker},
    Edge{kPreparePromotion, kStopReplication, Step::kNone, Actor::kWorker},
    // The node was further once, and is back with an old disk.
    Edge{kSecondary, kStopReplication, Step::kSeal, Actor::kWorker},
    Edge{kCatchingup, kStopReplication, Step::kSeal, Actor::kWorker},
    Edge{kWaitMaintenance, kStopReplication, Step::kSeal, Actor::kWorker},
    Edge{kMaintenance, kStopReplication, Step::kSeal, Actor::kWorker},
    Edge{kReportLsn, kStopReplication, Step::kSeal, Actor::kWorker},
    Edge{kFastForward, kStopReplication, Step::kSeal, Actor::kWorker},
    Edge{kJoinSecondary, kStopReplication, Step::kSeal, Actor::kWorker},
    Edge{kWaitMaintenance, kFastForward, Step::kFetch, Actor::kWorker},
    Edge{kWaitMaintenance, kJoinSecondary, Step::kSeal, Actor::kWorker},
    Edge{kMaintenance, kJoinSecondary, Step::kSeal, Actor::kWorker},
    Edge{kPreparePromotion, kWaitPrimary, Step::kPromote, Actor::kWorker},
    Edge{kStopReplication, kWaitPrimary, Step::kPromote, Actor::kWorker},
    Edge{kPreparePromotion, kPrimary, Step::kPromote, Actor::kWorker},
    Edge{kStopReplication, kPrimary, Step::kPromote, Actor::kWorker},
    Edge{kPreparePromotion, kSingle, Step::kPromote, Actor::kWorker},
    Edge{kStopReplication, kSingle, Step::kPromote, Actor::kWorker},
    Edge{kReportLsn, kSingle, Step::kPromote, Actor::kWorker},
    Edge{kFastForward, kSingle, Step::kPromote, Actor::kWorker},
    Edge{kJoinSecondary, kSingle, Step::kPromote, Actor::kWorker},
    Edge{kWaitMaintenance, kSingle, Step::kPromote, Actor::kWorker},
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
static_assert(EveryEdgeMovesAndIsUnique(),
              "an edge leads elsewhere, and there is one for each pair");

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
