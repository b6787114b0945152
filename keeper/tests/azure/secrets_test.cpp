// Goal: passwords are made once, kept for their owner only, and readable by a shell.
// Method: a data directory of the test's own.
#include "azure/secrets.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "io/files.hpp"
#include "io/process.hpp"
#include "samples.hpp"

namespace pgaf::azure {
namespace {

class Kept : public ::testing::Test {
 protected:
    void SetUp() override {
        std::string name = "/tmp/pgaf-secrets-XXXXXX";
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        root_ = name;
        ASSERT_EQ(::setenv("XDG_DATA_HOME", root_.c_str(), 1), 0);
    }
    void TearDown() override {
        (void)::unsetenv("XDG_DATA_HOME");
        std::filesystem::remove_all(root_);
    }
    std::string root_;
};

mode_t ModeOf(const std::string &path) {
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0 ? status.st_mode & 0777U : 0;
}

TEST_F(Kept, AreMadeOnceAndForTheirOwnerOnly) {
    const auto first = LoadOrMakeSecrets(Paris());
    ASSERT_TRUE(first);
    EXPECT_EQ(first->size(), 3U);
    for (const auto &[name, value] : *first)
        EXPECT_EQ(value.size(), 48U) << name;
    EXPECT_EQ(ModeOf(SecretsFile(Paris())), 0600U);
    EXPECT_EQ(ModeOf(RegionDirectory(Paris())), 0700U);
    EXPECT_EQ(*LoadOrMakeSecrets(Paris()), *first);
    Region other = Paris();
    other.region = "nyc";
    EXPECT_NE(*LoadOrMakeSecrets(other), *first);
}

TEST_F(Kept, MissingOnesAreAdded) {
    std::filesystem::create_directories(RegionDirectory(Paris()));
    std::ofstream(SecretsFile(Paris())) << "# mine\nexport PG_AUTOCTL_NODE_PASSWORD='kept'\njunk\n";
    const auto secrets = LoadOrMakeSecrets(Paris());
    ASSERT_TRUE(secrets);
    EXPECT_EQ(secrets->at("PG_AUTOCTL_NODE_PASSWORD"), "kept");
    EXPECT_EQ(secrets->size(), 3U);
}

TEST_F(Kept, AShellReadsThem) {
    const auto secrets = LoadOrMakeSecrets(Paris());
    ASSERT_TRUE(secrets);
    auto out =
        io::RunChecked({.argv = {"sh", "-c", ". \"$1\" && printf %s \"$PG_AUTOCTL_APP_PASSWORD\"",
                                 "sh", SecretsFile(Paris())}});
    ASSERT_TRUE(out);
    EXPECT_EQ(*out, secrets->at("PG_AUTOCTL_APP_PASSWORD"));
}

TEST_F(Kept, HostKeysOfAMachineThatIsMadeAnewAreForgotten) {
    std::filesystem::create_directories(RegionDirectory(Paris()));
    const std::string path = KnownHostsFile(Paris());
    std::ofstream(path) << "ha-demo-paris-a ssh-rsa AAA\nha-demo-paris-app ssh-rsa BBB\n";
    EXPECT_TRUE(ForgetHostKey(Paris(), "ha-demo-paris-a"));
    EXPECT_EQ(*io::ReadFile(path), "ha-demo-paris-app ssh-rsa BBB\n");
}

TEST_F(Kept, TheSshKeyIsMadeOnceAndAMissingPublicHalfIsDerived) {
    Region region = Paris();
    region.private_key = root_ + "/ssh/id_rsa";
    region.public_key = region.private_key + ".pub";
    ASSERT_TRUE(EnsureSshKey(region));
    const std::string key = *io::ReadFile(region.private_key);
    const std::string half = *io::ReadFile(region.public_key);
    EXPECT_EQ(ModeOf(region.private_key), 0600U);
    std::filesystem::remove(region.public_key);
    ASSERT_TRUE(EnsureSshKey(region));
    EXPECT_EQ(*io::ReadFile(region.private_key), key);
    EXPECT_EQ(io::ReadFile(region.public_key)->substr(0, 300), half.substr(0, 300));
}

}  // namespace
}  // namespace pgaf::azure
