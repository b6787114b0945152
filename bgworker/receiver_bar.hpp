#pragma once

#include "headers.hpp"

/// A seal that needs no setting: while it is down, no WAL receiver of this server takes anything
/// from its upstream, and none confirms anything. A server whose configuration files are broken
/// reads no new setting, and is sealed all the same.
///
/// PostgreSQL's WAL receiver speaks to its upstream through a table of functions that a library
/// fills. The postmaster loads that library early and puts ours before them; every child has them.
namespace pgaf::receiver_bar {

// Set-up, in the postmaster.
void InstallUnsafe();
void RequestSharedMemory();  ///< from shmem_request_hook, or from _PG_init before 15
void CreateSharedMemory();   ///< from shmem_startup_hook; starts lifted

// The worker.
/// Who receives now is asked to end, and may do so late: see HasEnded.
void Lower();
void Lift();
bool IsDown();
/// It is down, and whoever was receiving then is gone. Whoever is there now was born later, and
/// receives nothing. `receiver_pid` is that of the moment, 0: none; its WAL was flushed when it
/// went.
bool HasEnded(int receiver_pid);

}  // namespace pgaf::receiver_bar
