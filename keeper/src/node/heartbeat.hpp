#pragma once

#include <optional>
#include <string>

#include "supervisor/facts.hpp"

namespace pgaf::node {

/// What the worker in the server wrote into the heartbeat file: u32 pid at 0, u32 timeline at 4,
/// i64 nanoseconds at 8 and 16, u64 position at 24. None when there is no file or nothing was
/// written yet.
std::optional<supervisor::Heartbeat> ReadHeartbeat(const std::string &path);

}  // namespace pgaf::node
