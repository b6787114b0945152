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

constexpr Lsn kEnd{0x200};

constexpr std::array kWaitCases{
    WaitCase{"nothing was asked for", {false, {}, kEnd}, false},
    WaitCase{"nobody has confirmed anything", {true, {}, kEnd}, true},
    WaitCase{"a byte is missing", {true, {0x1ff}, kEnd}, true},
    WaitCase{"a part of a long record is confirmed", {true, {0x180}, kEnd}, true},
    WaitCase{"exactly confirmed", {true, kEnd, kEnd}, false},
    WaitCase{"more is confirmed", {true, {0x300}, kEnd}, false},
    WaitCase{"where it ends is not known", {true, {0x300}, {}}, true},
};

TEST(GateRules, AWaitWithoutItsConfirmationsWasCancelled) {
    for (const WaitCase &one : kWaitCases)
        EXPECT_EQ(WasCancelled(one.wait), one.was_cancelled) << one.what;
}

TEST(GateRules, AHeldGateLetsNobodyInAndAnswersNobody) {
    const GateFacts held{
        .fence = Fence::kHeld, .deadline = core::kForever, .now = {}, .postmaster_lives = true};
    EXPECT_FALSE(MayEnter(held));
    EXPECT_FALSE(MayAnswer(held));
}

TEST(GateRules, AWaitGoesOnWhileTheGateIsOpen) {
    for (const GateCase &one : kGateCases)
        EXPECT_EQ(KeepsWaiting(one.gate), one.may_enter) << one.what;
}

TEST(GateRules, ThreeQuartersOfTheConnectionsAreLeftForOthers) {
    EXPECT_EQ(MostWaitsLeft(100), 25U);
    EXPECT_EQ(MostWaitsLeft(15), 4U);
}

// By the layout of the pages; on real servers the test of PREPARE compares it with what PostgreSQL
// says.
TEST(GateRules, ARecordEndsBehindThePageHeadersInIt) {
    constexpr std::uint64_t kSegment = 16 << 20;
    EXPECT_EQ(EndOfRecord({0x3000028}, 114, kSegment), (Lsn{0x30000A0}));
    EXPECT_EQ(EndOfRecord({0x3001FF0}, 40, kSegment), (Lsn{0x3002000 + 24 + 24}));
    EXPECT_EQ(EndOfRecord({0x3FFFFF0}, 40, kSegment), (Lsn{0x4000000 + 40 + 24}));
    EXPECT_EQ(EndOfRecord({0x3000028}, 20'000, kSegment), (Lsn{0x3000028 + 20'000 + 2 * 24}));
    EXPECT_EQ(EndOfRecord({0x3001FF0}, 16, kSegment), (Lsn{0x3002000})) << "it fills its page";
}

TEST(GateRules, PreparedTransactionsDoNotEnterFromABlock) {
    EXPECT_TRUE(EntersForPrepared(false));
    EXPECT_FALSE(EntersForPrepared(true));
}

}  // namespace
}  // namespace pgaf::worker
