#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cli/session.hpp"

namespace pgaf::cli {

struct DropOptions {
    bool destroy = false;
    bool force = false;
    int wait_s = 60;
    std::string name;
    std::string hostname;
    std::optional<int> port;
};

/// Asks the monitor to drop the node.
Result<void> RemoveFromMonitor(io::PgClient &monitor, std::int64_t node, bool force);

/// The node of this data directory: from the monitor, its service, and with --destroy its data.
Result<void> DropLocalNode(const node::Paths &paths, const node::Config &config,
                           const DropOptions &options);
Result<void> DropMonitor(const Session &session, const DropOptions &options);

}  // namespace pgaf::cli
