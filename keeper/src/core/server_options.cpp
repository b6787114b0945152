#include "pgaf/core/server_options.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace pgaf::core {
namespace {

constexpr std::array<std::string_view, 5> kRecoveryTargets{
    "recovery_target", "recovery_target_lsn", "recovery_target_name", "recovery_target_time",
    "recovery_target_xid"};

constexpr std::string_view kBlanks = " \t\n\r\f\v";

void SkipBlanks(std::string_view &text) {
    text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
}

/// The name at the beginning of `text`, which then begins with what follows it.
std::optional<std::string> TakeName(std::string_view &text) {
    std::string name;
    if (!text.starts_with('"')) {
        const std::size_t end = std::min(text.find(','), text.size());
        name = text.substr(0, end);
        text.remove_prefix(end);
        name.erase(name.find_last_not_of(kBlanks) + 1);
        if (name.empty()) return std::nullopt;
        return name;
    }
    for (text.remove_prefix(1); !text.empty(); text.remove_prefix(1)) {
        if (text.front() == '"') {
            text.remove_prefix(1);
            if (!text.starts_with('"')) return name;  // else a doubled one stands for itself
        }
        name += text.front();
    }
    return std::nullopt;
}

/// None when PostgreSQL could not read it either.
std::optional<std::vector<std::string>> SplitNames(std::string_view text) {
    std::vector<std::string> names;
    SkipBlanks(text);
    if (text.empty()) return names;
    for (;;) {
        auto name = TakeName(text);
        if (!name) return std::nullopt;
        names.push_back(std::move(*name));
        SkipBlanks(text);
        if (text.empty()) return names;
        if (text.front() != ',') return std::nullopt;
        text.remove_prefix(1);
        SkipBlanks(text);
    }
}

/// The library may be given with a directory, and with the suffix of the platform.
bool Names(std::string_view name, std::string_view library) {
    const std::size_t slash = name.rfind('/');
    if (slash != std::string_view::npos) name.remove_prefix(slash + 1);
    if (name.ends_with(".so")) name.remove_suffix(3);
    return name == library;
}

std::string Quoted(const std::string &name) {
    const bool is_plain = !name.empty() && name.find_first_of(",\"") == std::string::npos &&
                          name.find_first_of(kBlanks) == std::string::npos;
    if (is_plain) return name;
    std::string quoted = "\"";
    for (const char c : name) {
        if (c == '"') quoted += c;
        quoted += c;
    }
    return quoted + "\"";
}

}  // namespace

std::string MergeLibraries(std::string_view configured, std::string_view ours) {
    std::vector<std::string> names;
    for (const std::string &name : SplitNames(configured).value_or(std::vector<std::string>{})) {
        const bool is_there = std::find(names.begin(), names.end(), name) != names.end();
        if (!is_there && !Names(name, ours)) names.push_back(name);
    }
    names.emplace_back(ours);
    std::string merged;
    for (const std::string &name : names)
        merged += (merged.empty() ? "" : ", ") + Quoted(name);
    return merged;
}

std::vector<std::string> SafetyOptions(const ConfiguredServer &configured) {
    std::vector<std::string> options;
    const auto set = [&options](std::string_view name, std::string_view value) {
        options.emplace_back("-c");
        options.push_back(std::string(name) + "=" + std::string(value));
    };
    set("shared_preload_libraries", MergeLibraries(configured.libraries, kKeeperLibrary));
    set("pgautofailover_keeper.directory", configured.keeper_directory);
    set("restart_after_crash", "off");
    set("hot_standby", "on");
    // Of an earlier life of these data: a standby would stop there, or open for writing.
    for (const std::string_view target : kRecoveryTargets)
        set(target, "");
    set("wal_level", configured.wal_level == "logical" ? "logical" : "replica");
    if (!configured.has_checksums) set("wal_log_hints", "on");
    ServerSizes least{};
    if (configured.required) least = *configured.required;
    int &senders = least.at(*FindSize("max_wal_senders"));
    senders = std::max(senders, kLeastWalSenders);
    for (const PostgresSetting &size : MissingSizes(configured.sizes, least))
        set(size.name, size.value);
    if (configured.replication_slots < kLeastSlots)
        set("max_replication_slots", std::to_string(kLeastSlots));
    return options;
}

}  // namespace pgaf::core
