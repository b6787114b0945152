#include <deque>
#include <map>
#include <set>

#include "group_builder.hpp"

/// S45. Goal: every goal that the monitor can assign can be reached from every state that can be
/// reported, and from every situation the group heals by itself. Method: all situations that a
/// group can get into are enumerated, by letting nodes die, return, report and reach their goals in
/// every order; in each of them the real rules decide.
namespace pgaf::core::test {
namespace {

using enum NodeState;

enum class Life { kServing, kDown, kSilent };

/// What distinguishes one situation from another, as far as the rules can see.
struct NodeSituation {
    NodeState reported = kInit;
    NodeState goal = kInit;
    Life life = Life::kServing;
    bool is_fresh = true;  ///< its last report was made under its goal
    bool quorum = true;
    friend auto operator<=>(const NodeSituation &, const NodeSituation &) = default;
};

struct Situation {
    std::vector<NodeSituation> nodes;
    std::vector<std::vector<NodeId>> sets;  ///< that may be in use, the goal last
    bool is_settled = true;
    bool has_target = false;
    std::int64_t primary = 1;
    int faults_left = 0;
    int requests_left = 0;
    bool rests = true;  ///< the rules came to rest whenever they decided
    friend auto operator<=>(const Situation &, const Situation &) = default;
};

bool RunsAs(NodeState state, Life life) {
    return life == Life::kServing && !IsStopped(state) && state != kMaintenance;
}

bool IsUp(const NodeSituation &node) { return RunsAs(node.reported, node.life); }

NodeView ViewOf(const Situation &s, std::size_t i) {
    const NodeSituation &from = s.nodes.at(i);
    NodeView node = MakeNode(NodeId{static_cast<std::int64_t>(i) + 1}, from.reported);
    node.goal = from.goal;
    node.replication_quorum = from.quorum;
    node.goal_version = 2;
    node.report.goal_version = from.is_fresh ? 2 : 1;
    node.goal_age = Milliseconds{5000};
    const bool is_primary = !IsStandby(from.reported);
    node.report.pg_running = IsUp(from);
    node.report.holder = IsUp(from) ? KeeperHolder::kWorker : KeeperHolder::kSupervisor;
    node.report.lease_mode = true;
    const bool is_drained = from.reported == kDraining || from.reported == kPrepareMaintenance;
    node.report.fenced = !IsUp(from) || (is_primary && is_drained);
    node.proved_fenced = node.report.fenced;
    if (is_drained) node.report.sealed_lsn = node.report.lsn;
    if (from.life == Life::kSilent) {
        Silence(node, Milliseconds{60'000});
        node.proved_fenced = false;
    }
    const bool is_unlimited = from.goal == kWaitPrimary || from.goal == kSingle;
    if (is_unlimited && from.life == Life::kSilent) node.lease_left = kNoLimit;
    node.report.receiver.stream_age = Milliseconds{10'000};
    node.report.receiver.sealed = IsInElection(from.reported) && IsUp(from);
    return node;
}

GroupView ViewOf(const Situation &s) {
    GroupView view;
    view.primary = NodeId{s.primary};
    view.timeline = view.highest_timeline = 1;
    for (std::size_t i = 0; i < s.nodes.size(); ++i)
        view.nodes.push_back(ViewOf(s, i));
    const auto to_set = [](const std::vector<NodeId> &members) {
        return members.empty() ? SyncSet{} : SyncSet{1, members};
    };
    view.sync.confirmed = to_set(s.sets.front());
    view.sync.goal = to_set(s.sets.back());
    view.sync.goal_version = s.is_settled ? 1 : 2;
    for (std::size_t i = 1; i + 1 < s.sets.size(); ++i)
        view.sync.superseded.push_back(to_set(s.sets.at(i)));
    if (s.has_target) view.target_lsn = Lsn{0x3000000};
    const NodeView *primary = FindPrimary(view);
    if (primary == nullptr || !IsWritable(primary->reported) || !primary->report.pg_running)
        return view;
    for (const NodeView &node : view.nodes) {
        const bool follows = node.reported == kSecondary || node.reported == kCatchingup ||
                             node.reported == kWaitMaintenance;
        const Life life = s.nodes.at(static_cast<std::size_t>(node.id.value) - 1).life;
        const Life other = s.nodes.at(static_cast<std::size_t>(primary->id.value) - 1).life;
        if (follows && node.report.pg_running && life == Life::kServing &&
            other == Life::kServing) {
            Stream(view, primary->id, node.id);
        }
    }
    return view;
}

void TakeOver(Situation &s, const GroupView &view) {
    std::vector<NodeSituation> nodes;
    std::vector<NodeSituation> old = s.nodes;
    for (const NodeView &node : view.nodes) {
        NodeSituation next = old.at(static_cast<std::size_t>(node.id.value) - 1);
        if (next.goal != node.goal) next.is_fresh = false;
        next.goal = node.goal;
        nodes.push_back(next);
    }
    // A node that was removed stays as a dropped one: ids are positions here.
    for (std::size_t i = 0; i < old.size(); ++i) {
        if (view.Find(NodeId{static_cast<std::int64_t>(i) + 1}) == nullptr) {
            nodes.insert(nodes.begin() + static_cast<std::ptrdiff_t>(i), old.at(i));
        }
    }
    s.nodes = nodes;
    s.sets = {view.sync.confirmed.members};
    for (const SyncSet &set : view.sync.superseded)
        s.sets.push_back(set.members);
    s.sets.push_back(view.sync.goal.members);
    s.is_settled = view.sync.IsSettled();
    s.has_target = view.target_lsn.IsValid();
    s.primary = view.primary.value;
}

void Decided(Situation &s) {
    GroupView view = ViewOf(s);
    const Decision decision = Decide(view);
    if (decision.exhausted) s.rests = false;
    Apply(decision, view);
    TakeOver(s, view);
}

/// The node carries out its edge, and reports. False when there is nothing to do.
bool Move(Situation &s, std::size_t i) {
    NodeSituation &node = s.nodes.at(i);
    if (node.life == Life::kSilent) return false;
    if (node.reported == node.goal) {
        const bool starts = node.life == Life::kDown && !IsStopped(node.goal) &&
                            node.goal != kMaintenance && node.goal != kDraining &&
                            node.goal != kPrepareMaintenance;
        if (node.is_fresh && !starts) return false;
        node.is_fresh = true;
        if (starts) node.life = Life::kServing;
        return true;
    }
    const auto edge = FindEdge(node.reported, node.goal);
    if (!edge) return false;
    const bool stops = edge->step == Step::kStop && node.goal == kCatchingup;
    node.reported = stops ? kDemoted : node.goal;
    node.is_fresh = true;
    node.life = Life::kServing;
    return true;
}

/// PostgreSQL really uses the newest set.
bool Confirm(Situation &s) {
    GroupView view = ViewOf(s);
    NodeView *primary = view.Find(view.primary);
    if (primary == nullptr || !primary->report.pg_running || view.sync.IsSettled()) return false;
    Report report = primary->report;
    report.sync_version = view.sync.goal_version;
    const auto confirmed = ConfirmSync(view, report);
    if (!confirmed) return false;
    view.sync = *confirmed;
    TakeOver(s, view);
    return true;
}

bool IsHealthy(const Situation &s) {
    int primaries = 0;
    for (const NodeSituation &node : s.nodes) {
        if (node.reported != node.goal || !node.is_fresh) return false;
        if (node.goal == kPrimary) ++primaries;
        if (node.goal != kPrimary && node.goal != kSecondary) return false;
    }
    return primaries == 1 && s.is_settled && s.rests;
}

std::string Describe(const Situation &s) {
    std::string text;
    for (const NodeSituation &node : s.nodes) {
        text += std::string(ToString(node.reported)) + "/" + std::string(ToString(node.goal)) +
                (node.life == Life::kServing ? ""
                 : node.life == Life::kDown  ? " down"
                                             : " silent") +
                (node.is_fresh ? "; " : " stale; ");
    }
    for (const auto &set : s.sets)
        text += "{" + std::to_string(set.size()) + "}";
    return text + (s.is_settled ? "" : " unsettled") + (s.has_target ? " target" : "") +
           " primary " + std::to_string(s.primary) + "; " + Decide(ViewOf(s)).blocked;
}

/// One round of healing: the operator ends maintenance, and every node does as it is told.
void HealOnce(Situation &s) {
    GroupView view = ViewOf(s);
    for (const NodeView &node : std::vector<NodeView>(view.nodes)) {
        if (const auto end = RequestEndOfMaintenance(view, node.id); end && !end->IsEmpty())
            Apply(*end, view);
    }
    TakeOver(s, view);
    Decided(s);
    for (std::size_t i = 0; i < s.nodes.size(); ++i) {
        (void)Move(s, i);
        Decided(s);
    }
    (void)Confirm(s);
    Decided(s);
}

/// Rounds that a situation needs to be healthy; the ways of most of them meet.
using RoundsToHealth = std::map<Situation, std::size_t>;

/// Everybody returns, the operator ends maintenance, and nothing else goes wrong.
bool Heals(Situation s, RoundsToHealth &known) {
    constexpr std::size_t kRoundsMax = 60;
    for (NodeSituation &node : s.nodes) {
        if (node.life == Life::kSilent) node.life = Life::kDown;
    }
    std::vector<Situation> way;
    std::size_t left = 0;
    while (!IsHealthy(s)) {
        if (const auto it = known.find(s); it != known.end()) {
            left = it->second;
            break;
        }
        if (way.size() == kRoundsMax) return false;
        way.push_back(s);
        HealOnce(s);
    }
    for (std::size_t i = way.size(); i-- > 0;)
        known.emplace(way.at(i), ++left);
    return left <= kRoundsMax;
}

std::vector<Situation> Next(const Situation &s) {
    std::vector<Situation> all;
    const auto add = [&all](Situation next) {
        Decided(next);
        all.push_back(std::move(next));
    };
    for (std::size_t i = 0; i < s.nodes.size(); ++i) {
        if (Situation next = s; Move(next, i)) add(next);
        if (s.nodes.at(i).life != Life::kServing) {
            Situation next = s;
            next.nodes.at(i).life =
                s.nodes.at(i).life == Life::kSilent ? Life::kDown : Life::kServing;
            if (next.nodes.at(i).life == Life::kDown) add(next);
        }
        if (s.faults_left > 0) {
            for (const Life life : {Life::kDown, Life::kSilent}) {
                if (s.nodes.at(i).life != Life::kServing) continue;
                Situation next = s;
                next.nodes.at(i).life = life;
                --next.faults_left;
                add(next);
            }
        }
        if (s.requests_left > 0) {
            GroupView view = ViewOf(s);
            const NodeId id{static_cast<std::int64_t>(i) + 1};
            for (const auto &request :
                 {RequestMaintenance(view, id, nullptr), RequestEndOfMaintenance(view, id),
                  RequestFailover(view, {.preferred = id})}) {
                if (!request || request->IsEmpty()) continue;
                GroupView after = view;
                Apply(*request, after);
                Situation next = s;
                TakeOver(next, after);
                --next.requests_left;
                add(next);
            }
        }
    }
    if (Situation next = s; Confirm(next)) add(next);
    return all;
}

struct Outcome {
    std::size_t situations = 0;
    std::string problem;
};

Outcome Enumerate(const Situation &begin) {
    std::set<Situation> seen{begin};
    std::deque<Situation> open{begin};
    RoundsToHealth known;
    Outcome outcome;
    while (!open.empty() && outcome.problem.empty()) {
        const Situation s = open.front();
        open.pop_front();
        for (const NodeSituation &node : s.nodes) {
            if (node.reported != node.goal && !FindEdge(node.reported, node.goal)) {
                outcome.problem = "no edge: " + Describe(s);
            }
        }
        if (!s.rests) outcome.problem = "the rules undo each other: " + Describe(s);
        if (outcome.problem.empty() && !Heals(s, known))
            outcome.problem = "does not heal: " + Describe(s);
        for (Situation &next : Next(s)) {
            if (seen.insert(next).second) open.push_back(std::move(next));
        }
    }
    outcome.situations = seen.size();
    return outcome;
}

Situation SteadySituation(std::size_t count, int faults, int requests) {
    Situation s;
    std::vector<NodeId> members;
    for (std::size_t i = 0; i < count; ++i) {
        const NodeState state = i == 0 ? kPrimary : kSecondary;
        s.nodes.push_back({state, state, Life::kServing, true, true});
        if (i > 0) members.push_back(NodeId{static_cast<std::int64_t>(i) + 1});
    }
    s.sets = {members, members};
    s.faults_left = faults;
    s.requests_left = requests;
    return s;
}

TEST(Closure, TwoNodesAlwaysHeal) {
    const Outcome outcome = Enumerate(SteadySituation(2, 4, 2));
    EXPECT_EQ(outcome.problem, "");
    EXPECT_GT(outcome.situations, 1000U);
    RecordProperty("situations", static_cast<int>(outcome.situations));
}

TEST(Closure, ThreeNodesAlwaysHeal) {
    const Outcome outcome = Enumerate(SteadySituation(3, 3, 1));
    EXPECT_EQ(outcome.problem, "");
    EXPECT_GT(outcome.situations, 1000U);
    RecordProperty("situations", static_cast<int>(outcome.situations));
}

TEST(Closure, FourNodesAlwaysHeal) {
    const Outcome outcome = Enumerate(SteadySituation(4, 2, 0));
    EXPECT_EQ(outcome.problem, "");
    EXPECT_GT(outcome.situations, 1000U);
    RecordProperty("situations", static_cast<int>(outcome.situations));
}

}  // namespace
}  // namespace pgaf::core::test
