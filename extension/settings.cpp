#include "pg/headers.hpp"

#include "settings.hpp"

#include <climits>

namespace pgaf::settings {
namespace {

enum Profile : int { kFast, kNormal, kWan };

const config_enum_entry kProfiles[] = {
    {"fast", kFast, false}, {"normal", kNormal, false}, {"wan", kWan, false}, {nullptr, 0, false}};

int profile = kNormal;
int lease_timeout_ms = 0;
int report_interval_ms = 0;
int unhealthy_timeout_ms = 0;
int drain_timeout_ms = 30'000;
int enable_sync_bytes = 16 * 1024 * 1024;
int promote_bytes = 16 * 1024 * 1024;
int replay_lag_bytes = 64 * 1024 * 1024;
int stall_timeout_ms = 8'000;
int health_check_period_ms = 1'000;
int health_check_timeout_ms = 1'000;
bool enable_health_checks = true;
bool guard_data_loss = true;
bool guard_monitor = true;
bool push_changes = true;
int event_retention_min = 30 * 24 * 60;
int new_addresses_per_minute = 60;
int transaction_timeout_ms = 10'000;
int max_nodes = 2048;
int events_per_minute = 120;
char *node_secret = nullptr;
bool node_role_may_order = true;

struct IntSetting {
    const char *name;
    const char *description;
    int *value;
    int boot;
    int minimum;
    int maximum;
    GucContext context;
    int flags;
};

const IntSetting kIntSettings[] = {
    {"pgautofailover.lease_timeout",
     "How long a primary may acknowledge writes without hearing from the monitor; 0: by profile.",
     &lease_timeout_ms, 0, 0, 600'000, PGC_SIGHUP, GUC_UNIT_MS},
    {"pgautofailover.report_interval",
     "How often keepers report when nothing happens; 0: by profile.", &report_interval_ms, 0, 0,
     60'000, PGC_SIGHUP, GUC_UNIT_MS},
    {"pgautofailover.node_considered_unhealthy_timeout",
     "A node that is silent for this long is lost; 0: by profile.", &unhealthy_timeout_ms, 0, 0,
     INT_MAX, PGC_SIGHUP, GUC_UNIT_MS},
    {"pgautofailover.drain_timeout",
     "A switchover that has not been decided after this long is called off.", &drain_timeout_ms,
     30'000, 1, INT_MAX, PGC_SIGHUP, GUC_UNIT_MS},
    {"pgautofailover.enable_sync_wal_log_threshold",
     "A standby that lags by more bytes than this does not become secondary.", &enable_sync_bytes,
     16 * 1024 * 1024, 1, INT_MAX, PGC_SIGHUP, GUC_UNIT_BYTE},
    {"pgautofailover.promote_wal_log_threshold",
     "A standby that lags by more bytes than this is not chosen for a switchover.", &promote_bytes,
     16 * 1024 * 1024, 1, INT_MAX, PGC_SIGHUP, GUC_UNIT_BYTE},
    {"pgautofailover.replay_lag_threshold",
     "A planned switchover is refused while its candidate has more bytes than this to replay.",
     &replay_lag_bytes, 64 * 1024 * 1024, 1, INT_MAX, PGC_SIGHUP, GUC_UNIT_BYTE},
    {"pgautofailover.stall_timeout",
     "WAL that waits for so long to be written, or to be replayed, counts as stuck.",
     &stall_timeout_ms, 8'000, 1'000, INT_MAX, PGC_SIGHUP, GUC_UNIT_MS},
    {"pgautofailover.health_check_period",
     "How often nodes are probed whose health is in doubt; others are probed five times less.",
     &health_check_period_ms, 1'000, 10, INT_MAX / 5, PGC_SIGHUP, GUC_UNIT_MS},
    {"pgautofailover.health_check_timeout", "How long a probe waits for an answer.",
     &health_check_timeout_ms, 1'000, 10, INT_MAX, PGC_SIGHUP, GUC_UNIT_MS},
    {"pgautofailover.event_retention", "Events older than this are removed; 0: none are.",
     &event_retention_min, 30 * 24 * 60, 0, INT_MAX / 60, PGC_SIGHUP, GUC_UNIT_MIN},
    {"pgautofailover.new_addresses_per_minute",
     "Addresses that were not probed before: so many are in a minute.", &new_addresses_per_minute,
     60, 1, INT_MAX, PGC_SIGHUP, 0},
    {"pgautofailover.transaction_timeout",
     "A transaction of anybody but a superuser that lasts longer is ended; 0: it may last.",
     &transaction_timeout_ms, 10'000, 0, INT_MAX, PGC_SIGHUP, GUC_UNIT_MS},
    {"pgautofailover.events_per_minute",
     "Events that one node may have recorded in a minute; others are only logged.",
     &events_per_minute, 120, 1, INT_MAX, PGC_SIGHUP, 0},
    {"pgautofailover.max_nodes", "Number of nodes that shared memory has room for.", &max_nodes,
     2048, 2, 1'000'000, PGC_POSTMASTER, 0},
};

struct ProfileValues {
    core::Milliseconds lease;
    core::Milliseconds report_interval;
    core::Milliseconds unhealthy;
};

ProfileValues ValuesOf(int chosen) {
    using core::Milliseconds;
    switch (chosen) {
        case kFast:
            return {Milliseconds{1'500}, Milliseconds{250}, Milliseconds{1'500}};
        case kWan:
            return {Milliseconds{10'000}, Milliseconds{1'000}, Milliseconds{15'000}};
        default:
            return {Milliseconds{3'000}, Milliseconds{500}, Milliseconds{3'000}};
    }
}

core::Milliseconds Override(int value_ms, core::Milliseconds otherwise) {
    return value_ms > 0 ? core::Milliseconds{value_ms} : otherwise;
}

}  // namespace

void DefineUnsafe() {
    DefineCustomEnumVariable(
        "pgautofailover.profile", "How quickly silence counts as failure: fast, normal or wan.",
        nullptr, &profile, kNormal, kProfiles, PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
    DefineCustomBoolVariable("pgautofailover.enable_health_checks",
                             "Probes the ports of the nodes from the monitor.", nullptr,
                             &enable_health_checks, true, PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
    DefineCustomBoolVariable("pgautofailover.guard_data_loss",
                             "Refuses a failover that may lose acknowledged commits.", nullptr,
                             &guard_data_loss, true, PGC_SUSET, 0, nullptr, nullptr, nullptr);
    DefineCustomBoolVariable(
        "pgautofailover.guard_monitor",
        "Refuses to drop the extension, its roles and its database while nodes are registered.",
        nullptr, &guard_monitor, true, PGC_SUSET, 0, nullptr, nullptr, nullptr);
    DefineCustomBoolVariable("pgautofailover.push_changes",
                             "Tells keepers at once that they should report.", nullptr,
                             &push_changes, true, PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
    DefineCustomBoolVariable(
        "pgautofailover.node_role_may_order",
        "Lets role autoctl_node ask for switchovers and the like in every formation.",
        "What may lose data is for autoctl_operator alone, whatever this says.",
        &node_role_may_order, true, PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
    DefineCustomStringVariable("pgautofailover.node_secret",
                               "The secret of the node that speaks in this session.", nullptr,
                               &node_secret, "", PGC_USERSET,
                               GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE |
                                   GUC_SUPERUSER_ONLY | GUC_NO_RESET_ALL,
                               nullptr, nullptr, nullptr);
    for (const IntSetting &s : kIntSettings) {
        DefineCustomIntVariable(s.name, s.description, nullptr, s.value, s.boot, s.minimum,
                                s.maximum, s.context, s.flags, nullptr, nullptr, nullptr);
    }
#if PG_VERSION_NUM >= 150000
    MarkGUCPrefixReserved("pgautofailover");
#else
    EmitWarningsOnPlaceholders("pgautofailover");
#endif
}

core::Timeouts CurrentTimeouts() {
    const ProfileValues base = ValuesOf(profile);
    core::Timeouts timeouts;
    timeouts.lease = Override(lease_timeout_ms, base.lease);
    timeouts.report_interval = Override(report_interval_ms, base.report_interval);
    timeouts.unhealthy = Override(unhealthy_timeout_ms, base.unhealthy);
    timeouts.drain = core::Milliseconds{drain_timeout_ms};
    timeouts.enable_sync_lag_bytes = static_cast<std::uint64_t>(enable_sync_bytes);
    timeouts.promote_lag_bytes = static_cast<std::uint64_t>(promote_bytes);
    timeouts.replay_lag_bytes = static_cast<std::uint64_t>(replay_lag_bytes);
    timeouts.stall = core::Milliseconds{stall_timeout_ms};
    return timeouts;
}

int EventsPerMinute() { return events_per_minute; }
std::string NodeSecret() { return node_secret != nullptr ? node_secret : ""; }
bool NodeRoleMayOrder() { return node_role_may_order; }
bool PushesChanges() { return push_changes; }
bool GuardsDataLoss() { return guard_data_loss; }
bool GuardsMonitor() { return guard_monitor; }
core::Milliseconds EventRetention() { return std::chrono::minutes(event_retention_min); }
int NewAddressesPerMinute() { return new_addresses_per_minute; }
core::Milliseconds TransactionTimeout() { return core::Milliseconds{transaction_timeout_ms}; }
int MaxNodes() { return max_nodes; }
bool HealthChecksEnabled() { return enable_health_checks; }
core::Milliseconds HealthCheckPeriod() { return core::Milliseconds{health_check_period_ms}; }
core::Milliseconds HealthCheckTimeout() { return core::Milliseconds{health_check_timeout_ms}; }

}  // namespace pgaf::settings
