#include "pgaf/core/leave.hpp"

#include <algorithm>
#include <array>

#include "pgaf/core/lines.hpp"
#include "pgaf/core/pg_files.hpp"

namespace pgaf::core {
namespace {

constexpr std::string_view kBegin = "# Kept by pg_auto_failover when this node was dropped:";
constexpr std::string_view kEnd = "# End of what pg_auto_failover has kept.";
constexpr std::string_view kOurFiles = "postgresql-auto-failover";

constexpr std::array<std::string_view, 11> kKept{"port",
                                                 "listen_addresses",
                                                 "unix_socket_directories",
                                                 "password_encryption",
                                                 "ssl",
                                                 "ssl_cert_file",
                                                 "ssl_key_file",
                                                 "ssl_ca_file",
                                                 "ssl_crl_file",
                                                 "max_wal_senders",
                                                 "max_replication_slots"};

bool IsKept(std::string_view line) {
    const std::string_view name = line.substr(0, line.find_first_of(" ="));
    return std::find(kKept.begin(), kKept.end(), name) != kKept.end();
}

}  // namespace

std::string WithoutKeptSettings(std::string_view postgresql_conf) {
    std::string out;
    bool is_inside = false;
    while (!postgresql_conf.empty()) {
        const std::string_view line = TakeLine(postgresql_conf);
        is_inside = is_inside || line == kBegin;
        if (!is_inside) out.append(line).append("\n");
        if (line == kEnd) is_inside = false;
    }
    return out;
}

std::string LeaveConfiguration(std::string_view postgresql_conf, std::string_view our_settings) {
    std::string out;
    bool was_there = false;
    const std::string conf = WithoutKeptSettings(postgresql_conf);
    for (std::string_view rest = conf; !rest.empty();) {
        const std::string_view line = TakeLine(rest);
        const bool is_ours = line.starts_with("include") && line.find(kOurFiles) != line.npos;
        was_there = was_there || is_ours;
        if (!is_ours) out.append(line).append("\n");
    }
    if (!was_there) return std::string(postgresql_conf);  // has left already
    out.append(kBegin).append("\n");
    while (!our_settings.empty()) {
        const std::string_view line = TakeLine(our_settings);
        if (IsKept(line)) out.append(line).append("\n");
    }
    return out.append(kEnd).append("\n");
}

}  // namespace pgaf::core
