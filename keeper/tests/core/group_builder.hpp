#pragma once

#include <gtest/gtest.h>

#include "pgaf/core/decide.hpp"
#include "pgaf/core/keeper_edges.hpp"

/// Groups of two nodes in well-known situations, for tests of the rules.
namespace pgaf::core::test {

inline constexpr NodeId kA{1};
inline constexpr NodeId kB{2};

inline NodeView MakeNode(NodeId id, NodeState state) {
    NodeView node;
    node.id = id;
    node.name = id == kA ? "a" : "b";
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
    view.Find(from)->report.standbys = {fact};
    view.Find(to)->report.receiver = {from, true, Milliseconds{10}, false};
}

/// a is primary with a lease, b its synchronous secondary.
inline GroupView Steady() {
    GroupView view;
    view.nodes = {MakeNode(kA, NodeState::kPrimary), MakeNode(kB, NodeState::kSecondary)};
    view.sync.goal = view.sync.confirmed = SyncSet{1, {kB}};
    view.sync.goal_version = view.sync.confirmed_version = 5;
    view.nodes[0].lease_left = Milliseconds{2800};
    view.nodes[0].report.lease_mode = true;
    view.nodes[0].report.sync_version = 5;
    Stream(view, kA, kB);
    return view;
}

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
}

}  // namespace pgaf::core::test
