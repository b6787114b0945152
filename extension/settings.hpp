#pragma once

#include <string>

#include "pgaf/core/group_view.hpp"

/// The settings (GUCs) of the monitor, read at every use: SIGHUP takes effect at the next decision.
namespace pgaf::settings {

/// Postgres regime; from _PG_init only.
void DefineUnsafe();

/// Profile and overrides combined.
core::Timeouts CurrentTimeouts();

int MaxNodes();
/// Events that a node may have recorded in a minute.
int EventsPerMinute();
/// What this session has given as the secret of its node; empty: nothing.
std::string NodeSecret();
/// Whoever has role autoctl_node may ask for switchovers and the like in every formation.
bool NodeRoleMayOrder();
/// Off: keepers hear of changes with their next reports.
bool PushesChanges();
/// Off: requests for a failover of this session accept the loss of commits that nobody can vouch
/// for.
bool GuardsDataLoss();
bool GuardsMonitor();
/// Older events are removed; 0: none are.
core::Milliseconds EventRetention();
/// How fast the monitor probes addresses that it has not probed before.
int NewAddressesPerMinute();
/// A transaction of anybody but a superuser ends after this long; 0: it may last.
core::Milliseconds TransactionTimeout();
bool HealthChecksEnabled();
core::Milliseconds HealthCheckPeriod();
core::Milliseconds HealthCheckTimeout();

}  // namespace pgaf::settings
