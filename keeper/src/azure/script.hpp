#pragma once

#include <string>

#include "azure/plan.hpp"

/// A plan as texts for people.
namespace pgaf::azure {

struct ScriptOptions {
    /// Stops when the resource group exists already: the script knows no half-made regions.
    bool is_new_region = false;
    /// File of the secrets; made by the script when it is missing.
    std::string secrets{};
};

/// The plan as a script for sh that does the same: parallel where the plan is, every exit status
/// checked.
std::string ScriptOf(const Region &region, const Plan &plan, const ScriptOptions &options);

/// The plan as a list: stages, machines, steps with their command lines.
std::string ListOf(const Plan &plan);

/// Words for the log, as they are, on one line; passwords in connection strings and URLs hidden.
std::string CommandLine(const std::vector<std::string> &argv);

}  // namespace pgaf::azure
