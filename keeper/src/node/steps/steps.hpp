#pragma once

#include <atomic>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "node/config.hpp"
#include "node/pg_setup.hpp"
#include "supervisor/steps.hpp"

/// What the steps do to files and programs. Their order is in supervisor/steps.cpp; they block and
/// run in a thread of their own, `cancel` ends them early.
namespace pgaf::node {

/// How far a copy has come, in kB: told by the thread of a step, read by the loop.
struct SharedProgress {
    std::atomic<std::int64_t> done = 0, total = 0, per_second = 0;
};

struct StepContext {
    Config config;
    Paths paths;
    io::PgInstall install;
    core::KeeperConfig keeper;
    supervisor::StepInput input;
    io::Cancel *cancel = nullptr;
    SharedProgress *progress = nullptr;
    [[nodiscard]] std::span<const core::Peer> Peers() const;
};

/// A new cluster in PGDATA, or the one that is there; returns the system identifier. `lock` is
/// held.
/// `note` gets what had to change in it.
Result<std::uint64_t> InitPrimary(const StepContext &context, io::DirectoryLock &lock,
                                  std::string &note);

/// Starts a server on a standby's data, with a configuration of ours that nobody reaches, and stops
/// it: why it could not; none when it could, or when that has other reasons than the data. `lock`
/// is held, and is held again afterwards.
std::optional<std::string> FindDamage(const StepContext &context, io::DirectoryLock &lock);

/// The marker outside PGDATA says which work was interrupted.
bool HasMarker(const Paths &paths);
Result<void> SetMarker(const Paths &paths, std::string_view what);
Result<void> ClearMarker(const Paths &paths);

/// Copies the WAL that `identity`'s history does not have to a directory beside PGDATA; the last
/// few are kept. Returns in words what is discarded. PostgreSQL must be down.
std::string KeepDiscardedWal(const StepContext &context, const supervisor::SourceIdentity &identity,
                             const supervisor::ControlFacts &control);
std::string DiscardedDirectory(const Paths &paths);

/// Archives what an old primary had not: nobody else will, and the archive would have a gap.
void ArchiveReadyWal(const StepContext &context);

/// Connection string without a password; that goes through the environment.
std::string UpstreamConninfo(const StepContext &context, const core::Peer &peer,
                             const std::string &database);
std::vector<std::pair<std::string, std::string>> CopyEnv(const StepContext &context);

}  // namespace pgaf::node
