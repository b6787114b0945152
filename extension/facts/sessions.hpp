#pragma once

#include "pg/headers.hpp"

/// Sessions of autoctl_node by the address of the client. All nodes share that role and its
/// password: whoever knows it must not take all of its sessions from one machine. Those in which a
/// node reports do not count.
namespace pgaf::facts {

/// In a session that has reported for a node, and proved that it may.
void NoteNodesSession() noexcept;
/// That process, which has its place at `slot` (OwnWakeSlot), is a node's session no more.
void NoteFormerSession(int pid, int slot) noexcept;

/// Postgres regime.
Size SessionBytesUnsafe();
void AttachSessionsUnsafe();
void InstallSessionsUnsafe();

}  // namespace pgaf::facts
