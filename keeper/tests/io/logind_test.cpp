// Goal: the warning about shared memory comes where logind would remove it, and nowhere else.
// Method: directories that look like /etc, /run and /var.
#include "io/logind.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace pgaf::io {
namespace {

class Logind : public ::testing::Test {
 protected:
    void SetUp() override {
        std::string name = "/tmp/pgaf-logind-XXXXXX";
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        root_ = name;
        std::filesystem::create_directories(root_ + "/run/systemd/system");
    }
    void TearDown() override { std::filesystem::remove_all(root_); }
    void Write(const std::string &path, const std::string &text) const {
        std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
        std::ofstream(root_ + path) << text;
    }
    [[nodiscard]] bool Removes(uid_t uid = 1000) const {
        return RemovesSharedMemory(root_, "ha-admin", uid);
    }
    std::string root_;
};

TEST_F(Logind, RemovesByDefaultButNotFromSystemUsers) {
    EXPECT_TRUE(Removes());
    EXPECT_FALSE(Removes(0));
    EXPECT_FALSE(Removes(999));
    EXPECT_FALSE(Removes(65534));
}

TEST_F(Logind, DoesNothingWhereThereIsNoSystemd) {
    std::filesystem::remove_all(root_ + "/run/systemd/system");
    EXPECT_FALSE(Removes());
}

TEST_F(Logind, SparesUsersWhoLinger) {
    Write("/var/lib/systemd/linger/somebody", "");
    EXPECT_TRUE(Removes());
    Write("/var/lib/systemd/linger/ha-admin", "");
    EXPECT_FALSE(Removes());
}

TEST_F(Logind, ReadsItsConfiguration) {
    Write("/etc/systemd/logind.conf", "[Login]\n#RemoveIPC=yes\n");
    EXPECT_TRUE(Removes());
    Write("/etc/systemd/logind.conf", "[Login]\nRemoveIPC = no\n");
    EXPECT_FALSE(Removes());
}

TEST_F(Logind, LaterFilesWinAndTheAdministratorOverrulesThePackage) {
    Write("/etc/systemd/logind.conf", "[Login]\nRemoveIPC=no\n");
    Write("/usr/lib/systemd/logind.conf.d/50-x.conf", "[Login]\nRemoveIPC=yes\n");
    EXPECT_TRUE(Removes());
    Write("/etc/systemd/logind.conf.d/50-x.conf", "[Login]\nRemoveIPC=false\n");
    EXPECT_FALSE(Removes());
    Write("/run/systemd/logind.conf.d/60-y.conf", "[Login]\nRemoveIPC=yes\n");
    EXPECT_TRUE(Removes());
    Write("/etc/systemd/logind.conf.d/70-z.conf.bak", "[Login]\nRemoveIPC=no\n");
    EXPECT_TRUE(Removes());
}

}  // namespace
}  // namespace pgaf::io
