#pragma once

#include <string>

#include "io/common.hpp"

namespace pgaf::node {

/// Whether the cluster in `pgdata` can become the first node of a group: it is a primary, or a
/// backup whose recovery can be finished. kRefused with what to do otherwise.
Result<void> CheckAdoptable(const std::string &pgdata);

/// Debian keeps the configuration of its clusters below /etc/postgresql, by version and name. Where
/// it names `pgdata` as its data directory, PGDATA gets links to it.
Result<void> LinkConfiguration(const std::string &pgdata);

}  // namespace pgaf::node
