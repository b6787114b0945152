#include "pgaf/core/sync_set.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace pgaf::core {
namespace {

SyncSet DecodeSet(std::string_view text) {
    SyncSet set;
    const char *at = text.data();
    const char *const end = text.data() + text.size();
    auto parsed = std::from_chars(at, end, set.k);
    if (parsed.ec != std::errc{} || parsed.ptr == end || *parsed.ptr != ':') return {};
    while (parsed.ptr != end && parsed.ptr + 1 != end) {
        NodeId member;
        parsed = std::from_chars(parsed.ptr + 1, end, member.value);
        if (parsed.ec != std::errc{} || (parsed.ptr != end && *parsed.ptr != ',')) return {};
        set.members.push_back(member);
    }
    return set;
}

}  // namespace

bool SyncSet::Contains(NodeId node) const {
    return std::find(members.begin(), members.end(), node) != members.end();
}

std::string ToSetting(const SyncSet &set) {
    if (set.members.empty()) return "";
    std::string text = "ANY " + std::to_string(set.k) + " (";
    for (std::size_t i = 0; i < set.members.size(); ++i) {
        if (i > 0) text += ", ";
        text += StandbyName(set.members[i]);
    }
    return text + ")";
}

std::optional<SyncSet> ParseSetting(std::string_view text) {
    constexpr std::string_view kAny = "ANY ";
    SyncSet set;
    if (text.empty()) return set;
    const std::string whole(text);
    const std::size_t open = text.find('(');
    if (!text.starts_with(kAny) || open == std::string_view::npos) return std::nullopt;
    const std::string_view count = text.substr(kAny.size(), open - kAny.size());
    (void)std::from_chars(count.data(), count.data() + count.size(), set.k);
    text.remove_prefix(open + 1);
    while (!text.empty()) {
        const std::size_t end = std::min(text.find_first_of(",)"), text.size());
        const auto member = ParseStandbyName(text.substr(0, end));
        if (!member) return std::nullopt;
        set.members.push_back(*member);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (text.starts_with(' ')) text.remove_prefix(1);
    }
    return ToSetting(set) == whole ? std::optional(set) : std::nullopt;
}

std::string EncodeSets(const std::vector<SyncSet> &sets) {
    std::string text;
    for (const SyncSet &set : sets) {
        if (!text.empty()) text += ' ';
        text += std::to_string(set.k) + ":";
        for (std::size_t i = 0; i < set.members.size(); ++i) {
            if (i > 0) text += ',';
            text += std::to_string(set.members.at(i).value);
        }
    }
    return text;
}

std::vector<SyncSet> DecodeSets(std::string_view text) {
    std::vector<SyncSet> sets;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(' '), text.size());
        sets.push_back(DecodeSet(text.substr(0, end)));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return sets;
}

bool CoversEveryCommit(const SyncSet &set, const std::vector<NodeId> &sealed) {
    if (set.members.empty() || set.k < 1) return false;
    const auto present = std::count_if(set.members.begin(), set.members.end(), [&](NodeId member) {
        return std::find(sealed.begin(), sealed.end(), member) != sealed.end();
    });
    return present >= static_cast<std::int64_t>(set.members.size()) - set.k + 1;
}

void ReplaceGoal(SyncState &sync, SyncSet set) {
    const bool is_on_record = sync.IsSettled() || sync.goal == sync.confirmed ||
                              std::find(sync.superseded.begin(), sync.superseded.end(),
                                        sync.goal) != sync.superseded.end();
    if (!is_on_record) sync.superseded.push_back(sync.goal);
    sync.goal = std::move(set);
    ++sync.goal_version;
}

void ConfirmGoal(SyncState &sync) {
    sync.confirmed = sync.goal;
    sync.confirmed_version = sync.goal_version;
    sync.superseded.clear();
}

std::vector<SyncSet> PossibleSets(const SyncState &sync) {
    std::vector<SyncSet> sets{sync.confirmed};
    const auto add = [&sets](const SyncSet &set) {
        if (std::find(sets.begin(), sets.end(), set) == sets.end()) sets.push_back(set);
    };
    for (const SyncSet &set : sync.superseded)
        add(set);
    add(sync.goal);
    return sets;
}

bool CoversEveryCommit(const SyncState &sync, const std::vector<NodeId> &sealed) {
    const std::vector<SyncSet> sets = PossibleSets(sync);
    return std::all_of(sets.begin(), sets.end(),
                       [&sealed](const SyncSet &set) { return CoversEveryCommit(set, sealed); });
}

}  // namespace pgaf::core
