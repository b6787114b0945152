#include "azure/topology.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "azure/address.hpp"

namespace pgaf::azure {
namespace {

constexpr std::size_t kLongestMachineName = 64;

bool IsWord(std::string_view text) {
    if (text.empty() || text.front() == '-' || text.back() == '-') return false;
    return std::all_of(text.begin(), text.end(), [](unsigned char c) {
        return std::islower(c) != 0 || std::isdigit(c) != 0 || c == '-';
    });
}

Result<void> CheckWord(std::string_view option, std::string_view text) {
    if (IsWord(text)) return {};
    if (text.empty()) {
        return Fail(ProblemCode::kBadArgument, fmt::format("{} is not given", option), {},
                    "It is part of the name of everything that is made, for instance \"paris\".");
    }
    return Fail(ProblemCode::kBadArgument,
                fmt::format("{} \"{}\" cannot be part of a name in Azure", option, text),
                "Lower case letters, digits and inner hyphens can.");
}

}  // namespace

std::string GroupOf(const Region &region) { return region.prefix + "-" + region.region; }
std::string VnetOf(const Region &region) { return GroupOf(region) + "-net"; }
std::string NsgOf(const Region &region) { return GroupOf(region) + "-nsg"; }
std::string RuleOf(const Region &region) { return GroupOf(region) + "-ssh-and-pg"; }
std::string SubnetOf(const Region &region) { return GroupOf(region) + "-subnet"; }

std::string NetworkOf(const Region &region) { return fmt::format("10.{}.0.0/16", region.cidr); }
std::string SubnetPrefixOf(const Region &region) {
    return fmt::format("10.{0}.{0}.0/24", region.cidr);
}

std::string MachineOf(const Region &region, const std::string &name) {
    return name.starts_with(GroupOf(region) + "-") ? name : GroupOf(region) + "-" + name;
}

std::string ShortNameOf(const Region &region, const std::string &machine) {
    const std::string prefix = GroupOf(region) + "-";
    return machine.starts_with(prefix) ? machine.substr(prefix.size()) : machine;
}

std::string NodeNameOf(const Region &region, const std::string &name) {
    return region.region + "-" + name;
}

std::string NodeLetter(int index) { return std::string(1, static_cast<char>('a' + index)); }

bool IsNodeName(const std::string &name) {
    return name.size() == 1 && name[0] >= 'a' && name[0] <= 'z';
}

bool IsShortName(const std::string &name) {
    return name == "monitor" || name == "app" || IsNodeName(name);
}

std::vector<std::string> ShortNames(const Region &region) {
    std::vector<std::string> names;
    if (region.monitor) names.emplace_back("monitor");
    for (int i = 0; i < region.nodes; ++i)
        names.push_back(NodeLetter(i));
    if (region.app) names.emplace_back("app");
    return names;
}

bool SameName(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](unsigned char x, unsigned char y) {
        return std::tolower(x) == std::tolower(y);
    });
}

bool SameLocation(std::string_view a, std::string_view b) {
    const auto squeezed = [](std::string_view text) {
        std::string word(text);
        std::erase(word, ' ');
        return word;
    };
    return SameName(squeezed(a), squeezed(b));
}

Result<void> CheckRegion(const Region &region) {
    if (auto good = CheckWord("--prefix", region.prefix); !good) return good;
    if (auto good = CheckWord("--region", region.region); !good) return good;
    if (region.nodes < 0 || region.nodes > kMostNodes) {
        return Fail(ProblemCode::kBadArgument, fmt::format("cannot make {} nodes", region.nodes),
                    fmt::format("Nodes are named a to z: there can be {}.", kMostNodes));
    }
    if (MachineOf(region, "monitor").size() > kLongestMachineName) {
        return Fail(ProblemCode::kBadArgument, "the names of the machines become too long",
                    fmt::format("\"{}\" has more than {} characters.", MachineOf(region, "monitor"),
                                kLongestMachineName),
                    "Choose a shorter --prefix or --region.");
    }
    for (const std::string &cidr : region.allow_from) {
        if (auto good = CheckAllowed(cidr, true); !good) return tl::unexpected(good.error());
    }
    return {};
}

}  // namespace pgaf::azure
