#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pgaf/core/node_state.hpp"
#include "pgaf/core/result.hpp"
#include "pgaf/core/sync_set.hpp"
#include "pgaf/core/types.hpp"

/// The cluster as its monitor sees it at one instant. Every face of it (JSON, metrics) is a
/// function of this. Pure.
namespace pgaf::view {

struct NodeRow {
    core::NodeId id;
    std::string name;
    std::string host;
    int port = 0;
    std::string formation;
    int group = 0;
    core::NodeState reported = core::NodeState::kUnknown;
    core::NodeState goal = core::NodeState::kUnknown;
    int health = -1;  ///< -1 unknown, 0 bad, 1 good
    int candidate_priority = 50;
    bool replication_quorum = true;
    bool has_report = false;  ///< since the monitor started
    bool is_running = false;  ///< its PostgreSQL, as it has reported
    int timeline = 0;
    core::Lsn lsn;
    std::optional<core::Lsn> replay_lsn{};  ///< of a standby that runs
    bool replay_paused = false;
    core::Milliseconds report_age{0};
    std::optional<core::Milliseconds> lease_left{};  ///< none: no limit
    core::Milliseconds stall{0};
    std::int64_t cancelled_waits = 0;
    std::int64_t unconfirmed_waits = 0;
    std::string session;  ///< none, connected, lost
    std::string probe;    ///< how its port answers
};

struct GroupRow {
    std::string formation;
    int group = 0;
    std::int64_t term = 0;
    core::SyncSet sync_goal;
    core::SyncSet sync_confirmed;
    bool is_sync_confirmed = false;
    core::NodeId primary;    ///< 0: none
    core::NodeId candidate;  ///< who would take over; 0: nobody
    bool can_fail_over = false;
    std::string reason;  ///< why not
};

struct FormationRow {
    std::string name;
    int number_sync_standbys = 0;
};

struct EventRow {
    std::int64_t id = 0;
    std::string time;  ///< ISO 8601, UTC
    std::string formation;
    int group = 0;
    core::NodeId node;
    std::string name;
    core::NodeState reported = core::NodeState::kUnknown;
    core::NodeState goal = core::NodeState::kUnknown;
    int timeline = 0;
    core::Lsn lsn;
    std::string rule;    ///< empty: no rule
    std::string reason;  ///< of the rule
    std::string description;
};

struct ClusterView {
    std::vector<FormationRow> formations;
    std::vector<GroupRow> groups;
    std::vector<NodeRow> nodes;
    std::vector<EventRow> events;      ///< the last ones, in their order
    std::vector<EventRow> promotions;  ///< those in which a node became the writer, in their order
    std::int64_t events_end = 0;       ///< number of the newest event there is

    [[nodiscard]] const GroupRow *FindGroup(std::string_view formation, int group) const;
    [[nodiscard]] const NodeRow *FindNode(core::NodeId id) const;
    [[nodiscard]] const NodeRow *PrimaryOf(const GroupRow &group) const;
};

/// What part a node has in the synchronous set that is in force.
enum class SyncRole {
    kUnknown,  ///< the set is just being changed
    kNone,
    kQuorum,  ///< some of the set, but not all, must confirm a commit
    kEvery,   ///< every member must
};
SyncRole SyncRoleOf(const ClusterView &view, const NodeRow &node);

/// WAL of the primary that the node has not received yet; none without a primary.
std::optional<std::uint64_t> ReceiveLag(const ClusterView &view, const NodeRow &node);

/// One statement; it puts the document, see ParseClusterView, into the setting kViewSetting of the
/// session, and returns its length. A second one reads it: while the rows are collected the groups
/// are locked, and no lock may wait for a client that reads slowly. $1: formation, empty for all;
/// $2: how many of the last events.
extern const char *const kClusterViewSql;
extern const char *const kReadViewSql;

core::Result<ClusterView> ParseClusterView(std::string_view json);

}  // namespace pgaf::view
