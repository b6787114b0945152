#pragma once

#include <string>
#include <string_view>

#include "pgaf/core/result.hpp"
#include "pgaf/core/types.hpp"

namespace pgaf::core {

/// `keeper.conf` in the node directory: what the worker must know before it can reach the monitor.
/// Written by the supervisor at every start and when a name resolves differently; mode 0600.
struct KeeperConfig {
    /// libpq connection string; hosts are numeric (`hostaddr`), so that libpq never resolves names.
    std::string monitor_conninfo;
    std::string formation = "default";
    int group = 0;
    NodeId node;
    std::string name;
    std::string host;
    int port = 5432;
    std::string pgdata;
    std::string monitor_host;  ///< for the HBA line of the health check
    std::string lan_networks;  ///< CIDRs, comma separated, whose clients may use the database
    std::string auth_method;   ///< for HBA lines; "skip": never touch pg_hba.conf
    bool ssl = false;          ///< HBA lines are hostssl
    std::string ssl_mode = "prefer";
    std::string channel_binding;  ///< of replication; empty: as BindsChannel says
    std::string ssl_ca_file;
    std::string ssl_crl_file;
    std::string replication_password;
    std::string passfile;  ///< holds it for libpq; empty: it stands in primary_conninfo
    std::string dbname = "postgres";
    std::string username;
};

/// Lines "key = value"; values are written raw to the end of the line, so they must not hold
/// newlines.
Result<std::string> Encode(const KeeperConfig &config);
Result<KeeperConfig> DecodeKeeperConfig(std::string_view text);

}  // namespace pgaf::core
