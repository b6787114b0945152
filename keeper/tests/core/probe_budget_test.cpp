#include "pgaf/core/probe_budget.hpp"

#include <gtest/gtest.h>

namespace pgaf::core {
namespace {

BootTime At(int seconds) { return BootTime{0} + Milliseconds{1'000'000 + seconds * 1'000}; }

/// One node that names a new port each time; how many of them are probed.
int Scan(ProbeBudget &budget, int ports, BootTime now) {
    static int port = 0;
    int allowed = 0;
    for (const int last = port + ports; port < last; ++port)
        allowed += budget.Allows({1}, {"10.0.0.1", port}, 60, now) ? 1 : 0;
    return allowed;
}

TEST(ProbeBudget, NewAddressesAreProbedNoFasterThanSaid) {
    ProbeBudget budget;
    EXPECT_EQ(Scan(budget, 1000, At(0)), 60);
    EXPECT_EQ(Scan(budget, 1000, At(0)), 0);
    EXPECT_EQ(Scan(budget, 1000, At(5)), 5);
    EXPECT_EQ(Scan(budget, 1000, At(3600)), 60);
}

TEST(ProbeBudget, WhoStaysWhereHeIsCostsNothing) {
    ProbeBudget budget;
    budget.Know({7}, {"10.0.0.7", 5432});
    EXPECT_EQ(Scan(budget, 1000, At(0)), 60);
    for (int i = 0; i < 1000; ++i)
        EXPECT_TRUE(budget.Allows({7}, {"10.0.0.7", 5432}, 60, At(0)));
    EXPECT_FALSE(budget.Allows({7}, {"10.0.0.7", 5433}, 60, At(0)));
}

// One that was refused has not become known by that.
TEST(ProbeBudget, ARefusedAddressIsAskedForAgain) {
    ProbeBudget budget;
    EXPECT_EQ(Scan(budget, 100, At(0)), 60);
    EXPECT_FALSE(budget.Allows({2}, {"10.0.0.2", 5432}, 60, At(0)));
    EXPECT_TRUE(budget.Allows({2}, {"10.0.0.2", 5432}, 60, At(2)));
    EXPECT_TRUE(budget.Allows({2}, {"10.0.0.2", 5432}, 60, At(2)));
}

// However often it is asked.
TEST(ProbeBudget, PartsOfMillisecondsCount) {
    ProbeBudget budget;
    EXPECT_EQ(Scan(budget, 100, At(0)), 60);
    int allowed = 0;
    for (int i = 0; i < 10'000; ++i)
        allowed +=
            budget.Allows({3}, {"10.0.0.3", i}, 60, {At(0).ns + i * INT64_C(300'000)}) ? 1 : 0;
    EXPECT_EQ(allowed, 2);
}

// A limit that was lowered holds at once.
TEST(ProbeBudget, ASmallerLimitHoldsAtOnce) {
    ProbeBudget budget;
    EXPECT_TRUE(budget.Allows({1}, {"10.0.0.1", 0}, 60, At(0)));
    int allowed = 0;
    for (int port = 1; port < 100; ++port)
        allowed += budget.Allows({1}, {"10.0.0.1", port}, 5, At(0)) ? 1 : 0;
    EXPECT_EQ(allowed, 5);
}

}  // namespace
}  // namespace pgaf::core
