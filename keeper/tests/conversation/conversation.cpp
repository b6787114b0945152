#include "conversation.hpp"

#include <algorithm>
#include <cstdlib>
#include <sstream>

/// The monitor's side, and the operator's.
namespace pgaf::conversation {

using namespace core;  // NOLINT: a conversation is about nothing but the core
using enum NodeState;

namespace {

constexpr Milliseconds kStep{500};

Words Split(const std::string &line) {
    std::istringstream in(line);
    Words words;
    for (std::string word; in >> word;)
        words.push_back(word);
    return words;
}

bool Has(const Words &words, std::string_view word) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

/// The word after `word`; empty when there is none.
std::string After(const Words &words, std::string_view word) {
    const auto it = std::find(words.begin(), words.end(), word);
    return it == words.end() || it + 1 == words.end() ? "" : *(it + 1);
}

std::string Tail(const Words &words, std::size_t from) {
    std::string text;
    for (std::size_t i = from; i < words.size(); ++i)
        text += (i == from ? "" : " ") + words.at(i);
    return text;
}

std::string Name(NodeState state) { return std::string(ToString(state)); }

}  // namespace

std::vector<std::string> Conversation::Say(const std::string &line) {
    out_.clear();
    const Words words = Split(line);
    const Words rest(words.size() < 2 ? words.end() : words.begin() + 1, words.end());
    if (words.at(0) == "group") {
        Group(rest);
    } else if (words.at(0) == "operator:") {
        Operator(rest);
    } else if (words.at(0) == "time") {
        Pass(rest);
    } else if (line == "show") {
        Show();
    } else if (line == "all obey") {
        Obey();
    } else if (line == "monitor restarts") {
        RestartMonitor();
    } else if (words.size() > 1 && words.at(1) == "registers") {
        Register(words.at(0), rest);
    } else {
        NodeSays(words.at(0), rest);
    }
    return out_;
}

void Conversation::Fail(const std::string &text) {
    has_failed_ = true;
    Print("not understood: " + text);
}

NodeView *Conversation::Find(const std::string &name) {
    const auto it = std::find_if(view_.nodes.begin(), view_.nodes.end(),
                                 [&name](const NodeView &node) { return node.name == name; });
    return it == view_.nodes.end() ? nullptr : &*it;
}

std::string Conversation::NameOf(NodeId id) const {
    const NodeView *node = view_.Find(id);
    return node != nullptr ? node->name : id.IsValid() ? std::to_string(id.value) : "nobody";
}

std::string Conversation::SetText(const SyncSet &set) const {
    if (set.members.empty()) return "none";
    std::string text = "ANY " + std::to_string(set.k) + " (";
    for (const NodeId member : set.members)
        text += (text.back() == '(' ? "" : ", ") + NameOf(member);
    return text + ")";
}

/// `group a b c [any K] [async]`: a is the primary, the others are its synchronous secondaries.
void Conversation::Group(const Words &words) {
    view_ = {};
    view_.timeline = view_.highest_timeline = 1;
    view_.term = 1;
    const bool is_async = Has(words, "async");
    SyncSet set{Has(words, "any") ? std::atoi(After(words, "any").c_str()) : 1, {}};
    for (const std::string &word : words) {
        if (word.size() != 1 || word.at(0) < 'a' || word.at(0) > 'z') continue;
        NodeView node;
        node.id = NodeId{static_cast<std::int64_t>(view_.nodes.size()) + 1};
        node.name = word;
        node.host = "host-" + word;
        node.reported = node.goal = view_.nodes.empty() ? kPrimary : kSecondary;
        node.replication_quorum = !is_async;
        node.has_report = true;
        node.goal_version = 1;
        node.session = SessionFact::kConnected;
        node.probe = ProbeFact::kAlive;
        node.report.node = node.id;
        node.report.goal_version = 1;
        node.report.pg_running = true;
        node.report.timeline = 1;
        node.report.lsn = Lsn{0x3000000};
        if (!view_.nodes.empty()) set.members.push_back(node.id);
        view_.nodes.push_back(node);
        actors_[node.id.value] =
            Actor{.goal_since = now_, .reported_at = now_, .quiet_since = now_};
    }
    view_.primary = view_.nodes.front().id;
    view_.number_sync_standbys = view_.nodes.size() > 2 && !is_async ? set.k : 0;
    if (view_.nodes.size() == 1 || is_async) set = {};
    if (view_.nodes.size() == 1) view_.nodes.front().reported = view_.nodes.front().goal = kSingle;
    view_.sync = {.goal = set, .goal_version = 5, .confirmed = set, .confirmed_version = 5};
    for (NodeView &node : view_.nodes) {
        node.report.state = node.reported;
        node.report.in_recovery = node.id != view_.primary;
        if (node.id != view_.primary) Stream(view_.nodes.front(), node);
    }
    NodeView &primary = view_.nodes.front();
    primary.report.lease_mode = view_.nodes.size() > 1;
    primary.report.sync_version = 5;
    for (const NodeView &node : std::vector<NodeView>(view_.nodes))
        Report(node.id);
}

void Conversation::Register(const std::string &name, const Words &options) {
    Refresh();
    const auto goal = GoalForNewNode(view_);
    if (!goal) return Print(goal.error());
    NodeView node;
    std::int64_t highest = 0;
    for (const auto &[id, actor] : actors_)
        highest = std::max(highest, id);
    node.id = NodeId{highest + 1};
    node.name = name;
    node.host = "host-" + name;
    node.goal = *goal;
    node.goal_version = 1;
    node.report.node = node.id;
    if (const std::string priority = After(options, "priority"); !priority.empty())
        node.candidate_priority = std::atoi(priority.c_str());
    view_.nodes.push_back(node);
    actors_[node.id.value] = Actor{.goal_since = now_, .reported_at = now_, .quiet_since = now_};
    const int number = NumberSyncStandbysAfterJoin(view_);
    Print(name + ": registered, assigned " + Name(*goal));
    if (number != view_.number_sync_standbys)
        Print("number_sync_standbys: " + std::to_string(number));
    view_.number_sync_standbys = number;
    Settle();
}

void Conversation::AskFailover(const Words &words) {
    FailoverRequest request;
    if (const NodeView *to = Find(After(words, "to"))) request.preferred = to->id;
    request.allow_data_loss = Has(words, "allow-data-loss");
    request.primary_is_off = Has(words, "primary-is-off");
    Ask(RequestFailover(view_, request));
}

void Conversation::Operator(const Words &words) {
    Refresh();
    if (words.at(0) == "failover") return AskFailover(words);
    if (words.at(0) == "number_sync_standbys") {
        const int number = std::atoi(words.at(1).c_str());
        if (const auto checked = CheckNumberSyncStandbys(view_, number); !checked)
            return Print(checked.error());
        view_.number_sync_standbys = number;
        return Settle();
    }
    NodeView *node = words.size() > 1 ? Find(words.at(1)) : nullptr;
    if (node == nullptr) return Fail(Tail(words, 0));
    if (words.at(0) == "drop") return Ask(RequestRemoval(view_, node->id, Has(words, "force")));
    if (words.at(0) == "maintenance") {
        std::string warning;
        Ask(RequestMaintenance(view_, node->id, &warning));
        if (!warning.empty()) Print("WARNING: " + warning);
    } else if (words.at(0) == "end-maintenance") {
        Ask(RequestEndOfMaintenance(view_, node->id));
    } else if (words.at(0) == "priority" && words.size() == 3) {
        node->candidate_priority = std::atoi(words.at(2).c_str());
        Settle();
    } else if (words.at(0) == "quorum" && words.size() == 3) {
        const bool counts = words.at(2) == "true";
        if (const auto checked = CheckQuorumChange(view_, node->id, counts); !checked)
            return Print(checked.error());
        node->replication_quorum = counts;
        Settle();
    } else {
        Fail(Tail(words, 0));
    }
}

void Conversation::Ask(const Result<Decision> &asked) {
    if (!asked) return Print(asked.error());
    Carry(*asked);
    Settle();
}

void Conversation::Print(const Problem &problem) {
    Print("ERROR:  " + problem.message);
    if (!problem.detail.empty()) Print("DETAIL:  " + problem.detail);
    if (!problem.hint.empty()) Print("HINT:  " + problem.hint);
}

/// `time passes N s`: whoever lives goes on reporting the same.
void Conversation::Pass(const Words &words) {
    if (words.size() != 3 || words.at(0) != "passes" || words.at(2) != "s")
        return Fail("time " + Tail(words, 0));
    const auto total =
        Milliseconds{static_cast<int>(std::strtod(words.at(1).c_str(), nullptr) * 1000)};
    for (Milliseconds passed{0}; passed < total;) {
        const Milliseconds step = std::min(kStep, total - passed);
        passed += step;
        now_ = now_ + step;
        const std::size_t before = out_.size();
        Settle();
        for (const NodeView &node : std::vector<NodeView>(view_.nodes)) {
            if (actors_[node.id.value].is_alive && view_.Find(node.id) != nullptr) Report(node.id);
        }
        if (out_.size() > before) {
            out_.insert(out_.begin() + static_cast<std::ptrdiff_t>(before),
                        "after " + std::to_string(passed.count()) + " ms:");
        }
    }
}

/// Shared memory is new: leases in doubt are waited out, as the monitor does it.
void Conversation::RestartMonitor() {
    monitor_started_ = now_;
    for (NodeView &node : view_.nodes) {
        Actor &actor = actors_[node.id.value];
        actor.lease = {};
        actor.goal_since = now_;
        if (IsPrimaryIsh(node.goal) || IsPrimaryIsh(node.reported))
            actor.lease.timed_end = now_ + MonitorLease(view_.timeouts.lease);
        const auto is_unlimited = [](NodeState s) { return s == kSingle || s == kWaitPrimary; };
        actor.lease.unlimited = is_unlimited(node.goal) || is_unlimited(node.reported);
        node.has_report = false;
        node.session = SessionFact::kNone;
        node.probe = ProbeFact::kUnknown;
        node.probed_since_session_lost = false;
    }
    Settle();
}

void Conversation::Show() {
    Refresh();
    for (const NodeView &node : view_.nodes) {
        const int health = HealthOf(view_, node);
        const std::string lease = node.lease_left == kNoLimit ? "unlimited"
                                  : node.lease_left > Milliseconds{0}
                                      ? std::to_string(node.lease_left.count()) + " ms"
                                      : "none";
        Print(node.name + ": " + Name(node.reported) + ", assigned " + Name(node.goal) + ", " +
              std::to_string(node.report.timeline) + ":" + ToString(node.report.lsn) + ", health " +
              (health < 0    ? "unknown"
               : health == 0 ? "bad"
                             : "good") +
              ", lease " + lease);
    }
    Print("term " + std::to_string(view_.term) + ", primary " + NameOf(view_.primary) + ", set " +
          SetText(view_.sync.goal) + (view_.sync.IsSettled() ? "" : " (not confirmed)"));
    const FailoverOutlook outlook = OutlookOf(view_);
    Print(outlook.can_fail_over ? "failover possible, to " + NameOf(outlook.candidate)
                                : "no failover: " + outlook.reason);
}

void Conversation::Refresh() {
    for (NodeView &node : view_.nodes) {
        const Actor &actor = actors_[node.id.value];
        node.report_age = now_ - actor.reported_at;
        node.silent_age = now_ - std::max(actor.reported_at, monitor_started_);
        node.lease_left = LeaseLeft(actor.lease, now_);
        node.proved_fenced = actor.lease.proved_fenced;
        node.goal_age = now_ - actor.goal_since;
    }
}

void Conversation::Settle() {
    Refresh();
    const Decision decision = Decide(view_);
    if (!decision.IsEmpty()) Carry(decision);
    Refresh();
    const Decision again = Decide(view_);
    if (!again.IsEmpty()) Fail("the rules do not come to rest");
    if (again.blocked != blocked_ && !again.blocked.empty()) Print("blocked: " + again.blocked);
    blocked_ = again.blocked;
}

void Conversation::Carry(const Decision &decision) {
    for (const Assignment &assignment : decision.assignments) {
        fired_.insert(assignment.rule);
        actors_[assignment.node.value].goal_since = now_;
        const bool is_same = assignment.from == assignment.goal;
        Print(NameOf(assignment.node) + ": " +
              (is_same ? "stays " : Name(assignment.from) + " -> ") + Name(assignment.goal) + " (" +
              assignment.rule + ": " + assignment.reason + ")");
    }
    for (const Assignment &note : decision.notes) {
        fired_.insert(note.rule);
        Print(NameOf(note.node) + ": (" + note.rule + ": " + note.reason + ")");
    }
    for (const NodeId id : decision.removed)
        Print(NameOf(id) + ": forgotten");
    if (decision.known_off.IsValid())
        actors_[decision.known_off.value].lease =
            LeaseRecord{.timed_end = {}, .unlimited = false, .proved_fenced = true};
    const Decision copy = decision;
    Apply(copy, view_);
    if (copy.sync)
        Print("set: " + SetText(copy.sync->goal) + ", version " +
              std::to_string(copy.sync->goal_version));
    if (copy.term) Print("term: " + std::to_string(*copy.term));
    if (copy.target_lsn && copy.target_lsn->IsValid())
        Print("must hold: " + ToString(*copy.target_lsn));
    if (copy.preferred && copy.preferred->IsValid()) Print("wanted: " + NameOf(*copy.preferred));
    if (copy.timeline && *copy.timeline > 1) Print("timeline: " + std::to_string(*copy.timeline));
    if (copy.accepts_data_loss && *copy.accepts_data_loss) Print("loss of data is accepted");
}

void Conversation::Report(NodeId id) {
    Actor &actor = actors_[id.value];
    NodeView *node = view_.Find(id);
    actor.reported_at = now_;
    node->has_report = true;
    node->session = SessionFact::kConnected;
    node->probed_since_session_lost = false;
    const bool is_broken = node->broken_age > Milliseconds{0};
    node->probe = !node->report.pg_running ? ProbeFact::kRefused
                  : is_broken              ? ProbeFact::kBroken
                                           : ProbeFact::kAlive;
    node->reported = node->report.state;
    node->report.term = std::max(node->report.term, actor.reply.term);
    node->report.receiver.stream_age =
        node->report.receiver.streaming ? Milliseconds{0} : Milliseconds{now_ - actor.quiet_since};
    NoteReport(actor.lease, node->report);
    Refresh();
    if (const auto confirmed = ConfirmSync(view_, node->report)) {
        view_.sync = *confirmed;
        Print("set: " + SetText(view_.sync.goal) + " is in force");
    }
    Settle();
    Answer(id);
}

void Conversation::Answer(NodeId id) {
    const NodeView *node = view_.Find(id);
    const KeeperHolder holder = node == nullptr ? KeeperHolder::kSupervisor : node->report.holder;
    Refresh();
    const Reply reply = BuildReply(view_, id, holder);
    Actor &actor = actors_[id.value];
    NoteGrant(actor.lease, reply, now_);
    actor.reply = reply;
    std::string text = Name(reply.goal);
    text += reply.grant == GrantKind::kTimed       ? ", write for a lease"
            : reply.grant == GrantKind::kUnlimited ? ", write"
                                                   : ", do not write";
    const bool follows = reply.goal == kCatchingup || reply.goal == kSecondary ||
                         reply.goal == kFastForward || reply.goal == kWaitMaintenance;
    if (follows && reply.upstream.IsValid()) text += ", follow " + NameOf(reply.upstream);
    if (reply.target_lsn.IsValid()) text += ", hold " + ToString(reply.target_lsn);
    if (text != actor.last_answer && node != nullptr)
        Print("answer to " + node->name + ": " + text);
    actor.last_answer = text;
}

}  // namespace pgaf::conversation
