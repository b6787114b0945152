#include "model.hpp"

/// The monitor: rows, facts, and the real decisions.
namespace pgaf::sim {

using namespace core;  // NOLINT: the model speaks of nothing but the core
using enum NodeState;

GroupView World::View() const {
    GroupView view = group_;
    for (NodeView &node : view.nodes) {
        const auto it = facts_.find(node.id);
        if (it == facts_.end()) continue;
        const Facts &facts = it->second;
        node.has_report = facts.has_report;
        node.report = facts.report;
        node.report_age = now_ - facts.reported_at;
        node.silent_age = now_ - std::max(facts.reported_at, monitor_started_);
        node.lease_left = LeaseLeft(facts.lease, now_);
        node.proved_fenced = facts.lease.proved_fenced;
        node.goal_age = now_ - facts.goal_since;
        const Node &real = *Find(node.id);
        // A dead server on a reachable host refuses; a host that is down or cut off is silent.
        const bool refuses = !real.pg_running && real.host_up && Connected(real.id, NodeId{0});
        if (refuses && facts.has_report && facts.report.holder == KeeperHolder::kWorker) {
            node.session = SessionFact::kLost;
            node.probe = ProbeFact::kRefused;
            node.probed_since_session_lost = true;
            node.probe_age = Milliseconds{0};
        }
    }
    return view;
}

void World::CarryDecision(const Decision &decision) {
    for (const Assignment &assignment : decision.assignments) {
        Tell("monitor: node " + std::to_string(assignment.node.value) + " -> " +
             std::string(ToString(assignment.goal)) + " (" + assignment.rule +
             "): " + assignment.reason);
        facts_[assignment.node].goal_since = now_;
    }
    if (decision.sync) Tell("monitor: set " + EncodeSets({decision.sync->goal}));
    if (decision.term) Tell("monitor: term " + std::to_string(*decision.term));
    if (decision.known_off.IsValid())
        facts_[decision.known_off].lease =
            LeaseRecord{.timed_end = {}, .unlimited = false, .proved_fenced = true};
    Apply(decision, group_);
    for (const NodeId id : decision.removed) {
        facts_.erase(id);
        if (Node *node = Find(id)) node->is_registered = false;
    }
}

void World::MonitorDecides() {
    const Decision decision = Decide(View());
    if (!decision.IsEmpty()) CarryDecision(decision);
    if (!Decide(View()).assignments.empty()) Violate("the rules do not come to rest");
}

void World::MonitorReceives(const Message &message) {
    NodeView *row = group_.Find(message.node);
    if (row == nullptr) {
        if (Node *node = Find(message.node)) node->is_registered = false;
        return;
    }
    Facts &facts = facts_[message.node];
    const Report &report = message.report;
    if (facts.has_report && report.keeper_epoch < facts.report.keeper_epoch) return;
    if (facts.has_report && IsOvertaken(report, facts.report)) return;
    if (facts.has_report && report.sequence == facts.report.sequence &&
        report.keeper_epoch == facts.report.keeper_epoch) {
        return;  // a connection is not heard twice
    }
    facts.report = report;
    facts.reported_at = now_;
    facts.has_report = true;
    NoteReport(facts.lease, report);
    row->reported = report.state;
    if (const auto confirmed = ConfirmSync(View(), report)) group_.sync = *confirmed;
    MonitorDecides();
    Message back;
    back.at = now_ + Milliseconds{Chance(30)};
    back.node = message.node;
    back.connection = message.connection;
    back.answers = report.sequence;
    back.reply = BuildReply(View(), message.node, report.holder);
    const auto it = facts_.find(message.node);
    if (it != facts_.end()) NoteGrant(it->second.lease, back.reply, now_);
    if (Chance(100) != 0) messages_.push_back(std::move(back));
}

/// Shared memory is new: leases in doubt are waited out.
void World::RestartMonitor() {
    monitor_up_ = true;
    monitor_started_ = now_;
    for (const NodeView &row : group_.nodes) {
        Facts fresh;
        fresh.goal_since = now_;
        const auto is_unlimited = [](NodeState s) { return s == kSingle || s == kWaitPrimary; };
        if (IsPrimaryIsh(row.goal) || IsPrimaryIsh(row.reported)) {
            fresh.lease.timed_end = now_ + MonitorLease(kLease);
        }
        fresh.lease.unlimited = is_unlimited(row.goal) || is_unlimited(row.reported);
        facts_[row.id] = fresh;
    }
}

void World::Register(Node &node) {
    const auto goal = GoalForNewNode(View());
    if (!goal) return;
    const NodeId id = node.id;
    const double rate = node.clock_rate;
    const std::int64_t epoch = node.epoch;
    node = Node{};
    node.id = id;
    node.clock_rate = rate;
    node.epoch = epoch + 1;
    node.is_registered = true;
    NodeView row;
    row.id = id;
    row.name = std::string(1, static_cast<char>('a' + id.value - 1));
    row.goal = *goal;
    row.goal_version = 1;
    row.candidate_priority = Chance(5) == 0 ? 0 : 50 + 10 * Chance(3);
    row.replication_quorum = promises_;
    std::size_t at = 0;
    while (at < group_.nodes.size() && group_.nodes.at(at).id < id)
        ++at;
    group_.nodes.insert(group_.nodes.begin() + static_cast<std::ptrdiff_t>(at), row);
    facts_[id] = Facts{};
    facts_[id].goal_since = facts_[id].reported_at = now_;
    group_.number_sync_standbys = NumberSyncStandbysAfterJoin(group_);
    Tell("node " + std::to_string(id.value) + " is registered as " + std::string(ToString(*goal)));
}

}  // namespace pgaf::sim
