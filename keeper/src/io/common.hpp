#pragma once

#include <tl/expected.hpp>
#include <utility>

#include "pgaf/core/result.hpp"
#include "pgaf/core/types.hpp"

namespace pgaf {

using core::Fail;
using core::Milliseconds;
using core::Problem;
using core::ProblemCode;
using core::Result;

/// Hands the problem of `result` on to the caller.
template <typename T>
[[nodiscard]] tl::unexpected<Problem> Pass(Result<T> &result) {
    return tl::unexpected<Problem>(std::move(result.error()));
}

/// The same, and says what was being done.
template <typename T>
[[nodiscard]] tl::unexpected<Problem> Pass(Result<T> &result, std::string_view doing) {
    return tl::unexpected<Problem>(result.error().In(doing));
}

}  // namespace pgaf
