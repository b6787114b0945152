#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pgaf/core/postgres_settings.hpp"

/// What safety needs of a server, as options on its command line. They beat every file and ALTER
/// SYSTEM, and `pg_ctl restart` repeats them. Pure.
namespace pgaf::core {

inline constexpr std::string_view kKeeperLibrary = "pgautofailover_keeper";

/// A group has up to 64 nodes; copies need some walsenders too.
inline constexpr int kLeastWalSenders = 72;
inline constexpr int kLeastSlots = 72;

/// The value of shared_preload_libraries that loads what `configured` names, in its order and each
/// library once, and then `ours`. A list that PostgreSQL could not read loads nothing there, and
/// counts as empty here.
///
/// Source: PostgreSQL 15, SplitDirectoriesString: names are separated by commas, blanks around them
/// do not count, and double quotes, doubled inside, protect both.
std::string MergeLibraries(std::string_view configured, std::string_view ours);

/// What the configuration of a node says without us.
struct ConfiguredServer {
    std::string libraries{};  ///< shared_preload_libraries
    std::string wal_level{};
    bool has_checksums = false;
    std::string keeper_directory{};
    ServerSizes sizes{};  ///< see kSizeNames; of a primary only max_wal_senders is looked at
    int replication_slots = 0;
    /// What the WAL that a standby replays asks for, by its control file.
    std::optional<ServerSizes> required{};
};

/// "-c", "name=value" for each setting that must not be overridden.
std::vector<std::string> SafetyOptions(const ConfiguredServer &configured);

}  // namespace pgaf::core
