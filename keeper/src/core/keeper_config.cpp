#include "pgaf/core/keeper_config.hpp"

#include <charconv>

#include "key_value.hpp"

namespace pgaf::core {
namespace {

/// Text members by their key, for both directions.
template <typename Config, typename Fn>
void ForEachText(Config &config, Fn fn) {
    fn("monitor", config.monitor_conninfo);
    fn("formation", config.formation);
    fn("name", config.name);
    fn("host", config.host);
    fn("pgdata", config.pgdata);
    fn("monitor_host", config.monitor_host);
    fn("lan_networks", config.lan_networks);
    fn("auth_method", config.auth_method);
    fn("ssl_mode", config.ssl_mode);
    fn("channel_binding", config.channel_binding);
    fn("ssl_ca_file", config.ssl_ca_file);
    fn("ssl_crl_file", config.ssl_crl_file);
    fn("replication_password", config.replication_password);
    fn("passfile", config.passfile);
    fn("dbname", config.dbname);
    fn("username", config.username);
}

template <typename Config, typename Fn>
void ForEachNumber(Config &config, Fn fn) {
    fn("group", config.group);
    fn("node_id", config.node.value);
    fn("port", config.port);
}

}  // namespace

Result<std::string> Encode(const KeeperConfig &config) {
    std::string text = "# Written by pg_autoctl; changes are overwritten.\n";
    std::string offender;
    ForEachText(config, [&](std::string_view key, const std::string &value) {
        if (value.find_first_of("\r\n") != std::string::npos) offender = key;
        PutLine(text, key, value);
    });
    if (!offender.empty()) {
        return Fail(ProblemCode::kBadConfig, "\"" + offender + "\" contains a line break");
    }
    ForEachNumber(config, [&](std::string_view key, auto value) {
        PutLine(text, key, std::to_string(value));
    });
    PutLine(text, "ssl", config.ssl ? "1" : "0");
    return text;
}

Result<KeeperConfig> DecodeKeeperConfig(std::string_view text) {
    const auto values = ReadLines(text);
    KeeperConfig config;
    std::string problem;
    ForEachText(config, [&](std::string_view key, std::string &value) {
        if (const auto it = values.find(key); it != values.end()) value = it->second;
    });
    ForEachNumber(config, [&](std::string_view key, auto &value) {
        const auto it = values.find(key);
        if (it == values.end()) {
            problem = "\"" + std::string(key) + "\" is missing";
            return;
        }
        const char *end = it->second.data() + it->second.size();
        const auto [stop, error] = std::from_chars(it->second.data(), end, value);
        if (error != std::errc{} || stop != end)
            problem = "\"" + std::string(key) + "\" is not a number";
    });
    const auto ssl = values.find("ssl");
    config.ssl = ssl != values.end() && ssl->second == "1";
    if (!problem.empty()) return Fail(ProblemCode::kCorrupt, "invalid keeper.conf: " + problem);
    return config;
}

}  // namespace pgaf::core
