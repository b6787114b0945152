#include "node/steps/progress.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "io/data_directory.hpp"
#include "io/env.hpp"

namespace pgaf::node {
namespace {

constexpr Milliseconds kPeriod{10'000};
constexpr Milliseconds kPeriodOnTerminal{2'000};

bool TakeNumber(std::string_view &text, std::uint64_t &number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{}) return false;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return true;
}

}  // namespace

std::optional<CopiedSoFar> ParseProgress(std::string_view line) {
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    CopiedSoFar copied;
    if (!TakeNumber(line, copied.done_kb) || !line.starts_with('/')) return std::nullopt;
    line.remove_prefix(1);
    if (!TakeNumber(line, copied.total_kb) || !line.starts_with(" kB (")) return std::nullopt;
    return copied;
}

std::uint64_t CopyProgress::Rate(const CopiedSoFar &copied, core::BootTime now) const {
    const auto passed_ms =
        static_cast<std::uint64_t>(std::max<std::int64_t>(1, (now - began_).count()));
    return (copied.done_kb - std::min(began_kb_, copied.done_kb)) * 1000 / passed_ms;
}

std::optional<std::string> CopyProgress::Say(const CopiedSoFar &copied, core::BootTime now,
                                             Milliseconds period) {
    if (began_.ns == 0) {
        began_ = said_ = now;
        began_kb_ = copied.done_kb;
    }
    const std::uint64_t kb_per_s = Rate(copied, now);
    if (shared_ != nullptr) {
        shared_->done = static_cast<std::int64_t>(copied.done_kb);
        shared_->per_second = static_cast<std::int64_t>(kb_per_s);
        shared_->total = static_cast<std::int64_t>(copied.total_kb);
    }
    const bool is_end = copied.done_kb >= copied.total_kb;
    if (now - said_ < period && !(is_end && said_ > began_)) return std::nullopt;
    said_ = now;
    std::string text =
        fmt::format("Copied {} of {} ({} %), {}/s", io::HumanSize(copied.done_kb * 1024),
                    io::HumanSize(copied.total_kb * 1024),
                    copied.done_kb * 100 / std::max<std::uint64_t>(1, copied.total_kb),
                    io::HumanSize(kb_per_s * 1024));
    if (kb_per_s > 0 && !is_end)
        text += fmt::format(", about {} s left", (copied.total_kb - copied.done_kb) / kb_per_s);
    return text;
}

void CopyProgress::Take(std::string_view line) {
    const auto copied = ParseProgress(line);
    if (!copied) {
        if (!line.empty()) spdlog::info("{}", line);
        return;
    }
    const bool is_terminal = ::isatty(STDERR_FILENO) == 1;
    if (auto text = Say(*copied, io::BootNow(), is_terminal ? kPeriodOnTerminal : kPeriod))
        spdlog::info("{}", *text);
}

}  // namespace pgaf::node
