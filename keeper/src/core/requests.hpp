#pragma once

#include <string>

#include "evidence.hpp"
#include "pgaf/core/decide.hpp"

/// What the requests of operators have in common.
namespace pgaf::core {

/// An assignment that no rule made; `pos` tells requests apart in the events.
inline Assignment AssignAsked(const NodeView &node, NodeState goal, int pos, std::string reason) {
    return {node.id, node.goal, goal, pos, "operator", std::move(reason)};
}

inline std::string StateOf(const NodeView &node) {
    return Describe(node) + " reports " + std::string(ToString(node.reported)) +
           " and is assigned " + std::string(ToString(node.goal)) + ".";
}

inline tl::unexpected<Problem> NoSuchNode(NodeId id) {
    return Fail(ProblemCode::kNotFound, "node " + std::to_string(id.value) + " does not exist", "",
                "List the nodes: pg_autoctl show state.");
}

/// A hand-over cannot begin; `obstacle` says what an election would miss, if that is it.
inline std::string WhyNobody(const std::string &obstacle) {
    return obstacle.empty() ? "No standby is a healthy secondary with a candidate priority above 0."
                            : "The obstacle: " + obstacle + ".";
}

/// Fails when the candidate of a planned hand-over is known to be worse than the primary. The
/// hand-over waits, without service, until it has replayed what it holds: that must not take long,
/// or for ever. And its data must not be damaged while those of the primary are whole. `view` names
/// the preferred candidate.
Result<void> CheckHandOver(const GroupView &view);

}  // namespace pgaf::core
