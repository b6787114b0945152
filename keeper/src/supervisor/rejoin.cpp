#include "supervisor/rejoin.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace pgaf::supervisor {
namespace {

/// The place on our timeline where the primary's history left it; none when it did not, or is on
/// it still.
std::optional<core::Lsn> ForkOf(const core::TimelineHistory &history, int timeline) {
    for (const core::TimelineSwitch &fork : history) {
        if (fork.timeline == timeline) return fork.at;
    }
    return std::nullopt;
}

}  // namespace

Judgement JudgeKinship(const ControlFacts &ours, const SourceIdentity &primary) {
    if (ours.timeline == primary.timeline) {
        // Followed it already, or somebody used a number twice: only a standby has nothing of its
        // own.
        const bool was_standby = ours.state == ClusterState::kShutDownInRecovery ||
                                 ours.state == ClusterState::kInArchiveRecovery;
        return {.kinship = was_standby ? Kinship::kFollows : Kinship::kDiverged};
    }
    const auto fork = ForkOf(primary.history, ours.timeline);
    if (!fork || ours.checkpoint >= *fork || ours.min_recovery > *fork) {
        return {.kinship = Kinship::kDiverged};
    }
    return {.kinship = Kinship::kAskWal, .fork = *fork};
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
