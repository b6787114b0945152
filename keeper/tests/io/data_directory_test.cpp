#include "io/data_directory.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "io/files.hpp"
#include "node/steps/progress.hpp"

namespace pgaf::io {
namespace {

namespace fs = std::filesystem;

class DataDirectoryTest : public ::testing::Test {
 protected:
    void SetUp() override {
        std::string path = "/tmp/pgaf-io-XXXXXX";
        ASSERT_NE(::mkdtemp(path.data()), nullptr);
        top_ = path;
        for (const char *name : {"data/global", "data/pg_tblspc", "wal", "space/PG_15_1/1",
                                 "space/PG_14_1/1", "space/theirs"})
            fs::create_directories(top_ / name);
        std::ofstream(top_ / "data/PG_VERSION") << "15\n";
        std::ofstream(top_ / "wal/segment") << std::string(100'000, 'x');
        fs::create_directory_symlink(top_ / "wal", top_ / "data/pg_wal");
        fs::create_directory_symlink(top_ / "space", top_ / "data/pg_tblspc/1");
    }
    void TearDown() override { fs::remove_all(top_); }
    [[nodiscard]] std::string Data() const { return (top_ / "data").string(); }
    fs::path top_;
};

TEST_F(DataDirectoryTest, WhatLiesElsewhereIsPartOfIt) {
    const DataLayout layout = LayoutOf(Data());
    EXPECT_FALSE(layout.is_mount_point);
    EXPECT_EQ(layout.wal_directory, (top_ / "wal").string());
    EXPECT_EQ(layout.tablespaces, std::vector<std::string>{(top_ / "space").string()});
    EXPECT_TRUE(layout.IsFixed());
    EXPECT_GE(SizeOfData(Data()), 100'000U);
}

TEST_F(DataDirectoryTest, RemovingLeavesWhatIsNotOfThisVersion) {
    ASSERT_TRUE(RemoveData(Data()).has_value());
    EXPECT_FALSE(Exists(Data()));
    EXPECT_TRUE(IsEmptyDirectory((top_ / "wal").string()));
    EXPECT_EQ(NamesIn((top_ / "space").string()), (std::vector<std::string>{"PG_14_1", "theirs"}));
}

TEST_F(DataDirectoryTest, AFileIsWrittenThroughItsLink) {
    fs::create_directory(top_ / "etc");
    std::ofstream(top_ / "etc/postgresql.conf") << "old\n";
    fs::permissions(top_ / "etc/postgresql.conf", fs::perms{0644});
    const fs::path link = top_ / "data/postgresql.conf";
    fs::create_symlink(top_ / "etc/postgresql.conf", link);
    ASSERT_TRUE(WriteFile(link.string(), "new\n", 0600).has_value());
    EXPECT_TRUE(fs::is_symlink(link));
    EXPECT_EQ(ReadFile((top_ / "etc/postgresql.conf").string()).value(), "new\n");
    EXPECT_EQ(fs::status(top_ / "etc/postgresql.conf").permissions(), fs::perms{0644});
}

TEST(MountPoint, TheRootIsOneAndAFileIsNone) {
    EXPECT_TRUE(IsMountPoint("/"));
    EXPECT_FALSE(IsMountPoint("/etc/passwd"));
    EXPECT_FALSE(IsMountPoint("/no/such/directory"));
}

TEST(Size, IsReadable) {
    EXPECT_EQ(HumanSize(0), "0 bytes");
    EXPECT_EQ(HumanSize(41ULL << 20), "41 MB");
    EXPECT_EQ(HumanSize(3ULL << 40), "3072 GB");
}

TEST(Progress, IsSaidNowAndThenWithRateAndTimeLeft) {
    const auto copied = node::ParseProgress("  1024/10240 kB (10%), 0/1 tablespace");
    ASSERT_TRUE(copied.has_value());
    EXPECT_EQ(copied->done_kb, 1024U);
    EXPECT_EQ(copied->total_kb, 10'240U);
    EXPECT_FALSE(node::ParseProgress("pg_basebackup: checkpoint completed").has_value());
    node::CopyProgress progress;
    const core::BootTime start{1'000'000'000};
    const Milliseconds period{10'000};
    EXPECT_FALSE(progress.Say({0, 10'240}, start, period).has_value());
    EXPECT_FALSE(progress.Say({512, 10'240}, start + Milliseconds{5000}, period).has_value());
    EXPECT_EQ(progress.Say({1024, 10'240}, start + Milliseconds{10'000}, period).value(),
              "Copied 1024 kB of 10 MB (10 %), 102 kB/s, about 90 s left");
    EXPECT_TRUE(progress.Say({10'240, 10'240}, start + Milliseconds{11'000}, period).has_value());
}

}  // namespace
}  // namespace pgaf::io
