#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "pgaf/core/postgres_settings.hpp"

/// Defaults that stand below the administrator's own configuration. Pure.
namespace pgaf::core {

/// In PGDATA, included at the beginning of postgresql.conf: whatever follows there wins.
inline constexpr std::string_view kDefaultsFile = "postgresql-auto-failover-defaults.conf";

/// What a server may use of its machine.
struct Machine {
    std::uint64_t memory_bytes = 0;  ///< 0: unknown, as anything else here
    int cpus = 0;
    std::uint64_t disk_bytes = 0;  ///< size of the file system of pg_wal
};

/// Settings for a server that has the machine for itself, in the order in which they are written.
///
/// Memory: a quarter for shared_buffers, three quarters as effective_cache_size, and work_mem so
/// that 100 sessions with three operations each fit into the rest.
std::vector<PostgresSetting> TunedSettings(const Machine &machine);

struct Defaults {
    bool is_monitor = false;
    bool ssl = false;
    std::int64_t slot_wal_mb = 0;          ///< WAL kept for a standby that is away
    std::vector<PostgresSetting> tuned{};  ///< empty: the server is not tuned
};
/// Content of kDefaultsFile.
std::string DefaultsText(const Defaults &defaults);
/// The server whose kDefaultsFile this is was tuned to its machine.
bool IsTuned(std::string_view defaults_text);

/// postgresql.conf with the include line of the defaults as its first one.
std::string EnsureDefaultsInclude(std::string_view postgresql_conf);
/// What initdb has written for settings that are tuned becomes a comment: it is no choice of
/// anybody.
std::string WithoutInitdbChoices(std::string_view postgresql_conf);

}  // namespace pgaf::core
