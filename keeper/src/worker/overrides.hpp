#pragma once

#include <string>

#include "worker/ports.hpp"

namespace pgaf::worker {

/// What the keeper sets must be what the server uses: takes settings of ours out of
/// postgresql.auto.conf (they stay there as comments), which is read after everything else, and
/// puts our include line back into postgresql.conf. True when it has changed something, which it
/// says in the log; the caller reloads. Files that are elsewhere are left alone.
core::Result<bool> RemoveOverrides(const Ports &ports, const std::string &pgdata);

}  // namespace pgaf::worker
