#include <algorithm>
#include <cstdlib>

#include "conversation.hpp"

/// The nodes' side: what they say, and what follows from a state that they have reached.
namespace pgaf::conversation {

using namespace core;  // NOLINT: a conversation is about nothing but the core
using enum NodeState;

namespace {

constexpr int kObeyRounds = 40;

StandbyFact &FactOf(NodeView &node, NodeId standby) {
    for (StandbyFact &fact : node.report.standbys) {
        if (fact.node == standby) return fact;
    }
    StandbyFact fact;
    fact.node = standby;
    node.report.standbys.push_back(fact);
    return node.report.standbys.back();
}

}  // namespace

/// NODE is killed | crashes | is cut off | lets nobody in | lets all in | has FACTS | returns FACTS
/// | reports FACTS | reaches FACTS
void Conversation::NodeSays(const std::string &name, const Words &words) {
    NodeView *node = Find(name);
    const std::string verb = words.empty() ? "" : words.at(0);
    if (node == nullptr) return Fail(name + " " + verb);
    const Words facts(words.empty() ? words.end() : words.begin() + 1, words.end());
    if (verb == "is" && facts == Words{"killed"}) {
        Kill(*node);
    } else if (verb == "crashes") {  // and its supervisor says so
        Kill(*node);
        node->session = SessionFact::kConnected;
        ApplyFacts(*node, {"down"});
        Report(node->id);
    } else if (verb == "is" && facts == Words{"cut", "off"}) {
        actors_[node->id.value].is_alive = false;
        node->probe = ProbeFact::kSilent;
    } else if (verb == "lets" && (facts == Words{"nobody", "in"} || facts == Words{"all", "in"})) {
        const bool is_broken = facts.at(0) == "nobody";
        node->probe = is_broken ? ProbeFact::kBroken : ProbeFact::kAlive;
        node->broken_age = is_broken ? view_.timeouts.stall : Milliseconds{0};
        node->broken = "a map is damaged";
        Settle();
    } else if (verb == "has") {  // and has not said so yet
        ApplyFacts(*node, facts);
    } else if (verb == "reports" || verb == "returns") {
        actors_[node->id.value].is_alive = true;
        if (verb == "reports") node->report.goal_version = node->goal_version;
        ApplyFacts(*node, facts);
        Report(node->id);
    } else if (verb == "reaches") {
        actors_[node->id.value].is_alive = true;
        Reach(*node, facts);
        Report(node->id);
    } else {
        Fail(name + " " + verb);
    }
}

/// SIGKILL of everything on a host that lives: its session ends, its port refuses, and who streamed
/// from it or to it notices.
void Conversation::Kill(NodeView &node) {
    actors_[node.id.value].is_alive = false;
    node.session = SessionFact::kLost;
    node.probe = ProbeFact::kRefused;
    node.probed_since_session_lost = true;
    for (NodeView &other : view_.nodes) {
        if (other.report.receiver.upstream == node.id) FallQuiet(other);
        std::erase_if(other.report.standbys,
                      [&](const StandbyFact &fact) { return fact.node == node.id; });
    }
    Settle();
}

void Conversation::ApplyFacts(NodeView &node, const Words &words) {
    for (std::size_t at = 0; at < words.size();) {
        const std::size_t used = ApplyFact(node, words, at);
        if (used == 0) return Fail(words.at(at));
        at += used;
    }
}

/// Returns how many words it took; 0 when they are not understood.
std::size_t Conversation::ApplyFact(NodeView &node, const Words &words, std::size_t at) {
    core::Report &report = node.report;
    const std::string &word = words.at(at);
    if (word == "fenced" || word == "open") {
        report.fenced = word == "fenced";
    } else if (word == "sealed" || word == "unsealed") {
        report.receiver.sealed = word == "sealed";
    } else if (word == "unaware") {  // it was sent before the node heard of its goal
        report.goal_version = node.goal_version - 1;
    } else if (word == "old-set") {  // a reload that has not come into force
        report.sync_version = view_.sync.confirmed_version;
    } else if (word == "new-set") {
        report.sync_version = view_.sync.goal_version;
    } else if (word == "down") {
        report.pg_running = false;
        report.holder = KeeperHolder::kSupervisor;
        report.fenced = true;
        report.standbys.clear();
        report.receiver = {};
    } else if (word == "up") {
        report.pg_running = true;
        report.holder = KeeperHolder::kWorker;
    } else if (word == "receives-nothing") {
        FallQuiet(node);
    } else {
        return ApplyListFact(node, words, at);
    }
    return 1;
}

/// Facts of several words.
std::size_t Conversation::ApplyListFact(NodeView &node, const Words &words, std::size_t at) {
    core::Report &report = node.report;
    const std::string &word = words.at(at);
    if (at + 1 >= words.size()) return 0;
    const std::string &value = words.at(at + 1);
    if (word == "lsn") {
        const auto lsn = ParseLsn(value);
        if (!lsn) return 0;
        report.lsn = *lsn;
        if (IsHandingOver(report.state)) report.sealed_lsn = *lsn;
        for (NodeView &other : view_.nodes) {
            for (StandbyFact &fact : other.report.standbys) {
                if (fact.node == node.id) fact.flush_lsn = *lsn;
            }
        }
    } else if (word == "timeline") {
        report.timeline = std::atoi(value.c_str());
    } else if (word == "state") {  // from an earlier image of its disk
        const auto state = ParseNodeState(value);
        if (!state) return 0;
        report.state = *state;
        report.in_recovery = IsStandby(*state);
    } else if (word == "history") {
        report.history = DecodeHistory(value);
    } else if (word == "loses" || word == "streams-to" || word == "receives-from") {
        NodeView *other = Find(value);
        if (other == nullptr) return 0;
        if (word == "loses") {
            std::erase_if(report.standbys,
                          [&](const StandbyFact &fact) { return fact.node == other->id; });
        } else {
            word == "streams-to" ? Stream(node, *other) : Stream(*other, node);
        }
    } else {
        return 0;
    }
    return 2;
}

void Conversation::FallQuiet(NodeView &node) {
    if (node.report.receiver.streaming) actors_[node.id.value].quiet_since = now_;
    node.report.receiver.streaming = false;
}

void Conversation::Stream(NodeView &from, NodeView &to) {
    StandbyFact &fact = FactOf(from, to.id);
    fact.streaming = fact.in_sync_set = true;
    fact.flush_lsn = to.report.lsn;
    to.report.receiver = {from.id, true, Milliseconds{0}, false};
}

/// The node has carried out its goal; `words` say what is different from the usual.
void Conversation::Reach(NodeView &node, const Words &words) {
    Refresh();
    Actor &actor = actors_[node.id.value];
    actor.reply = BuildReply(view_, node.id, node.report.holder);
    node.report.state = node.goal;
    node.report.goal_version = node.goal_version;
    BecomeAs(node);
    ApplyFacts(node, words);
}

/// What is usual in the state that the node reports.
void Conversation::BecomeAs(NodeView &node) {
    core::Report &report = node.report;
    const Reply &reply = actors_[node.id.value].reply;
    const NodeState state = report.state;
    if (IsStopped(state) || state == kMaintenance || state == kDropped || state == kWaitStandby) {
        ApplyFacts(node, {"down"});
        report.in_recovery = false;
        return;
    }
    ApplyFacts(node, {"up"});
    if (IsHandingOver(state)) {
        report.fenced = true;
        report.sealed_lsn = report.lsn;
    } else if (IsWritable(state)) {
        if (report.in_recovery) {  // promoted
            report.history.push_back({report.timeline, report.lsn});
            report.timeline = std::max(reply.next_timeline, report.timeline + 1);
            report.standbys.clear();
        }
        report.timeline = std::max(report.timeline, 1);
        if (!report.lsn.IsValid()) report.lsn = Lsn{0x3000000};
        report.in_recovery = report.fenced = false;
        report.sealed_lsn = {};
        report.receiver = {};
        report.sync_version = view_.sync.goal_version;
        report.lease_mode = state == kPrimary || state == kApplySettings;
    } else if (state == kCatchingup || state == kSecondary) {
        Follow(node);
    } else if (state != kWaitMaintenance) {
        report.in_recovery = true;
        report.receiver.sealed = true;
        FallQuiet(node);
        report.receiver.upstream = {};
        if (state == kFastForward) report.lsn = std::max(report.lsn, reply.target_lsn);
        for (NodeView &other : view_.nodes) {
            std::erase_if(other.report.standbys,
                          [&](const StandbyFact &fact) { return fact.node == node.id; });
        }
    }
}

/// It holds what its upstream holds, and streams.
void Conversation::Follow(NodeView &node) {
    core::Report &report = node.report;
    report.in_recovery = true;
    report.fenced = true;
    report.lease_mode = false;
    NodeView *upstream = view_.Find(actors_[node.id.value].reply.upstream);
    if (upstream == nullptr || !actors_[upstream->id.value].is_alive) return;
    report.timeline = upstream->report.timeline;
    report.history = upstream->report.history;
    report.lsn = upstream->report.lsn;
    Stream(*upstream, node);
}

/// Everybody who lives carries out what the monitor wants until it is quiet.
void Conversation::Obey() {
    constexpr int kQuietRounds = 8;
    int quiet = 0;
    for (int round = 0; round < kObeyRounds && quiet < kQuietRounds; ++round) {
        const std::size_t before = out_.size();
        now_ = now_ + Milliseconds{100};
        for (const NodeView &row : std::vector<NodeView>(view_.nodes)) {
            NodeView *node = view_.Find(row.id);
            if (node == nullptr || !actors_[row.id.value].is_alive) continue;
            if (node->report.state != node->goal) {
                Reach(*node, {});
                Print(node->name + ": reaches " + std::string(ToString(node->goal)));
            } else if (!node->report.pg_running && IsWritable(node->goal)) {
                Reach(*node, {});
                Print(node->name + ": is started as " + std::string(ToString(node->goal)));
            } else {
                node->report.goal_version = node->goal_version;
                if (IsWritable(node->goal)) node->report.sync_version = view_.sync.goal_version;
            }
            Report(row.id);
        }
        quiet = out_.size() == before ? quiet + 1 : 0;
    }
    if (quiet < kQuietRounds) Print("they do not come to rest");
}

}  // namespace pgaf::conversation
