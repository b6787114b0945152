#include "io/log.hpp"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <array>
#include <memory>

#include "pgaf/core/names.hpp"

namespace pgaf::io {
namespace {

class LevelName final : public spdlog::custom_flag_formatter {
 public:
    void format(const spdlog::details::log_msg &message, const std::tm & /*time*/,
                spdlog::memory_buf_t &out) override {
        static constexpr std::array<std::string_view, 6> kNames{"TRACE", "DEBUG", "INFO",
                                                                "WARN",  "ERROR", "FATAL"};
        const std::string_view name = kNames.at(static_cast<std::size_t>(message.level));
        out.append(name.data(), name.data() + name.size());
    }
    [[nodiscard]] std::unique_ptr<custom_flag_formatter> clone() const override {
        return std::make_unique<LevelName>();
    }
};

/// The message; what others have written into it moves no cursor and begins no line.
class SafeText final : public spdlog::custom_flag_formatter {
 public:
    void format(const spdlog::details::log_msg &message, const std::tm & /*time*/,
                spdlog::memory_buf_t &out) override {
        const std::string text = core::Printable({message.payload.data(), message.payload.size()});
        out.append(text.data(), text.data() + text.size());
    }
    [[nodiscard]] std::unique_ptr<custom_flag_formatter> clone() const override {
        return std::make_unique<SafeText>();
    }
};

}  // namespace

void SetUpLog(int verbosity) {
    auto formatter = std::make_unique<spdlog::pattern_formatter>();
    formatter->add_flag<LevelName>('*').add_flag<SafeText>('#').set_pattern("%H:%M:%S %P %* %#");
    auto logger = std::make_shared<spdlog::logger>(
        "pg_autoctl", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    logger->set_formatter(std::move(formatter));
    const auto level = verbosity < 0    ? spdlog::level::err
                       : verbosity == 0 ? spdlog::level::info
                       : verbosity == 1 ? spdlog::level::debug
                                        : spdlog::level::trace;
    logger->set_level(level);
    logger->flush_on(spdlog::level::trace);
    spdlog::set_default_logger(std::move(logger));
}

void LogProblem(spdlog::level::level_enum level, const Problem &problem) {
    spdlog::log(level, "{}", problem.message);
    if (!problem.detail.empty()) spdlog::log(level, "DETAIL:  {}", problem.detail);
    if (!problem.hint.empty()) spdlog::log(level, "HINT:  {}", problem.hint);
}

}  // namespace pgaf::io
