#include "cluster.hpp"

#include <charconv>
#include <cstdio>

#include "pgaf/core/pg_files.hpp"
#include "pgaf/core/server_options.hpp"

namespace pgaf::sim {

using core::TimelineSwitch;

void Wal::CutIncompleteRecord() {
    while (!units.empty() && !units.back().ends)
        units.pop_back();
}

void SetLineage(Wal &to, const Wal &from) {
    const auto left = std::find_if(from.history.begin(), from.history.end(),
                                   [&to](const TimelineSwitch &s) { return to.End() <= s.at; });
    to.timeline = left == from.history.end() ? from.timeline : left->timeline;
    to.history.assign(from.history.begin(), left);
}

std::size_t Cluster::Replayed() const {
    std::size_t end = std::min(applied, wal.units.size());
    while (end > 0 && !wal.units.at(end - 1).ends)
        --end;
    return end;
}

std::vector<Unit> Cluster::Data() const {
    if (data_fork) return *data_fork;
    return {wal.units.begin(),
            wal.units.begin() + static_cast<std::ptrdiff_t>(std::min(applied, wal.units.size()))};
}

std::string HistoryPath(int timeline) {
    char name[32];
    (void)std::snprintf(name, sizeof name, "%08X.history", static_cast<unsigned>(timeline));
    return kDataDirectory + "/pg_wal/" + name;
}

bool Cluster::HasHistory(int timeline) const { return files.contains(HistoryPath(timeline)); }

void Cluster::WriteHistory(int timeline, const core::TimelineHistory &history) {
    std::string text;
    for (const TimelineSwitch &s : history) {
        text += std::to_string(s.timeline) + "\t" + core::ToString(s.at) + "\tno reason\n";
    }
    files[HistoryPath(timeline)] = text;
}

void Cluster::LoseUnflushed() {
    wal.units.resize(std::min(wal.units.size(), durable));
    wal.CutIncompleteRecord();
    applied = std::min(applied, wal.units.size());
    durable = wal.units.size();
}

void Cluster::EndRecovery() {
    if (data_fork) {
        wal.units = *data_fork;
        data_fork.reset();
    }
    wal.CutIncompleteRecord();
    applied = durable = wal.units.size();
}

namespace {

/// On a line of its own, not in a comment.
bool HasSetting(std::string_view text, std::string_view name) {
    const std::string start = std::string(name) + " = ";
    return text.starts_with(start) || text.find("\n" + start) != std::string_view::npos;
}

}  // namespace

void SetAutomatically(Cluster &cluster, const std::string &name, const std::string &value) {
    cluster.files[kAutomaticFile] += name + " = " + core::QuoteSetting(value) + "\n";
}

Settings ReadSettings(const Cluster &cluster) {
    Settings settings;
    const auto file = [&](std::string_view name) -> std::string_view {
        const auto at = cluster.files.find(kDataDirectory + "/" + std::string(name));
        return at == cluster.files.end() ? std::string_view{} : std::string_view{at->second};
    };
    if (file("postgresql.conf").find(core::kSettingsFile) != std::string_view::npos) {
        settings.has_module = true;
        if (const std::string_view text = file(core::kStandbyFile); !text.empty()) {
            settings.conninfo = core::SettingOf(text, "primary_conninfo");
            settings.slot = core::SettingOf(text, "primary_slot_name");
            settings.retry = core::SettingOf(text, "wal_retrieve_retry_interval") == "100ms"
                                 ? core::Milliseconds{100}
                                 : core::Milliseconds{1000};
            settings.upstream_mark = core::SettingOf(text, "pgautofailover_keeper.upstream_mark");
        }
        if (const std::string_view text = file(core::kSyncFile); !text.empty()) {
            settings.sync_names = core::SettingOf(text, "synchronous_standby_names");
            settings.sync_mark = core::SettingOf(text, "pgautofailover_keeper.sync_mark");
        }
    }
    const std::string_view automatic = file("postgresql.auto.conf");
    const auto override_by = [&](std::string_view name, std::string &value) {
        if (HasSetting(automatic, name)) value = core::SettingOf(automatic, name);
    };
    override_by("primary_conninfo", settings.conninfo);
    override_by("synchronous_standby_names", settings.sync_names);
    if (HasSetting(automatic, "shared_preload_libraries")) {
        settings.has_module =
            core::SettingOf(automatic, "shared_preload_libraries").find("pgautofailover_keeper") !=
            std::string::npos;
    }
    settings.names = ParseSyncNames(settings.sync_names);
    return settings;
}

bool LoadModule(const std::vector<std::string> &options) {
    return std::any_of(options.begin(), options.end(), [](const std::string &option) {
        return option.starts_with("shared_preload_libraries=") &&
               option.find(core::kKeeperLibrary) != std::string::npos;
    });
}

SyncNames ParseSyncNames(const std::string &setting) {
    SyncNames names;
    const std::size_t open = setting.find('(');
    if (open == std::string::npos) {
        if (!setting.empty())
            names = {1, {core::ParseStandbyName(setting).value_or(core::NodeId{})}};
        return names;
    }
    const char *const digits = setting.data() + setting.find_first_of("0123456789");
    (void)std::from_chars(digits, setting.data() + open, names.k);
    std::size_t at = open + 1;
    while (at < setting.size()) {
        const std::size_t end = setting.find_first_of(",)", at);
        if (end == std::string::npos) break;
        const auto node = core::ParseStandbyName(std::string_view(setting).substr(at, end - at));
        names.members.push_back(node.value_or(core::NodeId{}));
        at = setting.find_first_not_of(" ,)", end);
        if (at == std::string::npos) break;
    }
    return names;
}

std::string Keyword(const std::string &conninfo, const std::string &name) {
    const std::string prefix = name + "=";
    std::size_t at = conninfo.rfind(prefix, 0) == 0 ? 0 : conninfo.find(" " + prefix);
    if (at == std::string::npos) return "";
    at = conninfo.find('=', at) + 1;
    return conninfo.substr(at, conninfo.find(' ', at) - at);
}

}  // namespace pgaf::sim
