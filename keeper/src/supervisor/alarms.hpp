#pragma once

#include <functional>
#include <vector>

#include "supervisor/ports.hpp"

namespace pgaf::supervisor {

class Alarm;

/// The times at which a machine has something to do.
class Alarms {
 public:
    explicit Alarms(const Clock &clock) : clock_(clock) {}
    /// kForever when there is none.
    [[nodiscard]] core::BootTime Next() const;
    /// Does what is due, the earliest first.
    void Run();

 private:
    friend class Alarm;
    const Clock &clock_;
    std::vector<Alarm *> all_;
};

/// Something to do at a time. It lives as long as its Alarms.
class Alarm {
 public:
    Alarm(Alarms &alarms, std::function<void()> what);
    Alarm(const Alarm &) = delete;
    Alarm &operator=(const Alarm &) = delete;
    ~Alarm() = default;
    /// Once, after `delay`; replaces a time that was set.
    void Once(core::Milliseconds delay);
    void Stop() { at_ = core::kForever; }
    [[nodiscard]] bool IsActive() const { return at_ != core::kForever; }

 private:
    friend class Alarms;
    const Clock &clock_;
    std::function<void()> what_;
    core::BootTime at_ = core::kForever;
};

}  // namespace pgaf::supervisor
