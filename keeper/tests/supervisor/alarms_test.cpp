// Goal: what is due is done once, in order, and nothing can keep the machine busy for ever.
// Method: alarms over a clock that stands still.
#include "supervisor/alarms.hpp"

#include <gtest/gtest.h>

namespace pgaf::supervisor {
namespace {

using core::BootTime;
using core::Milliseconds;

class FakeClock final : public Clock {
 public:
    BootTime now{1'000'000};
    [[nodiscard]] BootTime Now() const override { return now; }
    void Pass(Milliseconds time) { now = now + time; }
};

TEST(Alarms, TheEarliestComesFirstAndEachOnce) {
    FakeClock clock;
    Alarms alarms(clock);
    std::string order;
    Alarm a(alarms, [&] { order += "a"; });
    Alarm b(alarms, [&] { order += "b"; });
    EXPECT_EQ(alarms.Next(), core::kForever);
    a.Once(Milliseconds{20});
    b.Once(Milliseconds{10});
    EXPECT_EQ(alarms.Next(), clock.now + Milliseconds{10});
    alarms.Run();
    EXPECT_EQ(order, "");
    clock.Pass(Milliseconds{50});
    alarms.Run();
    alarms.Run();
    EXPECT_EQ(order, "ba");
}

TEST(Alarms, OneThatAnotherHasStoppedIsNotDone) {
    FakeClock clock;
    Alarms alarms(clock);
    bool is_done = false;
    Alarm stopped(alarms, [&] { is_done = true; });
    Alarm stopper(alarms, [&] { stopped.Stop(); });
    stopper.Once(Milliseconds{1});
    stopped.Once(Milliseconds{2});
    clock.Pass(Milliseconds{5});
    alarms.Run();
    EXPECT_FALSE(is_done);
}

TEST(Alarms, OneThatIsSetForNowWaitsForTheNextTime) {
    FakeClock clock;
    Alarms alarms(clock);
    int done = 0;
    Alarm *self = nullptr;
    Alarm alarm(alarms, [&] {
        ++done;
        self->Once(Milliseconds{0});
    });
    self = &alarm;
    alarm.Once(Milliseconds{0});
    alarms.Run();
    EXPECT_EQ(done, 1);
    EXPECT_EQ(alarms.Next(), clock.now);
}

}  // namespace
}  // namespace pgaf::supervisor
