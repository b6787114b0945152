#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "azure/topology.hpp"
#include "io/common.hpp"

/// What az says that there is. Pure: texts in, values out.
namespace pgaf::azure {

struct Addresses {
    std::string name;
    std::string public_ip;  ///< empty: none (a machine that is deallocated, for instance)
    std::string private_ip;
};

/// What of a region exists. Machines by their short names, with their provisioning states.
struct Existing {
    bool group = false;
    std::string location{};
    std::string group_state{};
    bool vnet = false;
    bool nsg = false;
    bool subnet = false;
    std::map<std::string, std::string> machines{};
    int resources = 0;
    /// A machine whose creation failed has to be created again.
    [[nodiscard]] bool HasMachine(const std::string &name) const;
};

/// `az group show`.
Result<void> ReadGroup(std::string_view json, Existing &existing);
/// `az resource list --resource-group`. It does not list subnets: a network card is in one.
Result<void> ReadResources(std::string_view json, const Region &region, Existing &existing);
/// `az vm list-ip-addresses`, machines of the region's group only.
Result<std::vector<Addresses>> ReadAddresses(std::string_view json, const Region &region);

/// The text of `az vm run-command invoke`: what the script wrote.
Result<std::string> ReadRunCommand(std::string_view json);

struct NodeState {
    std::string name, reported, assigned;
};
/// `pg_autoctl show state --json`.
Result<std::vector<NodeState>> ReadStates(std::string_view json);
/// All of `names` are there, exactly one node is primary (or single), and none is on its way.
bool IsStable(const std::vector<NodeState> &nodes, const std::vector<std::string> &names);

/// One resource, for lists that people read.
struct Resource {
    std::string name, type, location;
};
Result<std::vector<Resource>> ReadResourceList(std::string_view json);

}  // namespace pgaf::azure
