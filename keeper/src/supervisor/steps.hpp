#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pgaf/core/keeper_edges.hpp"
#include "pgaf/core/node_record.hpp"
#include "pgaf/core/protocol.hpp"
#include "pgaf/core/result.hpp"
#include "supervisor/facts.hpp"
#include "supervisor/log.hpp"

/// Long work with PostgreSQL down: how a node becomes a standby. Each step is restartable: run
/// again after any interruption it ends in the same place.
namespace pgaf::supervisor {

/// What a step knows when it begins.
struct StepInput {
    core::NodeRecord record;
    std::optional<core::Reply> reply;
    /// The upstream no longer has the WAL that this node needs.
    bool is_wal_gone = false;
    bool must_copy = false;  ///< these data are of no use
    /// PostgreSQL has failed to start on them several times: they may be damaged.
    bool has_failed_starts = false;
};

struct StepOutcome {
    /// The system identifier.
    core::Result<std::uint64_t> result = 0;
    /// What the operator and the monitor should know of the step, when there is something.
    std::string note{};
    bool is_replaced = false;  ///< the data are a new copy, or were rewound
};

/// PGDATA, or the copy beside it that is going to take its place.
enum class Place { kData, kCopy };

/// The single effects of the steps. Each may fail; each may be where the machine dies: the
/// simulation throws then, and nothing here catches it.
class StepEffects {
 public:
    virtual ~StepEffects() = default;
    /// Somebody asked that the step be given up.
    virtual bool IsCancelled() = 0;
    [[nodiscard]] virtual std::string DataDirectoryPath() const = 0;
    virtual DataDirectory InspectDataDirectory() = 0;
    virtual core::Result<ControlFacts> ReadControl(Place place) = 0;

    /// From now on PostgreSQL refuses to start in PGDATA, whoever tries: its postmaster.pid is
    /// ours, also in a copy that takes its place. kBadState while a server runs there. A lock whose
    /// holder has died holds nobody up.
    virtual core::Result<void> LockDirectory() = 0;
    virtual void UnlockDirectory() = 0;

    // The marker: with it neither the supervisor nor the module in the server starts PostgreSQL.
    virtual bool IsMarked() = 0;
    virtual core::Result<void> SetMarker(std::string_view what) = 0;
    virtual core::Result<void> ClearMarker() = 0;

    // A session with the node to follow; the others need the first. A new one replaces the last.
    virtual core::Result<void> Connect(const core::Peer &upstream) = 0;
    virtual core::Result<SourceIdentity> Identify() = 0;
    /// kBadState unless it accepts writes, or will once it is granted: it is not in recovery.
    virtual core::Result<void> MustBePrimary() = 0;
    /// Makes sure that its control file shows its own timeline, without which pg_rewind compares
    /// the wrong histories. kBadState while it does not.
    virtual core::Result<void> EnsureCheckpoint(int timeline) = 0;
    /// An attempt: not every version permits it.
    virtual void CheckpointSource() = 0;

    // The copy.
    virtual core::Result<void> RemoveCopy() = 0;
    virtual core::Result<void> TakeBaseBackup(const core::Peer &upstream) = 0;
    /// It has the upstream's settings, certificate and rules; afterwards those of this node.
    virtual core::Result<void> MakeCopyOurs(const core::Peer &upstream) = 0;
    /// The copy becomes PGDATA, and what was there the copy, at one stroke.
    virtual core::Result<void> ExchangeDirectories() = 0;

    // The old data.
    struct UsersSlot {
        std::string name{};
        bool is_logical = false;
    };
    /// Replication slots that are not of this group.
    virtual std::vector<UsersSlot> ListUsersSlots() { return {}; }
    virtual void ArchiveReadyWal() = 0;
    /// True unless it is certain that nothing was written on `timeline` at or beyond `fork`.
    virtual bool HasWalBeyond(int timeline, core::Lsn fork) = 0;
    /// Tries whether PostgreSQL can start on a standby's data at all, whatever its configuration
    /// says: why not; none when it can, or when that cannot be told.
    virtual std::optional<std::string> FindDamage() { return std::nullopt; }
    virtual core::Result<void> RemoveStandbySignal() = 0;
    virtual core::Result<void> RecoverInSingleUserMode() = 0;
    /// Copies what `identity`'s history does not have beside PGDATA; says what is discarded.
    virtual std::string KeepDiscardedWal(const SourceIdentity &identity,
                                         const ControlFacts &control) = 0;
    /// kBadState: the source lets nobody in just now, and nothing was changed.
    virtual core::Result<void> RunPgRewind(const core::Peer &upstream) = 0;
    /// Settings, rules, standby configuration, standby.signal.
    virtual core::Result<void> MakeStandby(const core::Peer &upstream) = 0;

    /// A new cluster, or one that is taken over; returns the system identifier.
    virtual core::Result<std::uint64_t> InitPrimary() = 0;
    /// What it had to change in a cluster that it has taken over, for the operator.
    virtual std::string TakeNote() { return {}; }
};

/// kInitPrimary, kClone or kRejoin, from its beginning to its end.
StepOutcome CarryOut(core::Step step, StepEffects &effects, Log &log, const StepInput &input);

/// Why a directory is left alone that holds something else than a cluster.
core::Problem ForeignDirectory(const std::string &path);

}  // namespace pgaf::supervisor
