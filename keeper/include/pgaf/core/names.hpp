#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pgaf/core/result.hpp"

/// Names are data: what comes from another machine, from a user or from a program is looked at here
/// before it becomes part of a file, a connection string or a line on a terminal.
namespace pgaf::core {

inline constexpr std::size_t kHostNameMost = 255;
inline constexpr std::size_t kNameMost = 255;

/// An address as bytes, most significant first: 4 of IPv4, or 16 of IPv6.
struct IpAddress {
    std::array<std::uint8_t, 16> bytes{};
    int size = 0;
    bool operator==(const IpAddress &) const = default;
};
/// What inet_pton accepts, and nothing else.
std::optional<IpAddress> ParseIpAddress(std::string_view text);
/// Whether the first `bits` bits agree; never of different families.
bool SharePrefix(const IpAddress &a, const IpAddress &b, int bits);

/// An IP address, or labels of letters, digits, "-" and "_" (RFC 1123; "_" is what containers are
/// named with). Not the words that mean more than one host in pg_hba.conf (all, samehost, samenet),
/// no networks, and no last label of digits alone, which could be a shortened address.
bool IsHostName(std::string_view text);

/// The name of a node, formation, database or role: 1 to kNameMost bytes of UTF-8 without control
/// characters and without those that change the direction of a text.
bool IsName(std::string_view text);

/// Problems of kind kBadArgument that show the value, with `what` as "host name of the node".
Result<void> CheckHostName(std::string_view what, std::string_view text);
Result<void> CheckName(std::string_view what, std::string_view text);

inline constexpr std::string_view kUsualDatabase = "postgres";
inline constexpr std::string_view kTemplateDatabase = "template1";

/// Where our sessions may run SQL on a node, the usual one first; users may drop each of them. The
/// template is last: who is in it is in the way of CREATE DATABASE.
std::vector<std::string> DatabasesForUs(std::string_view of_formation);

/// For terminals, tables and logs: bytes that could move a cursor or begin a line are shown as
/// \xNN. Other text comes back as it is.
std::string Printable(std::string_view text);

/// For the parts of a URI: everything but letters, digits and "-._~" as %NN.
std::string QuoteUri(std::string_view text);
/// The same, and "/" stays: for names of databases and of files.
std::string QuoteUriPath(std::string_view text);

}  // namespace pgaf::core
