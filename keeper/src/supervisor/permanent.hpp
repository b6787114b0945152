#pragma once

#include <optional>
#include <string>

#include "pgaf/core/result.hpp"

namespace pgaf::supervisor {

/// What to do about an error that time does not heal; none for one that may pass. Pure.
std::optional<std::string> RemedyOf(const core::Problem &problem);

/// The message, with the reason that a program of PostgreSQL has given; its other lines are for the
/// log. Pure.
std::string WithCause(const core::Problem &problem);

}  // namespace pgaf::supervisor
