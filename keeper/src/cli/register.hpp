#pragma once

#include <cstdint>

#include "cli/session.hpp"

/// What create postgres and enable monitor do with a monitor that is new to a node.
namespace pgaf::cli {

/// Without the secret of the node, which is not known there yet or any more. A monitor that is
/// starting is waited for, 10 s at the most.
Result<io::PgClient> ConnectAtFirst(const node::Config &config);

/// The certificate that the monitor shows now is the one that it must show from now on.
void RememberMonitor(io::PgClient &monitor, node::Config &config);

/// Another group member with another system identifier means that this data belongs elsewhere.
/// `own`: 0 when there are no data yet.
Result<void> CheckSystemIdentifier(io::PgClient &monitor, const node::Config &config,
                                   std::uint64_t own);

}  // namespace pgaf::cli
