#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "io/common.hpp"

/// Addresses from outside are not believed before they are checked.
namespace pgaf::azure {

/// The address in what a service answered, white space around it removed; kBadState for anything
/// that is not one IPv4 address of the Internet: HTML, IPv6, private or loopback addresses.
Result<std::string> ReadPublicAddress(std::string_view answer);

/// "ADDRESS/LENGTH" from "ADDRESS" or "ADDRESS/LENGTH"; refuses what would open the machines to
/// more than 2^24 addresses, and to more than 2^16 unless somebody has said that he wants that.
Result<std::string> CheckAllowed(std::string_view cidr, bool may_be_wide = false);

/// Services that answer with the address a request came from, and nothing else.
const std::vector<std::string> &DefaultServices();

/// Asks one service after the other until an answer is an address. `get` fetches an URL.
Result<std::string> FindPublicAddress(
    const std::vector<std::string> &services,
    const std::function<Result<std::string>(const std::string &)> &get);

}  // namespace pgaf::azure
