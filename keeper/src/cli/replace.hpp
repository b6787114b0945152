#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "io/pg_client.hpp"
#include "node/config.hpp"

/// A node that is created under the name, or at the address, of one that the monitor knows already.
namespace pgaf::cli {

struct Namesake {
    std::int64_t id = 0;
    std::string name;
    std::string host;
    std::string port;
    std::string state;
    std::string silent_s;       ///< since its last report; empty: it has not reported
    std::string sign;           ///< of life, in words; empty: there is none
    bool is_unlimited = false;  ///< it was granted writes without a limit of time
};

Result<std::optional<Namesake>> FindNamesake(io::PgClient &monitor, const node::Config &config);
/// Why the new node cannot be registered, and what to do.
Problem ExplainNamesake(const Namesake &namesake);
/// Drops the old one, which must be silent for certain: its session has ended, its port does not
/// answer, and its lease is over.
Result<void> Replace(io::PgClient &monitor, const Namesake &namesake);

}  // namespace pgaf::cli
