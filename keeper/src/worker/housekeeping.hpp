#pragma once

#include <map>
#include <string>
#include <vector>

#include "worker/steps.hpp"

namespace pgaf::worker {

/// Replication slots for every peer, and the lines of pg_hba.conf that peers need.
class Housekeeping {
 public:
    /// Works when the peers changed, and every few seconds. Returns what it could not do; empty:
    /// all well.
    std::string Poll(const Context &context);

 private:
    void KeepConfiguration(const Context &context);
    void KeepHba(const Context &context);
    void WatchSlots(const Context &context);
    void KeepSlots(const Context &context);
    static void AdvanceSlots(const Context &context);
    void ReleaseXmins(const Context &context);

    std::map<std::string, core::BootTime> idle_since_;  ///< slots that nobody uses
    std::string peers_;                                 ///< those of the last round, as text
    core::BootTime next_;
    std::string problem_;
};

}  // namespace pgaf::worker
