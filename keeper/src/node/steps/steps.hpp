#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "io/pg_client.hpp"
#include "node/config.hpp"
#include "node/pg_setup.hpp"
#include "pgaf/core/protocol.hpp"

/// Long work with PostgreSQL down. Each step is restartable: run again after any interruption it
/// ends in the same place. They block and run in a thread of their own; `cancel` ends them early.
namespace pgaf::node {

struct StepContext {
    Config config;
    Paths paths;
    io::PgInstall install;
    core::NodeRecord record;
    core::KeeperConfig keeper;
    std::optional<core::Reply> reply;
    io::Cancel *cancel = nullptr;
    [[nodiscard]] std::span<const core::Peer> Peers() const;
};

/// Returns the system identifier.
Result<std::uint64_t> InitPrimary(const StepContext &context);
Result<std::uint64_t> Clone(const StepContext &context);
Result<std::uint64_t> Rejoin(const StepContext &context);

/// Text of the marker: which work was interrupted; none when PGDATA can be trusted.
std::optional<std::string> ReadMarker(const Paths &paths);
Result<void> SetMarker(const Paths &paths, std::string_view what);
Result<void> ClearMarker(const Paths &paths);

/// Where the new standby copies from and streams from.
Result<core::Peer> FindUpstream(const StepContext &context);


/// A replication connection to the upstream that can also run SQL.
class Upstream {
 public:
    static Result<Upstream> Connect(const StepContext &context, const core::Peer &peer);
    struct Identity {
        std::uint64_t system_identifier = 0;
        int timeline = 0;
        core::TimelineHistory history;
    };
    Result<Identity> Identify();
    /// Fails unless it accepts writes, or will once it is granted: it is not in recovery.
    Result<void> MustBePrimary();
    /// Makes sure that its control file shows its own timeline, without which pg_rewind compares
    /// the wrong histories.
    Result<void> EnsureCheckpoint(int timeline);
    void Checkpoint();

 private:
    explicit Upstream(io::PgClient client) : client_(std::move(client)) {}
    io::PgClient client_;
};

/// Connection string without a password; that goes through the environment.
std::string UpstreamConninfo(const StepContext &context, const core::Peer &peer);
std::vector<std::pair<std::string, std::string>> PasswordEnv(const StepContext &context);

}  // namespace pgaf::node
