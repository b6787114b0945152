#pragma once

#include <string>

#include "pgaf/core/tuning.hpp"

namespace pgaf::io {

/// What this process, and a server that it starts, may use: the machine's memory and processors, or
/// less where a cgroup says so (both versions; every level above counts). `root` is put before the
/// paths that are read, for tests. `disk` is a path on the file system whose size is told.
core::Machine ReadMachine(const std::string &disk, const std::string &root = "");

}  // namespace pgaf::io
