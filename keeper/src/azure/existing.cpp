#include "azure/existing.hpp"

#include <fmt/format.h>
#include <rapidjson/document.h>

#include <algorithm>

#include "pgaf/core/names.hpp"

namespace pgaf::azure {
namespace {

using Value = rapidjson::Value;

constexpr std::string_view kMachine = "Microsoft.Compute/virtualMachines";
constexpr std::string_view kVnet = "Microsoft.Network/virtualNetworks";
constexpr std::string_view kCard = "Microsoft.Network/networkInterfaces";
constexpr std::string_view kNsg = "Microsoft.Network/networkSecurityGroups";

Result<rapidjson::Document> Parse(std::string_view json, std::string_view whose) {
    rapidjson::Document document;
    document.Parse<rapidjson::kParseIterativeFlag>(json.data(), json.size());
    if (!document.HasParseError()) return document;
    return Fail(ProblemCode::kBadState, fmt::format("the answer of {} is not JSON", whose),
                json.empty() ? "It is empty." : std::string(json.substr(0, 500)));
}

Result<rapidjson::Document> ParseList(std::string_view json, std::string_view whose) {
    auto document = Parse(json, whose);
    if (!document || document->IsArray()) return document;
    return Fail(ProblemCode::kBadState, fmt::format("the answer of {} is not a list", whose),
                std::string(json.substr(0, 500)));
}

/// The member, or null: az leaves members out or gives null for what there is not.
const Value *Member(const Value *object, const char *name) {
    if (object == nullptr || !object->IsObject()) return nullptr;
    const auto found = object->FindMember(name);
    return found == object->MemberEnd() || found->value.IsNull() ? nullptr : &found->value;
}

std::string TextOf(const Value *object, const char *name) {
    const Value *value = Member(object, name);
    return value != nullptr && value->IsString() ? value->GetString() : "";
}

const Value *First(const Value *list) {
    return list != nullptr && list->IsArray() && !list->Empty() ? &(*list)[0] : nullptr;
}

std::string Lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
}

std::string Settled(const std::string &state) {
    return state == "primary" || state == "secondary" || state == "single" ? state : "";
}

}  // namespace

bool Existing::HasMachine(const std::string &name) const {
    const auto found = machines.find(name);
    return found != machines.end() && SameName(found->second, "Succeeded");
}

Result<void> ReadGroup(std::string_view json, Existing &existing) {
    auto group = Parse(json, "az group show");
    if (!group) return Pass(group);
    existing.group = true;
    existing.location = TextOf(&*group, "location");
    existing.group_state = TextOf(Member(&*group, "properties"), "provisioningState");
    return {};
}

Result<void> ReadResources(std::string_view json, const Region &region, Existing &existing) {
    auto list = ParseList(json, "az resource list");
    if (!list) return Pass(list);
    existing.resources = static_cast<int>(list->Size());
    const std::string prefix = GroupOf(region) + "-";
    for (const Value &resource : list->GetArray()) {
        const std::string type = TextOf(&resource, "type");
        const std::string name = Lower(TextOf(&resource, "name"));
        if (SameName(type, kVnet) && SameName(name, VnetOf(region))) existing.vnet = true;
        if (SameName(type, kCard) && name.starts_with(prefix)) existing.subnet = true;
        if (SameName(type, kNsg) && SameName(name, NsgOf(region))) existing.nsg = true;
        if (!SameName(type, kMachine) || !name.starts_with(prefix)) continue;
        existing.machines[name.substr(prefix.size())] = TextOf(&resource, "provisioningState");
    }
    return {};
}

Result<std::vector<Addresses>> ReadAddresses(std::string_view json, const Region &region) {
    auto list = ParseList(json, "az vm list-ip-addresses");
    if (!list) return Pass(list);
    std::vector<Addresses> all;
    for (const Value &entry : list->GetArray()) {
        // Some versions of az give a list in the list.
        const Value *item = entry.IsArray() ? First(&entry) : &entry;
        const Value *machine = Member(item, "virtualMachine");
        const std::string name = Lower(TextOf(machine, "name"));
        const std::string group = TextOf(machine, "resourceGroup");
        if (name.empty() || (!group.empty() && !SameName(group, GroupOf(region)))) continue;
        const Value *network = Member(machine, "network");
        Addresses found{.name = name, .public_ip = {}, .private_ip = {}};
        found.public_ip = TextOf(First(Member(network, "publicIpAddresses")), "ipAddress");
        const Value *own = First(Member(network, "privateIpAddresses"));
        if (own != nullptr && own->IsString()) found.private_ip = own->GetString();
        // They become words of command lines, here and on the machines.
        for (const std::string &address : {found.public_ip, found.private_ip}) {
            const auto ip = core::ParseIpAddress(address);
            if (address.empty() || (ip && ip->size == 4)) continue;
            return Fail(ProblemCode::kBadState,
                        fmt::format("az vm list-ip-addresses names \"{}\", which is not an IPv4 "
                                    "address",
                                    core::Printable(address.substr(0, 60))));
        }
        all.push_back(std::move(found));
    }
    return all;
}

Result<std::string> ReadRunCommand(std::string_view json) {
    auto document = Parse(json, "az vm run-command invoke");
    if (!document) return Pass(document);
    std::string text;
    const Value *value = Member(&*document, "value");
    if (value != nullptr && value->IsArray()) {
        for (const Value &part : value->GetArray())
            text += TextOf(&part, "message") + "\n";
    }
    if (!text.empty()) return text;
    return Fail(ProblemCode::kBadState, "az vm run-command invoke says nothing about its script",
                std::string(json.substr(0, 500)));
}

Result<std::vector<NodeState>> ReadStates(std::string_view json) {
    auto list = ParseList(json, "pg_autoctl show state");
    if (!list) return Pass(list);
    std::vector<NodeState> nodes;
    for (const Value &node : list->GetArray()) {
        nodes.push_back({TextOf(&node, "nodename"), TextOf(&node, "current_group_state"),
                         TextOf(&node, "assigned_group_state")});
    }
    return nodes;
}

bool IsStable(const std::vector<NodeState> &nodes, const std::vector<std::string> &names) {
    int primaries = 0;
    for (const NodeState &node : nodes) {
        if (node.reported != node.assigned || Settled(node.reported).empty()) return false;
        if (node.reported != "secondary") ++primaries;
        if (node.reported == "single" && nodes.size() > 1) return false;
    }
    const auto is_there = [&nodes](const std::string &name) {
        return std::any_of(nodes.begin(), nodes.end(),
                           [&name](const NodeState &node) { return node.name == name; });
    };
    return primaries == 1 && std::all_of(names.begin(), names.end(), is_there);
}

Result<std::vector<Resource>> ReadResourceList(std::string_view json) {
    auto list = ParseList(json, "az resource list");
    if (!list) return Pass(list);
    std::vector<Resource> all;
    for (const Value &resource : list->GetArray()) {
        all.push_back(
            {TextOf(&resource, "name"), TextOf(&resource, "type"), TextOf(&resource, "location")});
    }
    return all;
}

}  // namespace pgaf::azure
