#pragma once

#include <optional>
#include <string>

#include "cli/session.hpp"

namespace pgaf::cli {

/// Options of create; those not given keep what an earlier create wrote, or the defaults of
/// node::Config.
struct CreateOptions {
    std::string pg_ctl;
    std::optional<int> port;
    std::string listen;
    bool no_tune = false;
    std::string hostname;
    std::string auth;
    bool skip_pg_hba = false;
    bool ssl_self_signed = false;
    bool no_ssl = false;
    std::string ssl_mode;
    std::string ssl_ca_file;
    std::string ssl_crl_file;
    std::string server_cert;
    std::string server_key;
    std::string http_listen;
    bool http_tls = false;
    bool run = false;
    // monitor
    std::string node_password;
    std::string operator_password;
    std::string reader_password;
    // node
    std::string pg_host;
    std::string name;
    std::string monitor_fingerprint;
    std::string username;
    std::string dbname;
    std::optional<int> candidate_priority;
    std::string replication_quorum;
    std::string maximum_backup_rate;
    std::string replication_password;
    std::string replication_cert;
    std::string replication_key;
    bool pg_hba_lan = false;
    bool replace = false;
};

int CreateMonitor(const Session &session, const CreateOptions &options);
int CreatePostgres(const Session &session, const CreateOptions &options);

/// What both begin with. Nothing is written before all of it holds.
struct CreatePlan {
    node::Paths paths;
    node::Config config;
    io::PgInstall install;
    io::DataDirectory data = io::DataDirectory::kAbsent;
    bool had_config = false;
    bool replace = false;  ///< a silent node of the same name makes room
};
Result<CreatePlan> PrepareCreate(const Session &session, const CreateOptions &options,
                                 bool is_monitor);

/// Texts end up in files of one line each and in connection strings.
Result<void> CheckTexts(const node::Config &config);
/// Whether the node can live with a changed configuration, as far as can be tried now.
Result<void> TryConfig(const node::Paths &paths, const node::Config &before,
                       const node::Config &after);
/// kBadState when something listens on `port` of this host.
Result<void> PortIsFree(int port);

/// URI for nodes to connect to the monitor; `password` may be empty.
std::string MonitorUri(const node::Config &config, std::string_view password);

}  // namespace pgaf::cli
