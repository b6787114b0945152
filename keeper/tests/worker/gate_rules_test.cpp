// Goal: the gate lets nothing through that the deadline, the fence or a dead postmaster forbid.
// Method: the plain functions, as tables over everything that they look at.
#include "worker/gate_rules.hpp"

#include <gtest/gtest.h>

#include <array>

namespace pgaf::worker {
namespace {

using core::BootTime;
using core::Lsn;

struct GateCase {
    const char *what;
    GateFacts gate;
    bool may_enter;
    bool may_answer;
};

constexpr BootTime kNow{100};
constexpr BootTime kLater{101};

constexpr std::array kGateCases{
    GateCase{"open", {Fence::kOpen, kLater, kNow, true}, true, true},
    GateCase{"open for ever", {Fence::kOpen, core::kForever, kNow, true}, true, true},
    GateCase{"at the deadline", {Fence::kOpen, kNow, kNow, true}, false, false},
    GateCase{"after the deadline", {Fence::kOpen, {99}, kNow, true}, false, false},
    GateCase{"never granted", {Fence::kOpen, {}, kNow, true}, false, false},
    GateCase{"postmaster dead", {Fence::kOpen, core::kForever, kNow, false}, false, false},
    GateCase{"draining", {Fence::kDraining, kLater, kNow, true}, false, true},
    GateCase{"draining too long", {Fence::kDraining, kNow, kNow, true}, false, false},
    GateCase{"draining, dead", {Fence::kDraining, kLater, kNow, false}, false, false},
    GateCase{"closed", {Fence::kClosed, core::kForever, kNow, true}, false, false},
    GateCase{"a fresh server", {}, false, false},
};

TEST(GateRules, WhoMayEnterAndWhoMayBeAnswered) {
    for (const GateCase &one : kGateCases) {
        EXPECT_EQ(MayEnter(one.gate), one.may_enter) << one.what;
        EXPECT_EQ(MayAnswer(one.gate), one.may_answer) << one.what;
    }
}

TEST(GateRules, WhoeverMayEnterMayBeAnswered) {
    for (const Fence fence : {Fence::kOpen, Fence::kDraining, Fence::kClosed}) {
        for (std::int64_t deadline = 0; deadline < 4; ++deadline) {
            for (const bool lives : {false, true}) {
                const GateFacts gate{fence, {deadline}, {2}, lives};
                EXPECT_TRUE(!MayEnter(gate) || MayAnswer(gate));
            }
        }
    }
}

struct WaitCase {
    const char *what;
    SyncWait wait;
    bool was_cancelled;
};

constexpr Lsn kStart{0x100};
constexpr Lsn kEnd{0x200};

constexpr std::array kWaitCases{
    WaitCase{"nothing was asked for", {false, false, {}, {}, kEnd}, false},
    WaitCase{"nobody has confirmed anything", {false, true, {}, {}, kEnd}, true},
    WaitCase{"a byte is missing", {false, true, {0x1ff}, {}, kEnd}, true},
    WaitCase{"exactly confirmed", {false, true, kEnd, {}, kEnd}, false},
    WaitCase{"more is confirmed", {false, true, {0x300}, {}, kEnd}, false},
    WaitCase{"a PREPARE of which nothing is confirmed", {true, true, kStart, kStart, kEnd}, true},
    WaitCase{"a PREPARE before everything", {true, true, {}, kStart, kEnd}, true},
    WaitCase{"a PREPARE that is confirmed", {true, true, {0x300}, kStart, kEnd}, false},
    WaitCase{"a PREPARE that need not wait", {true, false, {}, kStart, kEnd}, false},
};

TEST(GateRules, AWaitWithoutItsConfirmationsWasCancelled) {
    for (const WaitCase &one : kWaitCases)
        EXPECT_EQ(WasCancelled(one.wait), one.was_cancelled) << one.what;
}

}  // namespace
}  // namespace pgaf::worker
