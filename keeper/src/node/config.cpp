#include "node/config.hpp"

#include <fmt/format.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <sstream>

#include "io/env.hpp"
#include "io/files.hpp"
#include "io/network.hpp"
#include "io/pg_client.hpp"
#include "pgaf/core/lines.hpp"
#include "pgaf/core/names.hpp"

namespace pgaf::node {
namespace {

/// Calls fn(section.key, member) for every setting, in the order of the file.
template <typename C, typename Fn>
void ForEach(C &config, Fn fn) {
    fn("pg_autoctl.role", config.role);
    fn("pg_autoctl.monitor", config.monitor);
    fn("pg_autoctl.formation", config.formation);
    fn("pg_autoctl.group", config.group);
    fn("pg_autoctl.name", config.name);
    fn("pg_autoctl.hostname", config.hostname);
    fn("pg_autoctl.nodekind", config.nodekind);
    fn("postgresql.pgdata", config.pgdata);
    fn("postgresql.pg_ctl", config.pg_ctl);
    fn("postgresql.username", config.username);
    fn("postgresql.dbname", config.dbname);
    fn("postgresql.host", config.pg_host);
    fn("postgresql.port", config.port);
    fn("postgresql.listen_addresses", config.listen_addresses);
    fn("postgresql.tune", config.tune);
    fn("postgresql.auth_method", config.auth_method);
    fn("postgresql.hba_level", config.hba_level);
    fn("ssl.active", config.ssl_active);
    fn("ssl.sslmode", config.ssl_mode);
    fn("ssl.ca_file", config.ssl_ca_file);
    fn("ssl.crl_file", config.ssl_crl_file);
    fn("ssl.cert_file", config.ssl_cert_file);
    fn("ssl.key_file", config.ssl_key_file);
    fn("ssl.self_signed", config.ssl_self_signed);
    fn("ssl.channel_binding", config.channel_binding);
    fn("replication.password", config.replication_password);
    fn("replication.maximum_backup_rate", config.maximum_backup_rate);
}

std::string Show(const std::string &value) { return value; }
std::string Show(int value) { return std::to_string(value); }
std::string Show(bool value) { return value ? "1" : "0"; }

bool Read(std::string_view text, std::string &into) {
    into = text;
    return text.find_first_of("\r\n") == std::string_view::npos;
}
bool Read(std::string_view text, int &into) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), into);
    return error == std::errc{} && end == text.data() + text.size();
}
bool Read(std::string_view text, bool &into) {
    into = text == "1" || text == "true" || text == "on";
    return into || text == "0" || text == "false" || text == "off";
}

std::string_view Trim(std::string_view text) {
    const std::size_t first = text.find_first_not_of(" \t\r");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

}  // namespace

// inih, as Debian builds it, cuts lines at 200 bytes and drops what follows " ;": both occur in
// connection strings. Hence these few lines.
std::map<std::string, std::string> ParseIni(std::string_view text) {
    std::map<std::string, std::string> values;
    std::string section;
    std::stringstream lines{std::string(text)};
    for (std::string raw; std::getline(lines, raw);) {
        const std::string_view line = Trim(raw);
        if (line.empty() || line.front() == '#' || line.front() == ';') continue;
        if (line.front() == '[' && line.back() == ']') {
            section = line.substr(1, line.size() - 2);
            continue;
        }
        const std::size_t equals = line.find('=');
        if (equals == std::string_view::npos) continue;
        values[section + "." + std::string(Trim(line.substr(0, equals)))] =
            Trim(line.substr(equals + 1));
    }
    return values;
}

std::string ToIni(const Config &config) {
    std::string text;
    std::string current;
    ForEach(config, [&](std::string_view key, const auto &member) {
        const std::size_t dot = key.find('.');
        const std::string section(key.substr(0, dot));
        const std::string value = Show(member);
        if (value.empty()) return;
        if (section != current) {
            if (!text.empty()) text += "\n";
            text += "[" + section + "]\n";
            current = section;
        }
        text += fmt::format("{} = {}\n", key.substr(dot + 1), value);
    });
    return text;
}

Result<Config> FromIni(std::string_view text) {
    const auto values = ParseIni(text);
    Config config;
    std::string bad;
    ForEach(config, [&](const char *key, auto &member) {
        const auto it = values.find(key);
        if (it != values.end() && !Read(it->second, member)) bad = key;
    });
    if (const auto old = values.find("pg_autoctl.nodename");
        old != values.end() && config.hostname.empty()) {
        config.hostname = old->second;
    }
    if (!bad.empty())
        return Fail(ProblemCode::kBadConfig, fmt::format("invalid value for \"{}\"", bad));
    if (config.role != "keeper" && config.role != "monitor") {
        return Fail(ProblemCode::kBadConfig, fmt::format("invalid role \"{}\"", config.role));
    }
    if (config.pgdata.empty())
        return Fail(ProblemCode::kBadConfig, "\"postgresql.pgdata\" is missing");
    if (config.port < 1 || config.port > 65535) {
        return Fail(ProblemCode::kBadConfig,
                    fmt::format("port {} is not between 1 and 65535", config.port));
    }
    return config;
}

Result<std::string> GetSetting(const Config &config, std::string_view key) {
    std::optional<std::string> found;
    ForEach(config, [&](std::string_view name, const auto &member) {
        if (name == key) found = Show(member);
    });
    if (!found) return Fail(ProblemCode::kBadArgument, fmt::format("unknown setting \"{}\"", key));
    return *found;
}

Result<void> SetSetting(Config &config, std::string_view key, std::string_view value) {
    bool found = false;
    bool valid = true;
    ForEach(config, [&](std::string_view name, auto &member) {
        if (name != key) return;
        found = true;
        valid = Read(value, member);
    });
    if (!found) return Fail(ProblemCode::kBadArgument, fmt::format("unknown setting \"{}\"", key));
    if (!valid)
        return Fail(ProblemCode::kBadArgument,
                    fmt::format("invalid value for \"{}\": \"{}\"", key, value));
    return {};
}

namespace {

Result<void> Bad(std::string_view key, std::string_view value, std::string detail) {
    return Fail(ProblemCode::kBadConfig,
                fmt::format("invalid value for \"{}\": \"{}\"", key, core::Printable(value)),
                std::move(detail));
}

Result<void> CheckOneOf(std::string_view key, std::string_view value,
                        std::initializer_list<std::string_view> allowed) {
    if (std::find(allowed.begin(), allowed.end(), value) != allowed.end()) return {};
    return Bad(key, value, fmt::format("It must be one of {}.", fmt::join(allowed, ", ")));
}

Result<void> CheckConfigNames(const Config &config) {
    const std::pair<std::string_view, const std::string &> names[] = {
        {"pg_autoctl.name", config.name},
        {"pg_autoctl.formation", config.formation},
        {"postgresql.dbname", config.dbname},
        {"postgresql.username", config.username},
        {"postgresql.pgdata", config.pgdata}};
    for (const auto &[key, name] : names) {
        // "/" first is a regular expression in pg_hba.conf from PostgreSQL 16 on.
        const bool is_pattern = key != "postgresql.pgdata" && name.starts_with('/');
        const bool is_good = core::IsName(name) && name.find('"') == name.npos && !is_pattern;
        if (!name.empty() && !is_good)
            return Bad(key, name, "It must not have control characters or double quotes.");
    }
    if (config.hostname.empty() || core::IsHostName(config.hostname)) return {};
    return Bad("pg_autoctl.hostname", config.hostname, "It must be a host name or an IP address.");
}

}  // namespace

Result<void> CheckConfig(const Config &config) {
    if (auto good = CheckConfigNames(config); !good) return good;
    if (auto good =
            CheckOneOf("ssl.sslmode", config.ssl_mode,
                       {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"});
        !good)
        return good;
    if (auto good = CheckOneOf("ssl.channel_binding", config.channel_binding,
                               {"", "require", "prefer", "disable"});
        !good)
        return good;
    if (auto good =
            CheckOneOf("postgresql.hba_level", config.hba_level, {"", "minimal", "lan", "skip"});
        !good)
        return good;
    if (config.auth_method.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") !=
        std::string::npos)
        return Bad("postgresql.auth_method", config.auth_method,
                   "It must be a method of pg_hba.conf, such as scram-sha-256, without options.");
    for (const std::string &text : {config.listen_addresses, config.pg_host, config.pg_ctl,
                                    config.replication_password, config.maximum_backup_rate}) {
        if (text.find_first_of("\r\n\"") != std::string::npos)
            return Fail(ProblemCode::kBadConfig,
                        "values must not contain line breaks or double quotes");
    }
    return {};
}

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

std::string MonitorConninfo(const Config &config) {
    auto parsed = io::ParseConninfo(config.monitor);
    if (!parsed || config.monitor.empty()) return config.monitor;  // whoever connects says so
    std::string options = io::OptionOf(*parsed, "options");
    if (!options.empty()) options += " ";
    options += io::kSafePath;
    if (!config.node_secret.empty())
        options += fmt::format(" -c {}={}", core::kNodeSecretSetting, config.node_secret);
    io::SetOption(*parsed, "options", options);
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
    keeper.dbname = config.dbname;
    keeper.username = config.username;
    return keeper;
}

Result<void> SaveKeeperConfig(const Paths &paths, core::KeeperConfig &config) {
    // PostgreSQL writes a changed primary_conninfo into its log, with whatever is in it.
    if (!config.replication_password.empty()) {
        config.passfile = paths.directory + "/replication.pass";
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
