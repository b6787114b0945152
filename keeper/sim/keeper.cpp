#include <algorithm>

#include "model.hpp"

/// The keeper of a node: the supervisor's real plan, and a model of the worker.
namespace pgaf::sim {

using namespace core;  // NOLINT: the model speaks of nothing but the core
using enum NodeState;

namespace {
constexpr Milliseconds kReportTimeout{2000};
}  // namespace

/// A crash right after an effect, before anything was remembered of it; seldom.
bool World::CrashesNow(Node &node) {
    if (Chance(400) != 0) return false;
    Tell("fault: node " + std::to_string(node.id.value) + " crashes in the middle of a step");
    KillServer(node);
    return true;
}

Report World::MakeReport(const Node &node) const {
    Report report;
    report.formation = "default";
    report.node = node.id;
    report.keeper_epoch = node.epoch;
    report.holder = node.pg_running ? KeeperHolder::kWorker : KeeperHolder::kSupervisor;
    report.state = node.state;
    report.goal_version = node.goal_version;
    report.term = node.term;
    report.pg_running = node.pg_running;
    report.in_recovery = node.pg_running ? node.in_recovery : IsStandby(node.state);
    report.timeline = node.wal.timeline;
    report.history = node.wal.history;
    report.lsn = node.wal.End();
    report.fenced = !node.pg_running || (!node.in_recovery && node.fenced);
    if (node.drained && report.fenced) report.sealed_lsn = node.sealed_lsn;
    report.sync_version = node.confirmed_sync;
    report.lease_mode = node.deadline != kForever;
    if (!report.pg_running) return report;
    for (const auto &[id, sender] : node.standbys) {
        const Milliseconds age = now_ - sender.replied;
        if (sender.replied.ns == 0 || age > Milliseconds{10'000}) continue;
        report.standbys.push_back({.node = id,
                                   .streaming = sender.streaming,
                                   .in_sync_set = node.sync.loaded.set.Contains(id),
                                   .flush_lsn = sender.flushed,
                                   .reply_age = age});
    }
    if (node.in_recovery) {
        const NodeId upstream = node.upstream.loaded;
        const Node *const from = Find(upstream);
        report.receiver.upstream = upstream;
        report.receiver.stream_age = now_ - node.received_at;
        // A dead process resets its connections; a silent cut is noticed late.
        report.receiver.streaming = from != nullptr && from->pg_running &&
                                    report.receiver.stream_age < Milliseconds{10'000};
        report.receiver.sealed = !upstream.IsValid() && !node.upstream.file.IsValid();
    }
    return report;
}

void World::SendReport(Node &node) {
    if (node.outstanding != 0 && now_ - node.sent_true < kReportTimeout) return;
    if (node.outstanding != 0) ++node.connection;  // given up
    node.next_report = now_ + Milliseconds{500};
    node.outstanding = ++node.sequence;
    node.sent_at = ClockOf(node);
    node.sent_true = now_;
    Message message;
    message.at = now_ + Milliseconds{Chance(30)};
    // A slow backend of the monitor: the keeper gives up, and reports anew.
    if (Chance(100) == 0) message.at = now_ + Milliseconds{1500 + Chance(5000)};
    message.to_monitor = true;
    message.node = node.id;
    message.connection = node.connection;
    message.report = MakeReport(node);
    message.report.sequence = node.sequence;
    if (Chance(100) == 0) return;  // lost
    messages_.push_back(message);
    if (Chance(100) == 0) {
        message.at = message.at + Milliseconds{Chance(200)};
        messages_.push_back(message);  // came twice
    }
}

void World::Receive(Node &node, const Reply &reply) {
    node.outstanding = 0;
    if (reply.term < node.term) return;
    node.term = reply.term;
    node.goal = reply.goal;
    node.goal_version = reply.goal_version;
    node.had_peer = node.had_peer || !reply.peers.empty();
    node.answered_at = now_;
    node.reply = reply;
    node.streamed.clear();
    if (node.state != reply.goal && reply.goal != kDropped && !FindEdge(node.state, reply.goal)) {
        Violate("there is no edge from " + std::string(ToString(node.state)) + " to " +
                std::string(ToString(reply.goal)));
    }
    if (!node.pg_running) return;
    if (reply.grant == GrantKind::kUnlimited) {
        node.deadline = kForever;
    } else if (reply.grant == GrantKind::kTimed) {
        const BootTime deadline = NodeDeadline(node.sent_at, reply.lease);
        node.deadline = node.deadline == kForever ? deadline : std::max(node.deadline, deadline);
    }
    const bool may_write = reply.grant != GrantKind::kNone && IsWritable(node.state) &&
                           IsWritable(reply.goal) && !node.in_recovery;
    if (may_write && node.deadline > ClockOf(node)) node.fenced = false;
}

void World::TakeState(Node &node, NodeState state) {
    if (node.state == state) return;
    node.state = state;
    node.next_report = now_;
    Tell("node " + std::to_string(node.id.value) + " reaches " + std::string(ToString(state)) +
         " at " + std::to_string(node.wal.timeline) + "@" + std::to_string(node.wal.End().value));
}

// ---- the supervisor

void World::StepSupervisor(Node &node) {
    if (now_ >= node.next_report) SendReport(node);
    if (node.state == kDropped) return;  // says so until the monitor has forgotten it
    if (node.step_source.IsValid()) return EndLongStep(node);
    supervisor::PlanFacts facts{
        .state = node.state, .had_peer = node.had_peer, .is_marked = node.is_marked};
    if (node.reply) facts.goal = node.reply->goal;
    const supervisor::Plan plan = supervisor::MakePlan(facts);
    switch (plan.action) {
        case supervisor::Action::kWait:
            return;
        case supervisor::Action::kTakeState:
            return TakeState(node, plan.next);
        case supervisor::Action::kEnd:
            return TakeState(node, kDropped);
        case supervisor::Action::kStart:
            TakeState(node, plan.next);
            return StartServer(node);
        case supervisor::Action::kRunStep:
            return RunLongStep(node, plan.step, plan.next);
    }
}

void World::RunLongStep(Node &node, Step step, NodeState next) {
    if (step == Step::kInitPrimary) {
        node.in_recovery = false;
        return TakeState(node, next);
    }
    const Node *const source = Find(node.reply->upstream);
    const bool is_there = source != nullptr && source->pg_running && !source->in_recovery &&
                          source->host_up && !IsFrozen(*source) && Connected(node.id, source->id);
    if (!is_there) return;
    node.step_source = source->id;
    node.step_until = now_ + Milliseconds{100 + Chance(2000)};
    // A clone removes what was there; a rewind makes it inconsistent until it has caught up.
    node.is_marked = true;
}

void World::EndLongStep(Node &node) {
    Node &source = *Find(node.step_source);
    const bool is_there = source.pg_running && !source.in_recovery && source.host_up &&
                          !IsFrozen(source) && Connected(node.id, source.id);
    if (!is_there || (node.reply && node.reply->goal != kCatchingup)) {
        node.step_source = {};
        return;
    }
    if (now_ < node.step_until) return;
    node.step_source = {};
    node.wal = source.wal;
    // The copy is whole when it has what the source had at its end; it begins a little before.
    const auto back = static_cast<std::size_t>(Chance(20));
    node.consistent_at = node.wal.records.size();
    const std::size_t first = node.wal.history.empty() ? 0 : node.wal.history.back().at.value - 1;
    node.wal.records.resize(
        std::max(first, node.wal.records.size() - std::min(node.wal.records.size(), back)));
    node.sync = {};
    node.upstream.Write(source.id, now_);
    node.in_recovery = true;
    node.is_marked = false;
    TakeState(node, kCatchingup);
}

// ---- the worker

void World::KeepLease(Node &node) {
    const BootTime clock = ClockOf(node);
    for (const auto &[id, sender] : node.standbys) {
        if (!sender.streaming || std::count(node.streamed.begin(), node.streamed.end(), id) > 0)
            continue;
        node.streamed.push_back(id);
    }
    if (!node.in_recovery && node.deadline <= clock) node.fenced = true;
    const bool extends = node.reply && node.state == kPrimary && node.reply->goal == kPrimary &&
                         node.deadline != kForever && !node.fenced &&
                         now_ - node.answered_at > Milliseconds{1000} &&
                         !node.reply->extension.empty();
    if (!extends) return node.markers.clear();
    if (node.markers.empty() || clock - node.markers.back().first > kLease / 4) {
        node.wal.records.push_back({next_record_++, true});
        node.markers.emplace_back(clock, node.wal.End());
    }
    const auto is_held = [&](const SyncSet &set, Lsn end) {
        SyncSet need = set;
        if (need.k == 0) {
            need.members.insert(need.members.end(), node.streamed.begin(), node.streamed.end());
            std::sort(need.members.begin(), need.members.end());
            need.members.erase(std::unique(need.members.begin(), need.members.end()),
                               need.members.end());
            need.k = static_cast<int>(need.members.size());
        }
        return IsConfirmed(node, need, end);
    };
    while (!node.markers.empty()) {
        const auto &[written, end] = node.markers.front();
        for (const SyncSet &set : node.reply->extension) {
            if (!is_held(set, end)) return;
        }
        node.deadline = std::max(node.deadline, written + kLease);
        node.markers.pop_front();
    }
}

bool World::ApplySync(Node &node) {
    const std::int64_t version = node.reply->sync_version;
    if (node.sync.file.version != version) {
        // The name of the setting is what comes down; the model needs the set.
        const SyncChoice choice{group_.sync.goal, version};
        if (ToSetting(choice.set) != node.reply->sync_names) return false;  // of a later version
        node.sync.Write(choice, now_ + Milliseconds{Chance(300)});
        node.hold = {};
        return false;
    }
    if (node.sync.loaded.version != version) return false;
    if (!node.hold.IsValid()) node.hold = node.wal.End();
    if (!IsConfirmed(node, node.sync.loaded.set, node.hold)) return false;
    node.confirmed_sync = version;
    return true;
}

bool World::Drain(Node &node) {
    node.fenced = true;
    node.waiters.clear();
    if (!node.sealed_lsn.IsValid()) node.sealed_lsn = node.wal.End();
    bool hands_over = false;
    for (const auto &[id, sender] : node.standbys) {
        if (!sender.streaming || sender.flushed >= node.sealed_lsn) {
            hands_over = hands_over || (sender.flushed >= node.sealed_lsn);
            continue;
        }
        if (node.sync.loaded.set.Contains(id)) return false;
    }
    node.drained = hands_over;
    if (!hands_over) node.sealed_lsn = {};
    return true;
}

bool World::Follow(Node &node, NodeState goal) {
    const Node *const upstream = Find(node.reply->upstream);
    if (upstream == nullptr) return goal == kCatchingup;
    for (const Peer &peer : node.reply->peers) {
        if (peer.node == upstream->id &&
            HasLeftHistory(node.wal.Position(), peer.timeline, peer.history)) {
            return false;  // the monitor sees it too
        }
    }
    if (node.upstream.file != upstream->id) {
        node.upstream.Write(upstream->id, now_ + Milliseconds{Chance(100)});
    }
    return goal == kCatchingup || StreamsFrom(node, *upstream);
}

bool World::Promote(Node &node) {
    if (node.deadline <= ClockOf(node)) return false;
    if (node.sync.file.version != node.reply->sync_version) (void)ApplySync(node);
    if (node.sync.loaded.version != node.reply->sync_version) return false;
    if (CrashesNow(node)) return false;
    CheckPromotion(node);
    node.wal.history.push_back({node.wal.timeline, node.wal.End()});
    node.wal.timeline = std::max(node.wal.timeline + 1, node.reply->next_timeline);
    node.in_recovery = false;
    node.fenced = false;
    node.upstream.Write({}, now_);
    node.wal.records.push_back({next_record_++, true});
    return !CrashesNow(node);
}

/// True when the state is reached.
bool World::Carry(Node &node, const Edge &edge) {
    switch (edge.step) {
        case Step::kNone:
            return true;
        case Step::kInitPrimary:
        case Step::kStart:
        case Step::kUnfence:
        case Step::kApplySync:
            if (node.deadline <= ClockOf(node)) return false;
            // It was stopped before it had been promoted.
            if (node.in_recovery && !Promote(node)) return false;
            if (edge.step == Step::kUnfence) node.drained = false, node.sealed_lsn = {};
            if (edge.to == kPrimary && node.deadline == kForever) return false;
            node.fenced = false;
            // Writing goes on while the standbys are awaited; the state says that all is in force.
            return ApplySync(node) || edge.step == Step::kUnfence;
        case Step::kClone:
        case Step::kRejoin:
            if (node.in_recovery) return true;
            KillServer(node);
            return false;
        case Step::kStop:
            KillServer(node);
            if (CrashesNow(node)) return false;
            TakeState(node, edge.to == kCatchingup ? kDemoted : edge.to);
            return false;
        case Step::kDrain:
            return Drain(node);
        case Step::kFollow:
            return Follow(node, edge.to);
        case Step::kSeal:
            if (node.wal.End() < node.reply->target_lsn) return false;
            if (node.upstream.file.IsValid())
                node.upstream.Write({}, now_ + Milliseconds{Chance(60)});
            return !node.upstream.loaded.IsValid();
        case Step::kFetch: {
            const bool has_all = node.wal.End() >= node.reply->target_lsn;
            const NodeId source = has_all ? NodeId{} : node.reply->upstream;
            if (node.upstream.file != source)
                node.upstream.Write(source, now_ + Milliseconds{Chance(60)});
            return has_all && !node.upstream.loaded.IsValid();
        }
        case Step::kPromote:
            return Promote(node);
        case Step::kDrop:
            KillServer(node);
            TakeState(node, kDropped);
            return false;
    }
    return false;
}

void World::StayInState(Node &node) {
    if (node.state == kDemoted || node.state == kDemoteTimeout) return KillServer(node);
    if (IsWritable(node.state) && node.in_recovery) return void(Promote(node));
    if (IsWritable(node.state)) {
        if (node.confirmed_sync != node.reply->sync_version && ApplySync(node))
            node.next_report = now_;
    }
    if (node.state == kCatchingup || node.state == kSecondary) (void)Follow(node, kCatchingup);
    // A step that was given up may have left it pointing at somebody.
    const bool must_be_sealed = IsInElection(node.state) && node.state != kFastForward;
    if (must_be_sealed && node.upstream.file.IsValid())
        node.upstream.Write({}, now_ + Milliseconds{Chance(60)});
}

void World::Advance(Node &node) {
    const NodeState goal = node.reply->goal;
    if (node.state == goal) return StayInState(node);
    const bool promoted = !node.in_recovery && IsStandby(node.state) && IsWritable(goal);
    if (goal == kDropped) {
        const bool hands_over = IsWritable(node.state) && !node.drained &&
                                std::any_of(node.reply->peers.begin(), node.reply->peers.end(),
                                            [](const Peer &peer) { return peer.is_promotable; });
        if (hands_over && !Drain(node)) return;
        KillServer(node);
        return TakeState(node, kDropped);
    }
    const auto edge = FindEdge(node.state, goal);
    if (!edge) return;
    // It was promoted, and crashed before that was remembered.
    if (promoted && edge->step == Step::kPromote) {
        if (node.deadline > ClockOf(node)) node.fenced = false, TakeState(node, goal);
        return;
    }
    const NodeState before = node.state;
    if (Carry(node, *edge) && node.state == before && node.pg_running && !CrashesNow(node)) {
        TakeState(node, goal);
    }
}

void World::StepWorker(Node &node) {
    node.sync.Poll(now_);
    node.upstream.Poll(now_);
    if (node.worker_frozen_until > now_) return;
    if (now_ >= node.next_report) SendReport(node);
    KeepLease(node);
    const bool is_cut_off = node.fenced && IsWritable(node.state) && !node.in_recovery &&
                            node.answered_at.ns > 0 &&
                            now_ - node.answered_at > 2 * kLease + Milliseconds{500};
    if (is_cut_off) {
        KillServer(node);
        return TakeState(node, kDemoteTimeout);
    }
    if (node.reply) Advance(node);
}

void World::StepNode(Node &node) {
    if (!node.is_registered || !node.host_up || IsFrozen(node)) return;
    if (node.pg_running) return StepWorker(node);
    StepSupervisor(node);
}

}  // namespace pgaf::sim
