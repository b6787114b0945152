#include "supervisor/alarms.hpp"

#include <algorithm>

namespace pgaf::supervisor {

Alarm::Alarm(Alarms &alarms, std::function<void()> what)
    : clock_(alarms.clock_), what_(std::move(what)) {
    alarms.all_.push_back(this);
}

void Alarm::Once(core::Milliseconds delay) { at_ = clock_.Now() + delay; }

core::BootTime Alarms::Next() const {
    core::BootTime next = core::kForever;
    for (const Alarm *alarm : all_)
        next = std::min(next, alarm->at_);
    return next;
}

// What an alarm sets anew, even for now, waits for the next time: nothing can go round in circles.
void Alarms::Run() {
    const core::BootTime now = clock_.Now();
    std::vector<std::pair<core::BootTime, Alarm *>> due;
    for (Alarm *alarm : all_) {
        if (alarm->at_ <= now) due.emplace_back(alarm->at_, alarm);
    }
    std::stable_sort(due.begin(), due.end(),
                     [](const auto &a, const auto &b) { return a.first < b.first; });
    for (const auto &[at, alarm] : due) {
        if (alarm->at_ != at) continue;  // an earlier one has stopped or moved it
        alarm->Stop();
        alarm->what_();
    }
}

}  // namespace pgaf::supervisor
