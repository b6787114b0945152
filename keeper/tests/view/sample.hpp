#pragma once

#include "view/answer.hpp"
#include "worker/gate_rules.hpp"

/// A primary and a standby as they usually are.
namespace pgaf::view::sample {

inline core::BootTime At(std::int64_t ms) { return {ms * 1'000'000}; }

inline LocalView Node() {
    LocalView local;
    local.identity = {.name = "a", .formation = "default", .group = 0, .version = "3.2"};
    local.now = At(100'000);
    local.loop_beat = At(99'500);
    local.server = ServerProcess::kRuns;
    core::NodeStatus status;
    status.written_at = At(99'800);
    status.node = 1;
    status.admits_sessions = true;
    status.timeline = 3;
    status.lsn = {0x5000};
    status.server_version = 150020;
    status.system_identifier = 77;
    status.monitor_answered_at = At(99'750);
    status.reports = 12;
    status.term = 2;
    local.status = status;
    return local;
}

inline LocalView Primary() {
    LocalView local = Node();
    core::NodeStatus &status = *local.status;
    status.in_recovery = false;
    status.state = status.goal = core::NodeState::kPrimary;
    status.fence = static_cast<std::uint32_t>(worker::Fence::kOpen);
    status.deadline = At(102'500);
    status.sync_wanted = 1;
    status.sync_members = 1;
    status.sync_streaming = 1;
    status.standbys_streaming = 1;
    status.sync_is_confirmed = true;
    status.slot_limit_bytes = 1 << 30;
    return local;
}

inline LocalView Standby() {
    LocalView local = Node();
    local.identity.name = "b";
    core::NodeStatus &status = *local.status;
    status.node = 2;
    status.state = status.goal = core::NodeState::kSecondary;
    status.in_recovery = true;
    status.streams = true;
    status.sender_end = {0x5000};
    status.replay_lsn = {0x4000};
    return local;
}

inline NodeRow Row(std::int64_t id, std::string name, core::NodeState state) {
    NodeRow row;
    row.id = {id};
    row.name = std::move(name);
    row.host = "10.0.0." + std::to_string(id);
    row.port = 5432;
    row.formation = "default";
    row.reported = row.goal = state;
    row.health = 1;
    row.has_report = true;
    row.is_running = true;
    row.timeline = 3;
    row.lsn = {0x5000};
    row.report_age = core::Milliseconds{250};
    row.lease_left = core::Milliseconds{0};
    row.session = "connected";
    row.probe = "alive";
    return row;
}

/// Node 1 is the primary; of 2 and 3 one must confirm; 4 does not count.
inline ClusterView Cluster() {
    ClusterView view;
    view.formations = {{.name = "default", .number_sync_standbys = 1}};
    view.groups = {{.formation = "default",
                    .group = 0,
                    .term = 2,
                    .sync_goal = {1, {{2}, {3}}},
                    .sync_confirmed = {1, {{2}, {3}}},
                    .is_sync_confirmed = true,
                    .primary = {1},
                    .candidate = {2},
                    .can_fail_over = true,
                    .reason = {}}};
    view.nodes = {Row(1, "a", core::NodeState::kPrimary), Row(2, "b", core::NodeState::kSecondary),
                  Row(3, "c", core::NodeState::kSecondary),
                  Row(4, "d", core::NodeState::kCatchingup)};
    view.nodes[0].lease_left = core::Milliseconds{2'500};
    view.nodes[1].replay_lsn = core::Lsn{0x4800};
    view.nodes[3].lsn = {0x1000};
    view.promotions = {{.id = 7,
                        .time = "2026-01-02T03:04:05.678Z",
                        .formation = "default",
                        .group = 0,
                        .node = {1},
                        .name = "a",
                        .reported = core::NodeState::kStopReplication,
                        .goal = core::NodeState::kWaitPrimary,
                        .timeline = 2,
                        .lsn = {0x3000},
                        .rule = "promote",
                        .reason = "the primary is gone",
                        .description = {}}};
    view.events_end = 40;
    return view;
}

/// The status code of a GET.
inline int CodeOf(std::string_view uri, const LocalView &local,
                  const ClusterView *cluster = nullptr) {
    const auto request = ParseRequest(Method::kGet, uri);
    return request ? AnswerTo(*request, local, cluster).code : 400;
}

}  // namespace pgaf::view::sample
