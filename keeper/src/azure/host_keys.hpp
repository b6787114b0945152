#pragma once

#include <string>
#include <string_view>

#include "azure/topology.hpp"
#include "io/common.hpp"

/// The keys by which ssh knows a machine: taken from the machine through az, which checks who we
/// are and who it is, and not from whoever answers at its address first.
namespace pgaf::azure {

/// Begins the lines in which a script in the machine prints its public keys.
inline constexpr std::string_view kHostKeyMark = "PGAF-HOST-KEY";
/// The line of that script.
std::string HostKeyLine();

/// The file for the keys of one machine, and what ends with the name of the machine in it.
std::string KnownHostsOf(const Region &region, const std::string &machine);

/// What the file holds, from what the script has printed; kBadState when there is no key in it.
Result<std::string> KnownHosts(std::string_view said, const std::string &machine);

}  // namespace pgaf::azure
