#pragma once

#include "fake_world.hpp"

namespace pgaf::worker {

inline core::Peer PeerOf(std::int64_t node) {
    return {.node = {node},
            .name = "n" + std::to_string(node),
            .host = "10.0.0." + std::to_string(node),
            .port = 5432,
            .state = NodeState::kSecondary,
            .is_promotable = true,
            .lsn = {0x5000},
            .timeline = 1};
}

/// Node 1 of three, with ANY 1 of nodes 2 and 3.
inline const core::SyncSet kBothStandbys{.k = 1, .members = {{2}, {3}}};

inline core::KeeperConfig SomeConfig() {
    core::KeeperConfig config;
    config.monitor_conninfo = "host=monitor";
    config.node = {1};
    config.name = "a";
    config.host = "10.0.0.1";
    config.pgdata = "/data";
    config.auth_method = "trust";
    return config;
}

/// A Keeper in a world, and time that passes.
class Bench {
 public:
    FakeWorld world;

    /// What the disk of node 1 says.
    void SetRecord(NodeState state, bool had_peer = true) {
        world.files[kRecordFile] = core::Encode(core::NodeRecord{.node = {1},
                                                                 .state = state,
                                                                 .goal = state,
                                                                 .term = 4,
                                                                 .keeper_epoch = 10,
                                                                 .had_peer = had_peer,
                                                                 .system_identifier = 42});
        world.files[kConfigFile] = core::Encode(SomeConfig()).value();
    }
    [[nodiscard]] static core::Reply ReplyOf(NodeState goal) {
        core::Reply reply;
        reply.node = {1};
        reply.goal = goal;
        reply.term = 4;
        reply.lease = Milliseconds{3000};
        reply.sync_version = 1;
        reply.sync_names = core::ToSetting(kBothStandbys);
        reply.extension = {kBothStandbys};
        reply.peers = {PeerOf(2), PeerOf(3)};
        return reply;
    }
    [[nodiscard]] static core::Reply GrantOf(NodeState goal) {
        core::Reply reply = ReplyOf(goal);
        reply.grant = GrantKind::kTimed;
        return reply;
    }
    void MakeWritable() {
        world.facts.in_recovery = false;
        world.facts.slots_ready = true;
        world.facts.timeline = 1;
        world.facts.lsn = {0x5000};
        world.facts.redo_lsn = {0x4000};
        for (const std::int64_t node : {2, 3}) {
            world.AddSender(node, static_cast<int>(100 + node));
            world.AddSlot(node, true);
        }
        world.UseSet(kBothStandbys);
    }
    void MakeStandby() {
        world.facts.in_recovery = true;
        world.facts.slots_ready = true;
        world.facts.timeline = 1;
        world.facts.lsn = world.facts.replay_lsn = {0x5000};
        world.AddSlot(2, false);
        world.AddSlot(3, false);
        PointAt(2);
        world.facts.receiver = {.pid = 50,
                                .stopped = false,
                                .streaming = true,
                                .received_lsn = {0x5000},
                                .host = "10.0.0.2",
                                .port = 5432};
    }
    void PointAt(std::int64_t node) {
        const core::Peer peer = PeerOf(node);
        world.files[kStandbyPath] = core::StandbyText(SomeConfig(), &peer);
        world.facts.primary_conninfo = core::PrimaryConninfo(SomeConfig(), peer);
    }
    /// The receiver has ended, and what has arrived is known.
    void Seal() {
        world.facts.receiver.stopped = true;
        world.facts.receiver.streaming = false;
        world.facts.receives_nothing = true;
        world.facts.is_lsn_final = true;
    }
    void Begin() {
        keeper_.emplace("/node", PortsOf(world));
        Turn();
    }
    /// A primary with an open gate, and a monitor that has answered once.
    void BeginPrimary(NodeState state = NodeState::kPrimary) {
        SetRecord(state);
        MakeWritable();
        Begin();
        Answer(GrantOf(state));
        world.journal.clear();
        world.times.clear();
    }
    /// A standby that the monitor has told to stay one.
    void BeginStandby(NodeState state = NodeState::kSecondary) {
        SetRecord(state);
        MakeStandby();
        Begin();
        core::Reply reply = ReplyOf(state);
        reply.upstream = {2};
        Answer(reply);
        world.journal.clear();
        world.times.clear();
    }
    /// The monitor answers the last report.
    void Answer(core::Result<core::Reply> reply) {
        world.AnswerWith(std::move(reply));
        Turn();
    }
    /// An event wakes the worker.
    void Turn() {
        constexpr int kTurnsMax = 50;
        world.latch = true;
        for (int i = 0; i < kTurnsMax; ++i) {
            if (!std::exchange(world.latch, false) && !keeper_->HasMore()) return;
            try {
                keeper_->Iterate();
            } catch (const std::exception &) {
                keeper_->OnFailedIteration();
            }
        }
        ADD_FAILURE() << "the keeper wants turn after turn at the same instant";
    }
    void RunFor(Milliseconds time) {
        const BootTime end = world.now + time;
        while (keeper_->NextGlance() <= end) {
            world.now = std::max(world.now + Milliseconds{1}, keeper_->NextGlance());
            if (world.now > end) break;
            if (keeper_->NextWake() <= world.now || keeper_->Glance()) Turn();
        }
        world.now = end;
    }
    [[nodiscard]] const core::Report &LastReport() const { return world.sent.back(); }
    /// What it says when it is asked now.
    const core::Report &NextReport() {
        world.GiveUpReport();
        world.is_woken = true;
        Turn();
        return world.sent.back();
    }
    [[nodiscard]] NodeState State() const { return world.Record().state; }
    [[nodiscard]] Keeper &Worker() { return *keeper_; }

 private:
    std::optional<Keeper> keeper_;
};

}  // namespace pgaf::worker
