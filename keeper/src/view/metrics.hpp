#pragma once

#include <string>

#include "view/cluster_view.hpp"
#include "view/local_view.hpp"

/// Prometheus' text format, version 0.0.4: names begin with pgautofailover_, units are seconds and
/// bytes, what only grows ends in _total. Pure.
///
/// Source: Prometheus' documentation, "Exposition formats" and "Metric and label naming".
namespace pgaf::view {

/// What a data node knows of itself; the monitor is not asked.
std::string NodeMetrics(const LocalView &local);
/// What the monitor knows of all its groups; null: its PostgreSQL does not answer.
std::string MonitorMetrics(const LocalView &local, const ClusterView *view);

}  // namespace pgaf::view
