#pragma once

#include <gtest/gtest.h>

#include "pgaf/core/decide.hpp"
#include "pgaf/core/keeper_edges.hpp"

/// Groups in well-known situations, for tests of the rules.
namespace pgaf::core::test {

inline constexpr NodeId kA{1};
inline constexpr NodeId kB{2};
inline constexpr NodeId kC{3};
inline constexpr NodeId kD{4};

inline NodeView MakeNode(NodeId id, NodeState state) {
    NodeView node;
    node.id = id;
    node.name = std::string(1, static_cast<char>('a' + id.value - 1));
    node.host = "127.0.0.1";
    node.port = 5000 + static_cast<int>(id.value);
    node.reported = node.goal = state;
    node.has_report = true;
    node.session = SessionFact::kConnected;
    node.probe = ProbeFact::kAlive;
    node.report.node = id;
    node.report.state = state;
    node.report.pg_running = true;
    node.report.timeline = 1;
    node.report.lsn = Lsn{0x3000000};
    node.report.in_recovery = IsStandby(state);
    return node;
}

inline void Stream(GroupView &view, NodeId from, NodeId to) {
    StandbyFact fact;
    fact.node = to;
    fact.streaming = true;
    fact.in_sync_set = true;
    fact.flush_lsn = view.Find(to)->report.lsn;
    std::erase_if(view.Find(from)->report.standbys,
                  [to](const StandbyFact &other) { return other.node == to; });
    view.Find(from)->report.standbys.push_back(fact);
    ReceiverFact &receiver = view.Find(to)->report.receiver;
    receiver = {};
    receiver.upstream = from;
    receiver.streaming = true;
    receiver.stream_age = Milliseconds{10};
}

/// a is primary with a lease; the others, `count` nodes in all, are its synchronous secondaries
/// (ANY k).
inline GroupView Steady(int count, int k = 1) {
    GroupView view;
    view.primary = kA;
    view.timeline = view.highest_timeline = 1;
    view.nodes = {MakeNode(kA, NodeState::kPrimary)};
    SyncSet set{k, {}};
    for (std::int64_t id = 2; id <= count; ++id) {
        view.nodes.push_back(MakeNode(NodeId{id}, NodeState::kSecondary));
        set.members.push_back(NodeId{id});
    }
    view.number_sync_standbys = count > 2 ? k : 0;
    view.sync.goal = view.sync.confirmed = set;
    view.sync.goal_version = view.sync.confirmed_version = 5;
    view.nodes[0].lease_left = Milliseconds{2800};
    view.nodes[0].report.lease_mode = true;
    view.nodes[0].report.sync_version = 5;
    for (const NodeId member : set.members)
        Stream(view, kA, member);
    return view;
}

/// a is primary with a lease, b its synchronous secondary.
inline GroupView Steady() { return Steady(2); }

/// Makes the node silent for that long, as a silent partition does.
inline void Silence(NodeView &node, Milliseconds age) {
    node.report_age = node.silent_age = age;
    node.lease_left = std::max(Milliseconds{0}, MonitorLease(Milliseconds{3000}) - age);
    node.probe = ProbeFact::kSilent;
}

/// As after SIGKILL of everything on a live host.
inline void LoseProcess(NodeView &node) {
    node.session = SessionFact::kLost;
    node.probe = ProbeFact::kRefused;
    node.probed_since_session_lost = true;
}

inline NodeState GoalAfter(const GroupView &view, NodeId id) {
    GroupView next = view;
    Apply(Decide(view), next);
    return next.Find(id)->goal;
}

/// The node reaches its goal and reports it.
inline void Reach(GroupView &view, NodeId id) {
    NodeView *node = view.Find(id);
    node->reported = node->report.state = node->goal;
    node->report.goal_version = node->goal_version;
}

/// The standby no longer receives from anybody, as when its upstream is gone.
inline void StopStream(GroupView &view, NodeId id) {
    view.Find(id)->report.receiver.streaming = false;
}

/// The node reaches its goal, and has durably stopped receiving.
inline void ReachSealed(GroupView &view, NodeId id, Lsn lsn = {}) {
    Reach(view, id);
    NodeView *node = view.Find(id);
    node->report.receiver.sealed = true;
    node->report.receiver.streaming = false;
    if (lsn.IsValid()) node->report.lsn = lsn;
}

/// The process of the primary is gone, and its standbys have noticed.
/// PostgreSQL of the primary is killed, and its supervisor says so.
inline void KillPrimary(GroupView &view) {
    NodeView &primary = *view.Find(view.primary);
    primary.report.holder = KeeperHolder::kSupervisor;
    primary.report.pg_running = false;
    primary.report.fenced = primary.proved_fenced = true;
    primary.lease_left = Milliseconds{0};
    for (NodeView &node : view.nodes) {
        if (node.id != view.primary) StopStream(view, node.id);
    }
}

inline Decision Advance(GroupView &view) {
    const Decision decision = Decide(view);
    EXPECT_FALSE(decision.exhausted) << DescribeLastMoves(decision);
    Apply(decision, view);
    return decision;
}

}  // namespace pgaf::core::test
