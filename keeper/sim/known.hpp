#pragma once

#include <string>
#include <vector>

#include "faults.hpp"
#include "pgaf/core/result.hpp"

/// The list of faults that are known and not mended yet (known_faults.txt).
namespace pgaf::sim {

struct KnownFault {
    std::string finding;               ///< of the scenario that shows it
    std::string violation;             ///< what that scenario says, or its beginning
    std::vector<FaultKind> withheld;   ///< random seeds would meet it through these
    std::vector<std::string> ignored;  ///< or would say this: the beginnings of violations
};

/// Lines "finding | violation | fault fault ... | ignored; ignored ..."; # begins a comment.
core::Result<std::vector<KnownFault>> ReadKnownFaults(const std::string &path);

}  // namespace pgaf::sim
