#include "node/config.hpp"

#include <fmt/format.h>
#include <sys/random.h>

#include <array>

#include "io/env.hpp"
#include "io/files.hpp"
#include "io/network.hpp"
#include "io/pg_client.hpp"
#include "pgaf/core/fingerprint.hpp"
#include "pgaf/core/lines.hpp"
#include "pgaf/core/names.hpp"

namespace pgaf::node {
namespace {

std::string_view Trim(std::string_view text) {
    const std::size_t first = text.find_first_not_of(" \t\r");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

}  // namespace

Result<Config> LoadConfig(const Paths &paths) {
    if (!io::Exists(paths.config)) {
        return Fail(ProblemCode::kBadArgument,
                    fmt::format("configuration file \"{}\" does not exist", paths.config), {},
                    "Use pg_autoctl create first, or check --pgdata.");
    }
    auto text = io::ReadFile(paths.config);
    if (!text) return Pass(text);
    auto config = FromIni(*text);
    if (!config) return Pass(config, fmt::format("could not read \"{}\"", paths.config));
    if (auto good = CheckConfig(*config); !good)
        return Pass(good, fmt::format("could not use \"{}\"", paths.config));
    if (config->IsMonitor() || !io::Exists(paths.secret)) return config;
    auto secret = io::ReadFile(paths.secret);
    if (!secret) return Pass(secret);
    // The present one; and the former one, with which the node proves that it may change it.
    std::string_view rest = *secret;
    config->node_secret = Trim(core::TakeLine(rest));
    const std::string_view former = Trim(core::TakeLine(rest));
    if (!former.empty()) config->node_secret.append(":").append(former);
    if (config->node_secret.find_first_not_of("0123456789abcdefABCDEF:") != std::string::npos)
        return Fail(ProblemCode::kBadConfig,
                    fmt::format("\"{}\" is not a secret of hexadecimal digits", paths.secret));
    return config;
}

Result<void> EnsureNodeSecret(const Paths &paths, Config &config) {
    if (!config.node_secret.empty()) return {};
    std::array<unsigned char, 24> bytes{};
    if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
        return tl::unexpected(io::IoProblem("read", "getrandom"));
    std::string secret;
    for (const unsigned char byte : bytes)
        secret += fmt::format("{:02x}", byte);
    if (auto written = io::WriteFile(paths.secret, secret + "\n", 0600); !written) return written;
    config.node_secret = std::move(secret);
    return {};
}

bool ChecksChain(const std::string &monitor) {
    const auto options = io::ParseConninfo(monitor);
    return options && io::OptionOf(*options, "sslmode").starts_with("verify-");
}

namespace {

/// A chain that leads to a CA says more, and lets certificates change. Without either a false
/// monitor could do without TLS as well.
void PinMonitor(const std::string &fingerprints, io::ConnOptions &monitor) {
    const auto known = core::ParseFingerprints(fingerprints);
    if (!known || known->empty()) return;
    io::SetOption(monitor, core::kPinOption, core::PinOf(*known));
    if (!io::OptionOf(monitor, "host").starts_with('/'))
        io::SetOption(monitor, "sslmode", "require");
}

}  // namespace

std::string MonitorConninfo(const Config &config) {
    auto parsed = io::ParseConninfo(config.monitor);
    if (!parsed || config.monitor.empty()) return config.monitor;  // whoever connects says so
    std::string options = io::OptionOf(*parsed, "options");
    if (!options.empty()) options += " ";
    options += io::kSafePath;
    if (!config.node_secret.empty())
        options += fmt::format(" -c {}={}", core::kNodeSecretSetting, config.node_secret);
    io::SetOption(*parsed, "options", options);
    if (!ChecksChain(config.monitor)) PinMonitor(config.monitor_fingerprint, *parsed);
    return io::BuildConninfo(*parsed);
}

std::vector<std::string> UnknownSettings(const Paths &paths) {
    std::vector<std::string> unknown;
    auto text = io::ReadFile(paths.config);
    if (!text) return unknown;
    const Config config;
    for (const auto &[key, value] : ParseIni(*text)) {
        if (key != "pg_autoctl.nodename" && !GetSetting(config, key)) unknown.push_back(key);
    }
    return unknown;
}

Result<void> SaveConfig(const Paths &paths, const Config &config) {
    return io::WriteFile(paths.config, ToIni(config), 0600);
}

Result<core::NodeRecord> LoadRecord(const Paths &paths) {
    if (!io::Exists(paths.state)) {
        return Fail(ProblemCode::kNotFound,
                    fmt::format("state file \"{}\" does not exist", paths.state),
                    "The node was not registered, or its memory is lost.",
                    "pg_autoctl create postgres registers it; with --replace it takes the place "
                    "of a node of the same name.");
    }
    auto text = io::ReadFile(paths.state);
    if (!text) return Pass(text);
    auto record = core::DecodeNodeRecord(*text);
    if (record) return record;
    Problem problem = record.error().In(fmt::format("could not use \"{}\"", paths.state));
    problem.hint =
        "Without its memory a node must not run. Restore the file; or move the data directory out "
        "of the way, and let pg_autoctl create postgres --replace take the node's place.";
    return tl::unexpected(std::move(problem));
}

Result<void> SaveRecord(const Paths &paths, const core::NodeRecord &record) {
    return io::WriteFile(paths.state, core::Encode(record), 0600);
}

Result<core::KeeperConfig> MakeKeeperConfig(const Config &config, const core::NodeRecord &record,
                                            const std::string &hostaddr) {
    auto options = io::ParseConninfo(MonitorConninfo(config));
    if (!options) return Pass(options);
    core::KeeperConfig keeper;
    keeper.monitor_host = io::OptionOf(*options, "host");
    if (!hostaddr.empty()) io::SetOption(*options, "hostaddr", hostaddr);
    if (keeper.monitor_host.empty()) keeper.monitor_host = hostaddr;
    keeper.monitor_conninfo = io::BuildConninfo(*options);
    keeper.formation = config.formation;
    keeper.group = record.group;
    keeper.node = record.node;
    keeper.name = config.name;
    keeper.host = config.hostname;
    keeper.port = config.port;
    keeper.pgdata = config.pgdata;
    keeper.auth_method = config.auth_method;
    if (config.hba_level == "lan") {
        keeper.lan_networks = fmt::format("{}", fmt::join(io::LocalNetworks(config.hostname), ","));
    }
    keeper.ssl = config.ssl_active;
    keeper.ssl_mode = config.ssl_mode;
    keeper.channel_binding = config.channel_binding;
    keeper.ssl_ca_file = config.ssl_ca_file;
    keeper.ssl_crl_file = config.ssl_crl_file;
    keeper.replication_password = config.replication_password;
    keeper.replication_cert_file = config.replication_cert_file;
    keeper.replication_key_file = config.replication_key_file;
    keeper.dbname = config.dbname;
    keeper.username = config.username;
    return keeper;
}

std::string PassfileOf(const Paths &paths) { return paths.directory + "/replication.pass"; }

Result<void> SaveKeeperConfig(const Paths &paths, core::KeeperConfig &config) {
    // PostgreSQL writes a changed primary_conninfo into its log, with whatever is in it.
    if (!config.replication_password.empty()) {
        config.passfile = PassfileOf(paths);
        const std::string line = core::PassfileLine(config.replication_password);
        const auto old = io::ReadFile(config.passfile);
        if (!old || *old != line) {
            if (auto done = io::WriteFile(config.passfile, line, 0600); !done) return done;
        }
    }
    auto text = core::Encode(config);
    if (!text) return Pass(text);
    if (auto old = io::ReadFile(paths.keeper_conf); old && *old == *text) return {};
    return io::WriteFile(paths.keeper_conf, *text, 0600);
}

Result<core::KeeperConfig> LoadKeeperConfig(const Paths &paths) {
    auto text = io::ReadFile(paths.keeper_conf);
    if (!text) return Pass(text);
    return core::DecodeKeeperConfig(*text);
}

core::ServerSettings MakeServerSettings(const Config &config, const Paths &paths, int pg_major) {
    core::ServerSettings settings;
    settings.is_monitor = config.IsMonitor();
    settings.keeper_directory = config.IsMonitor() ? "" : paths.directory;
    settings.preload_libraries = config.IsMonitor() ? "pgautofailover" : "pgautofailover_keeper";
    settings.listen_addresses = config.listen_addresses;
    settings.port = config.port;
    settings.pg_major = pg_major;
    settings.auth_method = config.auth_method;
    if (config.pg_host.starts_with('/')) settings.unix_socket_directory = config.pg_host;
    if (auto sockets = io::Env("PG_REGRESS_SOCK_DIR")) settings.unix_socket_directory = *sockets;
    settings.ssl = config.ssl_active;
    settings.ssl_cert_file = config.ssl_cert_file;
    settings.ssl_key_file = config.ssl_key_file;
    settings.ssl_ca_file = config.ssl_ca_file;
    settings.ssl_crl_file = config.ssl_crl_file;
    return settings;
}

}  // namespace pgaf::node
