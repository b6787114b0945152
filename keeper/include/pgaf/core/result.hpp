#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace pgaf::core {

/// What went wrong, as a class; adapters map it to an exit status or an SQLSTATE.
enum class ProblemCode {
    kBadArgument,
    kBadConfig,
    kBadState,
    kNotFound,
    kPostgres,
    kMonitor,
    kTimeout,
    kIo,
    kCorrupt,
    kRefused,
    kInternal,
};

/// An expected failure. Texts follow PostgreSQL's error message style guide: `message` is lower
/// case without a full stop; `detail` and `hint` are sentences.
struct Problem {
    ProblemCode code = ProblemCode::kInternal;
    std::string message;
    std::string detail;
    std::string hint;

    /// Adds what was being done when the problem arose: "could not start: <message>".
    [[nodiscard]] Problem In(std::string_view doing) const {
        Problem outer = *this;
        outer.message = std::string(doing) + ": " + message;
        return outer;
    }
};

template <typename T>
using Result = tl::expected<T, Problem>;

[[nodiscard]] inline tl::unexpected<Problem> Fail(ProblemCode code, std::string message,
                                                  std::string detail = {}, std::string hint = {}) {
    return tl::unexpected<Problem>(
        Problem{code, std::move(message), std::move(detail), std::move(hint)});
}

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

}  // namespace pgaf::core
