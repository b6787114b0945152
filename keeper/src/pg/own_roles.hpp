#pragma once

#include "pg/headers.hpp"

/// Our roles are shared: whoever is logged in as one of them acts for all nodes, operators or
/// readers. PostgreSQL lets a role change its own password and settings, give itself to others, and
/// drop all that was granted to it; any of that would keep out everybody else.
namespace pgaf::pg {

/// Postgres regime. Raises an error when the statement changes one of our roles and the session may
/// not create roles.
void RefuseChangeOfOwnRoleUnsafe(Node *statement);

/// The first of our roles that the statement drops, or takes everything from; NULL: none.
const char *DroppedOwnRoleUnsafe(Node *statement);

}  // namespace pgaf::pg
