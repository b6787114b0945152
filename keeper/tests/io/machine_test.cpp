#include "io/machine.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace pgaf::io {
namespace {

namespace fs = std::filesystem;

/// Files of a machine, below a directory of their own.
class FakeMachine : public ::testing::Test {
 protected:
    void SetUp() override {
        std::string name = fs::temp_directory_path() / "pgaf-machine-XXXXXX";
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        root_ = name;
        Put("/proc/meminfo", "MemFree: 1 kB\nMemTotal:       16777216 kB\n");
    }
    void TearDown() override { fs::remove_all(root_); }
    void Put(const std::string &path, const std::string &text) const {
        fs::create_directories(fs::path(root_ + path).parent_path());
        std::ofstream(root_ + path) << text;
    }
    [[nodiscard]] core::Machine Read() const { return ReadMachine(root_, root_); }

    std::string root_;
};

TEST_F(FakeMachine, HasItsWholeMemoryWithoutLimits) {
    EXPECT_EQ(Read().memory_bytes, 16ULL << 30);
    EXPECT_GE(Read().cpus, 1);
    EXPECT_GT(Read().disk_bytes, 0U);
}

TEST_F(FakeMachine, IsLimitedByEveryLevelOfVersion2) {
    Put("/proc/self/cgroup", "0::/a/b\n");
    Put("/sys/fs/cgroup/a/b/memory.max", "max\n");
    Put("/sys/fs/cgroup/a/memory.max", "2147483648\n");
    Put("/sys/fs/cgroup/a/b/cpu.max", "150000 100000\n");
    EXPECT_EQ(Read().memory_bytes, 2ULL << 30);
    EXPECT_EQ(Read().cpus, 1);
}

TEST_F(FakeMachine, IsLimitedByVersion1) {
    Put("/proc/self/cgroup", "5:memory:/x\n4:cpu,cpuacct:/x\n");
    Put("/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "1073741824\n");
    Put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    Put("/sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us", "-1\n");
    Put("/sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us", "100000\n");
    EXPECT_EQ(Read().memory_bytes, 1ULL << 30);
    EXPECT_GE(Read().cpus, 1);
}

TEST_F(FakeMachine, KnowsNothingWithoutFiles) {
    fs::remove_all(root_ + "/proc");
    EXPECT_EQ(Read().memory_bytes, 0U);
}

}  // namespace
}  // namespace pgaf::io
