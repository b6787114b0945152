#pragma once

#include <map>
#include <string>
#include <utility>

#include "pgaf/core/types.hpp"

namespace pgaf::core {

/// Who may register a node makes the monitor connect to whatever address it names, and sees what
/// answers. So new addresses are probed no faster than nodes come and move; those of nodes that
/// stay where they are cost nothing.
class ProbeBudget {
 public:
    using Target = std::pair<std::string, int>;

    /// The node was there before: at the monitor's start.
    void Know(NodeId node, Target target);
    /// Whether this address of the node may be probed. A new one takes from the budget, which has
    /// room for `per_minute` at once and is filled as quickly.
    bool Allows(NodeId node, const Target &target, int per_minute, BootTime now);

 private:
    std::map<std::int64_t, Target> known_;
    double left_ = -1;  ///< below zero: full
    BootTime filled_;
};

}  // namespace pgaf::core
