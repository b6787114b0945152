// Goal: a service manager hears what is so, when it is so: readiness when the node serves, signs
// of life only while the machine turns. Method: a socket of the test's own stands for the manager,
// and a machine over fakes for the program.
#include "io/service_manager.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstddef>
#include <cstdlib>
#include <filesystem>

#include "../supervisor/fake_world.hpp"
#include "io/env.hpp"
#include "node/service_notice.hpp"

namespace pgaf::io {
namespace {

using Said = std::vector<std::string>;
using supervisor::Bench;

class Manager : public ::testing::TestWithParam<const char *> {
 protected:
    void SetUp() override {
        std::string name = "/tmp/pgaf-notify-XXXXXX";
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        directory_ = name;
    }
    void TearDown() override {
        std::filesystem::remove_all(directory_);
        for (const char *variable : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"})
            ::unsetenv(variable);
    }
    /// "@": an abstract one.
    void Listen(const std::string &kind) {
        const std::string address = kind + directory_ + "/notify";
        ::setenv("NOTIFY_SOCKET", address.c_str(), 1);
        socket_ = UniqueFd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0));
        sockaddr_un to{};
        to.sun_family = AF_UNIX;
        address.copy(to.sun_path, sizeof(to.sun_path) - 1);
        if (kind == "@") to.sun_path[0] = '\0';
        ASSERT_EQ(::bind(socket_.Get(), reinterpret_cast<sockaddr *>(&to),
                         offsetof(sockaddr_un, sun_path) + address.size()),
                  0);
    }
    [[nodiscard]] Said Heard() const {
        Said said;
        std::array<char, 4096> buffer{};
        for (;;) {
            const ssize_t size = ::recv(socket_.Get(), buffer.data(), buffer.size(), 0);
            if (size < 0) return said;
            said.emplace_back(buffer.data(), static_cast<std::size_t>(size));
        }
    }
    [[nodiscard]] int Count(const Said &said, const std::string &what) const {
        return static_cast<int>(std::count(said.begin(), said.end(), what));
    }

    std::string directory_;
    UniqueFd socket_;
};

TEST_P(Manager, HearsDatagrams) {
    Listen(GetParam());
    const ServiceManager manager = ServiceManager::Take();
    ASSERT_TRUE(manager.IsThere());
    EXPECT_TRUE(manager.Tell("READY=1"));
    EXPECT_TRUE(manager.Tell("STATUS=a b"));
    EXPECT_EQ(Heard(), (Said{"READY=1", "STATUS=a b"}));
}

INSTANTIATE_TEST_SUITE_P(PathAndAbstract, Manager, ::testing::Values("", "@"));

using OneManager = Manager;

TEST_F(OneManager, IsNotPassedOnToPostgres) {
    Listen("");
    ::setenv("WATCHDOG_USEC", "30000000", 1);
    ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
    EXPECT_EQ(ServiceManager::Take().WatchdogLimit(), Milliseconds{30'000});
    for (const char *variable : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"})
        EXPECT_EQ(std::getenv(variable), nullptr) << variable;
    EXPECT_FALSE(ServiceManager::Take().IsThere());
}

TEST_F(OneManager, WaitsForNoSignOfLifeOfAnotherProcess) {
    Listen("");
    ::setenv("WATCHDOG_USEC", "30000000", 1);
    ::setenv("WATCHDOG_PID", std::to_string(::getpid() + 1).c_str(), 1);
    EXPECT_EQ(ServiceManager::Take().WatchdogLimit(), Milliseconds{0});
}

TEST_F(OneManager, IsNobodyWithoutAnAddressThatCanBe) {
    for (const std::string &address :
         {std::string(), std::string("@"), std::string("relative"), "/" + std::string(200, 'x')}) {
        ::setenv("NOTIFY_SOCKET", address.c_str(), 1);
        const ServiceManager manager = ServiceManager::Take();
        EXPECT_FALSE(manager.IsThere()) << address;
        EXPECT_FALSE(manager.Tell("READY=1"));
    }
}

TEST_F(OneManager, WhoIsGoneDoesNotHoldUsUp) {
    Listen("");
    const ServiceManager manager = ServiceManager::Take();
    socket_.Close();
    EXPECT_FALSE(manager.Tell("READY=1"));
}

/// A machine, and a manager who wants a sign of life every 3 s.
class Notice : public Manager {
 protected:
    void Begin() {
        Listen("");
        ::setenv("WATCHDOG_USEC", "3000000", 1);
        notice_.emplace(ServiceManager::Take());
        bench_.Begin();
    }
    /// Time passes, with a turn of the machine whenever it wants one.
    void RunFor(Milliseconds time) {
        const core::BootTime end = bench_.world.now + time;
        while (bench_.world.now < end) {
            bench_.RunFor(Milliseconds{50});
            notice_->OnTurn(bench_.world.now, bench_.Loop());
        }
    }
    Bench bench_;
    std::optional<node::ServiceNotice> notice_;
};

TEST_F(Notice, IsReadyOnceAndOnlyWhenPostgresServes) {
    bench_.world.is_ready = false;
    bench_.world.runs_already = true;
    Begin();
    RunFor(Milliseconds{5000});
    const Said before = Heard();
    EXPECT_EQ(Count(before, "READY=1"), 0);
    EXPECT_EQ(Count(before, "STATUS=node 7 \"a\": secondary, PostgreSQL is starting"), 1);
    bench_.world.is_ready = true;
    RunFor(Milliseconds{5000});
    const Said after = Heard();
    EXPECT_EQ(Count(after, "READY=1"), 1);
    EXPECT_EQ(Count(after, "STATUS=node 7 \"a\": secondary, PostgreSQL is serving"), 1);
}

TEST_F(Notice, ANodeInMaintenanceIsAsItShouldBe) {
    bench_.world.disk.state = core::NodeState::kMaintenance;
    Begin();
    RunFor(Milliseconds{2000});
    EXPECT_EQ(Count(Heard(), "READY=1"), 1);
}

TEST_F(Notice, ShowsThatTheMachineTurnsAndOnlyThen) {
    Begin();
    int signs = 0;
    for (int second = 0; second < 10; ++second) {  // the kernel keeps ten datagrams
        RunFor(Milliseconds{1000});
        signs += Count(Heard(), "WATCHDOG=1");
    }
    EXPECT_GE(signs, 9);  // one a second
    EXPECT_LE(signs, 11);
    bench_.world.now = bench_.world.now + Milliseconds{60'000};  // it hangs
    EXPECT_TRUE(Heard().empty());
}

TEST_F(Notice, TheStopIsSaidAndNothingIsReadyAfterIt) {
    bench_.world.is_ready = false;
    bench_.world.runs_already = true;
    Begin();
    RunFor(Milliseconds{2000});
    bench_.Loop().OnStopSignal(supervisor::StopMode::kFast);
    bench_.world.is_ready = true;
    RunFor(Milliseconds{3000});
    notice_->OnEnd();
    const Said said = Heard();
    EXPECT_EQ(Count(said, "STOPPING=1"), 1);
    EXPECT_EQ(Count(said, "READY=1"), 0);
    EXPECT_EQ(Count(said, "STATUS=node 7 \"a\": secondary, stopping"), 1);
}

TEST_F(Notice, WhatAFullSocketDidNotTakeIsSaidAgain) {
    bench_.world.runs_already = true;
    Listen("");
    ServiceManager manager = ServiceManager::Take();
    while (manager.Tell("X=1")) {
    }
    notice_.emplace(std::move(manager));
    bench_.Begin();
    RunFor(Milliseconds{2000});
    EXPECT_EQ(Count(Heard(), "READY=1"), 0);
    RunFor(Milliseconds{2000});
    EXPECT_EQ(Count(Heard(), "READY=1"), 1);
}

}  // namespace
}  // namespace pgaf::io
