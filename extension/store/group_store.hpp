#pragma once

#include "pg/spi.hpp"

#include <optional>
#include <string>
#include <vector>

#include "pgaf/core/group_view.hpp"

/// Rows to structs and back. No decisions. Everything needs a Spi, and everything that writes needs
/// the lock of the group.
namespace pgaf::store {

struct GroupKey {
    std::string formation;
    int group = 0;
};

/// A row of pgautofailover.node that cannot change under us, or does not matter if it does: read
/// before the lock.
struct NodeAddress {
    core::NodeId node;
    GroupKey group;
    std::string host;
    int port = 0;
};

/// What a row says beyond the view.
struct NodeRow {
    core::NodeView view;
    int health = -1;
    std::optional<std::uint64_t> system_identifier;
    std::int64_t keeper_epoch = 0;
    std::int64_t keeper_instance = 0;
    int timeline = 1;
    core::Lsn lsn;
    std::string replication_state;
    bool pg_running = true;
    bool is_stalled = false;             ///< no synchronous standby confirms
    std::int64_t settings_version = 0;   ///< of PostgreSQL's settings that it is to have
    std::int64_t settings_reported = 0;  ///< that it has accepted; negative: that it refuses
    std::int64_t settings_mark = 0;      ///< of the state that it has reported last
    std::int64_t restart_of = 0;         ///< the server that is to be restarted
    bool is_restart_new = false;         ///< that was asked for not long ago
};

struct GroupRows {
    core::GroupView view;  ///< without its nodes
    std::vector<NodeRow> nodes;
};

/// Advisory locks, held until the end of the transaction. Formation before group, always.
void LockFormation(const std::string &formation);
void LockGroup(const GroupKey &key);

std::optional<NodeAddress> FindNode(core::NodeId node);
std::optional<NodeAddress> FindNodeByHost(const std::string &host, int port);
std::optional<NodeAddress> FindNodeByName(const std::string &formation, const std::string &name);

bool HasFormation(const std::string &formation);
/// Groups that have nodes, in ascending order.
std::vector<int> GroupsOf(const std::string &formation);
void UpdateNumberSyncStandbys(const std::string &formation, int number);

/// All that is stored about a group. Nothing for an unknown formation.
std::optional<GroupRows> LoadGroup(const GroupKey &key);

struct NewNode {
    GroupKey group;
    core::NodeId desired;  ///< invalid: the next number
    std::string name;      ///< empty: node_<id>
    std::string host;
    int port = 0;
    std::uint64_t system_identifier = 0;  ///< 0: unknown
    core::NodeState goal = core::NodeState::kInit;
    core::NodeState reported = core::NodeState::kInit;
    int candidate_priority = 100;
    bool replication_quorum = true;
    std::string cluster;
    std::string region;
};
core::NodeId InsertNode(const NewNode &node);

/// What a report changes in a row.
struct ReportedRow {
    core::NodeId node;
    core::NodeState state = core::NodeState::kInit;
    bool pg_running = false;
    int timeline = 0;                     ///< 0: keep
    core::Lsn lsn;                        ///< 0: keep
    std::uint64_t system_identifier = 0;  ///< 0: keep
    std::int64_t keeper_epoch = 0;
    std::int64_t keeper_instance = 0;
    std::string replication_state;  ///< empty: keep
};
void UpdateReported(const ReportedRow &row);
void UpdateGoal(core::NodeId node, core::NodeState goal, std::int64_t version);
/// The operator wants its data to be replaced by a copy of that number; 0: he does not.
void UpdateWantedCopy(core::NodeId node, std::int64_t copy);
void UpdateStall(core::NodeId node, bool is_stalled);
/// Remembers how the timeline of a node came to be; what is known already stays.
void AddTimelines(core::NodeId node, int timeline, const core::TimelineHistory &history);
void UpdateHealth(core::NodeId node, int health);
void DeleteNode(core::NodeId node);
void UpdateGroupState(const core::GroupView &view);

}  // namespace pgaf::store
