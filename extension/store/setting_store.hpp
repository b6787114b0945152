#pragma once

#include "store/group_store.hpp"

#include <optional>
#include <string>

#include "pgaf/core/postgres_settings.hpp"

/// PostgreSQL's settings that are kept for nodes: rows to structs and back. Everything needs a Spi,
/// and what writes needs the locks of the groups that it concerns.
namespace pgaf::store {

/// For every node of the formation, or for one.
struct SettingScope {
    std::string formation;
    core::NodeId node;  ///< invalid: every node that has no value of its own
};

std::optional<std::string> FindSetting(const SettingScope &scope, const std::string &name);
/// What one node is to have, ordered by name.
std::vector<core::PostgresSetting> SettingsOf(const SettingScope &node);

struct SettingChange {
    std::int64_t version = 0;
    SettingScope scope;
    std::string name;
    std::optional<std::string> value;   ///< none: reset
    std::optional<std::string> former;  ///< none: it was not set
};
/// Writes it, and gives the nodes that it concerns its version, which is returned.
std::int64_t StoreChange(const SettingChange &change);
/// The newest change of the setting that this node may take back, up to a version: one that is
/// pending, or with kPresent the one that made the present value.
enum class Which { kPending, kPresent };
std::optional<SettingChange> FindChange(const SettingScope &node, const std::string &name,
                                        std::int64_t version, Which which);
/// Puts the former value back under a new version.
void TakeBack(const SettingChange &change, const std::string &problem);
/// Changes that every node which is heard has accepted are no longer pending.
void AcceptChanges(const std::string &formation);

void UpdateSettingsReported(core::NodeId node, std::int64_t version);
/// `states`: a JSON array, see core::EncodeSettingStates.
void StoreSettingStates(core::NodeId node, std::int64_t mark, const std::string &states);
void UpdateRestart(core::NodeId node, std::int64_t server_start);

/// "bool", "integer" ... as this server knows the setting; nothing when it does not.
struct KnownSetting {
    std::string type;
    std::string context;
};
std::optional<KnownSetting> FindKnownSetting(const std::string &name);
/// Some node of the formation runs a newer major version than this server, and may know more.
bool HasNewerNode(const std::string &formation);

}  // namespace pgaf::store
