#pragma once

#include "pg/guard.hpp"

#include "pgaf/core/result.hpp"

namespace pgaf::pg {

/// The SQLSTATE of a class of problems.
constexpr int SqlState(core::ProblemCode code) {
    switch (code) {
        case core::ProblemCode::kBadArgument:
        case core::ProblemCode::kBadConfig:
            return ERRCODE_INVALID_PARAMETER_VALUE;
        case core::ProblemCode::kBadState:
        case core::ProblemCode::kRefused:
            return ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
        case core::ProblemCode::kNotFound:
            return ERRCODE_UNDEFINED_OBJECT;
        case core::ProblemCode::kCorrupt:
            return ERRCODE_INVALID_TEXT_REPRESENTATION;
        case core::ProblemCode::kTimeout:
            return ERRCODE_QUERY_CANCELED;
        case core::ProblemCode::kIo:
            return ERRCODE_IO_ERROR;
        case core::ProblemCode::kPostgres:
        case core::ProblemCode::kMonitor:
        case core::ProblemCode::kInternal:
            break;
    }
    return ERRCODE_INTERNAL_ERROR;
}

/// Core's problem as an ERROR.
[[noreturn]] inline void Raise(const core::Problem &problem) {
    throw PgError(SqlState(problem.code), problem.message, problem.detail, problem.hint);
}

/// The value, or the problem as an ERROR.
template <typename T>
T ValueOrRaise(core::Result<T> result) {
    if (!result) Raise(result.error());
    return std::move(*result);
}

inline void CheckOrRaise(const core::Result<void> &result) {
    if (!result) Raise(result.error());
}

/// Something worth a line in the server's log.
inline void Log(const std::string &message) {
    const char *const text = message.c_str();
    CallPg([text] { ereport(LOG, (errmsg_internal("%s", text), errhidestmt(true))); });
}

}  // namespace pgaf::pg
