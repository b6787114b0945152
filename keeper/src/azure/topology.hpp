#pragma once

#include <string>
#include <vector>

#include "io/common.hpp"

/// What is wanted in Azure, and how it is named: plain values, no I/O.
namespace pgaf::azure {

inline constexpr int kMostNodes = 26;

/// One region of one demonstration: everything is in one resource group, "<prefix>-<region>".
struct Region {
    std::string prefix = "ha-demo";
    std::string region{};
    std::string location{};
    std::string image{};
    std::string size{};
    std::string admin = "ha-admin";
    int cidr = 11;  ///< the network is 10.<cidr>.0.0/16, the subnet 10.<cidr>.<cidr>.0/24
    bool monitor = false;
    bool app = false;
    int nodes = 0;
    std::vector<std::string> allow_from{};  ///< CIDRs that may reach ports 22 and 5432
    std::string public_key{};               ///< path of the ssh key given to the machines
    std::string private_key{};
    std::string known_hosts{};  ///< file of the host keys of this region's machines
};

std::string GroupOf(const Region &region);
std::string VnetOf(const Region &region);
std::string NsgOf(const Region &region);
std::string RuleOf(const Region &region);
std::string SubnetOf(const Region &region);
std::string NetworkOf(const Region &region);
std::string SubnetPrefixOf(const Region &region);
/// "a" is "ha-demo-paris-a"; a whole name stays as it is.
std::string MachineOf(const Region &region, const std::string &name);
/// "a" for "ha-demo-paris-a".
std::string ShortNameOf(const Region &region, const std::string &machine);
/// The name of a node on the monitor, "paris-a".
std::string NodeNameOf(const Region &region, const std::string &name);
/// "a", "b", ...
std::string NodeLetter(int index);
/// Short names of the wanted machines: monitor, a, b, ..., app.
std::vector<std::string> ShortNames(const Region &region);
/// "France Central" and "francecentral" are the same place.
bool SameLocation(std::string_view a, std::string_view b);
/// Azure compares names without case.
bool SameName(std::string_view a, std::string_view b);

/// Names, counts and addresses that Azure would refuse later are refused before anything is made.
Result<void> CheckRegion(const Region &region);
/// "a".."z", "monitor" or "app".
bool IsShortName(const std::string &name);
/// "a".."z".
bool IsNodeName(const std::string &name);

}  // namespace pgaf::azure
