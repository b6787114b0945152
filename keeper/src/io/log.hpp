#pragma once

#include <spdlog/spdlog.h>

#include "io/common.hpp"

namespace pgaf::io {

/// Logs go to stderr as "HH:MM:SS <pid> <LEVEL> <message>". `verbosity`: -1 quiet, 0 normal, 1
/// debug, 2 trace.
void SetUpLog(int verbosity);

/// Message, detail and hint of a problem that is being handled here, one line each.
void LogProblem(spdlog::level::level_enum level, const Problem &problem);

}  // namespace pgaf::io
