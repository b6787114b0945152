#include "node/adoption.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <array>
#include <set>
#include <sstream>

#include "io/network.hpp"
#include "io/process.hpp"

namespace pgaf::node {
namespace {

constexpr Milliseconds kToolLimit{30'000};

constexpr std::array kNames{"shared_preload_libraries",
                            "wal_level",
                            "wal_log_hints",
                            "hot_standby",
                            "restart_after_crash",
                            "max_wal_senders",
                            "max_replication_slots",
                            "wal_sender_timeout",
                            "wal_receiver_timeout",
                            "wal_receiver_status_interval",
                            "synchronous_standby_names",
                            "primary_conninfo",
                            "primary_slot_name",
                            "recovery_target_timeline",
                            "recovery_target",
                            "recovery_target_lsn",
                            "recovery_target_name",
                            "recovery_target_time",
                            "recovery_target_xid",
                            "port",
                            "listen_addresses",
                            "unix_socket_directories",
                            "password_encryption",
                            "ssl",
                            "ssl_cert_file",
                            "ssl_key_file",
                            "ssl_ca_file",
                            "ssl_crl_file",
                            "ssl_ciphers",
                            "logging_collector",
                            "log_destination",
                            "log_directory",
                            "log_lock_waits",
                            "hot_standby_feedback",
                            "wal_keep_size",
                            "max_slot_wal_keep_size"};

}  // namespace

ConfiguredValues ReadConfigured(const io::PgInstall &install, const std::string &pgdata,
                                const std::vector<std::string> &options) {
    ConfiguredValues values;
    for (const std::string name : kNames) {
        std::vector<std::string> argv{install.Tool("postgres"), "-D", pgdata, "-C", name};
        argv.insert(argv.end(), options.begin(), options.end());
        auto outcome =
            io::Run({.argv = std::move(argv), .env = {{"LC_ALL", "C"}}, .timeout = kToolLimit});
        if (!outcome || outcome->status != 0) continue;
        std::string value = outcome->out;
        while (value.ends_with('\n'))
            value.pop_back();
        values[name] = core::RedactConninfo(value);
    }
    return values;
}

std::string SayWhatChanged(const ConfiguredValues &before, const ConfiguredValues &after) {
    std::string all;
    for (const auto &[name, value] : after) {
        const auto old = before.find(name);
        if (old == before.end() || old->second == value) continue;
        all += fmt::format("{}\"{}\" from \"{}\" to \"{}\"", all.empty() ? "" : ", ", name,
                           old->second, value);
        spdlog::info("Changed the setting \"{}\" from \"{}\" to \"{}\"", name, old->second, value);
    }
    if (all.empty()) spdlog::info("No setting of PostgreSQL had to change");
    return all.empty() ? all : "Settings of PostgreSQL that had to change: " + all;
}

std::optional<std::string> SayWhoCannotConnect(const Config &config, const std::string &listens) {
    std::set<std::string> own{config.hostname};
    if (const std::string address = io::ResolveNow(config.hostname); !address.empty())
        own.insert(address);
    std::stringstream list(listens);
    for (std::string one; std::getline(list, one, ',');) {
        one.erase(0, one.find_first_not_of(" \""));
        one.erase(one.find_last_not_of(" \"") + 1);
        const std::string address = one.empty() ? one : io::ResolveNow(one);
        const bool is_heard = one == "*" || one == "0.0.0.0" || one == "::" || own.contains(one) ||
                              (!address.empty() && own.contains(address));
        if (is_heard) return std::nullopt;
    }
    return fmt::format("PostgreSQL listens on \"{}\" only: other nodes cannot connect to \"{}\"",
                       listens, config.hostname);
}

}  // namespace pgaf::node
