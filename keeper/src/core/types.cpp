#include "pgaf/core/types.hpp"

#include <array>
#include <charconv>

namespace pgaf::core {
namespace {

constexpr std::string_view kStandbyPrefix = "pgautofailover_standby_";

std::optional<std::uint32_t> ParseHex(std::string_view text) {
    std::uint32_t value = 0;
    if (text.empty() || text.size() > 8) return std::nullopt;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::string Hex(std::uint32_t value) {
    std::array<char, 9> text{};
    const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), value, 16);
    std::string out(text.data(), end);
    for (char &c : out) {
        if (c >= 'a' && c <= 'f') c = static_cast<char>(c - 'a' + 'A');
    }
    return out;
}

}  // namespace

std::string ToString(Lsn lsn) {
    return Hex(static_cast<std::uint32_t>(lsn.value >> 32U)) + "/" +
           Hex(static_cast<std::uint32_t>(lsn.value));
}

std::optional<Lsn> ParseLsn(std::string_view text) {
    const std::size_t slash = text.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    const auto high = ParseHex(text.substr(0, slash));
    const auto low = ParseHex(text.substr(slash + 1));
    if (!high || !low) return std::nullopt;
    return Lsn{(static_cast<std::uint64_t>(*high) << 32U) | *low};
}

std::string StandbyName(NodeId id) {
    return std::string(kStandbyPrefix) + std::to_string(id.value);
}

std::optional<NodeId> ParseStandbyName(std::string_view name) {
    if (!name.starts_with(kStandbyPrefix)) return std::nullopt;
    name.remove_prefix(kStandbyPrefix.size());
    NodeId id;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), id.value);
    if (error != std::errc{} || end != name.data() + name.size() || !id.IsValid()) {
        return std::nullopt;
    }
    return id;
}

}  // namespace pgaf::core
