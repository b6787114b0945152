#pragma once

#include <string>

#include "pgaf/core/result.hpp"

namespace pgaf::supervisor {

enum class LogLevel { kInfo, kWarn, kError };

/// What the operator reads. Steps call it from a thread of their own.
class Log {
 public:
    virtual ~Log() = default;
    virtual void Write(LogLevel level, const std::string &text) = 0;
    /// Message, detail and hint.
    virtual void Write(LogLevel level, const core::Problem &problem) = 0;
    void Info(const std::string &text) { Write(LogLevel::kInfo, text); }
    void Warn(const std::string &text) { Write(LogLevel::kWarn, text); }
    void Warn(const core::Problem &problem) { Write(LogLevel::kWarn, problem); }
    void Error(const std::string &text) { Write(LogLevel::kError, text); }
    void Error(const core::Problem &problem) { Write(LogLevel::kError, problem); }
};

}  // namespace pgaf::supervisor
