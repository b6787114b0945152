#include "cli/register.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>

#include "io/env.hpp"
#include "tls/pin.hpp"

namespace pgaf::cli {
namespace {

constexpr Milliseconds kConnectLimit{10'000};
constexpr Milliseconds kFirstPause{100};

std::int64_t ToNumber(const std::string &text) {
    std::int64_t number = 0;
    (void)std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

/// A refused password does not get better by waiting; a monitor that is starting does.
bool IsWorthWaiting(const Problem &problem) {
    for (const char *text : {"refused", "starting up", "timeout", "timed out", "shutting down"}) {
        if (problem.message.find(text) != std::string::npos) return true;
    }
    return false;
}

Result<io::PgClient> ConnectWithPatience(const std::string &uri) {
    const core::BootTime start = io::BootNow();
    for (Milliseconds pause = kFirstPause;; pause = std::min(pause * 2, Milliseconds{2000})) {
        auto client = ConnectTo(uri);
        if (client) return client;
        if (!IsWorthWaiting(client.error()) || io::BootNow() - start + pause > kConnectLimit) {
            return client;
        }
        if (pause == kFirstPause) spdlog::warn("{}, retrying", client.error().message);
        (void)::poll(nullptr, 0, static_cast<int>(pause.count()));
    }
}

}  // namespace

Result<void> CheckSystemIdentifier(io::PgClient &monitor, const node::Config &config,
                                   std::uint64_t own) {
    if (own == 0) return {};
    auto rows = monitor.Query(
        "SELECT sysidentifier, nodename FROM pgautofailover.node WHERE formationid = $1 "
        "AND groupid = $2 AND coalesce(sysidentifier, 0) <> 0",
        {config.formation, std::to_string(config.group)});
    if (!rows) return Pass(rows);
    for (std::size_t row = 0; row < rows->rows.size(); ++row) {
        const auto theirs = static_cast<std::uint64_t>(ToNumber(rows->At(row, 0)));
        if (theirs == own) continue;
        return Fail(
            ProblemCode::kBadState,
            fmt::format("the data directory \"{}\" belongs to another database system",
                        config.pgdata),
            fmt::format("Its system identifier is {}; that of node \"{}\" of the group is {}.", own,
                        rows->At(row, 1), theirs),
            "Remove the directory to have the primary copied, or use another --pgdata.");
    }
    return {};
}

Result<io::PgClient> ConnectAtFirst(const node::Config &config) {
    node::Config bare = config;
    bare.node_secret.clear();
    return ConnectWithPatience(node::MonitorConninfo(bare));
}

void RememberMonitor(io::PgClient &monitor, node::Config &config) {
    const std::string shown = tls::PeerFingerprint(monitor.Raw());
    if (node::ChecksChain(config.monitor) || shown.empty()) return;
    if (!config.monitor_fingerprint.empty()) return;
    config.monitor_fingerprint = shown;
    spdlog::info("The monitor's certificate has the SHA-256 fingerprint {}", shown);
    spdlog::info(
        "HINT:  Compare it with what create monitor has printed. No other is accepted from now "
        "on.");
}

}  // namespace pgaf::cli
