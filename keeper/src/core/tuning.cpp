#include "pgaf/core/tuning.hpp"

#include <algorithm>
#include <array>

#include "pgaf/core/lines.hpp"
#include "pgaf/core/pg_files.hpp"

namespace pgaf::core {
namespace {

constexpr std::uint64_t kMb = 1ULL << 20;
constexpr std::string_view kTunedMark =
    "# Tuned to this machine, anew before each start; --no-tune of create postgres leaves it "
    "out.\n";

struct Default {
    std::string_view name;
    std::string_view value;
    std::string_view why;
};

constexpr std::array kForAll{
    Default{"listen_addresses", "*", "the other nodes and the monitor connect"},
    Default{"logging_collector", "on", ""},
    Default{"log_destination", "stderr", ""},
    Default{"log_directory", "log", ""},
};

constexpr std::array kForNodes{
    Default{"log_lock_waits", "on", ""},
    Default{"hot_standby_feedback", "on", "queries on a standby are not cancelled"},
    Default{"wal_keep_size", "512MB", "a short absence needs no new copy"},
};

/// Only ciphers with forward secrecy and authenticated encryption.
constexpr Default kCiphers{"ssl_ciphers", "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM",
                           "TLS 1.2; those of 1.3 are all as good"};

void Put(std::string &text, const Default &one) {
    text.append(one.name).append(" = ").append(QuoteSetting(one.value));
    if (!one.why.empty()) text.append("  # ").append(one.why);
    text.append("\n");
}

std::string Mb(std::uint64_t megabytes) { return std::to_string(megabytes) + "MB"; }

void TuneMemory(std::uint64_t memory_mb, std::vector<PostgresSetting> &tuned) {
    constexpr std::uint64_t kSessions = 100;
    constexpr std::uint64_t kOperations = 3;
    const std::uint64_t shared = std::clamp<std::uint64_t>(memory_mb / 4, 32, 32 * 1024);
    const std::uint64_t rest = memory_mb - std::min(memory_mb, shared);
    tuned.push_back({"shared_buffers", Mb(shared)});
    tuned.push_back({"effective_cache_size", Mb(std::max(shared, memory_mb * 3 / 4))});
    tuned.push_back(
        {"work_mem", Mb(std::clamp<std::uint64_t>(rest / kSessions / kOperations, 4, 256))});
    tuned.push_back(
        {"maintenance_work_mem", Mb(std::clamp<std::uint64_t>(memory_mb / 20, 64, 1024))});
}

/// The sizes among them are never below PostgreSQL's own, which the other nodes may have.
void TuneProcesses(int cpus, std::vector<PostgresSetting> &tuned) {
    const int per_gather = std::clamp(cpus / 2, 1, 4);
    tuned.push_back({"max_worker_processes", std::to_string(std::max(8, cpus + 4))});
    tuned.push_back({"max_parallel_workers", std::to_string(std::max(2, cpus))});
    tuned.push_back({"max_parallel_workers_per_gather", std::to_string(per_gather)});
    tuned.push_back({"max_parallel_maintenance_workers", std::to_string(per_gather)});
    tuned.push_back({"autovacuum_max_workers", std::to_string(std::clamp(cpus / 2, 3, 6))});
}

void TuneWal(std::uint64_t disk_mb, std::vector<PostgresSetting> &tuned) {
    const std::uint64_t most = std::clamp<std::uint64_t>(disk_mb / 20, 512, 16 * 1024);
    tuned.push_back({"max_wal_size", Mb(most)});
    tuned.push_back({"min_wal_size", Mb(std::max<std::uint64_t>(80, most / 4))});
}

bool Sets(std::string_view line, std::string_view name) {
    return line.starts_with(name) && line.size() > name.size() &&
           (line.at(name.size()) == ' ' || line.at(name.size()) == '=');
}

/// Calls `visit` with every line, without its end.
template <typename Visit>
void ForEachLine(std::string_view text, Visit visit) {
    while (!text.empty()) {
        visit(TakeLine(text));
    }
}

}  // namespace

std::vector<PostgresSetting> TunedSettings(const Machine &machine) {
    std::vector<PostgresSetting> tuned;
    if (machine.memory_bytes > 0) TuneMemory(machine.memory_bytes / kMb, tuned);
    if (machine.cpus > 0) TuneProcesses(machine.cpus, tuned);
    if (machine.disk_bytes > 0) TuneWal(machine.disk_bytes / kMb, tuned);
    tuned.push_back({"checkpoint_timeout", "10min"});
    tuned.push_back({"autovacuum_vacuum_cost_limit", "1000"});
    tuned.push_back({"autovacuum_naptime", "30s"});
    return tuned;
}

std::string DefaultsText(const Defaults &defaults) {
    std::string text =
        "# Written by pg_autoctl; changes are overwritten. These are defaults: what "
        "postgresql.conf\n"
        "# says below its first line wins.\n";
    for (const Default &one : kForAll)
        Put(text, one);
    if (defaults.ssl) Put(text, kCiphers);
    if (defaults.is_monitor) return text;
    for (const Default &one : kForNodes)
        Put(text, one);
    text.append("max_slot_wal_keep_size = '").append(std::to_string(defaults.slot_wal_mb));
    text.append("MB'  # a dead standby must not fill the disk\n");
    if (defaults.tuned.empty()) return text;
    text.append("\n").append(kTunedMark);
    for (const PostgresSetting &one : defaults.tuned)
        text.append(one.name).append(" = ").append(QuoteSetting(one.value)).append("\n");
    return text;
}

bool IsTuned(std::string_view defaults_text) {
    return defaults_text.find(kTunedMark) != std::string_view::npos;
}

std::string EnsureDefaultsInclude(std::string_view postgresql_conf) {
    std::string out = "include_if_exists '" + std::string(kDefaultsFile) +
                      "' # Auto-generated by pg_auto_failover: defaults, what follows wins\n";
    ForEachLine(postgresql_conf, [&out](std::string_view line) {
        const bool is_ours =
            line.starts_with("include") && line.find(kDefaultsFile) != std::string_view::npos;
        if (!is_ours) out.append(line).append("\n");
    });
    return out;
}

std::string WithoutInitdbChoices(std::string_view postgresql_conf) {
    constexpr std::array<std::string_view, 3> kChosen{"shared_buffers", "max_wal_size",
                                                      "min_wal_size"};
    std::string out;
    ForEachLine(postgresql_conf, [&](std::string_view line) {
        const bool is_chosen = std::any_of(kChosen.begin(), kChosen.end(),
                                           [line](auto name) { return Sets(line, name); });
        if (is_chosen) out.append("#");
        out.append(line).append("\n");
    });
    return out;
}

}  // namespace pgaf::core
