#pragma once

#include "pgaf/core/group_view.hpp"

/// The settings (GUCs) of the monitor, read at every use: SIGHUP takes effect at the next decision.
namespace pgaf::settings {

/// Postgres regime; from _PG_init only.
void DefineUnsafe();

/// Profile and overrides combined.
core::Timeouts CurrentTimeouts();

int MaxNodes();
bool HealthChecksEnabled();
core::Milliseconds HealthCheckPeriod();
core::Milliseconds HealthCheckTimeout();

}  // namespace pgaf::settings
