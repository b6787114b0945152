#pragma once

#include <string>

#include "view/cluster_view.hpp"

/// Why a node is what it is, and what its death would mean, in words. Pure.
namespace pgaf::view {

struct Explanation {
    std::string text;        ///< lines
    bool is_healthy = true;  ///< nothing waits, nothing is missing
};

/// State, the rule behind it, health, WAL, its part in commits, and what a failover would find.
/// `node` is one of the view.
Explanation ExplainNode(const ClusterView &view, const NodeRow &node);
/// Who would take over, and whether commits would be lost or wait, if this node died now.
/// Healthy: writes would go on without loss.
Explanation ExplainDeath(const ClusterView &view, const NodeRow &node);

}  // namespace pgaf::view
