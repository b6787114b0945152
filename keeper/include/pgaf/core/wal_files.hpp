#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pgaf/core/timeline.hpp"

namespace pgaf::core {

inline constexpr std::uint64_t kUsualSegmentBytes = 16ULL << 20;

/// A file of pg_wal: segment number `segment` of the timeline.
struct WalFile {
    int timeline = 0;
    std::uint64_t segment = 0;
};
/// None for names that are not those of whole segments. `segment_bytes`: wal_segment_size.
std::optional<WalFile> ParseWalFile(std::string_view name, std::uint64_t segment_bytes);

/// What a node that is to be followed has.
struct UpstreamWal {
    int timeline = 0;
    TimelineHistory history{};
    Lsn end{};
    std::uint64_t segment_bytes = kUsualSegmentBytes;
    std::vector<std::string> files{};  ///< names in its pg_wal
};

enum class Following {
    kPossible,
    kWalIsGone,  ///< the next segment that the follower needs was removed
    kDiverged,
};
/// Whether a standby whose WAL ends at `position` can stream from `upstream`. What is not known
/// counts as possible.
Following JudgeFollowing(const WalPosition &position, const UpstreamWal &upstream);

/// The segments, of any timeline, from the one that holds `from` to the one that holds `to`.
/// Beyond the end of the WAL lie files that wait to be used again and hold nothing.
std::vector<std::string> SegmentsBetween(std::span<const std::string> files, Lsn from, Lsn to,
                                         std::uint64_t segment_bytes);

}  // namespace pgaf::core
