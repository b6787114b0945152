#pragma once

#include <span>
#include <string>
#include <vector>

#include "node/config.hpp"

/// Files and roles of a data directory, for the monitor and for nodes. `directory` is where the
/// files are now: PGDATA itself, or the sibling that is going to become it.
namespace pgaf::node {

/// initdb. Local connections are by peer, others by the chosen method; nothing becomes trust by
/// itself.
Result<void> InitDb(const io::PgInstall &install, const Config &config,
                    const std::string &directory, io::Cancel *cancel);

/// Settings file and its include line; with --ssl-self-signed also the certificate of this host.
Result<void> WriteServerFiles(const io::PgInstall &install, const Config &config,
                              const Paths &paths, const std::string &directory);

/// What is known of a server that is about to start.
struct StartFacts {
    io::ControlData control;
    bool is_standby = false;
};

/// The same for a node that is about to be started in PGDATA, with the libraries and the wal_level
/// that its administrator has configured, wherever that is. Returns what must stand on the server's
/// command line; fails with PostgreSQL's own words when the configuration is broken.
Result<std::vector<std::string>> WriteNodeServerFiles(const io::PgInstall &install,
                                                      const Config &config, const Paths &paths,
                                                      const StartFacts &facts);

/// The same options for a server that only recovers the data of PGDATA. No file is changed: what
/// WAL and control file say must not depend on who has started the server.
Result<std::vector<std::string>> RecoveryOptions(const io::PgInstall &install, const Paths &paths,
                                                 const io::ControlData &control);

/// " (file, line 7)", where the setting stands of which PostgreSQL speaks; empty when there is
/// none.
std::string PlaceOf(const std::string &pgdata, const std::string &said);

/// HBA lines for the keeper's peers.
Result<void> WriteNodeHba(const core::KeeperConfig &keeper, const std::string &directory,
                          std::span<const core::Peer> peers);

/// Replaces or creates one of our files in `directory`.
Result<void> WriteInto(const std::string &directory, std::string_view file, std::string_view text);

/// Standby configuration, an empty synchronous set, standby.signal.
Result<void> WriteStandbyFiles(const core::KeeperConfig &keeper, const core::Peer &upstream,
                               const std::string &directory);

/// One-line commands that create a role when it is missing.
std::string EnsureRoleSql(std::string_view role, std::string_view attributes);

}  // namespace pgaf::node
