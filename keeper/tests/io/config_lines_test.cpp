#include "io/config_lines.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace pgaf::io {
namespace {

class Lines : public ::testing::Test {
 protected:
    void SetUp() override {
        std::string pattern = "/tmp/pgaf-lines-XXXXXX";
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        directory_ = pattern;
    }
    void TearDown() override { std::filesystem::remove_all(directory_); }

    void Write(const std::string &name, const std::string &text) const {
        std::filesystem::create_directories(std::filesystem::path(Path(name)).parent_path());
        std::ofstream(Path(name)) << text;
    }
    [[nodiscard]] std::string Path(const std::string &name) const {
        return directory_ + "/" + name;
    }

    std::string directory_;
};

TEST_F(Lines, TheLastLineOfTheSettingThatIsNamedFirst) {
    Write("main.conf", "# work_mem = 1\nwork_mem = 4MB\nport = 7\n\nWork_Mem 'abc' # why\n");
    const auto lines = ReadConfigLines(Path("main.conf"));
    ASSERT_EQ(lines.size(), 3U);
    const auto *const found =
        FindRefusedLine(lines, "ungültiger Wert für Parameter »work_mem«: »abc«; port 7");
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(found->number, 5);
    EXPECT_EQ(FindRefusedLine(lines, "autovacuum_work_mem is too small, and ports are few"),
              nullptr);
}

TEST_F(Lines, IncludedFilesAreReadWhereTheyAreIncluded) {
    Write("main.conf", "include 'sub/one.conf'\ninclude_dir = 'dir'\nport = 1\n");
    Write("sub/one.conf", "include_if_exists two.conf\nwork_mem = 1\n");
    Write("sub/two.conf", "jit=on\n");
    Write("dir/b.conf", "work_mem = 3\n");
    Write("dir/a.conf", "work_mem = 2\n");
    Write("dir/.hidden.conf", "work_mem = 4\n");
    Write("dir/other", "work_mem = 5\n");
    const auto lines = ReadConfigLines(Path("main.conf"));
    ASSERT_EQ(lines.size(), 5U);
    EXPECT_EQ(lines.at(0).file, Path("sub/two.conf"));
    EXPECT_EQ(lines.at(0).name, "jit");
    EXPECT_EQ(FindRefusedLine(lines, "\"work_mem\"")->file, Path("dir/b.conf"));
    const std::vector<std::string> included{Path("sub/one.conf"), Path("sub/two.conf"), Path("dir"),
                                            Path("dir/a.conf"), Path("dir/b.conf")};
    EXPECT_EQ(ListIncluded(Path("main.conf")), included);
}

TEST_F(Lines, AFileThatIncludesItselfEnds) {
    Write("main.conf", "include 'main.conf'\nport = 1\n");
    EXPECT_FALSE(ReadConfigLines(Path("main.conf")).empty());
}

}  // namespace
}  // namespace pgaf::io
