#include "evidence.hpp"

#include <algorithm>
#include <functional>
#include <vector>

#include "election.hpp"
#include "pgaf/core/intake.hpp"

namespace pgaf::core {
namespace {

std::string Seconds(Milliseconds ms) {
    const auto tenths = (ms.count() + 50) / 100;
    return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " s";
}

void Say(std::string *why, std::string text) {
    if (why != nullptr) *why = std::move(text);
}

bool IsPostgresReportedDown(const GroupView &view, const NodeView &node) {
    return IsReporting(view, node) && node.report.holder == KeeperHolder::kSupervisor &&
           !node.report.pg_running && node.report.fenced;
}

/// How long confirmations of this standby may still extend a lease of the primary. One that has
/// sealed confirms nothing more. One that has heard nothing for a lease has let it run out, and
/// what has run out is not extended.
Milliseconds StreamLeaseLeftBy(const GroupView &view, const NodeView &node) {
    if (!node.has_report) return kNoLimit;
    const Milliseconds age = node.report.receiver.stream_age;
    if (HasSealed(view, node)) {
        const Milliseconds left = StreamLeaseLeft(age + node.report_age, view.timeouts.lease);
        return std::max(left, Milliseconds{0});
    }
    const bool was_deaf = node.report.in_recovery && node.report.pg_running &&
                          age >= MonitorLease(view.timeouts.lease);
    return was_deaf ? Milliseconds{0} : kNoLimit;
}

/// The primary needs k members of every set that it knows to be possible, the confirmed one always
/// among them.
template <typename LeftBy>
Milliseconds ExtensionLeft(const GroupView &view, LeftBy left_by) {
    const auto by_set = [&](const SyncSet &set) {
        std::vector<Milliseconds> left;
        for (const NodeId member : set.members) {
            const NodeView *node = view.Find(member);
            left.push_back(node == nullptr ? kNoLimit : left_by(*node));
        }
        std::sort(left.begin(), left.end(), std::greater<>());
        return left.at(static_cast<std::size_t>(std::clamp<std::ptrdiff_t>(
            set.k - 1, 0, static_cast<std::ptrdiff_t>(left.size()) - 1)));
    };
    if (!view.sync.confirmed.members.empty()) return by_set(view.sync.confirmed);
    Milliseconds most{0};
    bool has_sets = false;
    for (const SyncSet &set : PossibleSets(view.sync)) {
        if (set.members.empty()) continue;
        has_sets = true;
        most = std::max(most, by_set(set));
    }
    if (has_sets) return most;
    // Asynchronous by choice: every standby that could be promoted has to confirm.
    Milliseconds least = kNoLimit;
    for (const NodeView &node : view.nodes) {
        if (node.id != view.primary && IsInElection(node.goal))
            least = std::min(least, left_by(node));
    }
    return least == kNoLimit ? Milliseconds{0} : least;
}

}  // namespace

std::string Describe(const NodeView &node) {
    return "node " + std::to_string(node.id.value) + " \"" + node.name + "\"";
}

bool IsReporting(const GroupView &view, const NodeView &node) {
    return node.has_report && node.report_age < view.timeouts.unhealthy && !IsProcessGone(node);
}

bool IsServing(const GroupView &view, const NodeView &node) {
    return IsReporting(view, node) && node.report.pg_running &&
           node.report.holder == KeeperHolder::kWorker;
}

bool IsStoppedWithData(const NodeView &node) {
    const bool rests = node.reported == NodeState::kMaintenance &&
                       node.goal != NodeState::kMaintenance &&
                       node.report.holder == KeeperHolder::kSupervisor;
    return node.reported == NodeState::kDemoted || rests;
}

bool IsProcessGone(const NodeView &node) {
    return node.session == SessionFact::kLost && node.probed_since_session_lost &&
           node.probe == ProbeFact::kRefused;
}

bool IsStalledPrimary(const GroupView &view, const NodeView &node) {
    return IsServing(view, node) && !node.report.in_recovery &&
           node.report.stall_age >= view.timeouts.stall;
}

bool LetsNobodyIn(const GroupView &view, const NodeView &node) {
    return node.broken_age >= view.timeouts.stall;
}

namespace {

/// It goes on unless another node would do better: the sessions that it has are served.
bool MustYieldAsBroken(const GroupView &view, const NodeView &node) {
    return LetsNobodyIn(view, node) &&
           std::any_of(view.nodes.begin(), view.nodes.end(), [&](const NodeView &other) {
               return other.id != node.id && IsStable(other, NodeState::kSecondary) &&
                      IsServing(view, other) && other.probe == ProbeFact::kAlive;
           });
}

}  // namespace

bool IsBehindItsStandby(const GroupView &view, const NodeView &primary) {
    return primary.held.is_behind_others && primary.id == view.primary && view.nodes.size() > 1;
}

/// A standby that is to stream, and gets nothing.
bool IsDeaf(const GroupView &view, const NodeView &node) {
    const NodeView *const primary = FindPrimary(view);
    return primary != nullptr && IsReporting(view, *primary) &&
           node.goal == NodeState::kSecondary && node.report.in_recovery &&
           node.report.receiver.stream_age >= view.timeouts.stall;
}

bool IsSoundPrimary(const GroupView &view, const NodeView &primary) {
    return IsServing(view, primary) && !primary.report.in_recovery &&
           !IsStalledPrimary(view, primary) && !IsBehindItsStandby(view, primary);
}

bool HasLostWal(const NodeView &standby) {
    // Before it has sealed it may still be reading what it has.
    return standby.report.receiver.sealed && standby.held.lost_from.IsValid();
}

bool IsDamaged(const NodeView &node) { return node.has_report && node.report.is_damaged; }

bool IsReplayStuck(const GroupView &view, const NodeView &node) {
    return node.has_report && node.report.pg_running && node.report.in_recovery &&
           (node.report.receiver.replay_paused || node.report.stall_age >= view.timeouts.stall);
}

bool CannotReload(const NodeView &node) {
    return node.has_report && node.report.pg_running && node.report.cannot_reload;
}

std::uint64_t ReplayLag(const NodeView &node) {
    const Lsn replayed = node.report.receiver.replay_lsn;
    const bool says = node.has_report && node.report.in_recovery && replayed.IsValid();
    return says && replayed < node.report.lsn ? Distance(replayed, node.report.lsn) : 0;
}

const StandbyFact *StandbyFactOf(const NodeView &primary, NodeId standby) {
    const auto &facts = primary.report.standbys;
    const auto it = std::find_if(facts.begin(), facts.end(),
                                 [&](const StandbyFact &fact) { return fact.node == standby; });
    return it == facts.end() ? nullptr : &*it;
}

bool HasLeftRecovery(const NodeView &standby) {
    return standby.has_report && standby.report.pg_running && !standby.report.in_recovery &&
           IsStandby(standby.report.state);
}

bool IsStandbyLost(const GroupView &view, const NodeView &primary, const NodeView &standby,
                   std::string *why) {
    const Milliseconds limit = view.timeouts.unhealthy;
    const StandbyFact *fact = StandbyFactOf(primary, standby.id);
    // Only a primary that reports now is a witness against its standby: one that has just frozen is
    // not.
    if (primary.report_age >= limit / 2) return false;
    const bool is_mute = fact != nullptr && fact->reply_age >= limit;
    if (fact != nullptr && fact->streaming && !is_mute) return false;

    if (IsProcessGone(standby)) {
        Say(why, Describe(standby) + " lost its session and its port refuses connections");
    } else if (IsPostgresReportedDown(view, standby)) {
        Say(why, Describe(standby) + " reports that PostgreSQL is down");
    } else if (HasLeftRecovery(standby)) {
        Say(why, Describe(standby) + " is out of recovery");
    } else if (standby.silent_age >= limit) {
        Say(why, Describe(standby) + " has not reported for " + Seconds(standby.silent_age) +
                     " and does not confirm WAL to the primary");
    } else if (is_mute) {
        Say(why, Describe(standby) + " has not confirmed WAL to the primary for " +
                     Seconds(fact->reply_age));
    } else if (standby.has_report && (fact == nullptr || !standby.report.receiver.streaming) &&
               standby.report.receiver.stream_age >= limit) {
        // Without a walsender its receiver waits for a stream that has ended: until its own limit.
        Say(why, Describe(standby) + " has not received WAL for " +
                     Seconds(standby.report.receiver.stream_age));
    } else {
        return false;
    }
    return true;
}

bool IsUnheard(const GroupView &view, const NodeView &primary) {
    // A primary that has lost the monitor writes a WAL record every quarter of a lease, so a
    // standby that hears it hears it more often than this.
    const Milliseconds quiet = view.timeouts.lease * 3 / 4;
    return std::all_of(view.nodes.begin(), view.nodes.end(), [&](const NodeView &node) {
        if (node.id == primary.id || !IsReporting(view, node) || !node.report.pg_running)
            return true;
        return !node.report.receiver.streaming || node.report.receiver.stream_age >= quiet;
    });
}

Liveness LivenessOf(const GroupView &view, const NodeView &node, std::string *why) {
    if (IsStalledPrimary(view, node)) {
        Say(why, Describe(node) + " has WAL that has not reached its disk for " +
                     Seconds(node.report.stall_age));
        return Liveness::kGone;
    }
    if (IsServing(view, node) && IsBehindItsStandby(view, node)) {
        Say(why, Describe(node) + " has lost WAL from " + ToString(node.held.lost_from) +
                     " on, which a standby has");
        return Liveness::kGone;
    }
    if (IsServing(view, node) && MustYieldAsBroken(view, node)) {
        Say(why, Describe(node) + " lets no session in: " + node.broken);
        return Liveness::kGone;
    }
    if (IsServing(view, node)) return Liveness::kHealthy;
    if (IsPostgresReportedDown(view, node)) {
        Say(why, Describe(node) + " reports that PostgreSQL is down");
        return Liveness::kGone;
    }
    const bool unheard = IsUnheard(view, node);
    if (IsProcessGone(node) && unheard) {
        Say(why, Describe(node) +
                     " lost its session, its port refuses connections, and its standby "
                     "no longer streams from it");
        return Liveness::kGone;
    }
    // A node that has never reported since the monitor started may be on its way: silence counts
    // from then.
    const bool is_silent = node.silent_age >= view.timeouts.unhealthy;
    if (is_silent && node.lease_left <= Milliseconds{0}) {
        if (unheard) {
            Say(why, Describe(node) + " has not reported for " + Seconds(node.silent_age) +
                         ", its lease has expired, and no standby hears anything from it");
            return Liveness::kGone;
        }
        // An answer from before its last report says nothing about its silence.
        if (node.probe == ProbeFact::kRefused && node.probe_age < node.silent_age) {
            Say(why, Describe(node) + " has not reported for " + Seconds(node.silent_age) +
                         ", its lease has expired, and its port refuses connections");
            return Liveness::kGone;
        }
        Say(why, Describe(node) + " has not reported for " + Seconds(node.silent_age) +
                     ", but a standby still streams from it");
        return Liveness::kUnsure;
    }
    Say(why, Describe(node) + " has not reported for " + Seconds(node.silent_age));
    return Liveness::kUnsure;
}

/// The rows are old: who knows more does not obey them, and who they say is the primary may have
/// been one.
bool IsInDoubt(const GroupView &view, const NodeView &node) {
    if (IsNewerThanRows(view, node)) return true;
    return IsPrimaryIsh(node.goal) && NewerThanRows(view) != nullptr;
}

int HealthOf(const GroupView &view, const NodeView &node) {
    const bool is_unfit = IsReplayStuck(view, node) || IsStalledPrimary(view, node) ||
                          IsDamaged(node) || IsBehindItsStandby(view, node) ||
                          LetsNobodyIn(view, node) || CannotReload(node) || IsInDoubt(view, node) ||
                          (IsReporting(view, node) && IsDeaf(view, node));
    if (is_unfit) return 0;
    if (IsReporting(view, node)) return node.report.pg_running ? 1 : 0;
    if (IsProcessGone(node) || node.silent_age >= view.timeouts.unhealthy) return 0;
    return node.has_report ? 0 : -1;
}

bool HasSealed(const GroupView &view, const NodeView &standby) {
    if (!IsInElection(standby.goal) || standby.id == view.primary) return false;
    const Report &report = standby.report;
    // A report of an earlier goal may be from before the node followed somebody again.
    if (!standby.has_report || report.goal_version != standby.goal_version) return false;
    if (!report.in_recovery || !IsInElection(report.state)) return false;
    // On its way to what another standby has, it can hear nothing of the old primary.
    const bool fetches =
        standby.goal == NodeState::kFastForward && report.receiver.upstream != view.primary;
    return report.receiver.sealed || fetches;
}

bool IsSealed(const GroupView &view, const NodeView &standby) {
    return HasSealed(view, standby) && IsServing(view, standby);
}

bool IsStreamingFrom(const NodeView &standby, const NodeView &primary) {
    const StandbyFact *fact = StandbyFactOf(primary, standby.id);
    return fact != nullptr && fact->streaming && standby.report.receiver.streaming &&
           standby.report.receiver.upstream == primary.id &&
           standby.report.timeline == primary.report.timeline;
}

bool IsConfirming(const GroupView &view, const NodeView &standby, const NodeView &primary) {
    const StandbyFact *const fact = StandbyFactOf(primary, standby.id);
    return IsStreamingFrom(standby, primary) && fact->reply_age < view.timeouts.report_interval &&
           !IsStandbyLost(view, primary, standby, nullptr) &&
           Distance(fact->flush_lsn, primary.report.lsn) <= view.timeouts.enable_sync_lag_bytes;
}

Milliseconds LeaseLeftWithStream(const GroupView &view, const NodeView &old_primary) {
    if (old_primary.proved_fenced) return Milliseconds{0};
    if (old_primary.lease_left == kNoLimit || old_primary.id != view.primary) {
        return old_primary.lease_left;
    }
    const Milliseconds by_stream = ExtensionLeft(
        view, [&view](const NodeView &node) { return StreamLeaseLeftBy(view, node); });
    return std::max({old_primary.lease_left, by_stream, Milliseconds{0}});
}

bool CanLeaseEnd(const GroupView &view) {
    const auto left_by = [&view](const NodeView &node) {
        return CouldSeal(view, node) ? Milliseconds{0} : StreamLeaseLeftBy(view, node);
    };
    return ExtensionLeft(view, left_by) != kNoLimit;
}

bool IsProvedFenced(const GroupView &view, const NodeView &old_primary, std::string *why) {
    const std::string who = Describe(old_primary);
    if (old_primary.proved_fenced) {
        Say(why, who + " has reported that it is fenced");
        return true;
    }
    // A lost session and a refused port prove nothing: firewalls, balancers and moved addresses
    // answer for living servers.
    if (LeaseLeftWithStream(view, old_primary) <= Milliseconds{0}) {
        Say(why, "the lease of " + who + " has expired");
        return true;
    }
    Say(why, LeaseLeftWithStream(view, old_primary) == kNoLimit
                 ? "standbys that do not report may still extend the lease of " + who
                 : "the lease of " + who + " may still be in use");
    return false;
}

}  // namespace pgaf::core
