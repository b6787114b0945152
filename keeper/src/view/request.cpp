#include "view/request.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

namespace pgaf::view {
namespace {

constexpr std::size_t kParametersMost = 16;

int HexDigit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool IsPlain(char c) { return c > ' ' && c < 0x7f; }

std::optional<std::string> Unescape(std::string_view text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            plain += text[i] == '+' ? ' ' : text[i];
            continue;
        }
        if (text.size() - i < 3) return std::nullopt;
        const int high = HexDigit(text[i + 1]);
        const int low = HexDigit(text[i + 2]);
        if (high < 0 || low < 0) return std::nullopt;
        plain += static_cast<char>(high * 16 + low);
        i += 2;
    }
    const bool is_good = std::all_of(plain.begin(), plain.end(),
                                     [](unsigned char c) { return c >= ' ' && c != 0x7f; });
    return is_good ? std::optional(plain) : std::nullopt;
}

bool ParseQuery(std::string_view text, Request &request) {
    while (!text.empty()) {
        const std::string_view one = text.substr(0, text.find('&'));
        text.remove_prefix(std::min(one.size() + 1, text.size()));
        if (one.empty()) continue;
        const std::size_t equals = std::min(one.find('='), one.size());
        auto name = Unescape(one.substr(0, equals));
        auto value = Unescape(one.substr(std::min(equals + 1, one.size())));
        if (!name || !value || request.query.size() == kParametersMost) return false;
        request.query.emplace_back(std::move(*name), std::move(*value));
    }
    return true;
}

/// By which a unit multiplies; 0: there is no such unit.
std::uint64_t FactorOf(std::string_view unit) {
    std::string lower(unit);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char c) { return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c; });
    if (lower.empty() || lower == "b") return 1;
    if (lower == "kb") return std::uint64_t{1} << 10;
    if (lower == "mb") return std::uint64_t{1} << 20;
    if (lower == "gb") return std::uint64_t{1} << 30;
    if (lower == "tb") return std::uint64_t{1} << 40;
    return 0;
}

}  // namespace

Method ParseMethod(std::string_view text) {
    if (text == "GET") return Method::kGet;
    if (text == "HEAD") return Method::kHead;
    if (text == "OPTIONS") return Method::kOptions;
    return Method::kOther;
}

std::optional<std::string_view> Request::Find(std::string_view name) const {
    for (const auto &[key, value] : query) {
        if (key == name) return value;
    }
    return std::nullopt;
}

std::optional<Request> ParseRequest(Method method, std::string_view uri) {
    if (uri.empty() || uri.front() != '/' || uri.size() > kUriMost) return std::nullopt;
    if (!std::all_of(uri.begin(), uri.end(), IsPlain)) return std::nullopt;
    Request request;
    request.method = method;
    const std::size_t mark = std::min(uri.find('?'), uri.size());
    request.path = uri.substr(0, mark);
    if (!ParseQuery(uri.substr(std::min(mark + 1, uri.size())), request)) return std::nullopt;
    return request;
}

std::optional<std::uint64_t> ParseBytes(std::string_view text) {
    std::uint64_t number = 0;
    const char *const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc{}) return std::nullopt;
    const std::uint64_t factor = FactorOf({rest, static_cast<std::size_t>(end - rest)});
    if (factor == 0 || number > std::numeric_limits<std::uint64_t>::max() / factor)
        return std::nullopt;
    return number * factor;
}

}  // namespace pgaf::view
