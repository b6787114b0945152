#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "pgaf/core/keeper_config.hpp"
#include "pgaf/core/protocol.hpp"
#include "pgaf/core/result.hpp"
#include "pgaf/core/server_options.hpp"

/// Texts of the files that keepers write into PGDATA. Pure: text in, text out.
namespace pgaf::core {

inline constexpr std::string_view kSettingsFile = "postgresql-auto-failover.conf";
inline constexpr std::string_view kStandbyFile = "postgresql-auto-failover-standby.conf";
inline constexpr std::string_view kSyncFile = "postgresql-auto-failover-sync.conf";

/// Quotes a value for postgresql.conf: 'it''s'.
std::string QuoteSetting(std::string_view value);
/// Quotes a value for a libpq connection string when it needs it.
std::string QuoteConninfo(std::string_view value);
/// A connection string or URI with its password replaced by "****".
std::string RedactConninfo(std::string_view conninfo);

/// postgresql.conf with our include line present exactly once, at its end so that it wins.
std::string EnsureInclude(std::string_view postgresql_conf);
/// What the administrator has written: our include line is an empty one.
std::string WithoutInclude(std::string_view postgresql_conf);

/// On the monitor: how long a session may leave a transaction open without doing anything.
inline constexpr Milliseconds kMonitorIdleLimit{10'000};

inline constexpr std::int64_t kSlotWalMostMb = 16 * 1024;

struct ServerSettings {
    std::string keeper_directory;   ///< empty on the monitor
    std::string preload_libraries;  ///< ours, and the administrator's
    std::string wal_level = "replica";
    std::string listen_addresses{};  ///< empty: a default, see kDefaultsFile
    int port = 5432;
    int pg_major = 15;
    std::string auth_method;
    std::string unix_socket_directory;  ///< empty: PostgreSQL's default
    bool ssl = false;
    std::string ssl_cert_file;
    std::string ssl_key_file;
    std::string ssl_ca_file;
    std::string ssl_crl_file;
    bool is_monitor = false;
    int wal_senders = kLeastWalSenders;
    int replication_slots = kLeastSlots;
};
/// A quarter of the disk, and not more than kSlotWalMostMb.
std::int64_t SlotWalMb(std::uint64_t disk_bytes);
/// Settings that the keeper writes while the server runs; nobody else may set them.
inline constexpr std::array<std::string_view, 4> kOwnedSettings{
    "synchronous_standby_names", "primary_conninfo", "primary_slot_name",
    "recovery_target_timeline"};
bool IsOwnedSetting(std::string_view name);
/// postgresql.auto.conf with the lines that set one of them made comments. Names count in any case,
/// as PostgreSQL reads them.
std::string WithoutOwnedSettings(std::string_view auto_conf);
/// The value of a setting in one of our files, as QuoteSetting wrote it; empty when it is not
/// there.
std::string SettingOf(std::string_view text, std::string_view name);
/// Content of postgresql-auto-failover.conf.
std::string SettingsText(const ServerSettings &settings);

/// SCRAM over TLS proves both ends to each other, also with certificates that nobody has signed, if
/// the client insists on it: a server in the middle does not know the password.
constexpr bool BindsChannel(std::string_view auth_method, bool ssl, std::string_view ssl_mode) {
    return ssl && auth_method == "scram-sha-256" &&
           (ssl_mode == "require" || ssl_mode.starts_with("verify-"));
}

/// The line of a libpq password file for the role that replicates, on every host.
std::string PassfileLine(std::string_view password);

/// primary_conninfo for following `upstream`.
std::string PrimaryConninfo(const KeeperConfig &config, const Peer &upstream);
/// Names whom the file says to follow, see bgworker/marks.hpp.
std::string UpstreamMark(const Peer &upstream);
/// Content of postgresql-auto-failover-standby.conf; without an upstream the node is sealed: both
/// settings are present and empty.
std::string StandbyText(const KeeperConfig &config, const Peer *upstream);
std::string SyncText(std::string_view synchronous_standby_names);

}  // namespace pgaf::core
