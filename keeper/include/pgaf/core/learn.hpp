#pragma once

#include <optional>

#include "pgaf/core/decide.hpp"

namespace pgaf::core {

/// What a monitor that was restored from a backup, or made anew, takes over from the primary that
/// reports: term, synchronous set, timeline, and who is what. Nothing while the rows are as new as
/// what the nodes have obeyed, or while it is not certain that this node is the primary.
///
/// Certain it is when the node accepts writes, knows more than every other node that reports, its
/// set is settled, and k members of the set stream from it: n - k + 1 others would be needed to
/// elect somebody else, and there are n - k. With an empty set nobody else can have been elected.
///
/// `report`: in `view` already. Nothing that a node does changes by it; what follows is for the
/// rules.
std::optional<Decision> Learn(const GroupView &view, const Report &report);

}  // namespace pgaf::core
