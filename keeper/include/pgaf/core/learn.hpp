#pragma once

#include <optional>

#include "pgaf/core/decide.hpp"

namespace pgaf::core {

/// What a monitor that was restored from a backup, or made anew, takes over from the primary that
/// reports: term, synchronous set, timeline, and who is what. Nothing while the rows are as new as
/// what the nodes have obeyed, or while it is not certain that this node is the primary.
///
/// Certain it is when the node accepts writes or waits for its monitor, nobody knows of a later
/// term, its set is settled or the first of its term, and k members of the set stream from it or
/// have not heard that it was elected: n - k + 1 others would be needed to elect somebody else, and
/// there are n - k. With an empty set nobody else can have been elected. A primary of an earlier
/// term that is fenced, and knows no later set, does not stand against it.
///
/// `report`: in `view` already. Nothing that a node does changes by it; what follows is for the
/// rules.
std::optional<Decision> Learn(const GroupView &view, const Report &report);

/// The same at an operator's order, who has seen to it that nobody else writes: the primary of the
/// last term that a node knows, alone at first. Nothing when it does not run, or when somebody has
/// gone further than it.
std::optional<Decision> LearnByOrder(const GroupView &view);

}  // namespace pgaf::core
