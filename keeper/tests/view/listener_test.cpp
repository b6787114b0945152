#include "http/listener.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "http/status_source.hpp"
#include "io/env.hpp"
#include "sample.hpp"

namespace pgaf::http {
namespace {

using core::Milliseconds;

constexpr Milliseconds kAnswerLimit{10'000};

sockaddr_in Loopback(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

int FreePort() {
    const io::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address = Loopback(0);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(fd.Get(), reinterpret_cast<sockaddr *>(&address), size), 0);
    EXPECT_EQ(::getsockname(fd.Get(), reinterpret_cast<sockaddr *>(&address), &size), 0);
    return ntohs(address.sin_port);
}

io::UniqueFd Connect(int port) {
    const core::BootTime until = io::BootNow() + kAnswerLimit;
    while (io::BootNow() < until) {
        io::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const sockaddr_in address = Loopback(port);
        if (::connect(fd.Get(), reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0)
            return fd;
        (void)::poll(nullptr, 0, 5);
    }
    ADD_FAILURE() << "nobody listens";
    return {};
}

void Send(const io::UniqueFd &fd, const std::string &text) {
    EXPECT_EQ(::send(fd.Get(), text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
}

std::string Receive(const io::UniqueFd &fd) {
    std::string text;
    char buffer[4096];
    pollfd waits{fd.Get(), POLLIN, 0};
    while (::poll(&waits, 1, static_cast<int>(kAnswerLimit.count())) == 1) {
        const ssize_t got = ::recv(fd.Get(), buffer, sizeof buffer, 0);
        if (got <= 0) return text;
        text.append(buffer, static_cast<std::size_t>(got));
    }
    ADD_FAILURE() << "no end within the limit: " << text;
    return text;
}

std::string Ask(int port, const std::string &line) {
    const io::UniqueFd fd = Connect(port);
    Send(fd, line + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    return Receive(fd);
}

int CodeOf(const std::string &said) {
    return said.size() > 12 ? std::atoi(said.substr(9, 3).c_str()) : 0;
}

/// A port, and a monitor that is out of reach: its socket directory does not exist.
struct Bench {
    int port = FreePort();
    ClusterSource cluster{
        {.conninfo = [] { return std::string("host=/nonexistent"); }, .formation = "default"}};
    Listener listener{{.endpoint = {"127.0.0.1", port}, .certificate = {}, .key = {}},
                      [](view::LocalView &local) { local = view::sample::Primary(); },
                      cluster};
};

// Goal: the thread that answers does so whoever else asks what, and ends when it is told to.

TEST(Listener, AnswersWithCodesAndHeaders) {
    const Bench bench;
    const std::string said = Ask(bench.port, "GET /primary");
    EXPECT_EQ(CodeOf(said), 200) << said;
    EXPECT_NE(said.find("Cache-Control: no-store"), std::string::npos) << said;
    EXPECT_NE(said.find("\"role\":\"primary\""), std::string::npos) << said;
    EXPECT_EQ(CodeOf(Ask(bench.port, "GET /replica")), 503);
    EXPECT_EQ(CodeOf(Ask(bench.port, "GET /nope")), 404);
    EXPECT_EQ(CodeOf(Ask(bench.port, "GET /replica?lag=%zz")), 400);
    EXPECT_EQ(CodeOf(Ask(bench.port, "DELETE /primary")), 405);
    EXPECT_EQ(CodeOf(Ask(bench.port, "GET /" + std::string(3000, 'a'))), 400);
}

TEST(Listener, HeadAndOptionsHaveNoBody) {
    const Bench bench;
    for (const char *method : {"HEAD", "OPTIONS"}) {
        const std::string said = Ask(bench.port, std::string(method) + " /primary");
        EXPECT_EQ(CodeOf(said), 200) << said;
        EXPECT_EQ(said.substr(said.size() - 4), "\r\n\r\n") << said;
    }
}

TEST(Listener, SeveralRequestsShareAConnection) {
    const Bench bench;
    const io::UniqueFd fd = Connect(bench.port);
    Send(fd,
         "HEAD /primary HTTP/1.1\r\nHost: x\r\n\r\nHEAD /replica HTTP/1.1\r\nHost: x\r\n\r\n"
         "HEAD /nope HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    const std::string said = Receive(fd);
    EXPECT_NE(said.find("HTTP/1.1 200"), std::string::npos) << said;
    EXPECT_NE(said.find("HTTP/1.1 503"), std::string::npos) << said;
    EXPECT_NE(said.find("HTTP/1.1 404"), std::string::npos) << said;
}

TEST(Listener, WithoutTheMonitorOnlyWhatNeedsItIsNo) {
    const Bench bench;
    EXPECT_EQ(CodeOf(Ask(bench.port, "GET /cluster")), 503);
    EXPECT_EQ(CodeOf(Ask(bench.port, "GET /cluster")), 503);  // soon again: at once
    EXPECT_EQ(CodeOf(Ask(bench.port, "GET /primary")), 200);
}

TEST(Listener, EndsWhileClientsWait) {
    io::UniqueFd waits;
    io::UniqueFd half;
    {
        const Bench bench;
        waits = Connect(bench.port);
        Send(waits, "GET /cluster HTTP/1.1\r\nHost: x\r\n\r\n");
        half = Connect(bench.port);
        Send(half, "GET /prim");
    }
    // Answered or not, both are let go; this test would hang otherwise.
    (void)Receive(waits);
    EXPECT_EQ(Receive(half), "");
}

TEST(Listener, APortThatIsInUseIsTakenWhenItIsFree) {
    auto first = std::make_unique<Bench>();
    const auto yes = [](view::LocalView &local) { local = view::sample::Standby(); };
    ASSERT_EQ(CodeOf(Ask(first->port, "GET /primary")), 200);
    const int port = first->port;
    ClusterSource cluster{
        {.conninfo = [] { return std::string("host=/nonexistent"); }, .formation = {}}};
    const Listener second{
        {.endpoint = {"127.0.0.1", port}, .certificate = {}, .key = {}}, yes, cluster};
    EXPECT_EQ(CodeOf(Ask(port, "GET /primary")), 200);
    first.reset();
    EXPECT_EQ(CodeOf(Ask(port, "GET /primary")), 503);
}

// Goal: what the page says counts only while the process that it names is there.
class PageTest : public ::testing::Test {
 protected:
    std::string path_ =
        std::filesystem::temp_directory_path() / ("pgaf-page-" + std::to_string(::getpid()));
    void SetUp() override { (void)std::filesystem::remove(path_); }
    void TearDown() override { (void)std::filesystem::remove(path_); }

    static std::uint64_t StartOf(int pid) {
        std::stringstream text;
        text << std::ifstream("/proc/" + std::to_string(pid) + "/stat").rdbuf();
        return ParseProcessLine(text.str()).start;
    }
    void Write(int pid, std::uint64_t start) {
        core::StatusPage page;
        page.sequence = 4;
        page.status.node = 9;
        page.status.postmaster_pid = pid;
        page.status.postmaster_start = start;
        page.checksum = core::ChecksumOf(page);
        std::string bytes(4096, '\0');
        std::memcpy(bytes.data() + core::kStatusOffset, static_cast<void *>(&page), sizeof page);
        std::ofstream(path_, std::ios::binary) << bytes;
    }
    view::LocalView Read() {
        view::LocalView local;
        source_.Read(local);
        return local;
    }
    StatusSource source_{path_};
};

TEST_F(PageTest, WithoutAFileNothingIsKnown) {
    EXPECT_FALSE(Read().status);
    EXPECT_EQ(Read().server, view::ServerProcess::kGone);
}

TEST_F(PageTest, TheProcessIsKnownByItsStart) {
    Write(::getpid(), StartOf(::getpid()));
    EXPECT_EQ(Read().status->node, 9);
    EXPECT_EQ(Read().server, view::ServerProcess::kRuns);
    Write(::getpid(), StartOf(::getpid()) + 1);
    EXPECT_EQ(Read().server, view::ServerProcess::kGone);
    Write(4'194'303, 1);
    EXPECT_EQ(Read().server, view::ServerProcess::kGone);
}

TEST_F(PageTest, AFileThatWasRemovedSaysNothingMore) {
    Write(::getpid(), StartOf(::getpid()));
    ASSERT_TRUE(Read().status);
    (void)std::filesystem::remove(path_);
    EXPECT_FALSE(Read().status);
    Write(::getpid(), StartOf(::getpid()));
    EXPECT_TRUE(Read().status);
}

TEST_F(PageTest, AShortFileSaysNothing) {
    std::ofstream(path_) << "short";
    EXPECT_FALSE(Read().status);
}

}  // namespace
}  // namespace pgaf::http
