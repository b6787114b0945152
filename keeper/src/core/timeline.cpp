#include "pgaf/core/timeline.hpp"

#include <algorithm>
#include <charconv>

namespace pgaf::core {
namespace {

/// `a` holds nothing that `b` does not hold.
bool IsPrefix(const WalPosition &a, const WalPosition &b) {
    if (a.timeline == b.timeline) return a.lsn <= b.lsn;
    const auto it = std::find_if(b.history.begin(), b.history.end(),
                                 [&](const TimelineSwitch &s) { return s.timeline == a.timeline; });
    return it != b.history.end() && a.lsn <= it->at;
}

/// The same number given twice shows in what came before it.
bool HaveSamePast(const TimelineHistory &a, const TimelineHistory &b) {
    if (a.empty() || b.empty()) return true;  // not known, or the first timeline
    std::size_t i = a.size();
    std::size_t j = b.size();
    while (i > 0 && j > 0) {
        if (a.at(--i) != b.at(--j)) return false;
    }
    return true;
}

/// Only the first timeline has no past; for another one the file has not been read yet.
bool IsPastKnown(const WalPosition &position) {
    return position.timeline == 1 || !position.history.empty();
}

std::string_view NextWord(std::string_view &line) {
    const std::size_t begin = line.find_first_not_of(" \t");
    if (begin == std::string_view::npos) return {};
    const std::size_t end = std::min(line.find_first_of(" \t\r", begin), line.size());
    const std::string_view word = line.substr(begin, end - begin);
    line.remove_prefix(end);
    return word;
}

std::string_view NextPart(std::string_view &text, char separator) {
    const std::size_t end = std::min(text.find(separator), text.size());
    const std::string_view part = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return part;
}

bool ParseNumber(std::string_view text, int &out) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc{} && end == text.data() + text.size() && out > 0;
}

}  // namespace

Ancestry Compare(const WalPosition &a, const WalPosition &b) {
    if (a.timeline == 0 || b.timeline == 0) return Ancestry::kUnknown;
    if (a.timeline == b.timeline && !HaveSamePast(a.history, b.history)) return Ancestry::kDiverged;
    const bool a_in_b = IsPrefix(a, b);
    const bool b_in_a = IsPrefix(b, a);
    if (a_in_b && b_in_a) return Ancestry::kEqual;
    if (a_in_b) return Ancestry::kBehind;
    if (b_in_a) return Ancestry::kAhead;
    return IsPastKnown(a) && IsPastKnown(b) ? Ancestry::kDiverged : Ancestry::kUnknown;
}

bool IsOnLineage(const WalPosition &position, int timeline) {
    return position.timeline == timeline ||
           std::any_of(position.history.begin(), position.history.end(),
                       [&](const TimelineSwitch &s) { return s.timeline == timeline; });
}

bool HasLeftHistory(const WalPosition &position, int timeline, const TimelineHistory &history) {
    // The writer's end moves on all the time; only the timelines that were left have one.
    const Ancestry ancestry = Compare(position, {timeline, Lsn{UINT64_MAX}, history});
    return ancestry == Ancestry::kDiverged || ancestry == Ancestry::kAhead;
}

Lsn PartingOf(const WalPosition &position, int timeline, const TimelineHistory &history) {
    TimelineHistory ours = position.history;
    TimelineHistory theirs = history;
    ours.push_back({position.timeline, Lsn{UINT64_MAX}});
    theirs.push_back({timeline, Lsn{UINT64_MAX}});
    Lsn common{0};
    for (std::size_t i = 0; i < ours.size() && i < theirs.size(); ++i) {
        if (ours.at(i).timeline != theirs.at(i).timeline) return common;
        if (ours.at(i).at != theirs.at(i).at) return std::min(ours.at(i).at, theirs.at(i).at);
        if (ours.at(i).at.value != UINT64_MAX) common = ours.at(i).at;
    }
    return common;
}

TimelineHistory ParseTimelineHistory(std::string_view text) {
    TimelineHistory history;
    while (!text.empty()) {
        std::string_view line = NextPart(text, '\n');
        const std::string_view number = NextWord(line);
        int timeline = 0;
        if (!ParseNumber(number, timeline)) continue;
        const auto at = ParseLsn(NextWord(line));
        if (at) history.push_back({timeline, *at});
    }
    return history;
}

std::string EncodeHistory(const TimelineHistory &history) {
    std::string text;
    const std::size_t first =
        history.size() > kTimelineSwitchesMax ? history.size() - kTimelineSwitchesMax : 0;
    for (std::size_t i = first; i < history.size(); ++i) {
        if (!text.empty()) text += ',';
        text += std::to_string(history.at(i).timeline) + "@" + ToString(history.at(i).at);
    }
    return text;
}

TimelineHistory DecodeHistory(std::string_view text) {
    TimelineHistory history;
    while (!text.empty() && history.size() < kTimelineSwitchesMax) {
        std::string_view part = NextPart(text, ',');
        int timeline = 0;
        const std::string_view number = NextPart(part, '@');
        const auto at = ParseLsn(part);
        if (!at || !ParseNumber(number, timeline)) return {};
        history.push_back({timeline, *at});
    }
    return history;
}

}  // namespace pgaf::core
