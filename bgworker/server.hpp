#pragma once

#include <functional>
#include <string>

#include "pgaf/core/types.hpp"

/// What the worker does to its own server. Failures are exceptions (pg::PgError).
namespace pgaf::keeper::server {

/// SIGHUP to the postmaster: everybody, this process included, reads the settings again.
void Reload();
/// Ends this server at once; the supervisor starts what comes next.
void StopImmediately();
void RequestPromotion();
/// Without waiting for it.
void RequestImmediateCheckpoint();
/// A helper process that checkpoints and wakes the worker at its end; false when none is free.
bool StartCheckpointProcess();

/// Ends client sessions, autovacuum and everything else that works in a database, walsenders
/// excepted. They end by themselves, soon after.
void TerminateSessions();
/// How many of those there still are.
int CountSessions();
/// Ends client sessions only.
void TerminateClients();
/// Flushes all WAL and returns its end.
core::Lsn FlushEverything();
/// A walsender that gets this sends everything, waits until its standby has confirmed, and ends.
void AskSenderToFinish(int pid);

/// A no-op WAL record, on its way to disk and standbys. Returns its end.
core::Lsn WriteMarker();

void CreateSlot(const std::string &name);
/// Moves an inactive slot forward; never backwards.
void AdvanceSlot(const std::string &name, core::Lsn to);
/// Of an inactive slot: dead rows are no longer kept for it.
void ReleaseSlotXmin(const std::string &name);
void DropSlot(const std::string &name);
std::string HbaFile();
/// Releases what an ERROR left behind in this process.
void CleanUpAfterError();

void LogLine(const std::string &text);
void LogWarning(const std::string &text);

}  // namespace pgaf::keeper::server
