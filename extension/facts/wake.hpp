#pragma once

#include "pg/headers.hpp"

#include "pgaf/core/types.hpp"

/// Who is told when a transaction commits: the sessions of keepers, and the worker.
///
/// NOTIFY is not used for it: every commit with a notification takes one lock of the whole server
/// (PreCommit_Notify), and wakes every session that listens; with a thousand groups that is the
/// end. Here a session is woken by its process id alone: it is sent the interrupt with which
/// PostgreSQL makes idle sessions catch up with invalidations (storage/ipc/sinval.c). An idle
/// session then runs an empty transaction, whose end calls us back, and its keeper gets a
/// NotificationResponse as a listener does.
namespace pgaf::facts {

/// The keeper of the node is told to report when this transaction commits; not its own session,
/// which is being answered.
void WakeAtCommit(core::NodeId node);
/// There are events to tell when this transaction commits.
void TellAtCommit();

/// In a session of a keeper, with every report.
void NoteOwnSession() noexcept;
/// Two processes that share one, on a server with more of them than places, may take each other's.
inline constexpr int kPlaces = 8192;
/// Where this process can be woken: kept with the node's facts.
int OwnWakeSlot() noexcept;

/// Postgres regime.
Size WakeBytesUnsafe();
void AttachWakeUnsafe();
void InstallWakeUnsafe();

}  // namespace pgaf::facts
