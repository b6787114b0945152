#pragma once

#include <map>
#include <optional>
#include <string>

#include "node/config.hpp"

/// What taking over a cluster changes in its configuration.
namespace pgaf::node {

using ConfiguredValues = std::map<std::string, std::string>;

/// What a server in PGDATA would use, with these words on its command line, of every setting that
/// pg_autoctl has to do with. A name that this version does not know is left out; so are secrets.
ConfiguredValues ReadConfigured(const io::PgInstall &install, const std::string &pgdata,
                                const std::vector<std::string> &options);
/// Says in the log which values are others than before; returns that in one sentence, empty when
/// none is.
std::string SayWhatChanged(const ConfiguredValues &before, const ConfiguredValues &after);
/// Why other nodes cannot reach a server that listens there; none when they can, or when that
/// cannot be told.
std::optional<std::string> SayWhoCannotConnect(const Config &config, const std::string &listens);

}  // namespace pgaf::node
