#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "io/common.hpp"

namespace pgaf::io {

/// What the worker in the server wrote into the heartbeat file: u32 pid at 0, u32 timeline at 4,
/// i64 nanoseconds at 8 and 16, u64 position at 24.
struct Heartbeat {
    pid_t pid = 0;
    core::BootTime at;
    /// A standby that should stream and has not since; 0: all is well.
    core::BootTime no_stream_since{};
    core::Lsn lsn{};  ///< the end of its WAL
    int timeline = 0;
};
/// None when there is no file or nothing was written yet.
std::optional<Heartbeat> ReadHeartbeat(const std::string &path);

}  // namespace pgaf::io
