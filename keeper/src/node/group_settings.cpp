#include "node/group_settings.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "io/files.hpp"
#include "io/process.hpp"
#include "node/pg_setup.hpp"

namespace pgaf::node {
namespace {

constexpr Milliseconds kToolLimit{30'000};

std::string PathOf(const Paths &paths, std::string_view file) {
    return paths.directory + "/" + std::string(file);
}

std::string MemoryOf(const Paths &paths) { return PathOf(paths, core::kGroupSettingsMemory); }

std::optional<core::PostgresSettings> Read(const std::string &path) {
    auto text = io::ReadFile(path);
    if (!text) return std::nullopt;
    auto settings = core::DecodePostgresSettings(*text);
    return settings ? std::optional(std::move(*settings)) : std::nullopt;
}

void Remember(const std::string &path, const core::PostgresSettings &settings) {
    if (auto saved = io::WriteFile(path, core::Encode(settings), 0600); !saved)
        spdlog::warn("{}", saved.error().message);
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
    settings_ = Read(MemoryOf(paths_)).value_or(core::PostgresSettings{});
    LoadRefused();
}

void GroupSettings::LoadRefused() {
    const auto refused = Read(PathOf(paths_, core::kRefusedSettingsMemory));
    if (!refused || refused->items.empty() || refused_ >= refused->version) return;
    refused_ = refused->version;
    refused_name_ = refused->items.front().name;
    refusal_ = refused->items.front().value;
    is_refused_at_start_ = true;
}

void GroupSettings::NoteStarted() {
    const std::string path = PathOf(paths_, core::kGoodSettingsMemory);
    if (started_ && Read(path) != started_) Remember(path, *started_);
    started_.reset();
}

/// Whatever else may be wrong: a start without the newest settings shows whether it was they.
void GroupSettings::NoteFailedStarts() {
    Load();
    const auto good = Read(PathOf(paths_, core::kGoodSettingsMemory));
    const auto fresh = good ? core::FirstNew(*good, settings_) : std::nullopt;
    if (!fresh) return;
    spdlog::warn("PostgreSQL does not come up since \"{}\" is \"{}\": it is started without that",
                 fresh->name, fresh->value);
    Remember(PathOf(paths_, core::kRefusedSettingsMemory),
             {settings_.version,
              {{fresh->name, "PostgreSQL does not come up with \"" + fresh->value + "\""}}});
    Remember(MemoryOf(paths_), *good);
    Load();
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
    Load();
    if (!reply.settings || reply.settings_version == refused_) return;
    if (reply.settings_version == settings_.version) return;
    for (const core::PostgresSetting &item : *reply.settings) {
        const auto &known = settings_.items;
        if (std::find(known.begin(), known.end(), item) != known.end()) continue;
        auto checked = Check(item);
        if (checked) continue;
        is_refused_at_start_ = false;
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
}

void GroupSettings::Fill(core::Report &report) {
    Load();
    report.settings_version = settings_.version;
    report.refused_settings = refused_;
    if (refused_ == 0) return;
    report.refused_name = refused_name_;
    report.refusal = refusal_;
    report.refused_at_start = is_refused_at_start_;
}

Result<void> GroupSettings::WriteFile(const core::Reply *reply, bool is_primary,
                                      const std::optional<core::ServerSizes> &required) {
    Load();
    started_ = settings_;
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
