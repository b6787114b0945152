#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "faults.hpp"

/// One seed, from a fresh group to the judgement; and the fewest faults that still fail.
namespace pgaf::sim {

struct Outcome {
    std::string violation;  ///< empty: all is well
    std::vector<std::string> story;
};

struct Plan {
    std::uint64_t seed = 1;
    int nodes = 2;
    bool promises = true;
    bool with_prepare = false;
    bool with_cancels = false;
    bool with_reads = false;
    std::vector<Fault> faults;
    std::vector<std::string> disregarded{};  ///< beginnings of violations that are known
};

Plan DrawPlan(std::uint64_t seed, const FaultSet &allowed);
Outcome Execute(const Plan &plan);
/// Takes faults away one by one as long as it still fails.
Plan Shrink(const Plan &plan);
std::string Describe(const Plan &plan);

}  // namespace pgaf::sim
