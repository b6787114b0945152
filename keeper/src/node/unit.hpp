#pragma once

#include <string>

#include "io/common.hpp"

namespace pgaf::node {

/// What differs from node to node in the unit of systemd.
struct UnitFacts {
    std::string home;
    std::string pgdata;
    std::string user;
    std::string program;
};

/// The text of the unit; kBadArgument when systemd has no way to say one of the paths.
Result<std::string> MakeUnit(const UnitFacts &facts);

}  // namespace pgaf::node
