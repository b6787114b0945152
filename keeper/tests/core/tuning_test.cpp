#include "pgaf/core/tuning.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace pgaf::core {
namespace {

std::string ValueOf(const std::vector<PostgresSetting> &settings, const std::string &name) {
    const auto found = std::find_if(settings.begin(), settings.end(),
                                    [&name](const auto &one) { return one.name == name; });
    return found == settings.end() ? "" : found->value;
}

TEST(TunedSettings, FitTheMachine) {
    struct Case {
        std::uint64_t memory_gb;
        int cpus;
        std::uint64_t disk_gb;
        const char *shared, *cache, *work, *workers, *gather, *wal;
    };
    for (const Case &c :
         {Case{1, 1, 8, "256MB", "768MB", "4MB", "8", "1", "512MB"},
          Case{16, 8, 100, "4096MB", "12288MB", "40MB", "12", "4", "5120MB"},
          Case{512, 64, 4000, "32768MB", "393216MB", "256MB", "68", "4", "16384MB"}}) {
        const auto tuned = TunedSettings({c.memory_gb << 30, c.cpus, c.disk_gb << 30});
        EXPECT_EQ(ValueOf(tuned, "shared_buffers"), c.shared);
        EXPECT_EQ(ValueOf(tuned, "effective_cache_size"), c.cache);
        EXPECT_EQ(ValueOf(tuned, "work_mem"), c.work);
        EXPECT_EQ(ValueOf(tuned, "max_worker_processes"), c.workers);
        EXPECT_EQ(ValueOf(tuned, "max_parallel_workers_per_gather"), c.gather);
        EXPECT_EQ(ValueOf(tuned, "max_wal_size"), c.wal);
    }
}

TEST(TunedSettings, LeaveWhatIsNotKnown) {
    const auto tuned = TunedSettings({});
    EXPECT_EQ(ValueOf(tuned, "shared_buffers"), "");
    EXPECT_EQ(ValueOf(tuned, "max_wal_size"), "");
    EXPECT_EQ(ValueOf(tuned, "checkpoint_timeout"), "10min");
}

TEST(DefaultsText, IsTunedOnlyWhenItSaysSo) {
    const std::string plain = DefaultsText({.slot_wal_mb = 64});
    const std::string tuned = DefaultsText({.slot_wal_mb = 64, .tuned = {{"work_mem", "5MB"}}});
    EXPECT_FALSE(IsTuned(plain));
    EXPECT_TRUE(IsTuned(tuned));
    EXPECT_NE(tuned.find("work_mem = '5MB'\n"), std::string::npos);
    EXPECT_EQ(plain.find("ssl_ciphers"), std::string::npos);
    EXPECT_NE(DefaultsText({.ssl = true}).find("ssl_ciphers"), std::string::npos);
    const std::string monitor = DefaultsText({.is_monitor = true, .tuned = {{"work_mem", "5MB"}}});
    EXPECT_EQ(monitor.find("hot_standby_feedback"), std::string::npos);
    EXPECT_FALSE(IsTuned(monitor));
}

// Whatever the administrator writes comes later, and wins.
TEST(EnsureDefaultsInclude, IsTheFirstLineOnce) {
    const std::string once = EnsureDefaultsInclude("a = 1\nport = 2");
    EXPECT_TRUE(once.starts_with("include_if_exists 'postgresql-auto-failover-defaults.conf'"));
    EXPECT_TRUE(once.ends_with("a = 1\nport = 2\n"));
    EXPECT_EQ(EnsureDefaultsInclude(once), once);
    EXPECT_EQ(EnsureDefaultsInclude("x = 1\n" + once.substr(0, once.find('\n') + 1)),
              once.substr(0, once.find('\n') + 1) + "x = 1\n");
}

TEST(WithoutInitdbChoices, LeavesEverythingElse) {
    EXPECT_EQ(WithoutInitdbChoices("shared_buffers = 128MB\t# min\nmax_wal_size=1GB\n"
                                   "#min_wal_size = 80MB\nmax_wal_sizes = 1\nport = 1\n"),
              "#shared_buffers = 128MB\t# min\n#max_wal_size=1GB\n#min_wal_size = 80MB\n"
              "max_wal_sizes = 1\nport = 1\n");
}

}  // namespace
}  // namespace pgaf::core
