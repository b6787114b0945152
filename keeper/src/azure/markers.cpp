#include "azure/markers.hpp"

#include <algorithm>

namespace pgaf::azure {
namespace {

constexpr std::string_view kOpen = "{{";
constexpr std::string_view kClose = "}}";

bool IsPlain(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_-./:=,@%+").find(c) != std::string_view::npos;
}

/// Empty kind: these braces are the user's own.
Marker ParseMarker(std::string_view inside) {
    if (inside == "own") return {"own", {}};
    for (const std::string_view kind : {"public", "private"}) {
        if (inside.starts_with(kind) && inside.size() > kind.size() && inside[kind.size()] == ':')
            return {std::string(kind), std::string(inside.substr(kind.size() + 1))};
    }
    return {};
}

}  // namespace

std::string PublicIp(const std::string &machine) { return "{{public:" + machine + "}}"; }
std::string PrivateIp(const std::string &machine) { return "{{private:" + machine + "}}"; }
std::string OwnNetwork() { return "{{own}}"; }

std::vector<Part> SplitMarkers(std::string_view word) {
    std::vector<Part> parts;
    std::string text;
    while (!word.empty()) {
        const std::size_t open = word.find(kOpen);
        const std::size_t close =
            open == std::string_view::npos ? open : word.find(kClose, open + kOpen.size());
        if (close == std::string_view::npos) break;
        const std::size_t inside = open + kOpen.size();
        const Marker marker = ParseMarker(word.substr(inside, close - inside));
        text += word.substr(0, marker.kind.empty() ? inside : open);
        word.remove_prefix(marker.kind.empty() ? inside : close + kClose.size());
        if (marker.kind.empty()) continue;
        if (!text.empty()) parts.push_back({.text = std::exchange(text, {})});
        parts.push_back({.marker = marker});
    }
    text += word;
    if (!text.empty()) parts.push_back({.text = text});
    return parts;
}

Result<std::string> Fill(const std::string &word,
                         const std::function<Result<std::string>(const Marker &)> &value_of) {
    std::string filled;
    for (const Part &part : SplitMarkers(word)) {
        if (part.marker.kind.empty()) {
            filled += part.text;
            continue;
        }
        auto value = value_of(part.marker);
        if (!value) return value;
        filled += *value;
    }
    return filled;
}

std::string ShellQuote(std::string_view text) {
    if (!text.empty() && std::all_of(text.begin(), text.end(), IsPlain)) return std::string(text);
    std::string quoted = "'";
    for (const char c : text) {
        if (c == '\'') {
            quoted += "'\\''";
        } else {
            quoted += c;
        }
    }
    return quoted + "'";
}

std::string ShellWord(std::string_view word,
                      const std::function<std::string(const Marker &)> &name_of) {
    const std::vector<Part> parts = SplitMarkers(word);
    if (parts.empty()) return "''";
    std::string text;
    for (const Part &part : parts) {
        text +=
            part.marker.kind.empty() ? ShellQuote(part.text) : "\"$" + name_of(part.marker) + "\"";
    }
    return text;
}

}  // namespace pgaf::azure
