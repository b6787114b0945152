#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// Worlds made by hand: for each finding the shortest story that shows it.
namespace pgaf::sim {

struct Scenario {
    std::string_view finding;  ///< its name in the list of known faults
    std::string_view says;     ///< what must hold
    /// Returns what is wrong; empty: it holds.
    std::string (*run)(std::uint64_t seed, std::vector<std::string> &story);
};
std::span<const Scenario> Scenarios();

}  // namespace pgaf::sim
