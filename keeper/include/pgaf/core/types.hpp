#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pgaf::core {

using Milliseconds = std::chrono::milliseconds;

/// An instant on one machine's CLOCK_BOOTTIME. Instants of different machines are never compared.
struct BootTime {
    std::int64_t ns = 0;
    friend constexpr auto operator<=>(BootTime, BootTime) = default;
    friend constexpr BootTime operator+(BootTime at, Milliseconds by) {
        return {at.ns + std::chrono::nanoseconds(by).count()};
    }
    /// Difference rounded towards zero.
    friend constexpr Milliseconds operator-(BootTime a, BootTime b) {
        return std::chrono::duration_cast<Milliseconds>(std::chrono::nanoseconds(a.ns - b.ns));
    }
};

/// Later than every instant: a gate that is open without a limit.
inline constexpr BootTime kForever{INT64_MAX};

/// Primary key of `pgautofailover.node`; 0 is "none".
struct NodeId {
    std::int64_t value = 0;
    friend constexpr auto operator<=>(NodeId, NodeId) = default;
    [[nodiscard]] constexpr bool IsValid() const { return value > 0; }
};

/// A byte position in the WAL; 0 is "unknown".
struct Lsn {
    std::uint64_t value = 0;
    friend constexpr auto operator<=>(Lsn, Lsn) = default;
    [[nodiscard]] constexpr bool IsValid() const { return value != 0; }
};

/// "16/B374D848", PostgreSQL's text form.
std::string ToString(Lsn lsn);
std::optional<Lsn> ParseLsn(std::string_view text);

/// Absolute difference in bytes.
constexpr std::uint64_t Distance(Lsn a, Lsn b) {
    return a.value > b.value ? a.value - b.value : b.value - a.value;
}

/// The name of a node's replication slot and application_name: pgautofailover_standby_<id>.
std::string StandbyName(NodeId id);
std::optional<NodeId> ParseStandbyName(std::string_view name);

inline constexpr std::string_view kReplicatorRole = "pgautofailover_replicator";
inline constexpr std::string_view kHealthRole = "pgautofailover_monitor";
inline constexpr std::string_view kMonitorRole = "autoctl_node";
inline constexpr std::string_view kOperatorRole = "autoctl_operator";
inline constexpr std::string_view kReaderRole = "autoctl_reader";
inline constexpr std::string_view kNodeSecretSetting = "pgautofailover.node_secret";
inline constexpr std::string_view kMonitorOwner = "autoctl";
inline constexpr std::string_view kMonitorDatabase = "pg_auto_failover";

}  // namespace pgaf::core
