#include "model.hpp"

#include <algorithm>

namespace pgaf::sim {

using namespace core;  // NOLINT: the model speaks of nothing but the core
using enum NodeState;

namespace {
constexpr Milliseconds kTick{10};
constexpr Milliseconds kWindow{3000};
}  // namespace

World::World(std::uint64_t seed) : random_(seed) {
    for (std::int64_t id = 1; id <= 2; ++id) {
        Node node;
        node.id = NodeId{id};
        nodes_.push_back(node);
        NodeView row;
        row.id = NodeId{id};
        row.name = id == 1 ? "a" : "b";
        row.reported = kInit;
        row.goal = id == 1 ? kSingle : kWaitStandby;
        group_.nodes.push_back(row);
    }
}

void World::Tell(std::string text) {
    story_.push_back(std::to_string(now_.ns / 1'000'000) + " " + std::move(text));
    if (story_.size() > 400) story_.erase(story_.begin());
}

bool World::Linked(NodeId a, NodeId b) const {
    if (a > b) std::swap(a, b);
    if (a.value == 0) return monitor_up_ && link_[b.value - 1];
    return link_[2];
}

bool World::GateOpen(const Node &node) const {
    if (mutation_ == Mutation::kAckWhenFenced) return true;
    return !node.fenced && node.deadline > now_;
}

// ---- clients

void World::Acknowledge(Node &node, const Commit &commit) {
    if (node.term < owner_term_ || (node.term == owner_term_ && node.id != owner_)) {
        violation_ = "node " + std::to_string(node.id.value) + " acknowledged in term " +
                     std::to_string(node.term) + " after node " + std::to_string(owner_.value) +
                     " did in term " + std::to_string(owner_term_);
    }
    owner_term_ = node.term;
    owner_ = node.id;
    if (!commit.local) durable_.push_back(commit.id);
}

void World::ClientWrites(Node &node) {
    if (!node.pg_running || node.in_recovery || IsFrozen(node)) return;
    // A woken waiter is answered only if the gate is still open.
    const bool sync = !node.sync_set.members.empty();
    std::erase_if(node.waiters, [&](const Node::Waiter &waiter) {
        if (sync && waiter.end > node.confirmed_by_standby) return false;
        if (GateOpen(node)) Acknowledge(node, waiter.commit);
        return true;
    });
    if (Chance(3) != 0 || !GateOpen(node)) return;
    const Commit commit{next_commit_++, Chance(4) == 0};
    node.log.push_back(commit);
    if (commit.local || !sync) {
        Acknowledge(node, commit);
    } else {
        node.waiters.push_back({node.log.size(), commit});
    }
}

void World::Replicate() {
    for (Node &standby : nodes_) {
        Node &primary = Other(standby);
        const bool streams = standby.pg_running && standby.in_recovery && !IsFrozen(standby) &&
                             standby.upstream == primary.id && primary.pg_running &&
                             !primary.in_recovery && !IsFrozen(primary) &&
                             Linked(standby.id, primary.id) && standby.timeline == primary.timeline;
        if (!streams) continue;
        standby.last_received = now_;
        if (standby.log.size() < primary.log.size()) {
            const std::size_t step = 1 + static_cast<std::size_t>(Chance(4));
            const std::size_t end = std::min(primary.log.size(), standby.log.size() + step);
            for (std::size_t i = standby.log.size(); i < end; ++i)
                standby.log.push_back(primary.log[i]);
        }
        primary.confirmed_by_standby = standby.log.size();
        primary.standby_replied = now_;
    }
}

// ---- keepers

Report World::MakeReport(const Node &node) const {
    Report report;
    report.formation = "default";
    report.node = node.id;
    report.keeper_epoch = node.epoch;
    report.holder = node.pg_running ? KeeperHolder::kWorker : KeeperHolder::kSupervisor;
    report.state = node.state;
    report.term = node.term;
    report.pg_running = node.pg_running;
    report.in_recovery = node.pg_running && node.in_recovery;
    report.timeline = node.timeline;
    report.lsn = Lsn{1 + node.log.size()};
    report.fenced = !node.pg_running || (!node.in_recovery && node.fenced);
    if (node.drained) report.sealed_lsn = Lsn{1 + node.sealed_at};
    report.sync_version = node.sync_version;
    report.lease_mode = !node.unlimited;
    const Node &other = nodes_[node.id.value == 1 ? 1 : 0];
    if (report.pg_running && !node.in_recovery && other.pg_running && other.upstream == node.id) {
        StandbyFact fact;
        fact.node = other.id;
        fact.reply_age = now_ - node.standby_replied;
        fact.streaming = fact.reply_age < Milliseconds{100};
        fact.flush_lsn = Lsn{1 + node.confirmed_by_standby};
        report.standbys.push_back(fact);
    }
    if (report.in_recovery) {
        report.receiver.upstream = node.upstream;
        report.receiver.stream_age = now_ - node.last_received;
        report.receiver.streaming = node.upstream.IsValid() && other.pg_running &&
                                    report.receiver.stream_age < Milliseconds{10'000};
        report.receiver.sealed = !node.upstream.IsValid();
    }
    return report;
}

void World::SendReport(Node &node) {
    node.next_report = now_ + Milliseconds{500};
    if (!Linked(node.id, NodeId{0})) return;
    Message message;
    message.sent = now_;
    message.at = now_ + Milliseconds{Chance(30)};
    message.to_monitor = true;
    message.node = node.id;
    message.session = node.epoch;
    message.report = MakeReport(node);
    message.report.sequence = ++node.sequence;
    if (Chance(100) == 0) {  // a slow backend of the monitor: the keeper gives up, and reports anew
        message.at = now_ + Milliseconds{2000 + Chance(4000)};
        message.session = -1;
    }
    messages_.push_back(std::move(message));
}

void World::Receive(Node &node, const Reply &reply, BootTime sent) {
    if (reply.term < node.term) return;
    node.term = reply.term;
    node.last_reply_at = now_;
    node.reply = reply;
    if (!node.pg_running) return;
    if (reply.grant == GrantKind::kUnlimited) {
        node.unlimited = true;
        node.deadline = kForever;
    } else if (reply.grant == GrantKind::kTimed) {
        const BootTime deadline = NodeDeadline(sent, reply.lease);
        node.deadline = node.unlimited ? deadline : std::max(node.deadline, deadline);
        node.unlimited = false;
    }
    const bool may_write = reply.grant != GrantKind::kNone && node.state != kDraining;
    if (may_write && node.deadline > now_) node.fenced = false;
}

void World::StepEdge(Node &node, NodeState goal) {
    const auto edge = FindEdge(node.state, goal);
    if (!edge) return;
    const bool by_worker = node.pg_running;
    if (edge->actor == Actor::kWorker && !by_worker) return;
    if (edge->actor == Actor::kSupervisor && by_worker) return;
    Node &other = Other(node);
    const NodeState before = node.state;
    switch (edge->step) {
        case Step::kNone:
            node.state = goal;
            break;
        case Step::kInitPrimary:
            node.timeline = 1, node.in_recovery = false, node.state = goal;
            break;
        case Step::kClone:
        case Step::kRejoin:
            if (!other.pg_running || other.in_recovery || !Linked(node.id, other.id)) break;
            if (node.log.size() > other.log.size()) node.log.resize(other.log.size());
            for (std::size_t i = 0; i < node.log.size(); ++i) {
                if (node.log[i].id != other.log[i].id) node.log.resize(i);
            }
            node.timeline = other.timeline;
            node.upstream = other.id;
            node.in_recovery = true;
            node.state = goal;
            node.sync_set = {};
            break;
        case Step::kStart:
            node.pg_running = true;
            break;
        case Step::kStop:
            node.pg_running = false;
            node.state = goal == kCatchingup ? kDemoted : goal;
            break;
        case Step::kDrain:
            node.fenced = true;
            node.waiters.clear();
            node.sealed_at = node.log.size();
            if (node.confirmed_by_standby < node.sealed_at)
                break;  // waits; called off by the monitor
            node.drained = true;
            node.state = goal;
            break;
        case Step::kUnfence:
            if (node.deadline <= now_) break;
            node.fenced = node.drained = false;
            node.state = goal;
            break;
        case Step::kApplySync:
            break;  // in StepWorker
        case Step::kFollow:
            node.upstream = node.reply->upstream;
            if (goal == kCatchingup || now_ - node.last_received < Milliseconds{100})
                node.state = goal;
            break;
        case Step::kSeal:
            if (node.log.size() + 1 < node.reply->target_lsn.value) break;
            node.upstream = {};
            node.state = goal;
            break;
        case Step::kPromote:
            node.in_recovery = false;
            ++node.timeline;
            node.sync_set = {};
            node.state = goal;
            break;
        case Step::kDrop:
            node.pg_running = false, node.state = goal;
            break;
    }
    if (node.state != before) {
        Tell("node " + std::to_string(node.id.value) + " reaches " +
             std::string(ToString(node.state)));
        node.next_report = now_;
    }
}

void World::StepSupervisor(Node &node) {
    if (now_ >= node.next_report) SendReport(node);
    const bool is_standby = IsStandby(node.state);
    if (is_standby) {
        node.pg_running = node.in_recovery = true;
        node.last_received = now_;
    } else if (node.reply && node.last_reply_at + Milliseconds{700} > now_) {
        const NodeState goal = node.reply->goal;
        const auto edge = FindEdge(node.state, goal);
        const bool may_write = IsWritable(node.state) || node.state == kDraining;
        const bool worker_goes_on = goal == node.state || (edge && edge->actor == Actor::kWorker);
        if (may_write && IsWritable(goal) && worker_goes_on) {
            node.pg_running = true;
        } else {
            StepEdge(node, goal);
        }
    }
    if (node.pg_running) {
        ++node.epoch;
        node.fenced = true;
        node.deadline = {};
        node.unlimited = node.drained = false;
        node.waiters.clear();
        node.heartbeats.clear();
        node.confirmed_by_standby = 0;
        node.standby_replied = now_;
        node.reply.reset();
        node.next_report = now_;
    }
}

void World::StepWorker(Node &node) {
    if (now_ >= node.next_report) SendReport(node);
    // Stream extension: a record every 750 ms, its confirmation extends the deadline from when it
    // was written.
    const bool extends = node.state == kPrimary && !node.unlimited && !node.fenced &&
                         node.last_reply_at + Milliseconds{1000} < now_;
    if (extends &&
        (node.heartbeats.empty() || node.heartbeats.back().first + Milliseconds{750} < now_)) {
        node.log.push_back({next_commit_++, true});
        node.heartbeats.emplace_back(now_, node.log.size());
    }
    while (!node.heartbeats.empty() &&
           node.heartbeats.front().second <= node.confirmed_by_standby) {
        if (!node.unlimited) {
            node.deadline = std::max(node.deadline, node.heartbeats.front().first + kWindow);
        }
        node.heartbeats.pop_front();
    }
    if (!node.in_recovery && node.deadline <= now_) node.fenced = true;
    if (node.fenced && IsWritable(node.state) && node.last_reply_at + 2 * kWindow < now_) {
        node.pg_running = false;
        node.state = kDemoteTimeout;
        return;
    }
    if (mutation_ == Mutation::kShrinkUnasked && now_ - node.standby_replied > Milliseconds{500}) {
        node.sync_set = {};
    }
    if (!node.reply) return;
    const NodeState goal = node.reply->goal;
    if (!node.in_recovery && IsWritable(goal) && node.sync_version != node.reply->sync_version &&
        Chance(3) == 0) {
        node.sync_set = {};
        if (!node.reply->sync_names.empty()) node.sync_set = {1, {Other(node).id}};
        node.sync_version = node.reply->sync_version;
    }
    if (node.state == goal) return;
    const auto edge = FindEdge(node.state, goal);
    // A server that was started again on its way back to writing comes into force like any other.
    if (edge && (edge->step == Step::kApplySync || edge->step == Step::kStart)) {
        const bool in_force = node.sync_version == node.reply->sync_version;
        const bool covered =
            node.sync_set.members.empty() || node.confirmed_by_standby == node.log.size();
        if (in_force && covered && (goal != kPrimary || !node.unlimited)) {
            node.state = goal;
            node.next_report = now_;
        }
        return;
    }
    StepEdge(node, goal);
}

void World::StepNode(Node &node) {
    if (!node.host_up || IsFrozen(node)) return;
    if (!node.pg_running) return StepSupervisor(node);
    StepWorker(node);
}

// ---- the monitor

GroupView World::View() const {
    GroupView view = group_;
    for (NodeView &node : view.nodes) {
        const Facts &facts = facts_[node.id.value - 1];
        node.has_report = facts.has_report;
        node.report = facts.report;
        node.report_age = now_ - facts.reported_at;
        node.silent_age = now_ - std::max(facts.reported_at, monitor_started_);
        node.lease_left =
            mutation_ == Mutation::kIgnoreLease ? Milliseconds{0} : LeaseLeft(facts.lease, now_);
        node.proved_fenced = facts.lease.proved_fenced || mutation_ == Mutation::kIgnoreLease;
        node.goal_age = now_ - facts.goal_since;
        const Node &real = nodes_[node.id.value - 1];
        // A dead server on a reachable host refuses; a host that is down or cut off is silent.
        if (!real.pg_running && real.host_up && Linked(real.id, NodeId{0}) && facts.has_report &&
            facts.report.holder == KeeperHolder::kWorker) {
            node.session = SessionFact::kLost;
            node.probe = ProbeFact::kRefused;
            node.probed_since_session_lost = true;
        }
        if (mutation_ == Mutation::kPromoteUnconfirmed && node.goal == kSecondary) {
            view.sync.goal = view.sync.confirmed = SyncSet{1, {node.id}};
        }
    }
    return view;
}

void World::MonitorDecides() {
    GroupView view = View();
    const Decision decision = Decide(view);
    for (const Assignment &assignment : decision.assignments) {
        Tell("monitor: node " + std::to_string(assignment.node.value) + " -> " +
             std::string(ToString(assignment.goal)) + " (" + assignment.rule +
             "): " + assignment.reason);
        facts_[assignment.node.value - 1].goal_since = now_;
    }
    const SyncState sync = group_.sync;
    Apply(decision, group_);
    if (!decision.sync) group_.sync = sync;
}

void World::MonitorReceives(const Message &message) {
    Facts &facts = facts_[message.node.value - 1];
    if (facts.has_report && message.report.keeper_epoch < facts.report.keeper_epoch) return;
    if (facts.has_report && IsOvertaken(message.report, facts.report)) return;
    facts.report = message.report;
    facts.reported_at = now_;
    facts.has_report = true;
    NoteReport(facts.lease, message.report);
    NodeView *row = group_.Find(message.node);
    row->reported = message.report.state;
    if (const auto confirmed = ConfirmSync(View(), message.report)) group_.sync = *confirmed;
    MonitorDecides();
    Message back;
    back.sent = message.sent;
    back.at = now_ + Milliseconds{Chance(30)};
    back.node = message.node;
    back.session = message.session;
    back.reply = BuildReply(View(), message.node, message.report.holder);
    NoteGrant(facts.lease, back.reply, now_);
    messages_.push_back(std::move(back));
}

// ---- time

void World::InjectFault() {
    Node &node = nodes_[static_cast<std::size_t>(Chance(2))];
    const std::string who = "node " + std::to_string(node.id.value);
    switch (Chance(9)) {
        case 0:
            Tell("fault: PostgreSQL of " + who + " killed");
            node.pg_running = false;
            node.reply.reset();
            break;
        case 1:
            Tell("fault: host of " + who + (node.host_up ? " down" : " up"));
            node.host_up = !node.host_up;
            node.pg_running = false;
            node.reply.reset();
            break;
        case 2:
            Tell("fault: " + who + " frozen");
            node.frozen_until = now_ + Milliseconds{200 + Chance(15'000)};
            break;
        case 3:
        case 4:
        case 5: {
            const int which = Chance(3);
            link_[which] = !link_[which];
            Tell("fault: link " + std::to_string(which) + (link_[which] ? " up" : " cut"));
            break;
        }
        case 6:
            Tell(monitor_up_ ? "fault: monitor down" : "monitor up");
            monitor_up_ = !monitor_up_;
            if (monitor_up_) {
                // Shared memory is new: leases in doubt are waited out.
                monitor_started_ = now_;
                for (const NodeView &row : group_.nodes) {
                    Facts &facts = facts_[row.id.value - 1];
                    facts = Facts{};
                    facts.goal_since = now_;
                    facts.lease.timed_end = now_ + MonitorLease(kWindow);
                    facts.lease.unlimited = row.goal == kSingle || row.goal == kWaitPrimary ||
                                            row.reported == kSingle || row.reported == kWaitPrimary;
                }
            }
            break;
        case 7: {
            Decision nothing;
            const auto request = RequestFailover(View());
            if (monitor_up_ && request) {
                Tell("operator: switchover");
                Apply(*request, group_);
                for (Facts &facts : facts_)
                    facts.goal_since = now_;
            }
            break;
        }
        default:
            break;
    }
}

void World::Heal() {
    Tell("all faults heal");
    for (bool &link : link_)
        link = true;
    for (Node &node : nodes_) {
        node.host_up = true;
        node.frozen_until = {};
    }
    if (!monitor_up_) {
        monitor_up_ = true;
        monitor_started_ = now_;
    }
}

void World::Step() {
    now_ = now_ + kTick;
    for (std::size_t i = 0; i < messages_.size(); ++i) {
        const Message message = messages_[i];
        Node &node = nodes_[static_cast<std::size_t>(message.node.value - 1)];
        if (message.at > now_ || (!message.to_monitor && IsFrozen(node))) continue;
        messages_.erase(messages_.begin() + static_cast<std::ptrdiff_t>(i--));
        if (!Linked(message.node, NodeId{0})) continue;
        if (message.to_monitor) {
            MonitorReceives(message);
        } else if (node.host_up && node.epoch == message.session) {
            Receive(node, message.reply, message.sent);
        }
    }
    Replicate();
    for (Node &node : nodes_)
        StepNode(node);
    for (Node &node : nodes_)
        ClientWrites(node);
    if (monitor_up_) MonitorDecides();
}

bool World::IsConverged() const {
    int primaries = 0;
    int secondaries = 0;
    for (const NodeView &row : group_.nodes) {
        primaries += row.goal == kPrimary && row.reported == kPrimary ? 1 : 0;
        secondaries += row.goal == kSecondary && row.reported == kSecondary ? 1 : 0;
    }
    return primaries == 1 && secondaries == 1 && group_.sync.IsSettled();
}

std::string World::CheckData() const {
    const NodeView *primary = FindPrimary(group_);
    if (primary == nullptr) return "no primary";
    const Node &node = nodes_[static_cast<std::size_t>(primary->id.value - 1)];
    std::vector<std::int64_t> have;
    for (const Commit &commit : node.log)
        have.push_back(commit.id);
    std::sort(have.begin(), have.end());
    for (const std::int64_t id : durable_) {
        if (!std::binary_search(have.begin(), have.end(), id)) {
            return "acknowledged commit " + std::to_string(id) + " is missing on node " +
                   std::to_string(node.id.value);
        }
    }
    return "";
}

std::string World::Run() {
    for (int i = 0; i < 1500 && !IsConverged(); ++i)
        Step();
    if (!IsConverged()) return "two fresh nodes did not become primary and secondary";
    const int faults = 2 + Chance(8);
    for (int fault = 0; fault < faults && violation_.empty(); ++fault) {
        InjectFault();
        const int steps = Chance(3) == 0 ? Chance(50) : Chance(1200);
        for (int i = 0; i < steps && violation_.empty(); ++i)
            Step();
    }
    Heal();
    for (int i = 0; i < 6000 && violation_.empty() && !IsConverged(); ++i)
        Step();
    if (!violation_.empty()) return violation_;
    if (!IsConverged()) {
        std::string text = "no convergence after the faults healed:";
        for (const NodeView &row : group_.nodes) {
            text += " " + row.name + " " + std::string(ToString(row.reported)) + "/" +
                    std::string(ToString(row.goal));
        }
        return text;
    }
    return CheckData();
}

}  // namespace pgaf::sim
