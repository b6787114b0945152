#pragma once

#include <tl/expected.hpp>
#include <utility>

#include "pgaf/core/result.hpp"
#include "pgaf/core/types.hpp"

namespace pgaf {

using core::Fail;
using core::Milliseconds;
using core::Pass;
using core::Problem;
using core::ProblemCode;
using core::Result;

}  // namespace pgaf
