#pragma once

#include <string>

#include "azure/plan.hpp"

/// What is run in the machines, over ssh, by `sh -s ARGUMENT...`: texts without any secret and
/// without addresses. Every script may be repeated: it goes on where the last run ended.
namespace pgaf::azure {

/// Exported before the scripts that need them.
inline constexpr const char *kNodePassword = "PG_AUTOCTL_NODE_PASSWORD";
inline constexpr const char *kReplicationPassword = "PG_AUTOCTL_REPLICATION_PASSWORD";
inline constexpr const char *kAppPassword = "PG_AUTOCTL_APP_PASSWORD";
std::vector<std::string> SecretNames();

inline constexpr const char *kAppUser = "appuser";
inline constexpr const char *kAppDatabase = "appdb";

/// $1: own private address.
std::string MonitorScript(Auth auth, int pg_major);
/// $1: own private address, $2: the monitor's, $3: the node's name.
std::string NodeScript(Auth auth, int pg_major);
/// Gives the application's role its password, where the database can be written.
std::string AppRoleScript(int pg_major);
/// $1: addresses of the nodes, with commas. Ends when a connection for writing works.
std::string AppScript(Auth auth, int pg_major);

}  // namespace pgaf::azure
