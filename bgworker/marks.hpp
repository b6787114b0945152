#pragma once

#include "headers.hpp"

#include <cstdint>

/// Which of the keeper's files each process has read: the proof that a setting is in force where it
/// matters.
///
/// The last line of each file assigns a setting of ours. Its assign hook runs in every process that
/// reads the file, after the lines before it have been assigned there, and writes down in shared
/// memory what was read. Then it wakes the worker. Nothing here allocates, throws, or waits.
namespace pgaf::marks {

// Set-up, in the postmaster.
void DefineSettings();
void RequestSharedMemory();
void CreateSharedMemory();

/// In a new walsender: what it was born with. It confirms nothing until it is asked to read the set
/// again and holds the slot whose name it bears.
void NoteSender();

// The worker.
/// What the startup process has read of whom to follow; 0: nobody, it asks for no WAL receiver from
/// now on. Read this first and the state of the receiver afterwards; together they prove that
/// nothing more is received.
std::uint64_t StartupUpstream();
/// What the checkpointer has read, and has put into force for commits that wait.
std::uint64_t CheckpointerSync();
/// What the walsender has read, and releases commits by; false when it is not known. May raise.
bool ReadSenderUnsafe(int pid, std::uint64_t *mark);

}  // namespace pgaf::marks
