#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "io/common.hpp"
#include "io/postgres.hpp"
#include "node/paths.hpp"
#include "pgaf/core/keeper_config.hpp"
#include "pgaf/core/node_record.hpp"
#include "pgaf/core/pg_files.hpp"

namespace pgaf::node {

/// pg_autoctl.cfg: what the operator chose. Kept in the interface's INI form, mode 0600.
struct Config {
    std::string role = "keeper";  ///< keeper or monitor
    std::string monitor;
    std::string formation = "default";
    int group = 0;
    std::string name;
    std::string hostname;
    std::string nodekind = "standalone";
    std::string pgdata;
    std::string pg_ctl;
    std::string pg_host;
    int port = 5432;
    std::string listen_addresses{};  ///< empty: what postgresql.conf says, else "*"
    bool tune = true;                ///< a server that we initialise is tuned to its machine
    std::string auth_method;
    std::string username;
    std::string dbname = "postgres";
    std::string hba_level = "minimal";
    bool ssl_active = false;
    std::string ssl_mode = "prefer";
    std::string ssl_ca_file;
    std::string ssl_crl_file;
    std::string ssl_cert_file;
    std::string ssl_key_file;
    bool ssl_self_signed = false;
    std::string replication_password;
    std::string replication_cert_file;  ///< client certificate, where nodes ask for one
    std::string replication_key_file;
    std::string maximum_backup_rate = "100M";
    int candidate_priority = 50;
    bool replication_quorum = true;
    std::string channel_binding;  ///< of replication: require, prefer or disable; empty: see there
    std::string http_listen{};    ///< address and port; empty: HTTP is off
    bool http_tls = false;        ///< with the certificate of PostgreSQL
    std::string monitor_fingerprint;  ///< of its certificate; several while it changes
    /// Not in this file, but in one of its own: what only this node can know.
    std::string node_secret;
    [[nodiscard]] bool IsMonitor() const { return role == "monitor"; }
};

/// "section.key" to value, in file order when iterated through Keys().
std::map<std::string, std::string> ParseIni(std::string_view text);
std::string ToIni(const Config &config);
Result<Config> FromIni(std::string_view text);
/// Value of "section.key"; kNotFound for an unknown one.
Result<std::string> GetSetting(const Config &config, std::string_view key);
Result<void> SetSetting(Config &config, std::string_view key, std::string_view value);

/// With the node's secret, when it has one.
Result<Config> LoadConfig(const Paths &paths);
/// Makes the secret and keeps it, 0600, unless `config` has one.
Result<void> EnsureNodeSecret(const Paths &paths, Config &config);
/// How this node connects to its monitor: with its secret, a search_path in which nobody can have
/// put anything, and the fingerprints of the certificates that it may show.
std::string MonitorConninfo(const Config &config);
/// libpq checks the chain of the monitor's certificate: its fingerprint says nothing more.
bool ChecksChain(const std::string &monitor);
/// What create, config set, config check and every start demand of a configuration.
Result<void> CheckConfig(const Config &config);
/// "section.key" of the file that mean nothing here.
std::vector<std::string> UnknownSettings(const Paths &paths);
Result<void> SaveConfig(const Paths &paths, const Config &config);

/// kNotFound when there is none, kCorrupt when it cannot be trusted.
Result<core::NodeRecord> LoadRecord(const Paths &paths);
Result<void> SaveRecord(const Paths &paths, const core::NodeRecord &record);

/// What the worker needs, from what the operator chose. `hostaddr`: numeric address of the monitor.
Result<core::KeeperConfig> MakeKeeperConfig(const Config &config, const core::NodeRecord &record,
                                            const std::string &hostaddr);
/// Of libpq, with the password of replication; it is written with keeper.conf.
std::string PassfileOf(const Paths &paths);
/// Also the file with the password of replication, whose path `config` gets.
Result<void> SaveKeeperConfig(const Paths &paths, core::KeeperConfig &config);
Result<core::KeeperConfig> LoadKeeperConfig(const Paths &paths);

core::ServerSettings MakeServerSettings(const Config &config, const Paths &paths, int pg_major);

}  // namespace pgaf::node
