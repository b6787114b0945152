#include "worker/group_settings.hpp"

#include "pgaf/core/pg_files.hpp"

namespace pgaf::worker {
namespace {

constexpr core::Milliseconds kEvery{1000};
/// So long after a change every turn looks: a reload takes its time.
constexpr core::Milliseconds kFresh{2000};

}  // namespace

std::string GroupSettingsPath(const std::string &directory) {
    return directory + "/" + std::string(core::kGroupSettingsMemory);
}

core::SizeView SizesAround(const core::Reply &reply, bool is_primary) {
    core::SizeView view{.is_primary = is_primary, .own = {}, .primary = {}};
    for (const core::Peer &peer : reply.peers) {
        if (!peer.sizes) continue;
        if (peer.is_primary)
            view.primary = peer.sizes;
        else
            view.standbys.push_back(*peer.sizes);
    }
    return view;
}

void GroupSettings::Load(const Ports &ports) {
    if (is_loaded_) return;
    is_loaded_ = true;
    const std::string path = GroupSettingsPath(directory_);
    if (!ports.files.Exists(path)) return;
    const auto text = ports.files.Read(path);
    auto settings = text ? core::DecodePostgresSettings(*text) : tl::unexpected(text.error());
    // Without them the monitor sends them anew.
    if (settings) settings_ = std::move(*settings);
    const auto refused =
        ports.files.Read(directory_ + "/" + std::string(core::kRefusedSettingsMemory));
    const auto decoded =
        refused ? core::DecodePostgresSettings(*refused) : tl::unexpected(refused.error());
    if (!decoded || decoded->items.empty()) return;
    refused_ = decoded->version;
    refused_name_ = decoded->items.front().name;
    refusal_ = decoded->items.front().value;
    is_refused_at_start_ = true;
}

void GroupSettings::Take(const Context &context) {
    const core::Reply &reply = context.reply;
    if (!reply.settings || reply.settings_version == settings_.version) return;
    if (reply.settings_version == refused_) return;
    core::PostgresSettings next{reply.settings_version, *reply.settings};
    for (const core::PostgresSetting &item : next.items) {
        auto checked = core::CheckPostgresSetting(item.name, item.value);
        if (checked) checked = context.ports.server.CheckSetting(item.name, item.value);
        if (checked) continue;
        is_refused_at_start_ = false;
        refused_ = reply.settings_version;
        refused_name_ = item.name;
        refusal_ = checked.error().message;
        if (!checked.error().detail.empty()) refusal_ += ": " + checked.error().detail;
        context.ports.log.Warning("refused the settings of the formation: " + refusal_);
        return;
    }
    const auto saved =
        context.ports.files.WriteAtomic(GroupSettingsPath(directory_), core::Encode(next));
    if (!saved) {
        problem_ = saved.error().message;
        return;
    }
    settings_ = std::move(next);
    refused_ = 0;
}

void GroupSettings::Write(const Context &context) {
    const bool is_primary = !context.facts.in_recovery;
    core::SizeView view = SizesAround(context.reply, is_primary);
    view.own = context.facts.sizes;
    const std::string text = core::GroupSettingsText(settings_, view);
    if (text == written_) return;
    const std::string path = context.config.pgdata + "/" + std::string(core::kGroupSettingsFile);
    const bool is_there = context.ports.files.Exists(path);
    if (settings_.items.empty() && !is_there) return;
    const auto present = is_there ? context.ports.files.Read(path) : std::string();
    allowed_ = core::AllowedSettings(settings_, view);
    if (!present || *present != text) {
        if (const auto done = context.ports.files.WriteAtomic(path, text); !done) {
            problem_ = done.error().message;
            return;
        }
        context.ports.server.Reload();
        written_at_ = context.now;
    }
    written_ = text;
}

void GroupSettings::Observe(const Context &context) {
    const bool is_fresh = written_at_.ns != 0 && context.now - written_at_ < kFresh;
    if (!is_fresh && context.now < observe_at_) return;
    observe_at_ = context.now + kEvery;
    states_ = core::EncodeSettingStates(context.ports.server.SettingStates(allowed_));
}

std::string GroupSettings::Poll(const Context &context) {
    if (context.reply.settings_version == 0) return "";  // a monitor that does not know of them
    problem_.clear();
    Load(context.ports);
    Take(context);
    Write(context);
    Observe(context);
    if (problem_.empty() && refused_ != 0 && refused_ == context.reply.settings_version)
        problem_ = "the settings of the formation are refused: " + refusal_;
    return problem_;
}

void GroupSettings::Fill(core::Report &report, std::int64_t known_mark) const {
    report.settings_version = settings_.version;
    report.refused_settings = refused_;
    if (refused_ != 0) {
        report.refused_name = refused_name_;
        report.refusal = refusal_;
        report.refused_at_start = is_refused_at_start_;
    }
    if (states_.empty()) return;
    report.settings_mark = static_cast<std::int64_t>(Mark(states_) >> 1);
    if (report.settings_mark != known_mark) report.settings_state = states_;
}

}  // namespace pgaf::worker
