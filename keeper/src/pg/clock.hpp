#pragma once

#include <ctime>

#include "pgaf/core/types.hpp"

namespace pgaf::pg {

/// CLOCK_BOOTTIME: never steps, and counts while the machine sleeps.
inline core::BootTime BootNow() {
    timespec at{};
    (void)clock_gettime(CLOCK_BOOTTIME, &at);  // cannot fail for this clock
    return {static_cast<std::int64_t>(at.tv_sec) * 1'000'000'000 + at.tv_nsec};
}

}  // namespace pgaf::pg
