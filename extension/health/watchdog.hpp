#pragma once

#include "pg/headers.hpp"

#include "pgaf/core/group_view.hpp"

namespace pgaf::health {

/// Ends sessions in the databases of monitors whose transaction lasts longer than
/// pgautofailover.transaction_timeout, unless a superuser has opened them: it may hold the lock of
/// a group. PostgreSQL's own limits do not hold for whoever wants to get around them: every session
/// may switch them off. For the launcher, which waits for nobody's locks; in its own transaction.
void EndLongTransactions();

/// When to look again.
core::Milliseconds LookAtTransactionsAfter();

}  // namespace pgaf::health
