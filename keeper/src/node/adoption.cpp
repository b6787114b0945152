#include "node/adoption.hpp"

#include <spdlog/spdlog.h>

#include <array>

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

void SayWhatChanged(const ConfiguredValues &before, const ConfiguredValues &after) {
    bool has_changed = false;
    for (const auto &[name, value] : after) {
        const auto old = before.find(name);
        if (old == before.end() || old->second == value) continue;
        has_changed = true;
        spdlog::info("Changed the setting \"{}\" from \"{}\" to \"{}\"", name, old->second, value);
    }
    if (!has_changed) spdlog::info("No setting of PostgreSQL had to change");
}

}  // namespace pgaf::node
