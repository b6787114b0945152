#include "azure/address.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <optional>

namespace pgaf::azure {
namespace {

constexpr int kShortestPrefix = 8;
constexpr int kShortestUnasked = 16;
constexpr std::size_t kLongestQuoted = 60;

std::string_view Trim(std::string_view text) {
    const char *blank = " \t\r\n";
    const std::size_t start = text.find_first_not_of(blank);
    if (start == std::string_view::npos) return {};
    return text.substr(start, text.find_last_not_of(blank) - start + 1);
}

std::optional<std::uint32_t> ParseIpv4(std::string_view text) {
    in_addr address{};
    const std::string copy(text);
    const bool has_nul = copy.find('\0') != std::string::npos;  // C would end the text there
    if (has_nul || inet_pton(AF_INET, copy.c_str(), &address) != 1) return std::nullopt;
    return ntohl(address.s_addr);
}

struct Network {
    std::uint32_t base;
    int length;
};

constexpr std::uint32_t Ip(std::uint32_t a, std::uint32_t b, std::uint32_t c) {
    return a << 24U | b << 16U | c << 8U;
}

// Source: IANA's registry of special-purpose IPv4 addresses (RFC 6890): what no host of the
// Internet has as its source.
constexpr std::array kNotPublic{
    Network{Ip(0, 0, 0), 8},      Network{Ip(10, 0, 0), 8},     Network{Ip(100, 64, 0), 10},
    Network{Ip(127, 0, 0), 8},    Network{Ip(169, 254, 0), 16}, Network{Ip(172, 16, 0), 12},
    Network{Ip(192, 168, 0), 16}, Network{Ip(224, 0, 0), 3},
};

bool IsIn(std::uint32_t address, const Network &network) {
    return ((address ^ network.base) >> static_cast<unsigned>(32 - network.length)) == 0;
}

std::string Shown(std::string_view text) {
    std::string shown;
    for (const char c : text.substr(0, kLongestQuoted))
        shown += c >= ' ' && c <= '~' ? c : '?';
    return shown + (text.size() > kLongestQuoted ? "..." : "");
}

}  // namespace

Result<std::string> ReadPublicAddress(std::string_view answer) {
    const std::string_view text = Trim(answer);
    const auto address = ParseIpv4(text);
    if (!address) {
        return Fail(ProblemCode::kBadState,
                    fmt::format("\"{}\" is not an IPv4 address", Shown(text)));
    }
    for (const Network &network : kNotPublic) {
        if (IsIn(*address, network)) {
            return Fail(ProblemCode::kBadState,
                        fmt::format("\"{}\" is not an address of the Internet", text));
        }
    }
    return std::string(text);
}

Result<std::string> CheckAllowed(std::string_view cidr, bool may_be_wide) {
    const std::size_t slash = cidr.find('/');
    const std::string_view address = cidr.substr(0, slash);
    int length = 32;
    bool good = ParseIpv4(address).has_value();
    if (slash != std::string_view::npos) {
        const char *end = cidr.data() + cidr.size();
        const auto parsed = std::from_chars(cidr.data() + slash + 1, end, length);
        good = good && parsed.ec == std::errc() && parsed.ptr == end && length >= 0 && length <= 32;
    }
    if (!good) {
        return Fail(ProblemCode::kBadArgument,
                    fmt::format("\"{}\" is not an IPv4 network", Shown(cidr)), {},
                    "Write --allow-from as ADDRESS/LENGTH, for instance 203.0.113.7/32.");
    }
    if (length < kShortestPrefix) {
        return Fail(ProblemCode::kBadArgument,
                    fmt::format("\"{}\" would open the machines to the world", cidr),
                    fmt::format("The shortest prefix that is accepted is /{}.", kShortestPrefix),
                    "Give the network that you work from.");
    }
    if (length < kShortestUnasked && !may_be_wide) {
        return Fail(ProblemCode::kBadArgument,
                    fmt::format("\"{}\" would open the machines to {} addresses", cidr,
                                std::int64_t{1} << (32 - length)),
                    "Ports 22 and 5432 could be reached from all of them.",
                    "Give the network that you work from, or say with --yes that it is so large.");
    }
    return fmt::format("{}/{}", address, length);
}

const std::vector<std::string> &DefaultServices() {
    static const std::vector<std::string> services{
        "https://api.ipify.org", "https://ipv4.icanhazip.com", "https://checkip.amazonaws.com",
        "https://ifconfig.me/ip"};
    return services;
}

Result<std::string> FindPublicAddress(
    const std::vector<std::string> &services,
    const std::function<Result<std::string>(const std::string &)> &get) {
    std::string told;
    for (const std::string &service : services) {
        auto answer = get(service);
        auto address = answer ? ReadPublicAddress(*answer) : answer;
        if (address) return address;
        told += fmt::format("{}{}: {}.", told.empty() ? "" : " ", service, address.error().message);
    }
    return Fail(ProblemCode::kIo, "could not find out our own public address", told,
                "Give the network that you work from with --allow-from, for instance "
                "203.0.113.7/32.");
}

}  // namespace pgaf::azure
