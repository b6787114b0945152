#include "azure/progress.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pgaf::azure {
namespace {

std::string Elapsed(core::BootTime since, core::BootTime now) {
    const auto seconds = (now - since).count() / 1000;
    if (seconds < 60) return fmt::format("{} s", seconds);
    return fmt::format("{} min {:02} s", seconds / 60, seconds % 60);
}

}  // namespace

std::string Progress::Take(const Event &event, core::BootTime now) {
    switch (event.kind) {
        case Event::Kind::kStage:
            order_ = event.lanes;
            lanes_.clear();
            for (const std::string &machine : order_)
                lanes_[machine] = {.since = now, .until = now};
            return fmt::format("{}: {}", event.text, fmt::join(order_, ", "));
        case Event::Kind::kStageEnd:
            order_.clear();
            return {};
        case Event::Kind::kStep:
            lanes_[event.machine].doing = event.text;
            return fmt::format("{}: {}", event.machine, event.text);
        case Event::Kind::kRetry:
        case Event::Kind::kState:
            return fmt::format("{}: {}", event.machine, event.text);
        case Event::Kind::kFinished:
        case Event::Kind::kFailed: {
            Lane &lane = lanes_[event.machine];
            lane.is_done = event.kind == Event::Kind::kFinished;
            lane.is_failed = !lane.is_done;
            lane.until = now;
            // What failed is logged as an error by whoever handles it.
            return fmt::format("{}: {} after {}", event.machine, lane.is_done ? "done" : "failed",
                               Elapsed(lane.since, now));
        }
    }
    return {};
}

std::vector<std::string> Progress::Lines(core::BootTime now) const {
    std::size_t width = 0;
    for (const std::string &machine : order_)
        width = std::max(width, machine.size());
    std::vector<std::string> lines;
    for (const std::string &machine : order_) {
        const Lane &lane = lanes_.at(machine);
        const bool is_over = lane.is_done || lane.is_failed;
        lines.push_back(fmt::format("  {:<{}}  {:>12}  {}", machine, width,
                                    Elapsed(lane.since, is_over ? lane.until : now),
                                    lane.is_done     ? "done"
                                    : lane.is_failed ? "failed"
                                                     : lane.doing));
    }
    return lines;
}

std::string Progress::Summary(core::BootTime now) const {
    std::string text;
    for (const std::string &machine : order_) {
        const Lane &lane = lanes_.at(machine);
        if (lane.is_done || lane.is_failed) continue;
        text += fmt::format("{}{}: {} ({})", text.empty() ? "" : ", ", machine, lane.doing,
                            Elapsed(lane.since, now));
    }
    return text;
}

}  // namespace pgaf::azure
