#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "io/common.hpp"

namespace pgaf::io {

/// What the worker in the server wrote into the heartbeat file: u32 pid at 0, i64 nanoseconds at 8.
struct Heartbeat {
    pid_t pid = 0;
    core::BootTime at;
};
/// None when there is no file or nothing was written yet.
std::optional<Heartbeat> ReadHeartbeat(const std::string &path);

}  // namespace pgaf::io
