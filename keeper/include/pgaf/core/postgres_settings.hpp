#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pgaf/core/result.hpp"

/// Settings of PostgreSQL that the monitor keeps for the nodes of a formation. Pure.
namespace pgaf::core {

/// In PGDATA, by the keeper of the node: what `pg_autoctl set postgres` has set, as this node may
/// have it now.
inline constexpr std::string_view kGroupSettingsFile = "postgresql-auto-failover-group.conf";

/// The parameters that a standby must have at least as high as the server whose WAL it replays.
/// Source: PostgreSQL 15 documentation, 27.4.3 "Administrator's Overview" of hot standby.
inline constexpr std::array<std::string_view, 5> kSizeNames{
    "max_connections", "max_worker_processes", "max_wal_senders", "max_prepared_transactions",
    "max_locks_per_transaction"};
/// In the order of kSizeNames, as a server that runs uses them or its control file asks for them.
using ServerSizes = std::array<int, kSizeNames.size()>;
/// In the node directory, by either keeper: the settings that the node has accepted.
inline constexpr std::string_view kGroupSettingsMemory = "postgres.settings";

/// Beside it, by the supervisor: those with which a server has come up, and the first of others
/// with which none did: {version, {name, reason}}.
inline constexpr std::string_view kGoodSettingsMemory = "postgres.settings.good";
inline constexpr std::string_view kRefusedSettingsMemory = "postgres.settings.refused";

std::optional<std::size_t> FindSize(std::string_view name);

struct PostgresSetting {
    std::string name;
    std::string value;
    friend bool operator==(const PostgresSetting &, const PostgresSetting &) = default;
};

/// What a node is to have, node by node settled by the monitor.
struct PostgresSettings {
    std::int64_t version = 0;  ///< grows with every change; 0: none is known
    std::vector<PostgresSetting> items;
    friend bool operator==(const PostgresSettings &, const PostgresSettings &) = default;
};

/// The first setting of `next` that is not in `good` as it is there.
std::optional<PostgresSetting> FirstNew(const PostgresSettings &good, const PostgresSettings &next);

/// For the node directory. kCorrupt for a text that Encode did not make.
std::string Encode(const PostgresSettings &settings);
Result<PostgresSettings> DecodePostgresSettings(std::string_view text);

/// Lower case, as PostgreSQL compares names.
std::string FoldName(std::string_view name);

/// Whether the setting runs programs, loads code, names files, or can give up what was committed:
/// for operators, not for nodes. Whoever sets one is the user of PostgreSQL on each of them.
/// `folded` is in lower case. What belongs to an extension is not known here, and counts.
bool NeedsOperator(std::string_view folded);

/// kBadArgument for what is no name of a setting, kRefused for one that somebody else decides, with
/// a hint that names who; and for a value that no file can hold, or that a group cannot live with.
Result<void> CheckPostgresSetting(std::string_view name, std::string_view value);

/// What one server knows of the sizes around it.
struct SizeView {
    bool is_primary = false;
    std::optional<ServerSizes> own;       ///< in force here; when it is down, of its control file
    std::optional<ServerSizes> primary;   ///< in force on the primary, when that is another node
    std::vector<ServerSizes> standbys{};  ///< in force on the other standbys that run
};

/// What this node may have now of a size that is to become `wanted`: raised on standbys first,
/// lowered on the primary first. A standby gets at least what the primary uses; a primary is raised
/// to what all standbys that run use by now, and never set back below what it uses by that.
int SizeAllowed(std::size_t size, int wanted, const SizeView &view);

/// What the node's file says now, item by item.
std::vector<PostgresSetting> AllowedSettings(const PostgresSettings &settings,
                                             const SizeView &view);

/// Content of kGroupSettingsFile.
std::string GroupSettingsText(const PostgresSettings &settings, const SizeView &view);

/// A size that is written as PostgreSQL reads an integer; none for anything else.
std::optional<int> ParseSize(std::string_view value);

/// The names and values by which `required`, of a control file, exceeds `configured`, as they must
/// stand on the command line of a standby.
std::vector<PostgresSetting> MissingSizes(const ServerSizes &configured,
                                          const ServerSizes &required);

/// One setting as a server that runs has it.
struct SettingState {
    std::string name;
    std::string in_force;         ///< for people, with its unit
    std::string in_file{};        ///< what the keeper has written for it; empty: nothing
    std::string overridden_by{};  ///< where another value comes from, which wins; empty: nothing
    bool pending_restart = false;
    friend bool operator==(const SettingState &, const SettingState &) = default;
};
/// A JSON array, as the monitor stores it.
std::string EncodeSettingStates(std::span<const SettingState> states);

/// A number with the largest unit of PostgreSQL that fits: 65536 "kB" are "64MB".
std::string WithUnit(std::int64_t value, std::string_view unit);

}  // namespace pgaf::core
