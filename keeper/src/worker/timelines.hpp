#pragma once

#include <string>

#include "pgaf/core/result.hpp"
#include "pgaf/core/timeline.hpp"
#include "worker/ports.hpp"

/// Timelines of this server, as its files tell.
namespace pgaf::worker {

/// How the current timeline came to be; the file is read once for each.
class HistoryReader {
 public:
    /// A file that is not there yet (it is fetched from the upstream) is looked for again now and
    /// then.
    void Update(Files &files, const std::string &pgdata, int timeline, core::BootTime now);
    /// Empty for the first timeline, and as long as the history is not known.
    [[nodiscard]] const core::TimelineHistory &Of(int timeline) const;

 private:
    int timeline_ = 0;
    bool is_known_ = false;
    core::TimelineHistory history_;
    core::TimelineHistory none_;
    core::BootTime again_at_;
};

/// Before a promotion: PostgreSQL gives the new timeline the first number for which it has no
/// history file. The numbers below `next`, which others of the group may have been given without
/// our knowing, get one. Should the server be stopped before it is promoted, they are timelines on
/// which nothing was written.
core::Result<void> ReserveTimelines(const Ports &ports, const std::string &pgdata,
                                    const core::WalPosition &own, int next);

}  // namespace pgaf::worker
