#include <algorithm>

#include "rules.hpp"

/// When nodes come, go, rest, and come back.
namespace pgaf::core::when {

using enum NodeState;

namespace {

bool IsAlone(const RuleContext &c) { return c.view.nodes.size() == 1; }

bool AnyOther(const RuleContext &c, bool (*is)(const NodeView &)) {
    return std::any_of(c.view.nodes.begin(), c.view.nodes.end(),
                       [&](const NodeView &other) { return other.id != c.node.id && is(other); });
}

}  // namespace

bool IsPrimary(const RuleContext &c) { return c.primary != nullptr && c.primary->id == c.node.id; }

bool HasOtherPrimary(const RuleContext &c) {
    return c.primary != nullptr && c.primary->id != c.node.id;
}

bool IsReadyPrimary(const GroupView &view, const NodeView *primary) {
    if (primary == nullptr || !IsSoundPrimary(view, *primary)) return false;
    // On the way between these states it writes all the time.
    const auto serves = [](NodeState state) {
        return state == kWaitPrimary || state == kPrimary || state == kApplySettings;
    };
    return serves(primary->goal) && serves(primary->reported);
}

bool IsForgettable(const RuleContext &c) {
    if (!IsStable(c.node, kDropped)) return false;
    // While a standby still has to take over, the row says that the old primary is fenced.
    return c.node.id != c.view.primary || !AnyOther(c, [](const NodeView &other) {
               return IsStandby(other.goal) || IsStandby(other.reported);
           });
}

bool IsLonePrimary(const RuleContext &c) {
    return IsAlone(c) && c.node.goal != kSingle && IsServing(c.view, c.node) &&
           (IsStable(c.node, kWaitPrimary) || IsStable(c.node, kPrimary) ||
            IsStable(c.node, kApplySettings));
}

bool IsLoneStandby(const RuleContext &c) {
    return IsAlone(c) && IsServing(c.view, c.node) && c.node.report.in_recovery &&
           (IsInElection(c.node.goal) || c.node.goal == kSecondary || c.node.goal == kCatchingup) &&
           IsStandby(c.node.reported);
}

bool IsLoneDemoted(const RuleContext &c) {
    const bool is_wanted = c.node.goal == kDemoted || c.node.goal == kCatchingup;
    return IsAlone(c) && IsStoppedWithData(c.node) && is_wanted && IsReporting(c.view, c.node);
}

bool HasNewStandby(const RuleContext &c) {
    return IsPrimary(c) && IsStable(c.node, kSingle) && IsServing(c.view, c.node) &&
           AnyOther(c, [](const NodeView &other) { return other.goal == kWaitStandby; });
}

bool CanBeCopied(const RuleContext &c) {
    if (!HasOtherPrimary(c) || c.node.goal != kWaitStandby) return false;
    // A monitor that was restored from a backup has forgotten that it was copied, and what came of
    // it since.
    const bool is_further = IsStandby(c.node.reported) || c.node.reported == kDemoted;
    return (is_further || IsStable(c.node, kWaitStandby)) && IsReadyPrimary(c.view, c.primary);
}

/// By an order that a monitor from a backup does not know. Who leaves maintenance catches up first.
bool IsInMaintenance(const RuleContext &c) {
    return (c.node.goal == kSecondary || c.node.goal == kWaitStandby) &&
           c.node.reported == kMaintenance;
}

/// It has ended for good, and says so once.
bool WasDropped(const RuleContext &c) {
    return c.node.goal != kDropped && c.node.reported == kDropped;
}

bool CanRejoin(const RuleContext &c) {
    return HasOtherPrimary(c) && IsStable(c.node, kDemoted) && IsReadyPrimary(c.view, c.primary);
}

bool IsReadyForMaintenance(const RuleContext &c) {
    if (!IsStable(c.node, kWaitMaintenance) || !HasOtherPrimary(c)) return false;
    const SyncState &sync = c.view.sync;
    const bool has_left = !sync.goal.Contains(c.node.id) && sync.IsSettled();
    // With too few others the set cannot do without it. Its acknowledgements count all the same: no
    // election is held without it then.
    return has_left || DesiredSync(c.view).Contains(c.node.id);
}

}  // namespace pgaf::core::when
