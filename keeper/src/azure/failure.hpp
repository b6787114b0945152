#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "azure/plan.hpp"
#include "io/process.hpp"

/// What an outcome of az or ssh means. Pure.
namespace pgaf::azure {

struct Failure {
    Problem problem;
    bool is_transient = false;  ///< may be tried again
};

/// None when the step has done what it should: the exit status and, where there is one, the marker.
std::optional<Failure> Judge(const Step &step, const io::Outcome &outcome);

/// The same for a look at what exists.
Problem ExplainAz(std::string_view doing, const io::Outcome &outcome);
/// `az group show` of a group that does not exist, and the like.
bool IsNotFound(const io::Outcome &outcome);

}  // namespace pgaf::azure
