#include "pgaf/core/names.hpp"

#include <algorithm>
#include <charconv>

namespace pgaf::core {
namespace {

constexpr std::size_t kLabelMost = 63;  // RFC 1123, section 2.1

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsAlnum(char c) { return IsDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

std::optional<IpAddress> ParseIpv4(std::string_view text) {
    IpAddress address;
    address.size = 4;
    for (std::size_t i = 0; i < 4; ++i) {
        const std::size_t dot = text.find('.');
        const std::string_view part = text.substr(0, dot);
        const bool is_last = i == 3;
        if (is_last != (dot == text.npos) || part.empty() || part.size() > 3) return std::nullopt;
        if (part.size() > 1 && part.front() == '0') return std::nullopt;
        const char *const end = part.data() + part.size();
        if (std::from_chars(part.data(), end, address.bytes.at(i)).ptr != end) return std::nullopt;
        if (std::from_chars(part.data(), end, address.bytes.at(i)).ec != std::errc{})
            return std::nullopt;
        text.remove_prefix(is_last ? text.size() : dot + 1);
    }
    return address;
}

/// Groups of up to four digits from `text` behind what `into` holds; an IPv4 address may be last.
bool ReadGroups(std::string_view text, bool may_end_in_ipv4, IpAddress &into) {
    if (text.empty()) return true;
    for (;;) {
        const std::size_t colon = text.find(':');
        const std::string_view part = text.substr(0, colon);
        const bool is_last = colon == text.npos;
        if (is_last && may_end_in_ipv4 && part.find('.') != part.npos) {
            const auto v4 = ParseIpv4(part);
            if (!v4 || into.size > 12) return false;
            std::copy_n(v4->bytes.begin(), 4, into.bytes.begin() + into.size);
            into.size += 4;
            return true;
        }
        std::uint16_t group = 0;
        const char *const end = part.data() + part.size();
        const auto [stop, error] = std::from_chars(part.data(), end, group, 16);
        const bool is_good = !part.empty() && part.size() <= 4 && stop == end &&
                             error == std::errc{} && part.front() != '-' && into.size <= 14;
        if (!is_good) return false;
        into.bytes.at(static_cast<std::size_t>(into.size++)) =
            static_cast<std::uint8_t>(group >> 8U);
        into.bytes.at(static_cast<std::size_t>(into.size++)) = static_cast<std::uint8_t>(group);
        if (is_last) return true;
        text.remove_prefix(colon + 1);
    }
}

std::optional<IpAddress> ParseIpv6(std::string_view text) {
    const std::size_t gap = text.find("::");
    IpAddress head;
    if (gap == text.npos) {
        const bool is_good = !text.empty() && ReadGroups(text, true, head) && head.size == 16;
        return is_good ? std::optional(head) : std::nullopt;
    }
    IpAddress tail;
    const std::string_view rest = text.substr(gap + 2);
    if (!ReadGroups(text.substr(0, gap), false, head) || !ReadGroups(rest, true, tail))
        return std::nullopt;
    if (head.size + tail.size > 14) return std::nullopt;  // "::" stands for one group at least
    std::copy_n(tail.bytes.begin(), tail.size, head.bytes.begin() + (16 - tail.size));
    head.size = 16;
    return head;
}

bool IsLabel(std::string_view label) {
    if (label.empty() || label.size() > kLabelMost) return false;
    if (label.front() == '-' || label.back() == '-') return false;
    return std::all_of(label.begin(), label.end(),
                       [](char c) { return IsAlnum(c) || c == '-' || c == '_'; });
}

bool IsWordOfHba(std::string_view text) {
    std::string lower(text);
    for (char &c : lower) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return lower == "all" || lower == "samehost" || lower == "samenet";
}

/// The next character; 0xFFFFFFFF when the bytes are no UTF-8.
char32_t TakeCharacter(std::string_view &text) {
    constexpr char32_t kBad = 0xFFFFFFFF;
    const auto first = static_cast<unsigned char>(text.front());
    const std::size_t size = first < 0x80              ? 1
                             : (first & 0xE0U) == 0xC0 ? 2
                             : (first & 0xF0U) == 0xE0 ? 3
                             : (first & 0xF8U) == 0xF0 ? 4
                                                       : 0;
    if (size == 0 || size > text.size()) {
        text.remove_prefix(1);
        return kBad;
    }
    char32_t value = size == 1 ? first : first & (0xFFU >> (size + 1));
    for (std::size_t i = 1; i < size; ++i) {
        const auto next = static_cast<unsigned char>(text.at(i));
        if ((next & 0xC0U) != 0x80) {
            text.remove_prefix(1);
            return kBad;
        }
        value = value << 6U | (next & 0x3FU);
    }
    text.remove_prefix(size);
    constexpr std::array<char32_t, 5> kLeast{0, 0, 0x80, 0x800, 0x10000};
    const bool is_surrogate = value >= 0xD800 && value <= 0xDFFF;
    return value < kLeast.at(size) || value > 0x10FFFF || is_surrogate ? kBad : value;
}

/// Controls (C0, DEL, C1), separators of lines and paragraphs, marks of direction, and what is no
/// character at all.
bool IsUnprintable(char32_t c) {
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0x200B && c <= 0x200F) ||
           (c >= 0x2028 && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF ||
           c > 0x10FFFF;
}

std::string Shown(std::string_view text) {
    constexpr std::size_t kMost = 60;
    return Printable(text.substr(0, kMost)) + (text.size() > kMost ? "..." : "");
}

}  // namespace

std::optional<IpAddress> ParseIpAddress(std::string_view text) {
    if (text.size() > 45) return std::nullopt;
    return text.find(':') == text.npos ? ParseIpv4(text) : ParseIpv6(text);
}

bool SharePrefix(const IpAddress &a, const IpAddress &b, int bits) {
    if (a.size != b.size || bits < 0 || bits > a.size * 8) return false;
    for (int bit = 0; bit < bits; ++bit) {
        const auto at = static_cast<std::size_t>(bit / 8);
        const unsigned mask = 0x80U >> static_cast<unsigned>(bit % 8);
        if (((a.bytes.at(at) ^ b.bytes.at(at)) & mask) != 0) return false;
    }
    return true;
}

bool IsHostName(std::string_view text) {
    if (text.empty() || text.size() > kHostNameMost || IsWordOfHba(text)) return false;
    if (ParseIpAddress(text)) return true;
    for (std::string_view rest = text;;) {
        const std::size_t dot = rest.find('.');
        const std::string_view label = rest.substr(0, dot);
        if (!IsLabel(label)) return false;
        if (dot == rest.npos) return !std::all_of(label.begin(), label.end(), IsDigit);
        rest.remove_prefix(dot + 1);
    }
}

bool IsName(std::string_view text) {
    if (text.empty() || text.size() > kNameMost) return false;
    while (!text.empty()) {
        if (IsUnprintable(TakeCharacter(text))) return false;
    }
    return true;
}

Result<void> CheckHostName(std::string_view what, std::string_view text) {
    if (IsHostName(text)) return {};
    return Fail(ProblemCode::kBadArgument,
                "invalid " + std::string(what) + " \"" + Shown(text) + "\"",
                "It must be an IP address, or a name of letters, digits, \"-\", \"_\" and \".\".");
}

Result<void> CheckName(std::string_view what, std::string_view text) {
    if (IsName(text)) return {};
    return Fail(ProblemCode::kBadArgument,
                "invalid " + std::string(what) + " \"" + Shown(text) + "\"",
                "It must have between 1 and 255 bytes, and no control characters.");
}

std::vector<std::string> DatabasesForUs(std::string_view of_formation) {
    std::vector<std::string> names{std::string(kUsualDatabase)};
    if (!of_formation.empty() && of_formation != kUsualDatabase &&
        of_formation != kTemplateDatabase)
        names.emplace_back(of_formation);
    names.emplace_back(kTemplateDatabase);
    return names;
}

std::string Printable(std::string_view text) {
    constexpr std::string_view kHex = "0123456789ABCDEF";
    std::string shown;
    while (!text.empty()) {
        std::string_view rest = text;
        const bool is_bad = IsUnprintable(TakeCharacter(rest));
        const std::string_view bytes = text.substr(0, text.size() - rest.size());
        text = rest;
        if (!is_bad) {
            shown.append(bytes);
            continue;
        }
        for (const char c : bytes) {
            const auto byte = static_cast<unsigned char>(c);
            shown.append("\\x") += kHex.at(byte >> 4U);
            shown += kHex.at(byte & 0xFU);
        }
    }
    return shown;
}

namespace {

std::string Percented(std::string_view text, std::string_view kept) {
    constexpr std::string_view kHex = "0123456789ABCDEF";
    std::string quoted;
    for (const char c : text) {
        if (IsAlnum(c) || kept.find(c) != kept.npos) {
            quoted += c;
            continue;
        }
        const auto byte = static_cast<unsigned char>(c);
        quoted.append("%") += kHex.at(byte >> 4U);
        quoted += kHex.at(byte & 0xFU);
    }
    return quoted;
}

}  // namespace

std::string QuoteUri(std::string_view text) { return Percented(text, "-._~"); }
std::string QuoteUriPath(std::string_view text) { return Percented(text, "-._~/"); }

}  // namespace pgaf::core
