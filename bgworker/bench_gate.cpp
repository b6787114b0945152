#include "bench_gate.hpp"

#ifdef PGAF_BENCH_ALTERNATE_GATE

#include <bit>

#include "gate.hpp"
#include "pg/clock.hpp"
#include "pg/guard.hpp"
#include "server.hpp"

namespace pgaf::bench_gate {
namespace {

constexpr int kRounds = 2'000'000;
pg_atomic_uint32 *flag = nullptr;
bool is_timed = false;

template <typename Check>
double NanosecondsOf(Check check) {
    const core::BootTime start = pg::BootNow();
    for (int i = 0; i < kRounds; ++i)
        check();
    return static_cast<double>(pg::BootNow().ns - start.ns) / kRounds;
}

void TimeChecks() {
    const double commit = pg::CallPg([] {
        return NanosecondsOf([] {
            gate::EnterUnsafe(gate::Kind::kCommit);
            gate::LeaveCommitted(false);
        });
    });
    const double statement = NanosecondsOf([] { (void)gate::IsOpen(); });
    keeper::PgLog().Line("gate: " + std::to_string(commit) + " ns per commit, " +
                         std::to_string(statement) + " ns per statement");
}

}  // namespace

void Attach(pg_atomic_uint32 *is_off) { flag = is_off; }

bool IsOff() { return flag != nullptr && pg_atomic_read_u32(flag) != 0; }

core::BootTime Alternate(core::BootTime now) {
    if (!is_timed && gate::IsOpen()) {
        is_timed = true;
        TimeChecks();
    }
    const std::int64_t length_ns = kTurn.count() * 1'000'000;
    const std::int64_t turn = now.ns / length_ns;
    // Thue-Morse: on off off on, off on on off; neither a drift nor a period of the machine favours
    // one side.
    const auto off =
        static_cast<std::uint32_t>(std::popcount(static_cast<std::uint64_t>(turn)) % 2);
    pg_atomic_write_u32(flag, off);
    return {(turn + 1) * length_ns};
}

}  // namespace pgaf::bench_gate

#endif
