#include "election.hpp"

#include <algorithm>
#include <tuple>

#include "pgaf/core/intake.hpp"

namespace pgaf::core {
namespace {

using enum NodeState;

std::vector<NodeId> IdsOf(const std::vector<const NodeView *> &nodes) {
    std::vector<NodeId> ids;
    for (const NodeView *node : nodes)
        ids.push_back(node->id);
    return ids;
}

/// Where nobody had to confirm, the primary, which is there, has lost what one of these has: it
/// holds nothing that they lack.
bool HaveMoreThanPrimary(const GroupView &view, const std::vector<NodeId> &nodes) {
    const NodeView *const primary = view.Find(view.primary);
    if (primary == nullptr || !IsBehindItsStandby(view, *primary)) return false;
    const std::vector<SyncSet> sets = PossibleSets(view.sync);
    const bool is_confirmed = std::all_of(sets.begin(), sets.end(), [&](const SyncSet &set) {
        return set.members.empty() || CoversEveryCommit(set, nodes);
    });
    return is_confirmed && std::any_of(nodes.begin(), nodes.end(), [&](NodeId id) {
               const NodeView *const node = view.Find(id);
               return node != nullptr && node->report.timeline == primary->held.timeline &&
                      node->report.lsn > primary->held.lost_from;
           });
}

bool CoveredBy(const GroupView &view, const std::vector<NodeId> &nodes) {
    if (view.accepts_data_loss || HasSealedPrimary(view)) return true;
    if (HaveMoreThanPrimary(view, nodes)) return true;
    if (IsAsyncByChoice(view))
        return true;  // the lease of the old primary decides, and the lag below
    return CoversEveryCommit(view.sync, nodes);
}

/// How much of `timeline` the node holds, whatever it went on to.
Lsn EndOn(int timeline, const NodeView &node) {
    for (const TimelineSwitch &left : node.report.history) {
        if (left.timeline == timeline) return left.at;
    }
    return node.report.lsn;
}

/// An asynchronous standby that is too far behind is not worth losing so much.
bool IsTooFarBehind(const GroupView &view, const NodeView &node) {
    const NodeView *primary = view.Find(view.primary);
    if (view.accepts_data_loss || !IsAsyncByChoice(view) || primary == nullptr) return false;
    if (!primary->has_report || !primary->report.lsn.IsValid()) return false;
    const Lsn end = EndOn(primary->report.timeline, node);
    return end < primary->report.lsn &&
           Distance(end, primary->report.lsn) > view.timeouts.promote_lag_bytes;
}

bool MayWin(const GroupView &view, const NodeView &node) {
    if (node.report.is_inconsistent) return false;
    if (node.id != view.preferred && node.candidate_priority <= 0) return false;
    return !IsTooFarBehind(view, node);
}

int RightTimeline(const GroupView &view) {
    return view.accepted_timeline > 0 ? view.accepted_timeline : view.timeline;
}

/// Among these the node whose end the others are compared with: who has most of the newest right
/// timeline. What somebody wrote on another one, after a promotion by hand, was acknowledged to
/// nobody.
const NodeView *ReferenceOf(const GroupView &view, const std::vector<const NodeView *> &nodes) {
    const int right = RightTimeline(view);
    const NodeView *best = nullptr;
    const auto rank = [right](const NodeView &node) {
        const bool is_on_it = right > 0 && IsOnLineage(PositionOf(node), right);
        return std::tuple(is_on_it ? EndOn(right, node) : Lsn{}, node.report.timeline,
                          node.report.lsn);
    };
    const auto find = [&](auto is_candidate) {
        for (const NodeView *node : nodes) {
            if (node->report.timeline == 0 || !is_candidate(*node)) continue;
            if (best == nullptr || rank(*node) > rank(*best)) best = node;
        }
    };
    find([right](const NodeView &n) { return right > 0 && IsOnLineage(PositionOf(n), right); });
    // Nobody has come as far as the right timeline: whoever is the furthest before it.
    if (best == nullptr)
        find([right](const NodeView &n) { return right == 0 || n.report.timeline <= right; });
    return best;
}

std::vector<const NodeView *> OnRightTimeline(const GroupView &view,
                                              std::vector<const NodeView *> nodes) {
    const NodeView *reference = ReferenceOf(view, nodes);
    std::erase_if(nodes, [&](const NodeView *node) {
        if (reference == nullptr) return true;
        const Ancestry ancestry = Compare(PositionOf(*node), PositionOf(*reference));
        return ancestry != Ancestry::kEqual && ancestry != Ancestry::kBehind;
    });
    return nodes;
}

/// Those of them that tell what they have confirmed. Who has left the right timeline for one that
/// cannot be promoted has confirmed nothing there that the reference does not hold; who was never
/// on it, and says otherwise what it was on, may have forgotten.
std::vector<NodeId> Witnesses(const GroupView &view, const std::vector<const NodeView *> &nodes) {
    std::vector<NodeId> witnesses = IdsOf(OnRightTimeline(view, nodes));
    const NodeView *const reference = ReferenceOf(view, nodes);
    const int right = RightTimeline(view);
    const auto has_been_there = [right](const NodeView &node) {
        return right > 0 && IsOnLineage(PositionOf(node), right);
    };
    if (reference == nullptr || !has_been_there(*reference)) return witnesses;
    for (const NodeView *node : nodes) {
        const bool is_new =
            std::find(witnesses.begin(), witnesses.end(), node->id) == witnesses.end();
        if (is_new && has_been_there(*node)) witnesses.push_back(node->id);
    }
    return witnesses;
}

template <typename Is>
std::vector<const NodeView *> Collect(const GroupView &view, Is is) {
    std::vector<const NodeView *> found;
    for (const NodeView &node : view.nodes) {
        if (is(node)) found.push_back(&node);
    }
    return found;
}

/// The end of the most advanced one, by timeline first: all are on one line.
const NodeView *MostAdvanced(const std::vector<const NodeView *> &nodes) {
    const auto it = std::max_element(nodes.begin(), nodes.end(), [](const auto *a, const auto *b) {
        return std::tuple(a->report.timeline, a->report.lsn) <
               std::tuple(b->report.timeline, b->report.lsn);
    });
    return it == nodes.end() ? nullptr : *it;
}

const NodeView *ChooseWinner(const GroupView &view, const std::vector<const NodeView *> &running) {
    const NodeView *best = nullptr;
    const auto rank = [&view](const NodeView &node) {
        return std::tuple(node.id == view.preferred, !LetsNobodyIn(view, node), !CannotReload(node),
                          !IsDamaged(node), !IsReplayStuck(view, node), node.candidate_priority,
                          node.report.lsn, -node.id.value);
    };
    for (const NodeView *node : running) {
        if (!MayWin(view, *node)) continue;
        if (best == nullptr || rank(*node) > rank(*best)) best = node;
    }
    return best;
}

std::string NameIn(const GroupView &view, NodeId id) {
    const NodeView *node = view.Find(id);
    return node == nullptr ? "node " + std::to_string(id.value) : Describe(*node);
}

/// "synchronous standbys ANY 1 (node 2 "b", node 3 "c")"
std::string NameSet(const GroupView &view, const SyncSet &set) {
    std::string text = "synchronous standbys ANY " + std::to_string(set.k) + " (";
    for (const NodeId member : set.members)
        text += (text.back() == '(' ? "" : ", ") + NameIn(view, member);
    return text + ")";
}

std::string ListMissing(const GroupView &view, const std::vector<NodeId> &present) {
    std::string text;
    for (const SyncSet &set : PossibleSets(view.sync)) {
        if (set.members.empty() || CoversEveryCommit(set, present)) continue;
        if (!text.empty()) text += "; ";
        text += "of the " + NameSet(view, set) + " " +
                std::to_string(set.members.size() - static_cast<std::size_t>(set.k) + 1) +
                " must report, and missing:";
        for (const NodeId member : set.members) {
            if (std::find(present.begin(), present.end(), member) != present.end()) continue;
            text += (text.back() == ':' ? " " : ", ") + NameIn(view, member);
        }
    }
    return text.empty() ? "replication to the standbys was not synchronous" : text;
}

}  // namespace

bool IsMemberOfAny(const GroupView &view, NodeId node) {
    const std::vector<SyncSet> sets = PossibleSets(view.sync);
    return std::any_of(sets.begin(), sets.end(),
                       [node](const SyncSet &set) { return set.Contains(node); });
}

bool HasSealedPrimary(const GroupView &view) {
    const NodeView *primary = view.Find(view.primary);
    return view.target_lsn.IsValid() && primary != nullptr && IsHandingOver(primary->goal);
}

WalPosition PositionOf(const NodeView &node) {
    return {node.report.timeline, node.report.lsn, node.report.history};
}

Lsn EndForTarget(const GroupView &view, const NodeView &node) {
    if (!HasSealedPrimary(view) || view.timeline == 0) return node.report.lsn;
    return IsOnLineage(PositionOf(node), view.timeline) ? EndOn(view.timeline, node) : Lsn{};
}

const NodeView *FindOldPrimary(const GroupView &view, const NodeView &standby) {
    return standby.id == view.primary ? nullptr : view.Find(view.primary);
}

bool IsElectionOpen(const GroupView &view) {
    const auto is_writable = [](const NodeView &node) { return IsWritable(node.goal); };
    const auto takes_part = [](const NodeView &node) { return IsInElection(node.goal); };
    return std::none_of(view.nodes.begin(), view.nodes.end(), is_writable) &&
           std::any_of(view.nodes.begin(), view.nodes.end(), takes_part);
}

bool IsAsyncByChoice(const GroupView &view) {
    if (!view.sync.IsSettled() || !view.sync.goal.members.empty()) return false;
    bool has_standby = false;
    for (const NodeView &node : view.nodes) {
        if (node.id == view.primary || node.goal == kDropped) continue;
        if (node.replication_quorum) return false;
        has_standby = true;
    }
    return has_standby;
}

namespace {

/// It is stopped, was a primary or was promoted by hand, and can say what it has as a standby of
/// nobody. Where nothing is confirmed, it may lack more than anybody knows.
bool CouldReturn(const GroupView &view, const NodeView &node) {
    const bool is_stopped = node.reported == kDemoted && node.report.state == kDemoted &&
                            node.report.holder == KeeperHolder::kSupervisor;
    const bool is_free = node.goal == kDemoted || node.goal == kCatchingup ||
                         node.goal == kSecondary || node.goal == kReportLsn;
    const bool is_proved =
        !IsAsyncByChoice(view) || IsOnLineage(PositionOf(node), RightTimeline(view));
    return is_stopped && is_free && node.id != view.primary && IsReporting(view, node) &&
           node.report.timeline > 0 && (view.accepts_data_loss || is_proved);
}

}  // namespace

bool CouldSeal(const GroupView &view, const NodeView &node) {
    if (CouldReturn(view, node)) return true;
    if (node.id == view.primary || !IsServing(view, node) || !node.report.in_recovery) return false;
    if (IsInElection(node.goal) && HasLostWal(node)) return false;
    if (IsInElection(node.goal) || node.goal == kSecondary) return true;
    if (node.goal == kWaitMaintenance) return true;  // a dead primary comes first
    const NodeView *const primary = view.Find(view.primary);
    const bool has_more = primary != nullptr && IsBehindItsStandby(view, *primary) &&
                          node.report.timeline == primary->held.timeline &&
                          node.report.lsn > primary->held.lost_from;
    if (node.goal == kCatchingup && has_more) return true;
    // What a standby has that is still catching up may be inconsistent; as a member it was complete
    // once.
    // The operator may take what is left.
    return node.goal == kCatchingup && IsStandby(node.reported) &&
           (view.accepts_data_loss || IsMemberOfAny(view, node.id));
}

bool CouldConclude(const GroupView &view, std::string *why_not) {
    if (const NodeView *const newer = NewerThanRows(view)) {
        if (why_not != nullptr)
            *why_not = "the monitor's rows are older than what " + Describe(*newer) + " has obeyed";
        return false;
    }
    const auto takes_part = [&view](const NodeView &node) {
        return CouldSeal(view, node) || (HasSealed(view, node) && !HasLostWal(node));
    };
    const auto present = Collect(view, takes_part);
    const auto nodes = OnRightTimeline(view, present);
    const auto running = Collect(view, [&](const NodeView &node) {
        return CouldSeal(view, node) && MayWin(view, node) &&
               std::find(nodes.begin(), nodes.end(), &node) != nodes.end();
    });
    const std::vector<NodeId> witnesses = Witnesses(view, present);
    if (!CoveredBy(view, witnesses)) {
        if (why_not != nullptr) *why_not = ListMissing(view, witnesses);
        return false;
    }
    if (running.empty() && why_not != nullptr) {
        *why_not = "no standby reports that may be promoted and is not too far behind";
    }
    return !running.empty();
}

bool IsOnRightTimeline(const GroupView &view, const NodeView &node) {
    auto nodes = Collect(
        view, [&](const NodeView &other) { return other.id == node.id || HasSealed(view, other); });
    nodes = OnRightTimeline(view, std::move(nodes));
    return std::find(nodes.begin(), nodes.end(), &node) != nodes.end();
}

Election AssessElection(const GroupView &view) {
    Election election;
    election.is_open = IsElectionOpen(view);
    if (!election.is_open) return election;
    const auto sealed = Collect(
        view, [&](const NodeView &node) { return HasSealed(view, node) && !HasLostWal(node); });
    auto running = sealed;
    std::erase_if(running, [&](const NodeView *node) { return !IsServing(view, *node); });
    for (const NodeView &node : view.nodes) {
        if (!CouldSeal(view, node) || HasSealed(view, node)) continue;
        election.wait = std::max(election.wait, view.timeouts.stragglers - node.goal_age);
    }
    // Those that run suffice in most cases; then nobody needs what a dead one has.
    const auto &present = CoveredBy(view, Witnesses(view, running)) ? running : sealed;
    const std::vector<NodeId> witnesses = Witnesses(view, present);
    const auto counted = OnRightTimeline(view, present);
    running = OnRightTimeline(view, running);
    election.is_covered = CoveredBy(view, witnesses) && !counted.empty();
    if (!election.is_covered) {
        election.why_not = ListMissing(view, witnesses);
        return election;
    }
    const NodeView *furthest = MostAdvanced(counted);
    election.required = HasSealedPrimary(view) ? view.target_lsn : furthest->report.lsn;
    const NodeView *source = MostAdvanced(running);
    if (source != nullptr && EndForTarget(view, *source) >= election.required)
        election.source = source->id;
    const NodeView *winner = ChooseWinner(view, running);
    if (winner == nullptr) {
        election.why_not = "no standby that has stopped receiving may be promoted";
    } else if (!election.source.IsValid()) {
        election.why_not = "no running standby holds WAL up to " + ToString(election.required);
    } else {
        election.winner = winner->id;
    }
    return election;
}

NodeId BestCandidate(const GroupView &view) {
    const auto candidates = Collect(view, [&](const NodeView &node) {
        return node.goal == kSecondary && node.reported == kSecondary && CouldSeal(view, node);
    });
    const NodeView *winner = ChooseWinner(view, candidates);
    return winner == nullptr ? NodeId{} : winner->id;
}

std::string DescribeLoss(const GroupView &view) {
    const auto present = Collect(
        view, [&](const NodeView &node) { return CouldSeal(view, node) || IsSealed(view, node); });
    const auto nodes = OnRightTimeline(view, present);
    const std::vector<NodeId> witnesses = Witnesses(view, present);
    std::string text = CoveredBy(view, witnesses)
                           ? "nothing, the standbys that report hold all of them"
                           : ListMissing(view, witnesses);
    const NodeView *best = MostAdvanced(nodes);
    const NodeView *primary = view.Find(view.primary);
    if (best == nullptr || primary == nullptr || !primary->report.lsn.IsValid()) return text;
    text += "; the primary last reported " + ToString(primary->report.lsn) +
            ", the best standby, " + Describe(*best) + ", holds " + ToString(best->report.lsn);
    if (best->report.lsn < primary->report.lsn) {
        text += ": " + std::to_string(Distance(best->report.lsn, primary->report.lsn)) +
                " bytes of WAL are known to be missing";
    }
    return text;
}

}  // namespace pgaf::core
