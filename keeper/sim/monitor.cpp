#include "monitor.hpp"

#include <algorithm>

#include "machine.hpp"
#include "pgaf/core/intake.hpp"
#include "pgaf/core/learn.hpp"
#include "pgaf/core/pg_files.hpp"
#include "pgaf/core/plausible.hpp"
#include "world.hpp"

namespace pgaf::sim {

using namespace core;  // NOLINT: the monitor speaks of nothing but the core
using enum NodeState;

namespace {
constexpr Milliseconds kProbePeriod{1000};
constexpr Milliseconds kLostProbePeriod{200};
constexpr Milliseconds kProbeTimeout{1000};
constexpr int kHealthyFactor = 5;
/// A backend finds out by its own means that nobody is there any more.
constexpr Milliseconds kSessionLost{15'000};
/// An idle connection is asked for a sign of life, as MonitorSettings says.
constexpr Milliseconds kKeepalive{5'000};
constexpr int kBackendsMax = 100;
/// As the report call sets it.
constexpr Milliseconds kLockTimeout{2000};
constexpr const char *kWaits = "waits for the lock";
/// In one decision, for each node: more means that rules undo each other.
constexpr int kGoalsMax = 4;
}  // namespace

Monitor::Facts &Monitor::FactsOf(NodeId node) {
    const auto [at, is_new] = facts_.try_emplace(node);
    if (!is_new) return at->second;
    Facts &fresh = at->second;
    fresh.goal_since = fresh.reported_at = world_.Now();
    const NodeView *const row = group_.Find(node);
    if (row == nullptr) return fresh;
    fresh.lease = LeaseAfterRestart(OldGrantOf(row->reported, row->goal), group_.timeouts.lease,
                                    world_.Now(), InstanceOf(node));
    return fresh;
}

GroupView Monitor::View() const {
    GroupView view = group_;
    const BootTime now = world_.Now();
    for (NodeView &node : view.nodes) {
        const auto at = facts_.find(node.id);
        if (at == facts_.end()) continue;
        const Facts &facts = at->second;
        node.has_report = facts.has_report;
        node.report = facts.report;
        node.held = facts.held;
        node.report_age = now - facts.reported_at;
        node.silent_age = now - std::max(facts.reported_at, started_at_);
        node.lease_left = LeaseLeft(facts.lease, now);
        node.proved_fenced = facts.lease.proved_fenced;
        node.goal_age = now - facts.goal_since;
        node.session = facts.session_fact;
        node.probe = facts.probe;
        node.probed_since_session_lost = facts.is_probed_since_loss;
        node.probe_age = now - facts.probed_at;
    }
    return view;
}

void Monitor::CarryOut(const Decision &decision) {
    if (static_cast<int>(decision.assignments.size()) >
        kGoalsMax * (1 + static_cast<int>(group_.nodes.size())))
        world_.Violate("a single decision sets " + std::to_string(decision.assignments.size()) +
                       " goals");
    for (const Assignment &assignment : decision.assignments) {
        world_.Tell("monitor: node " + std::to_string(assignment.node.value) + " -> " +
                    std::string(ToString(assignment.goal)) + " (" + assignment.rule +
                    "): " + assignment.reason);
        FactsOf(assignment.node).goal_since = world_.Now();
        ++assignments_;
    }
    if (decision.sync) world_.Tell("monitor: set " + EncodeSets({decision.sync->goal}));
    if (decision.term) world_.Tell("monitor: term " + std::to_string(*decision.term));
    if (decision.known_off.IsValid())
        FactsOf(decision.known_off).lease =
            LeaseRecord{.timed_end = {}, .unlimited = false, .proved_fenced = true};
    Apply(decision, group_);
    for (const NodeId id : decision.removed) {
        facts_.erase(id);
        epochs_.erase(id);
        instances_.erase(id);
    }
    if (!decision.IsEmpty()) WakeKeepers();
}

void Monitor::Settle() {
    for (const NodeView &row : group_.nodes)
        (void)FactsOf(row.id);
    const Decision decision = Decide(View());
    if (!decision.IsEmpty()) CarryOut(decision);
    if (decision.exhausted) world_.Violate("the rules do not come to rest");
    decide_at_ = decision.again_in == kNoLimit ? kForever : world_.Now() + decision.again_in;
}

/// Keepers that are connected are told at once.
void Monitor::WakeKeepers() {
    for (const auto &[session, caller] : callers_) {
        if (!caller.node.IsValid()) continue;
        Packet packet(Packet::Kind::kWakeUp, kMonitorPlace, caller.place, session);
        world_.Send(std::move(packet));
    }
}

void Monitor::Refuse(const Packet &packet, std::string text) {
    Packet back(Packet::Kind::kError, kMonitorPlace, packet.from, packet.session);
    back.text = std::move(text);
    world_.Send(std::move(back));
}

void Monitor::Receive(Packet &packet) {
    if (!is_up_) {
        if (packet.kind != Packet::Kind::kEnd) Refuse(packet, "connection refused");
        return;
    }
    switch (packet.kind) {
        case Packet::Kind::kConnect: {
            if (blocked_ >= kBackendsMax) return Refuse(packet, "sorry, too many clients already");
            callers_[packet.session] = {packet.from, {}, {}, world_.At(packet.from).boots};
            Packet back(Packet::Kind::kAccepted, kMonitorPlace, packet.from, packet.session);
            return world_.Send(std::move(back));
        }
        case Packet::Kind::kReport:
            if (!callers_.contains(packet.session)) return Refuse(packet, "connection reset");
            if (locked_until_ > world_.Now()) {
                if (packet.text == kWaits) return Refuse(packet, "lock timeout");
                if (packet.text.empty()) ++blocked_;
                packet.text = kWaits;
                packet.at = std::min(locked_until_, world_.Now() + kLockTimeout);
                packet.gives_up = packet.at + Milliseconds{10'000};
                world_.Requeue(packet);
                return;
            }
            return OnReport(packet);
        case Packet::Kind::kEnd:
            return LoseSession(packet.session);
        default:
            return;
    }
}

void Monitor::LoseSession(std::int64_t session) {
    callers_.erase(session);
    for (auto &[node, facts] : facts_) {
        if (facts.session != session || facts.session_fact != SessionFact::kConnected) continue;
        facts.session_fact = SessionFact::kLost;
        facts.session_lost_at = world_.Now();
        facts.is_probed_since_loss = false;
        decide_at_ = {};
    }
}

void Monitor::OnReport(const Packet &packet) {
    NodeView *const row = group_.Find(packet.report.node);
    if (row == nullptr) {
        return Refuse(packet,
                      "node " + std::to_string(packet.report.node.value) + " does not exist");
    }
    Facts &facts = FactsOf(packet.report.node);
    const ReporterRow on_record{
        .who = row->name,
        .keeper_epoch = epochs_[row->id],
        .system_identifier = {},
        .reported = row->reported,
        .last = facts.has_report ? &facts.report : nullptr,
        .instance = instances_[row->id],
        .is_connected =
            facts.session_fact == SessionFact::kConnected && facts.session != packet.session,
        .silent_age = world_.Now() - std::max(facts.reported_at, started_at_),
        .lease_left = LeaseLeft(facts.lease, world_.Now())};
    const auto refusal = CheckKeeper(on_record, packet.report, Reporter::kOurs);
    if (!refusal) return Refuse(packet, refusal.error().message);
    if (*refusal != Refusal::kNone)
        return Answer(packet, RefusalReply(on_record, packet.report, *refusal));
    if (const auto checked = CheckNumbers(group_, on_record.who, packet.report); !checked)
        return Refuse(packet, checked.error().message);
    const auto admitted = AdmitReport(on_record, packet.report, Reporter::kOurs);
    if (!admitted) return Refuse(packet, admitted.error().message);
    const Report &report = *admitted;
    facts.report = report;
    facts.reported_at = world_.Now();
    facts.has_report = true;
    facts.session = packet.session;
    facts.session_fact = SessionFact::kConnected;
    if (const auto caller = callers_.find(packet.session); caller != callers_.end())
        caller->second.node = report.node;
    epochs_[report.node] = report.keeper_epoch;
    instances_[report.node] = report.instance;
    NoteReport(facts.lease, report);
    NoteHeld(facts.held, report, HeldByOthers(View(), report));
    row->reported = report.state;
    if (const auto learned = Learn(View(), report)) CarryOut(*learned);
    if (const auto confirmed = ConfirmSync(View(), report)) group_.sync = *confirmed;
    Settle();
    Reply reply = BuildReply(View(), report.node, report.holder);
    if (const auto at = facts_.find(report.node); at != facts_.end()) {
        NoteGrant(at->second.lease, reply, world_.Now(), report.instance);
    } else {
        reply.grant = GrantKind::kNone;
    }
    Answer(packet, std::move(reply));
}

void Monitor::Answer(const Packet &packet, Reply reply) {
    Packet back(Packet::Kind::kReply, kMonitorPlace, packet.from, packet.session);
    back.reply = std::move(reply);
    world_.Send(std::move(back));
}

/// What the port of a node says, if it were asked now.
ProbeFact Monitor::AnswerOf(const NodeView &row) const {
    const Machine *const machine = world_.FindByAddress(row.host);
    if (machine == nullptr) return ProbeFact::kSilent;
    const Way there = world_.Path(kMonitorPlace, machine->place);
    if (there == Way::kReset) return ProbeFact::kRefused;
    const bool is_mute = there != Way::kOpen || !world_.IsOpen(machine->place, kMonitorPlace) ||
                         !machine->is_up || machine->IsFrozen();
    if (is_mute) return ProbeFact::kSilent;
    if (!machine->server) return ProbeFact::kRefused;
    if (machine->server->postmaster_frozen_until > world_.Now()) return ProbeFact::kSilent;
    const Phase phase = machine->server->phase;
    return phase == Phase::kWritable || phase == Phase::kStandby ? ProbeFact::kAlive
                                                                 : ProbeFact::kStarting;
}

void Monitor::Probe(NodeId node, Facts &facts) {
    const BootTime now = world_.Now();
    if (facts.probing) {
        const auto [ends, answer] = *facts.probing;
        if (now < ends) return;
        facts.probing.reset();
        const bool is_lost = facts.session_fact == SessionFact::kLost;
        const bool is_first = is_lost && !facts.is_probed_since_loss;
        if (is_lost && facts.probed_at > facts.session_lost_at) facts.is_probed_since_loss = true;
        if (is_first || facts.probe != answer) decide_at_ = {};
        facts.probe = answer;
        return;
    }
    const bool is_lost = facts.session_fact == SessionFact::kLost;
    Milliseconds period = kProbePeriod;
    if (is_lost) {
        period = facts.is_probed_since_loss ? kLostProbePeriod : Milliseconds{0};
    } else if (facts.session_fact == SessionFact::kConnected &&
               now - facts.reported_at < 2 * group_.timeouts.report_interval) {
        period = kProbePeriod * kHealthyFactor;
    }
    if (now - facts.probed_at < period) return;
    const NodeView *const row = group_.Find(node);
    if (row == nullptr) return;
    facts.probed_at = now;
    const ProbeFact answer = AnswerOf(*row);
    const Milliseconds takes =
        answer == ProbeFact::kSilent ? kProbeTimeout : Milliseconds{1 + world_.random().Below(5)};
    facts.probing = {now + takes, answer};
}

void Monitor::Tick() {
    if (!is_up_) return;
    const BootTime now = world_.Now();
    std::vector<std::int64_t> lost;
    for (auto &[session, caller] : callers_) {
        const Machine &machine = world_.At(caller.place);
        const bool is_heard = world_.IsOpen(caller.place, kMonitorPlace) && machine.is_up;
        // A kernel that was started anew does not know of the connection, and says so when asked.
        const bool is_known = machine.boots == caller.boots;
        if (is_heard && is_known) {
            caller.lost_at.reset();
        } else if (!caller.lost_at) {
            caller.lost_at = now + (is_heard ? kKeepalive : kSessionLost);
        } else if (now >= *caller.lost_at) {
            lost.push_back(session);
        }
    }
    for (const std::int64_t session : lost)
        LoseSession(session);
    for (auto &[node, facts] : facts_)
        Probe(node, facts);
    if (locked_until_ > now) return;
    blocked_ = 0;
    if (now >= decide_at_) Settle();
}

std::string Monitor::Carry(const Result<Decision> &decision, const std::string &what) {
    if (!decision) return decision.error().message;
    if (decision->IsEmpty()) return "";
    world_.Tell("operator: " + what);
    CarryOut(*decision);
    Settle();
    return "";
}

std::string Monitor::Failover(const FailoverRequest &request, bool is_all_there) {
    if (!is_up_) return "the monitor is down";
    const auto decision = RequestFailover(View(), request);
    if (decision && request.allow_data_loss && !is_all_there) world_.ForgetPromises();
    return Carry(decision, request.allow_data_loss ? "failover, data may be lost" : "failover");
}

std::string Monitor::Remove(NodeId node, bool force) {
    if (!is_up_) return "the monitor is down";
    const GroupView view = View();
    if (view.Find(node) == nullptr) return "there is no such node";
    const auto decision = RequestRemoval(view, node, force);
    if (decision) {
        group_.number_sync_standbys = NumberSyncStandbysAfterRemoval(view, node);
        // Who removes a primary that is gone gives up what it has.
        if (force && node == view.primary) world_.ForgetPromises();
    }
    return Carry(decision,
                 "removal of node " + std::to_string(node.value) + (force ? " by force" : ""));
}

std::string Monitor::BeginMaintenance(NodeId node) {
    if (!is_up_) return "the monitor is down";
    return Carry(RequestMaintenance(View(), node, nullptr),
                 "maintenance of node " + std::to_string(node.value));
}

std::string Monitor::EndMaintenance(NodeId node) {
    if (!is_up_) return "the monitor is down";
    return Carry(RequestEndOfMaintenance(View(), node),
                 "end of maintenance of node " + std::to_string(node.value));
}

void Monitor::SetPriority(NodeId node, int priority) {
    NodeView *const row = group_.Find(node);
    if (!is_up_ || row == nullptr || row->candidate_priority == priority) return;
    row->candidate_priority = priority;
    world_.Tell("operator: priority of node " + std::to_string(node.value) + " " +
                std::to_string(priority));
    Settle();
}

bool Monitor::Hears(NodeId node, std::int64_t instance) const {
    const auto at = facts_.find(node);
    return at != facts_.end() && InstanceOf(node) == instance &&
           at->second.session_fact == SessionFact::kConnected &&
           world_.Now() - at->second.reported_at < Milliseconds{1500};
}

void Monitor::Move(NodeId node, const std::string &address) {
    if (NodeView *const row = group_.Find(node)) row->host = address;
}

std::string Monitor::SetNumberSyncStandbys(int number) {
    if (!is_up_) return "the monitor is down";
    if (const auto checked = CheckNumberSyncStandbys(View(), number); !checked)
        return checked.error().message;
    group_.number_sync_standbys = number;
    world_.Tell("operator: number_sync_standbys " + std::to_string(number));
    Settle();
    return "";
}

bool Monitor::Register(Machine &machine, bool quorum) {
    if (!is_up_) return false;
    const auto goal = GoalForNewNode(View());
    if (!goal) return false;
    NodeView row;
    row.id = machine.node = NodeId{++last_node_};
    row.name = machine.name;
    row.host = machine.address;
    row.goal = *goal;
    row.goal_version = 1;
    row.replication_quorum = quorum;
    group_.nodes.push_back(row);
    (void)FactsOf(row.id);
    group_.number_sync_standbys = NumberSyncStandbysAfterJoin(group_);
    machine.is_registered = true;
    world_.Tell("operator: " + machine.Who() + " is registered as " + std::string(ToString(*goal)));
    Settle();
    return true;
}

/// The session that holds it does nothing: the server ends it.
void Monitor::Lock(BootTime until) {
    locked_until_ = std::min(until, world_.Now() + kMonitorIdleLimit);
}

void Monitor::Stop() {
    is_up_ = false;
    world_.DropPacketsTo(kMonitorPlace);
    for (const auto &[session, caller] : callers_) {
        Packet packet(Packet::Kind::kEnd, kMonitorPlace, caller.place, session);
        world_.Send(std::move(packet));
    }
    callers_.clear();
}

/// Shared memory is new: leases in doubt are waited out.
void Monitor::Start() {
    is_up_ = true;
    started_at_ = world_.Now();
    locked_until_ = {};
    facts_.clear();
    world_.ForgetLostWal();
    Settle();
}

void Monitor::Restore(const Backup &backup) {
    if (is_up_) Stop();
    group_ = backup.group;
    epochs_ = backup.epochs;
    instances_ = backup.instances;
    last_node_ = backup.last_node;
    Start();
}

}  // namespace pgaf::sim
