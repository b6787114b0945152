#pragma once

#include <string>
#include <vector>

#include "pgaf/core/types.hpp"

namespace pgaf::core {

/// `ANY k (members)`. Without members replication is asynchronous.
struct SyncSet {
    int k = 0;
    std::vector<NodeId> members;  ///< in ascending order
    friend bool operator==(const SyncSet &, const SyncSet &) = default;
    [[nodiscard]] bool Contains(NodeId node) const;
};

/// The value of synchronous_standby_names: "ANY 1 (pgautofailover_standby_2)" or "".
std::string ToSetting(const SyncSet &set);

/// True when `sealed` (nodes that have durably stopped receiving and reported) hold every commit that
/// PostgreSQL may have acknowledged with `set`, and no further one can be: at least n - k + 1 members.
/// Any two sets of k and n - k + 1 members of n share one. An empty set proves nothing: false.
bool CoversEveryCommit(const SyncSet &set, const std::vector<NodeId> &sealed);

/// The synchronous set of a group on the way from one value to the next. Both count until the primary has
/// confirmed that PostgreSQL uses the new one.
struct SyncState {
    SyncSet goal;
    std::int64_t goal_version = 1;
    SyncSet confirmed;
    std::int64_t confirmed_version = 1;
    [[nodiscard]] bool IsSettled() const { return goal_version == confirmed_version; }
    friend bool operator==(const SyncState &, const SyncState &) = default;
};

}  // namespace pgaf::core
