#pragma once

#include "pg/headers.hpp"

#include <string>

#include "pgaf/core/types.hpp"

/// Who may do what. Three kinds of callers: operators (superusers and members of autoctl_operator),
/// nodes (a session with the secret of a node, which the node has made and the catalog has the hash
/// of), and others with role autoctl_node. Everything here needs a Spi, and raises 42501.
namespace pgaf::api {

enum class FirstSecret { kKeep, kPassOver };
/// The caller speaks for the node: it has the node's secret, or the node has none yet. That of a
/// keeper is kept then: it goes on with it.
void CheckNode(core::NodeId node, FirstSecret first);

/// The caller may ask for what loses nothing in this group: an operator, a node of the group, or
/// anybody with role autoctl_node while pgautofailover.node_role_may_order is on.
void CheckOrder(const std::string &formation, int group);
/// The same, for what concerns all groups of a formation.
void CheckOrder(const std::string &formation);

/// `what` may lose data or needs the judgment of a person.
void CheckOperator(const std::string &what);
bool IsOperator();

/// True when the session has the secret of this node.
bool IsNode(core::NodeId node);

}  // namespace pgaf::api
