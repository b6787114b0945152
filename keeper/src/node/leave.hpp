#pragma once

#include "io/common.hpp"
#include "node/paths.hpp"

namespace pgaf::node {

/// Makes an ordinary PostgreSQL of what is in PGDATA: without our settings, our module, our rules,
/// our replication slots, and not as a standby. kBadState while a server runs there.
Result<void> LeaveOrdinary(const Paths &paths);

}  // namespace pgaf::node
