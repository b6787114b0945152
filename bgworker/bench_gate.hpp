#pragma once

#include "headers.hpp"

#include "pgaf/core/types.hpp"

/// For measuring what the gate costs, in a module that is built for that and nothing else: make
/// bench-module. In it the gate is on and off by turns, so that both are measured in the same
/// server, on the same data, within the same second. In the product all of this is a constant that
/// the compiler removes.
namespace pgaf::bench_gate {

#ifdef PGAF_BENCH_ALTERNATE_GATE
/// Turns begin at multiples of this of CLOCK_BOOTTIME.
inline constexpr core::Milliseconds kTurn{500};
/// Attached by every process; written by the worker.
void Attach(pg_atomic_uint32 *is_off);
bool IsOff();
/// The worker calls it in each of its turns; returns when it must be called next. Once the gate is
/// open it also measures how long the checks of a commit and of a statement take, and logs it.
core::BootTime Alternate(core::BootTime now);
#else
constexpr bool IsOff() { return false; }
#endif

}  // namespace pgaf::bench_gate
