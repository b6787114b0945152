#pragma once

#include <optional>
#include <string>
#include <vector>

namespace pgaf::io {

/// Address by which this host reaches `host`:`port`; for --hostname.
std::optional<std::string> OwnAddressTowards(const std::string &host, int port);
/// The networks of this host's `hostname`, as CIDR: the rules for the monitor's clients.
std::vector<std::string> LocalNetworks(const std::string &hostname);
/// Numeric address of a host, now; empty when it has none.
std::string ResolveNow(const std::string &host);
/// All of them.
std::vector<std::string> ResolveAll(const std::string &host);

}  // namespace pgaf::io
