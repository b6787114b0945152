// Goal: a number in postmaster.pid is a server only where the process is one, and works in this
// directory. Method: real processes with names and working directories of all kinds.
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "io/postgres.hpp"

namespace pgaf::io {
namespace {

namespace fs = std::filesystem;

/// A process that says when it is what it is to be, and then waits to be killed.
class Child {
 public:
    Child(const std::string &name, const std::string &directory) {
        int ready[2];
        if (::pipe(ready) != 0) return;
        pid_ = ::fork();
        if (pid_ == 0) {
            const bool is_there = ::chdir(directory.c_str()) == 0;
            (void)::prctl(PR_SET_NAME, name.c_str());
            if (is_there) (void)!::write(ready[1], "x", 1);
            for (;;)
                ::pause();
        }
        char said = 0;
        ::close(ready[1]);
        is_ready_ = ::read(ready[0], &said, 1) == 1;
        ::close(ready[0]);
    }
    Child(const Child &) = delete;
    Child &operator=(const Child &) = delete;
    ~Child() {
        if (pid_ <= 0) return;
        (void)::kill(pid_, SIGKILL);
        (void)::waitpid(pid_, nullptr, 0);
    }
    [[nodiscard]] bool IsReady() const { return is_ready_; }
    [[nodiscard]] pid_t Pid() const { return pid_; }

 private:
    pid_t pid_ = -1;
    bool is_ready_ = false;
};

class PostmasterTest : public ::testing::Test {
 protected:
    void SetUp() override {
        std::string path = "/tmp/pgaf-io-XXXXXX";
        ASSERT_NE(::mkdtemp(path.data()), nullptr);
        top_ = path;
        fs::create_directory(Data());
        fs::create_directory(top_ / "other");
    }
    void TearDown() override { fs::remove_all(top_); }
    [[nodiscard]] std::string Data() const { return (top_ / "data").string(); }
    [[nodiscard]] bool IsFound(pid_t pid) const {
        std::ofstream(Data() + "/postmaster.pid") << pid << "\n" << Data() << "\n1\n5432\n\n\n";
        const auto found = FindPostmaster(Data());
        return found && found->pid == pid;
    }
    fs::path top_;
};

TEST_F(PostmasterTest, IsAProcessOfPostgresThatWorksHere) {
    struct {
        const char *name, *directory;
        bool is_found;
    } const rows[] = {{"postgres", "data", true},
                      {"postgres", "other", false},  // another server
                      {"sleep", "data", false},      // somebody looks around
                      {"sleep", "other", false}};
    for (const auto &row : rows) {
        const Child child(row.name, (top_ / row.directory).string());
        ASSERT_TRUE(child.IsReady());
        EXPECT_EQ(IsFound(child.Pid()), row.is_found) << row.name << " in " << row.directory;
    }
}

TEST_F(PostmasterTest, IsGoneWithItsProcessAndNeverAnInvalidNumber) {
    pid_t pid = 0;
    {
        const Child child("postgres", Data());
        ASSERT_TRUE(child.IsReady());
        pid = child.Pid();
    }
    EXPECT_FALSE(IsFound(pid));
    for (const pid_t number : {0, -1, 1})
        EXPECT_FALSE(IsFound(number)) << number;
}

TEST_F(PostmasterTest, MovesWithItsDirectory) {
    const Child child("postgres", Data());
    ASSERT_TRUE(child.IsReady());
    ASSERT_TRUE(IsFound(child.Pid()));
    fs::rename(top_ / "data", top_ / "moved");
    fs::create_directory_symlink(top_ / "moved", top_ / "data");
    EXPECT_TRUE(IsFound(child.Pid()));
}

}  // namespace
}  // namespace pgaf::io
