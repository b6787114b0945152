#pragma once

#include <cstdint>

#include "pgaf/core/types.hpp"

namespace pgaf::sim {

/// SplitMix64: everything random of a world comes from one seed.
class Random {
 public:
    explicit Random(std::uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15U + 0x1234567) {}
    std::uint64_t Next() {
        state_ += 0x9E3779B97F4A7C15U;
        std::uint64_t z = state_;
        z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
        z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
        return z ^ (z >> 31U);
    }
    /// 0 to n - 1.
    int Below(int n) { return n <= 1 ? 0 : static_cast<int>(Next() % static_cast<unsigned>(n)); }
    bool OneIn(int n) { return Below(n) == 0; }
    core::Milliseconds UpTo(int ms) { return core::Milliseconds{Below(ms + 1)}; }

 private:
    std::uint64_t state_;
};

}  // namespace pgaf::sim
