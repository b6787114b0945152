#pragma once

#include "pg/headers.hpp"

/// What a monitor consists of is not dropped by a slip of the hand while nodes depend on it: they
/// would go on as without a monitor, and nobody would fail over. Superusers switch the guard off
/// by pgautofailover.guard_monitor.
namespace pgaf::drops {

/// Postgres regime. Raises an error when the statement drops one of our roles, or all that it may
/// do, or the database of a monitor, and that has nodes.
void RefuseUnsafe(Node *statement);

/// For the extension, however it is reached: by name, by CASCADE from btree_gist or from a schema.
void InstallUnsafe();

}  // namespace pgaf::drops
