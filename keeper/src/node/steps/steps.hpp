#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "io/pg_client.hpp"
#include "node/config.hpp"
#include "node/pg_setup.hpp"
#include "pgaf/core/protocol.hpp"
#include "pgaf/core/wal_files.hpp"

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
    /// The upstream no longer has the WAL that this node needs.
    bool is_wal_gone = false;
    /// What the operator and the monitor should know of the step, when there is something.
    std::string *note = nullptr;
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
        core::Lsn end;
        core::TimelineHistory history;
        std::uint64_t segment_bytes = core::kUsualSegmentBytes;
    };
    /// With a whole connection string, such as a standby's primary_conninfo.
    static Result<Upstream> Connect(const std::string &conninfo);
    Result<Identity> Identify();
    /// What it has to send.
    Result<core::UpstreamWal> ListWal();
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

/// Copies the WAL that `identity`'s history does not have to a directory beside PGDATA; the last
/// few are kept. Returns in words what is discarded. PostgreSQL must be down.
std::string KeepDiscardedWal(const StepContext &context, const Upstream::Identity &identity,
                             const io::ControlData &control);
std::string DiscardedDirectory(const Paths &paths);

/// Archives what an old primary had not: nobody else will, and the archive would have a gap.
void ArchiveReadyWal(const StepContext &context);

/// Connection string without a password; that goes through the environment.
std::string UpstreamConninfo(const StepContext &context, const core::Peer &peer);
std::vector<std::pair<std::string, std::string>> PasswordEnv(const StepContext &context);

}  // namespace pgaf::node
