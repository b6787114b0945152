#pragma once

/// Libraries that PostgreSQL is told to load at its start and in each session.
namespace pgaf::keeper {

/// Postgres regime. Whether the setting is a list of libraries of which one is not there; the first
/// such is written to `missing`. What is loaded with a session lets none begin then.
bool MissesLibraryUnsafe(const char *setting, const char *value, char *missing, unsigned capacity);

}  // namespace pgaf::keeper
