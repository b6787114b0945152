#include "view/metrics.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "sample.hpp"
#include "view/metrics_text.hpp"

namespace pgaf::view {
namespace {

// Goal: the text is the one that was looked at, to the letter, and that promtool accepts (it reads
// the same files in keeper/tests/tools/test_prometheus.py). PGAF_ACCEPT=1 writes them anew.
void ExpectGolden(const std::string &text, const std::string &file) {
    const std::string path = std::string(PGAF_TESTS) + "/" + file;
    if (std::getenv("PGAF_ACCEPT") != nullptr) std::ofstream(path) << text;
    std::stringstream golden;
    golden << std::ifstream(path).rdbuf();
    EXPECT_EQ(text, golden.str()) << path;
}

TEST(Metrics, OfAPrimary) {
    LocalView local = sample::Primary();
    local.identity.certificate_expires_at = 1'800'000'000;
    ExpectGolden(NodeMetrics(local), "primary_metrics.txt");
}

TEST(Metrics, OfAStandby) { ExpectGolden(NodeMetrics(sample::Standby()), "standby_metrics.txt"); }

TEST(Metrics, OfAMonitor) {
    LocalView local;
    local.identity = {.is_monitor = true, .name = "monitor", .version = "3.2"};
    const ClusterView view = sample::Cluster();
    ExpectGolden(MonitorMetrics(local, &view), "monitor_metrics.txt");
}

TEST(Metrics, ANodeWithoutPostgreSQLSaysThatAndNothingElse) {
    LocalView local = sample::Primary();
    local.status.reset();
    local.server = ServerProcess::kGone;
    const std::string text = NodeMetrics(local);
    EXPECT_NE(text.find("pgautofailover_node_postgres_up{formation=\"default\",group=\"0\","
                        "node=\"a\"} 0\n"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find("node_gate_open{formation=\"default\",group=\"0\",node=\"a\"} 0\n"),
              std::string::npos)
        << text;
    EXPECT_EQ(text.find("lease"), std::string::npos) << text;
}

TEST(Metrics, AMonitorThatDoesNotAnswerIsDown) {
    LocalView local;
    local.identity.is_monitor = true;
    const std::string text = MonitorMetrics(local, nullptr);
    EXPECT_NE(text.find("pgautofailover_monitor_up 0\n"), std::string::npos) << text;
    EXPECT_EQ(text.find("group"), std::string::npos) << text;
}

TEST(Metrics, ALeaseWithoutALimitIsInfinite) {
    LocalView local = sample::Primary();
    local.status->deadline = core::kForever;
    EXPECT_NE(NodeMetrics(local).find("node_lease_seconds{formation=\"default\",group=\"0\","
                                      "node=\"a\"} +Inf\n"),
              std::string::npos);
    local.status->fence = static_cast<std::uint32_t>(worker::Fence::kClosed);
    EXPECT_NE(NodeMetrics(local).find("node_lease_seconds{formation=\"default\",group=\"0\","
                                      "node=\"a\"} 0\n"),
              std::string::npos);
}

TEST(MetricsText, LabelsAreEscaped) {
    MetricsText text;
    text.Family("x", MetricType::kGauge, "Help.");
    text.Sample({{"a", "q\"b\\c\nd"}}, true);
    EXPECT_EQ(text.Take(),
              "# HELP pgautofailover_x Help.\n# TYPE pgautofailover_x gauge\n"
              "pgautofailover_x{a=\"q\\\"b\\\\c\\nd\"} 1\n");
}

}  // namespace
}  // namespace pgaf::view
