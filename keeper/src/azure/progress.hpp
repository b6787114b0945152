#pragma once

#include <map>
#include <string>
#include <vector>

#include "azure/executor.hpp"
#include "io/common.hpp"

/// Where the lanes of a stage are. Pure: events in, lines out.
namespace pgaf::azure {

class Progress {
 public:
    /// Line for the log that the event is worth; empty when it says nothing new.
    std::string Take(const Event &event, core::BootTime now);
    /// A line for each machine of the stage that is running, with the elapsed time; none between
    /// stages, and none for a stage of one machine whose step is short.
    [[nodiscard]] std::vector<std::string> Lines(core::BootTime now) const;
    /// What is still running, on one line.
    [[nodiscard]] std::string Summary(core::BootTime now) const;

 private:
    struct Lane {
        std::string doing = "waiting";
        core::BootTime since{};
        bool is_done = false;
        bool is_failed = false;
        core::BootTime until{};
    };
    std::vector<std::string> order_;
    std::map<std::string, Lane> lanes_;
};

}  // namespace pgaf::azure
