#pragma once

#include <optional>
#include <string>
#include <string_view>
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
/// The way back; nothing for a text that ToSetting does not make.
std::optional<SyncSet> ParseSetting(std::string_view text);

/// "1:2,3" for ANY 1 of nodes 2 and 3, "0:" for none; and back. Sets are separated by blanks.
std::string EncodeSets(const std::vector<SyncSet> &sets);
/// Anything that is not understood becomes a set without members, which proves nothing.
std::vector<SyncSet> DecodeSets(std::string_view text);

/// True when `sealed` (nodes that have durably stopped receiving and reported) hold every commit
/// that PostgreSQL may have acknowledged with `set`, and no further one can be: at least n - k + 1
/// members. Any two sets of k and n - k + 1 members of n share one. An empty set proves nothing:
/// false.
bool CoversEveryCommit(const SyncSet &set, const std::vector<NodeId> &sealed);

/// The synchronous set of a group on the way from one value to the next. Everything that was
/// recorded since the last confirmation counts until PostgreSQL is known to use the newest.
struct SyncState {
    SyncSet goal;
    std::int64_t goal_version = 1;
    SyncSet confirmed;
    std::int64_t confirmed_version = 1;
    /// Goals that were replaced before they were confirmed: PostgreSQL may have used them.
    std::vector<SyncSet> superseded{};
    [[nodiscard]] bool IsSettled() const { return goal_version == confirmed_version; }
    friend bool operator==(const SyncState &, const SyncState &) = default;
};

/// How many unconfirmed sets may be on record; another change has to wait then.
inline constexpr std::size_t kSupersededMax = 8;

/// A new goal. The old one stays on record unless it was confirmed.
void ReplaceGoal(SyncState &sync, SyncSet set);
/// The newest set is in force, and no older one is.
void ConfirmGoal(SyncState &sync);

/// CoversEveryCommit for every set that PostgreSQL may have been using.
bool CoversEveryCommit(const SyncState &sync, const std::vector<NodeId> &sealed);

/// Every set that PostgreSQL may have been using, the confirmed one first, without repetitions.
std::vector<SyncSet> PossibleSets(const SyncState &sync);

}  // namespace pgaf::core
