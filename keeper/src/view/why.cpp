#include "view/why.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "pgaf/core/names.hpp"

namespace pgaf::view {
namespace {

using core::NodeState;
using core::Printable;

constexpr core::Milliseconds kReportsLate{5000};
constexpr std::uint64_t kMuchToReplay = 64 * 1024 * 1024;  ///< a switchover is refused from here on

std::string Named(const NodeRow &node) {
    return fmt::format("node {} \"{}\"", node.id.value, Printable(node.name));
}

std::string Seconds(core::Milliseconds time) {
    return fmt::format("{:.1f} s", static_cast<double>(time.count()) / 1000);
}

/// Builds the lines, and remembers whether any of them was bad news.
class Story {
 public:
    void Title(const std::string &text) { story_.text += text + "\n"; }
    void Fact(std::string_view about, const std::string &text) {
        story_.text += fmt::format("  {:<10}{}\n", about, text);
    }
    void Trouble(std::string_view about, const std::string &text) {
        Fact(about, text);
        story_.is_healthy = false;
    }
    void Hint(const std::string &text) { story_.text += fmt::format("  {:<10}{}\n", "hint", text); }
    Explanation Take() { return std::move(story_); }

 private:
    Explanation story_;
};

bool IsAtRest(NodeState state) {
    return state == NodeState::kPrimary || state == NodeState::kSecondary ||
           state == NodeState::kSingle;
}

void TellState(const ClusterView &view, const NodeRow &node, Story &story) {
    const std::string_view reported = core::ToString(node.reported);
    if (node.reported != node.goal) {
        story.Trouble("state",
                      fmt::format("{}, and should become {}", reported, core::ToString(node.goal)));
    } else if (IsAtRest(node.reported)) {
        story.Fact("state", std::string(reported));
    } else {
        story.Trouble("state", fmt::format("{}, which is not a state to stay in", reported));
    }
    if (node.reported == NodeState::kMaintenance && node.goal == NodeState::kMaintenance)
        story.Hint(fmt::format("pg_autoctl disable maintenance --name {}", Printable(node.name)));
    const auto event =
        std::find_if(view.events.rbegin(), view.events.rend(), [&](const EventRow &row) {
            return row.node == node.id && row.goal == node.goal && !row.rule.empty();
        });
    if (event == view.events.rend()) return story.Fact("because", "no recent event says why");
    story.Fact("because",
               fmt::format("{} (rule {}, {})", Printable(event->reason), event->rule, event->time));
}

void TellHealth(const NodeRow &node, Story &story) {
    const std::string reports = node.has_report
                                    ? fmt::format("reported {} ago", Seconds(node.report_age))
                                    : std::string("has not reported since the monitor started");
    const std::string text = fmt::format(
        "{}, its keeper is {}, its port is {}", reports,
        node.session == "connected" ? "connected" : "not connected", Printable(node.probe));
    const bool is_good = node.health == 1 && node.has_report && node.report_age < kReportsLate;
    if (is_good) return story.Fact("health", "good: " + text);
    story.Trouble("health", (node.health == 0 ? "bad: " : "not known: ") + text);
    story.Hint(
        "Look at the log of pg_autoctl run on the node, and at the network between it and the "
        "monitor.");
}

void TellWal(const ClusterView &view, const NodeRow &node, Story &story) {
    std::string text = fmt::format("at {} on timeline {}", core::ToString(node.lsn), node.timeline);
    if (!node.is_running) return story.Trouble("wal", text + "; PostgreSQL does not run");
    if (core::IsPrimaryIsh(node.reported)) return story.Fact("wal", text);
    if (const auto lag = ReceiveLag(view, node)) text += fmt::format(", lacks {} bytes", *lag);
    if (!node.replay_lsn) return story.Fact("wal", text);
    const std::uint64_t left =
        node.lsn > *node.replay_lsn ? node.lsn.value - node.replay_lsn->value : 0;
    text += fmt::format(", has {} bytes to replay", left);
    if (node.replay_paused) {
        story.Trouble("wal", text + "; replay is paused");
        return story.Hint("SELECT pg_wal_replay_resume() on the node lets it go on.");
    }
    if (left > kMuchToReplay)
        return story.Trouble("wal", text + ": a switchover to it is refused meanwhile");
    story.Fact("wal", text);
}

void TellCommits(const ClusterView &view, const NodeRow &node, const GroupRow &group,
                 Story &story) {
    const core::SyncSet &set = group.sync_goal;
    if (!group.is_sync_confirmed)
        return story.Trouble("commits",
                             "the primary does not use the synchronous set yet that it should");
    if (set.members.empty()) return story.Fact("commits", "wait for no standby");
    const std::string rule =
        fmt::format("{} of {} synchronous standbys must confirm each", set.k, set.members.size());
    if (node.id == group.primary) return story.Fact("commits", rule);
    const bool is_member = SyncRoleOf(view, node) != SyncRole::kNone;
    story.Fact("commits", is_member ? "it is a synchronous standby: " + rule
                                    : "it is not a synchronous standby: " + rule);
    if (!is_member && !node.replication_quorum)
        story.Hint(fmt::format("pg_autoctl set node replication-quorum true --name {}",
                               Printable(node.name)));
}

void TellFailover(const ClusterView &view, const NodeRow &node, const GroupRow &group,
                  Story &story) {
    const NodeRow *const primary = view.PrimaryOf(group);
    const NodeRow *const candidate = view.FindNode(group.candidate);
    if (node.reported == NodeState::kSingle)
        return story.Fact("failover", "there is no other node that could take over");
    if (primary == nullptr) {
        story.Trouble("failover", "there is no primary: " + Printable(group.reason));
    } else if (group.can_fail_over && candidate != nullptr) {
        story.Fact("failover",
                   fmt::format("if {} failed now, {} would take over without the loss of a commit",
                               Named(*primary), Named(*candidate)));
    } else {
        story.Trouble("failover", "nobody could take over now: " + Printable(group.reason));
        story.Hint("pg_autoctl show events says what has led to this.");
    }
    if (node.candidate_priority == 0) {
        story.Fact("priority", "0: this node is never promoted");
        story.Hint(fmt::format("pg_autoctl set node candidate-priority 50 --name {}",
                               Printable(node.name)));
    }
}

/// The node is a standby: what its death takes from the synchronous set.
void TellLossOfStandby(const ClusterView &view, const NodeRow &node, const GroupRow &group,
                       Story &story) {
    const auto formation =
        std::find_if(view.formations.begin(), view.formations.end(),
                     [&](const FormationRow &row) { return row.name == node.formation; });
    const int number = formation == view.formations.end() ? 0 : formation->number_sync_standbys;
    int left = 0;
    for (const core::NodeId member : group.sync_goal.members) {
        const NodeRow *const row = view.FindNode(member);
        if (member != node.id && row != nullptr && row->health == 1) ++left;
    }
    const int wanted = std::max(1, number);
    if (!group.sync_goal.Contains(node.id))
        return story.Fact("commits", "go on as they are: it is not a synchronous standby");
    if (left >= wanted)
        return story.Fact(
            "commits",
            fmt::format("go on: {} healthy synchronous standbys are left, and {} must confirm",
                        left, wanted));
    if (number == 0)
        return story.Trouble(
            "commits", "go on without any standby: until one is back, a failover is not possible");
    story.Trouble(
        "commits",
        fmt::format(
            "wait: {} standbys must confirm each (number-sync-standbys), and {} would be left",
            wanted, left));
    story.Hint("pg_autoctl set formation number-sync-standbys changes how many must confirm.");
}

}  // namespace

Explanation ExplainNode(const ClusterView &view, const NodeRow &node) {
    Story story;
    story.Title(fmt::format("{} ({}:{}), formation {}, group {}", Named(node), Printable(node.host),
                            node.port, Printable(node.formation), node.group));
    TellState(view, node, story);
    TellHealth(node, story);
    TellWal(view, node, story);
    if (const GroupRow *const group = view.FindGroup(node.formation, node.group)) {
        TellCommits(view, node, *group, story);
        TellFailover(view, node, *group, story);
    }
    return story.Take();
}

Explanation ExplainDeath(const ClusterView &view, const NodeRow &node) {
    Story story;
    story.Title(fmt::format("If {} died now", Named(node)));
    const GroupRow *const group = view.FindGroup(node.formation, node.group);
    if (group == nullptr) {
        story.Trouble("failover", "nothing is known of its group");
    } else if (node.id != group->primary) {
        story.Fact("failover", "there is none: it is not the primary");
        TellLossOfStandby(view, node, *group, story);
    } else if (group->can_fail_over && group->candidate.IsValid()) {
        const NodeRow *const candidate = view.FindNode(group->candidate);
        story.Fact("failover", fmt::format("{} would take over",
                                           candidate == nullptr ? "a standby" : Named(*candidate)));
        story.Fact("commits", "none that was acknowledged would be lost");
        if (node.lease_left)
            story.Fact("writes", fmt::format("stop for {} at most before the other may begin, if "
                                             "nothing else proves the end of this node",
                                             Seconds(*node.lease_left)));
    } else {
        story.Trouble("failover", "nobody would take over: " + Printable(group->reason));
        story.Trouble("writes", "stop until it is back, or until an operator decides");
        story.Hint("docs/failure-modes.md says what can be done then.");
    }
    return story.Take();
}

}  // namespace pgaf::view
