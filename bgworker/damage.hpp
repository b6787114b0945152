#pragma once

#include "headers.hpp"

#include <string>

/// What PostgreSQL itself says about damaged data: a block that cannot be read, a wrong checksum, a
/// file or the directory of a database that is gone.
///
/// A hook looks at every message of the server's log that is at least a warning, in the process
/// that writes it; the first one that tells of damage is kept in shared memory, and the worker is
/// woken. Only messages of PostgreSQL's own storage code count: what users raise with the same
/// SQLSTATE does not. Nothing here allocates, throws, locks or waits.
namespace pgaf::damage {

// Set-up, in the postmaster.
void RequestSharedMemory();
void CreateSharedMemory();
void InstallHook();

/// The worker: the first damage that was seen since this server was started; empty: none.
[[nodiscard]] std::string Seen();
/// Why the WAL receiver has ended last; empty: it never has by itself.
[[nodiscard]] std::string ReceiverError();

}  // namespace pgaf::damage
