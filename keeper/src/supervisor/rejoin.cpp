#include "supervisor/rejoin.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <span>

namespace pgaf::supervisor {
namespace {

using Past = std::span<const core::TimelineSwitch>;

/// Ours certainly came to be as `theirs`; only the first timeline has no past.
bool HasPast(const ControlFacts &ours, Past theirs) {
    if (ours.timeline != 1 && ours.history.empty()) return false;
    return std::equal(ours.history.begin(), ours.history.end(), theirs.begin(), theirs.end());
}

/// The place on our timeline where the primary's history left it; none when it did not, or is on
/// it still.
std::optional<core::Lsn> ForkOf(const core::TimelineHistory &history, const ControlFacts &ours) {
    for (std::size_t i = 0; i < history.size(); ++i) {
        if (history.at(i).timeline != ours.timeline) continue;
        if (!HasPast(ours, Past(history).first(i))) return std::nullopt;
        return history.at(i).at;
    }
    return std::nullopt;
}

/// WAL that was received from somebody whose history the primary does not share, and that recovery
/// would read again: pg_rewind goes by the control file, and leaves it.
bool HasForeignWal(const ControlFacts &ours, const SourceIdentity &primary) {
    const int received = ours.received_timeline;
    if (received <= ours.timeline || received == primary.timeline) return false;
    return std::none_of(primary.history.begin(), primary.history.end(),
                        [received](const auto &s) { return s.timeline == received; });
}

/// Numbers do not tell what a standby wrote out of recovery from what the group wrote, and
/// pg_rewind goes by numbers.
bool IsAmbiguous(const ControlFacts &ours, const SourceIdentity &primary) {
    if (!ours.has_own_writes || ours.is_fresh_copy) return false;
    const int own = std::max(ours.timeline, ours.received_timeline);
    return own == primary.timeline ||
           std::any_of(primary.history.begin(), primary.history.end(),
                       [own](const auto &s) { return s.timeline == own; });
}

}  // namespace

bool HasLostItsEnd(const ControlFacts &ours, const SourceIdentity &primary) {
    // The record of the last checkpoint, and headers of pages.
    constexpr std::uint64_t kLastRecord = 512;
    const auto fork = ForkOf(primary.history, ours);
    return ours.state == ClusterState::kShutDown && fork && ours.checkpoint < *fork &&
           core::Distance(ours.checkpoint, *fork) > kLastRecord;
}

Judgement JudgeKinship(const ControlFacts &ours, const SourceIdentity &primary) {
    if (IsAmbiguous(ours, primary) || HasForeignWal(ours, primary) || HasLostItsEnd(ours, primary))
        return {.kinship = Kinship::kMustCopy};
    if (ours.timeline == primary.timeline) {
        // Followed it already, or somebody used a number twice: only a standby of this very
        // timeline that is not ahead has nothing of its own.
        const bool is_prefix = ours.IsStandbys() && HasPast(ours, primary.history) &&
                               std::max(ours.checkpoint, ours.min_recovery) <= primary.end;
        return {.kinship = is_prefix ? Kinship::kFollows : Kinship::kMustCopy};
    }
    const auto fork = ForkOf(primary.history, ours);
    if (!fork || ours.checkpoint >= *fork || ours.min_recovery > *fork) {
        return {.kinship = Kinship::kDiverged};
    }
    Judgement judgement{.kinship = Kinship::kAskWal, .fork = *fork};
    for (const core::TimelineSwitch &left : primary.history) {
        if (ours.received_timeline > ours.timeline && left.timeline == ours.received_timeline)
            judgement.received_fork = left.at;
    }
    return judgement;
}

bool IsNothingThere(int exit_status, std::string_view out, std::string_view err) {
    if (exit_status == 0 || out.find("rmgr:") != std::string_view::npos) return false;
    static constexpr std::array<std::string_view, 4> kNothingThere{
        "could not find a valid record", "could not find file", "could not open file",
        "could not locate WAL file"};
    return std::any_of(kNothingThere.begin(), kNothingThere.end(), [err](std::string_view said) {
        return err.find(said) != std::string_view::npos;
    });
}

}  // namespace pgaf::supervisor
