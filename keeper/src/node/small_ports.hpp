#pragma once

#include "io/env.hpp"
#include "io/log.hpp"
#include "supervisor/ports.hpp"

namespace pgaf::node {

/// The machine's log is ours.
class LogPort final : public supervisor::Log {
 public:
    void Write(supervisor::LogLevel level, const std::string &text) override {
        spdlog::log(LevelOf(level), "{}", text);
    }
    void Write(supervisor::LogLevel level, const Problem &problem) override {
        io::LogProblem(LevelOf(level), problem);
    }

 private:
    static spdlog::level::level_enum LevelOf(supervisor::LogLevel level) {
        switch (level) {
            case supervisor::LogLevel::kInfo:
                return spdlog::level::info;
            case supervisor::LogLevel::kWarn:
                return spdlog::level::warn;
            case supervisor::LogLevel::kError:
                return spdlog::level::err;
        }
        return spdlog::level::err;
    }
};

/// CLOCK_BOOTTIME: it goes on while the machine sleeps.
class BootClock final : public supervisor::Clock {
 public:
    [[nodiscard]] core::BootTime Now() const override { return io::BootNow(); }
};

}  // namespace pgaf::node
