#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <sstream>

#include "http/endpoint.hpp"
#include "node/config.hpp"
#include "pgaf/core/fingerprint.hpp"
#include "pgaf/core/names.hpp"

/// pg_autoctl.cfg as a text: read, written and checked. Asks nothing of the machine.
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
    fn("monitor.fingerprint", config.monitor_fingerprint);
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
    fn("replication.cert_file", config.replication_cert_file);
    fn("replication.key_file", config.replication_key_file);
    fn("replication.maximum_backup_rate", config.maximum_backup_rate);
    fn("http.listen", config.http_listen);
    fn("http.tls", config.http_tls);
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

// An empty value is written where leaving it out would mean something else.
std::string ToIni(const Config &config) {
    const Config defaults;
    std::map<std::string_view, bool> is_filled;
    ForEach(defaults,
            [&](const char *key, const auto &member) { is_filled[key] = !Show(member).empty(); });
    std::string text;
    std::string current;
    ForEach(config, [&](std::string_view key, const auto &member) {
        const std::size_t dot = key.find('.');
        const std::string section(key.substr(0, dot));
        const std::string value = Show(member);
        if (value.empty() && !is_filled[key]) return;
        if (section != current) {
            if (!text.empty()) text += "\n";
            text += "[" + section + "]\n";
            current = section;
        }
        text += fmt::format("{} ={}{}\n", key.substr(dot + 1), value.empty() ? "" : " ", value);
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

Result<void> CheckHttp(const Config &config) {
    if (http::IsOff(config.http_listen)) return {};
    if (auto endpoint = http::ParseEndpoint(config.http_listen); !endpoint)
        return Bad("http.listen", config.http_listen, endpoint.error().detail);
    if (!config.http_tls || !config.ssl_cert_file.empty()) return {};
    return Fail(ProblemCode::kBadConfig, "\"http.tls\" needs the certificate of this server",
                "\"ssl.cert_file\" and \"ssl.key_file\" name none.",
                "Use pg_autoctl enable ssl first.");
}

Result<void> CheckCertificates(const Config &config) {
    // PostgreSQL would refuse its pg_hba.conf.
    const bool has_ca = config.ssl_active && !config.ssl_ca_file.empty();
    if (config.auth_method != "cert" || has_ca) return {};
    return Fail(ProblemCode::kBadConfig, "authentication method cert needs a CA",
                "Certificates of clients are compared with those that \"ssl.ca_file\" holds.",
                "Give --ssl-ca-file, with --server-cert and --server-key.");
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
    if (auto good = CheckCertificates(config); !good) return good;
    if (auto good = CheckHttp(config); !good) return good;
    if (auto known = core::ParseFingerprints(config.monitor_fingerprint); !known)
        return Bad("monitor.fingerprint", config.monitor_fingerprint, known.error().detail);
    for (const std::string &text : {config.listen_addresses, config.pg_host, config.pg_ctl,
                                    config.replication_password, config.maximum_backup_rate}) {
        if (text.find_first_of("\r\n\"") != std::string::npos)
            return Fail(ProblemCode::kBadConfig,
                        "values must not contain line breaks or double quotes");
    }
    return {};
}

}  // namespace pgaf::node
