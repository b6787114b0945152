#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "pgaf/core/sync_set.hpp"
#include "pgaf/core/timeline.hpp"
#include "supervisor/facts.hpp"

/// A data directory: what of a server survives its death, and can be copied.
namespace pgaf::sim {

/// The WAL is made of units; a record takes one or more. A position is one more than the number of
/// units before it, so that an LSN is never 0.
struct Unit {
    std::int64_t record = 0;
    bool ends = true;  ///< the last unit of its record
};

/// Positions are comparable on one lineage only.
struct Wal {
    std::vector<Unit> units;
    int timeline = 1;
    core::TimelineHistory history;
    [[nodiscard]] core::Lsn End() const { return {1 + units.size()}; }
    /// At the last record that is whole.
    void CutIncompleteRecord();
};
constexpr core::Lsn LsnOf(std::size_t units) { return {1 + units}; }
constexpr std::size_t UnitsOf(core::Lsn lsn) { return lsn.value == 0 ? 0 : lsn.value - 1; }

/// Streaming begins at the start of a segment, whatever the standby has of it already.
inline constexpr std::size_t kSegmentUnits = 64;

/// The timeline, and the history, of a standby whose WAL ends at `end` and comes from `from`.
void SetLineage(Wal &to, const Wal &from);

struct Control {
    supervisor::ClusterState state = supervisor::ClusterState::kShutDown;
    int timeline = 1;
    std::size_t checkpoint = 0;
    std::size_t min_recovery = 0;
    [[nodiscard]] bool IsShutDown() const {
        return state == supervisor::ClusterState::kShutDown ||
               state == supervisor::ClusterState::kShutDownInRecovery;
    }
};

struct Slot {
    std::size_t restart = 0;
    bool holds_xmin = false;
};

/// What operators and other tools have done to the configuration, beyond what its files say.
struct Conf {
    bool has_syntax_error = false;
    bool prevents_start = false;  ///< lower than the primary's, or misspelt
};

struct Cluster {
    std::uint64_t system_identifier = 0;
    Wal wal;
    std::size_t durable = 0;  ///< units that a crash does not take away
    std::size_t applied = 0;  ///< units whose effects the data files hold
    /// The data files come from this WAL, and `wal` was overwritten with another one since: replay
    /// finds no record that fits.
    std::optional<std::vector<Unit>> data_fork;
    std::size_t consistent_at = 0;  ///< a copy is whole from here on
    bool standby_signal = false;
    bool promote_signal = false;
    Control control;
    std::map<std::string, Slot> slots;
    std::map<std::string, std::string> files;  ///< by path
    Conf conf;
    std::vector<std::string> options;  ///< postmaster.opts: the last server's command line
    std::int64_t lock = 0;             ///< postmaster.pid of this supervisor's process; 0: none
    bool is_fresh_copy = false;        ///< has a backup_label
    bool breaks_replay = false;        ///< recovery comes across what it cannot read, and PANICs

    [[nodiscard]] bool IsStuck() const { return data_fork.has_value(); }
    /// The end of the last record that was replayed as a whole.
    [[nodiscard]] std::size_t Replayed() const;
    /// What the data files hold.
    [[nodiscard]] std::vector<Unit> Data() const;
    [[nodiscard]] bool HasHistory(int timeline) const;
    void WriteHistory(int timeline, const core::TimelineHistory &history);
    /// What a crash of the process leaves.
    void LoseUnflushed();
    /// Recovery has read to the end: what does not fit is no part of the WAL.
    void EndRecovery();
};

/// Where the checkpoint's record begins, which the control file names: its end is what was applied.
constexpr std::size_t StartOfLast(const Cluster &cluster) {
    return cluster.applied == 0 ? 0 : cluster.applied - 1;
}

/// The names of synchronous_standby_names. A name that is not a node's is kept as node 0.
struct SyncNames {
    int k = 0;
    std::vector<core::NodeId> members;
    [[nodiscard]] bool Contains(core::NodeId node) const {
        return node.IsValid() && std::find(members.begin(), members.end(), node) != members.end();
    }
};
/// What a process has read.
struct Settings {
    bool has_module = false;
    std::string conninfo;
    std::string slot;
    core::Milliseconds retry{5000};  ///< wal_retrieve_retry_interval
    std::string upstream_mark = "unset";
    std::string sync_names;
    SyncNames names;  ///< the same
    std::string sync_mark;
};
Settings ReadSettings(const Cluster &cluster);
/// As ALTER SYSTEM, or a tool that knows the file, does.
void SetAutomatically(Cluster &cluster, const std::string &name, const std::string &value);
/// A command line beats every file.
bool LoadModule(const std::vector<std::string> &options);

SyncNames ParseSyncNames(const std::string &setting);

/// A keyword of a connection string that holds no quotes.
std::string Keyword(const std::string &conninfo, const std::string &name);

inline const std::string kNodeDirectory = "/n";
inline const std::string kDataDirectory = "/d";
inline const std::string kMainFile = kDataDirectory + "/postgresql.conf";
inline const std::string kAutomaticFile = kDataDirectory + "/postgresql.auto.conf";
std::string HistoryPath(int timeline);

}  // namespace pgaf::sim
