#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "pgaf/core/types.hpp"

namespace pgaf::core {

/// Where a history left a timeline for the next one.
struct TimelineSwitch {
    int timeline = 0;  ///< the one that was left
    Lsn at;            ///< nothing of it beyond this belongs to the history
    friend bool operator==(const TimelineSwitch &, const TimelineSwitch &) = default;
};

/// The timelines before the current one, in ascending order: what PostgreSQL keeps in a .history
/// file. The oldest may be cut off; a timeline that is not listed is then taken for a foreign one.
using TimelineHistory = std::vector<TimelineSwitch>;

/// How many switches travel with a report; older ones are cut off.
inline constexpr std::size_t kTimelineSwitchesMax = 16;

/// The end of what a node has: a position on a timeline, and how that timeline came to be.
struct WalPosition {
    int timeline = 0;  ///< 0: unknown
    Lsn lsn;
    TimelineHistory history;
};

/// Timelines are compared by ancestry, never by their numbers: two servers may give the same number
/// to different histories, and a lower number may be the right one.
enum class Ancestry {
    kUnknown,  ///< one of the positions, or how it came to be, is not known
    kEqual,
    kBehind,    ///< the first is a prefix of the second
    kAhead,     ///< the second is a prefix of the first
    kDiverged,  ///< each has something that the other does not have
};
Ancestry Compare(const WalPosition &a, const WalPosition &b);

/// True when `timeline` is the current one of `position` or one that it came from.
bool IsOnLineage(const WalPosition &position, int timeline);

/// `position` holds something that whoever writes on `timeline` cannot have: it cannot follow him
/// as it is. False when one of them is not known.
bool HasLeftHistory(const WalPosition &position, int timeline, const TimelineHistory &history);

/// Where two histories part: `position` holds nothing of the other one beyond it. For the same
/// timeline number it is where that timeline began.
Lsn PartingOf(const WalPosition &position, int timeline, const TimelineHistory &history);

/// The content of a .history file. Lines that are not understood are passed over, as PostgreSQL
/// passes over comments.
TimelineHistory ParseTimelineHistory(std::string_view text);

/// "1@0/3000000,2@0/5000000", the newest kTimelineSwitchesMax; and back.
std::string EncodeHistory(const TimelineHistory &history);
TimelineHistory DecodeHistory(std::string_view text);

}  // namespace pgaf::core
