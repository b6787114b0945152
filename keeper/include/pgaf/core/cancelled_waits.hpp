#pragma once

#include <cstdint>
#include <string>

#include "pgaf/core/protocol.hpp"

namespace pgaf::core {

/// What the monitor remembers of a primary's commits that were cancelled, or lost their sessions,
/// while they waited for synchronous standbys. Nobody was told that they succeeded.
struct CancelledWaits {
    std::int64_t server_start = 0;  ///< Report::server_start of the server that counts
    std::int64_t told = 0;          ///< of its count, in events
    BootTime told_at;
    std::int64_t unconfirmed = 0;  ///< when its worker was last heard
};

/// An event for each of them would be too many.
inline constexpr Milliseconds kTellWaitsEvery{10'000};

/// With every report of the node that counts. Returns how many are to be told in an event now.
constexpr std::int64_t NoteWaits(CancelledWaits &record, const Report &report, BootTime now) {
    if (report.holder != KeeperHolder::kWorker || !report.pg_running) return 0;
    if (report.server_start != record.server_start) {
        // After a restart of the monitor nobody knows which were told.
        const bool is_first = record.server_start == 0;
        record = {.server_start = report.server_start,
                  .told = is_first ? report.cancelled_waits : 0,
                  .told_at = {}};
    }
    record.unconfirmed = report.unconfirmed_waits;
    const std::int64_t more = report.cancelled_waits - record.told;
    const bool is_soon = record.told_at.ns != 0 && now - record.told_at < kTellWaitsEvery;
    if (more <= 0 || is_soon) return 0;
    record.told = report.cancelled_waits;
    record.told_at = now;
    return more;
}

/// For an event: `count` commits on a node were cancelled.
std::string DescribeWaits(std::int64_t count);
/// For the event of a promotion: what it may take away.
std::string DescribeUnconfirmed(std::int64_t count);

}  // namespace pgaf::core
