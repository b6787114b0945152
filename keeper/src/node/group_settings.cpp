#include "node/group_settings.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "io/files.hpp"
#include "io/process.hpp"
#include "node/pg_setup.hpp"

namespace pgaf::node {
namespace {

constexpr Milliseconds kToolLimit{30'000};

std::string MemoryOf(const Paths &paths) {
    return paths.directory + "/" + std::string(core::kGroupSettingsMemory);
}

core::SizeView ViewOf(const core::Reply &reply, bool is_primary) {
    core::SizeView view{.is_primary = is_primary, .own = {}, .primary = {}};
    for (const core::Peer &peer : reply.peers) {
        if (peer.sizes && peer.is_primary) view.primary = peer.sizes;
        if (peer.sizes && !peer.is_primary) view.standbys.push_back(*peer.sizes);
    }
    return view;
}

}  // namespace

/// Anew each time: the worker writes it while the server runs.
void GroupSettings::Load() {
    settings_ = {};
    auto text = io::ReadFile(MemoryOf(paths_));
    if (!text) return;
    auto settings = core::DecodePostgresSettings(*text);
    if (settings) settings_ = std::move(*settings);
}

/// A word of the command line is read as a line of the configuration would be. What else is wrong
/// with the configuration is no fault of this setting.
Result<void> GroupSettings::Check(const core::PostgresSetting &item) const {
    if (auto done = core::CheckPostgresSetting(item.name, item.value); !done) return done;
    if (io::InspectDataDirectory(paths_.pgdata) != io::DataDirectory::kCluster) return {};
    auto outcome = io::Run({.argv = {install_.Tool("postgres"), "-D", paths_.pgdata, "-C",
                                     item.name, "-c", item.name + "=" + item.value},
                            .env = {{"LC_ALL", "C"}},
                            .timeout = kToolLimit});
    if (!outcome || outcome->status == 0) return {};
    const std::size_t at = outcome->err.find("\"" + item.name + "\"");
    if (at == std::string::npos) return {};
    const std::size_t begin = outcome->err.rfind('\n', at) + 1;  // npos + 1 is the first line
    std::string line = outcome->err.substr(begin, outcome->err.find('\n', at) - begin);
    if (const std::size_t mark = line.find(":  "); mark != std::string::npos)
        line = line.substr(mark + 3);
    return Fail(ProblemCode::kPostgres, std::move(line));
}

void GroupSettings::Take(const core::Reply &reply) {
    if (!reply.settings || reply.settings_version == refused_) return;
    Load();
    if (reply.settings_version == settings_.version) return;
    for (const core::PostgresSetting &item : *reply.settings) {
        const auto &known = settings_.items;
        if (std::find(known.begin(), known.end(), item) != known.end()) continue;
        auto checked = Check(item);
        if (checked) continue;
        refused_ = reply.settings_version;
        refused_name_ = item.name;
        refusal_ = checked.error().message;
        spdlog::warn("Refused the settings of the formation: {}", refusal_);
        return;
    }
    const core::PostgresSettings next{reply.settings_version, *reply.settings};
    if (auto saved = io::WriteFile(MemoryOf(paths_), core::Encode(next), 0600); !saved) {
        spdlog::warn("{}", saved.error().message);
        return;
    }
    settings_ = next;
    refused_ = 0;
}

void GroupSettings::Fill(core::Report &report) {
    Load();
    report.settings_version = settings_.version;
    report.refused_settings = refused_;
    if (refused_ == 0) return;
    report.refused_name = refused_name_;
    report.refusal = refusal_;
}

Result<void> GroupSettings::WriteFile(const core::Reply *reply, bool is_primary,
                                      const std::optional<core::ServerSizes> &required) {
    Load();
    const std::string file(core::kGroupSettingsFile);
    const bool is_there = io::Exists(paths_.pgdata + "/" + file);
    // Without a word of the monitor nothing is known of the sizes around: the file stays as it is.
    if (reply == nullptr && is_there) return {};
    core::SizeView view = reply == nullptr
                              ? core::SizeView{.is_primary = is_primary, .own = {}, .primary = {}}
                              : ViewOf(*reply, is_primary);
    view.own = required;
    return WriteInto(paths_.pgdata, file, core::GroupSettingsText(settings_, view));
}

}  // namespace pgaf::node
