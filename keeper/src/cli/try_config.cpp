#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <tuple>

#include "cli/create.hpp"
#include "io/files.hpp"
#include "io/network.hpp"

/// config set: a value is tried before it is written.
namespace pgaf::cli {
namespace {

Result<void> TryCertificates(const node::Config &config) {
    if (config.ssl_active && config.ssl_mode.starts_with("verify-") && config.ssl_ca_file.empty()) {
        return Fail(ProblemCode::kBadArgument,
                    fmt::format("SSL mode {} needs ssl.ca_file", config.ssl_mode), {},
                    "Set ssl.ca_file first.");
    }
    for (const std::string &file :
         {config.ssl_cert_file, config.ssl_key_file, config.ssl_ca_file, config.ssl_crl_file,
          config.replication_cert_file, config.replication_key_file}) {
        const bool is_made_later = config.ssl_self_signed && !io::Exists(file);
        if (file.empty() || is_made_later || ::access(file.c_str(), R_OK) == 0) continue;
        Problem problem = io::IoProblem("read", file);
        problem.code = ProblemCode::kBadArgument;
        return tl::unexpected(std::move(problem));
    }
    return {};
}

Result<void> TryMonitor(const node::Config &config, const core::NodeRecord &record) {
    auto monitor = ConnectTo(node::MonitorConninfo(config));
    if (!monitor) return Pass(monitor);
    auto rows = monitor->Query(
        "SELECT 1 FROM pgautofailover.node WHERE nodeid = $1::bigint AND nodename = $2",
        {std::to_string(record.node.value), config.name});
    if (!rows) return Pass(rows);
    if (!rows->IsEmpty()) return {};
    return Fail(
        ProblemCode::kMonitor,
        fmt::format("that monitor does not know node {} \"{}\"", record.node.value, config.name),
        "It is another monitor, or one that has lost its data.",
        "Give the address at which this node's monitor is reached now.");
}

Result<void> Connects(const node::Config &config, const core::NodeRecord &record,
                      const core::Peer &peer) {
    auto keeper = node::MakeKeeperConfig(config, record, "");
    if (!keeper) return Pass(keeper);
    auto client = io::PgClient::Connect(core::PrimaryConninfo(*keeper, peer),
                                        {{"replication", "true"},
                                         {"application_name", "pgautofailover_copy"},
                                         {"connect_timeout", "5"}});
    if (!client) return Pass(client);
    return {};
}

/// A value with which this node could no longer follow the others is refused.
Result<void> TryPeers(const node::Config &before, const node::Config &after,
                      const core::NodeRecord &record) {
    auto monitor = ConnectTo(node::MonitorConninfo(after));
    if (!monitor) {
        spdlog::warn("The value was not tried with the other nodes: the monitor cannot be reached");
        return {};
    }
    auto rows = monitor->Query(
        "SELECT nodeid, nodename, nodehost, nodeport FROM pgautofailover.node WHERE formationid = "
        "$1 AND groupid = $2::int AND nodeid <> $3::bigint",
        {after.formation, std::to_string(record.group), std::to_string(record.node.value)});
    if (!rows) return Pass(rows);
    for (std::size_t row = 0; row < rows->rows.size(); ++row) {
        core::Peer peer;
        peer.node = {std::stoll(rows->At(row, 0))};
        peer.name = rows->At(row, 1);
        peer.host = rows->At(row, 2);
        peer.port = std::stoi(rows->At(row, 3));
        auto now = Connects(after, record, peer);
        if (now || !Connects(before, record, peer)) continue;  // it does not fail for the value
        Problem problem = now.error().In(
            fmt::format("with this value node \"{}\" could not be followed", peer.name));
        problem.code = ProblemCode::kBadArgument;
        return tl::unexpected(std::move(problem));
    }
    return {};
}

}  // namespace

Result<void> TryConfig(const node::Paths &paths, const node::Config &before,
                       const node::Config &after) {
    if (auto files = TryCertificates(after); !files) return files;
    if (after.hostname != before.hostname && io::ResolveNow(after.hostname).empty()) {
        return Fail(ProblemCode::kBadArgument,
                    fmt::format("host name \"{}\" cannot be resolved", after.hostname), {},
                    "Give the name or the address by which the other hosts reach this one.");
    }
    if (after.IsMonitor()) return {};
    auto record = node::LoadRecord(paths);
    if (!record || record->state == core::NodeState::kDropped) return {};
    if (after.monitor != before.monitor ||
        after.monitor_fingerprint != before.monitor_fingerprint) {
        if (auto monitor = TryMonitor(after, *record); !monitor) return monitor;
    }
    const auto of_connections = [](const node::Config &config) {
        return std::tie(config.ssl_active, config.ssl_mode, config.ssl_ca_file, config.ssl_crl_file,
                        config.replication_password, config.replication_cert_file,
                        config.replication_key_file);
    };
    if (of_connections(before) == of_connections(after)) return {};
    return TryPeers(before, after, *record);
}

}  // namespace pgaf::cli
