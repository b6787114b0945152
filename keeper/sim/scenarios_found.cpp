#include "scenarios_found.hpp"

#include "story.hpp"

/// The faults that random seeds have shown, each as the shortest story. Machine 1 is the primary.
namespace pgaf::sim {

using enum core::NodeState;
using Story = std::vector<std::string>;

/// Nobody of ours runs on the machine, and the settings do not name the module any more.
std::string StartedByHandWithoutModule(std::uint64_t seed, Story &story) {
    Stage stage(seed, 2, story);
    Machine &first = stage.world.At(1);
    stage.Alter(1, "shared_preload_libraries", "pg_stat_statements");
    first.KillSupervisor();
    first.supervisor_starts = core::kForever;
    first.KillServer();
    stage.MustServe(20'000, "after the primary was lost");
    first.foreign_start = stage.world.Now();
    stage.Run(5'000);
    return stage.Verdict();
}

/// As before, and the monitor has not heard of what is lost: neither from the primary nor from the
/// standby that has it.
std::string UpstreamBehindUnheard(std::uint64_t seed, Story &story) {
    Stage stage(seed, 2, story);
    stage.world.monitor().SetPriority(stage.world.At(2).node, 0);
    stage.Run(1'000);
    stage.Cut(kMonitorPlace, 1);
    stage.Cut(kMonitorPlace, 2);
    stage.Run(1'500);
    stage.world.LoseTail(stage.world.At(1), 5);
    stage.Mend(kMonitorPlace, 1);
    stage.world.At(1).PowerOn();
    (void)stage.Serves(20'000);
    return stage.Verdict();
}

std::string PausedClock(std::uint64_t seed, Story &story) {
    Stage stage(seed, 2, story);
    Inject(stage.world, {.kind = FaultKind::kPauseMachine, .numbers = {0, 12'000, 0, 0}});
    stage.Run(20'000);
    return stage.Verdict();
}

/// A virtual machine is set back to a snapshot: it has lost what it had confirmed.
/// Nobody writes from whom it could learn, and its rows name another primary.
std::string OldMonitorInElection(std::uint64_t seed, Story &story) {
    Stage stage(seed, 2, story);
    const Monitor::Backup backup = stage.world.monitor().Save();
    (void)stage.world.monitor().Failover({});
    if (!stage.Heals(30'000)) return stage.Verdict();
    stage.world.At(2).PowerOff();
    stage.world.monitor().Restore(backup);
    stage.Run(15'000);
    stage.world.At(2).PowerOn();
    stage.Heals(60'000);
    return stage.Verdict();
}

/// Both nodes start anew, and the former primary is the one that the old rows know.
std::string OldMonitorForAll(std::uint64_t seed, Story &story) {
    Stage stage(seed, 2, story);
    const Monitor::Backup backup = stage.world.monitor().Save();
    stage.world.At(1).PowerOff();
    if (!stage.Reaches(2, kWaitPrimary, 20'000)) return "the standby does not take over";
    stage.Run(1'000);
    stage.world.At(2).PowerOff();
    stage.world.monitor().Restore(backup);
    stage.world.At(1).PowerOn();
    stage.world.At(2).PowerOn();
    stage.Heals(60'000);
    return stage.Verdict();
}

/// The server that is started by hand in the middle writes on the timeline that the former primary
/// has written on: the same number, and two contents.
std::string RestartInPromotion(std::uint64_t seed, Story &story) {
    Stage stage(seed, 2, story);
    stage.Cut(1, 2);
    stage.Run(400);
    stage.world.At(2).dies_in_promotion = 1;
    stage.world.At(2).restarts_by_hand = true;
    stage.world.At(1).PowerOff();
    stage.MustServe(20'000, "after the primary was lost");
    stage.Run(2'000);
    stage.Mend(1, 2);
    stage.world.At(1).PowerOn();
    stage.Heals(60'000);
    stage.Run(20'000);
    return stage.Verdict();
}

std::string CopyOfUnheard(std::uint64_t seed, Story &story) {
    Stage stage(seed, 2, story);
    stage.world.At(2).PowerOff();
    if (!stage.Reaches(1, kWaitPrimary, 20'000)) return "the primary does not go on alone";
    stage.world.SetPath(1, kMonitorPlace, Way::kSilent, false);
    stage.Run(20'000);
    (void)stage.world.CopyMachine(1);
    stage.Run(20'000);
    return stage.Verdict();
}

std::string OldDiskPromoted(std::uint64_t seed, Story &story) {
    Stage stage(seed, 3, story, {.keeps_images = true});
    stage.Run(4'000);
    stage.Cut(1, 2);
    stage.Run(2'000);
    stage.world.At(1).PowerOff();
    stage.world.ReturnToImage(stage.world.At(3), 0);
    stage.Mend(1, 2);
    (void)stage.Serves(30'000);
    return stage.Verdict();
}

std::string OldDiskReturns(std::uint64_t seed, Story &story) {
    Stage stage(seed, 2, story, {.keeps_images = true});
    stage.Run(4'000);
    for (int i = 0; i < 2; ++i) {
        stage.world.At(2).KillServer();
        stage.Run(2'000);
        stage.Heals(30'000);
    }
    stage.world.ReturnToImage(stage.world.At(2), 0);
    stage.Run(6'000);
    stage.Heals(90'000);
    return stage.Verdict();
}

std::string OldMonitorLearns(std::uint64_t seed, Story &story) {
    Stage stage(seed, 2, story);
    const Monitor::Backup backup = stage.world.monitor().Save();
    (void)stage.world.monitor().Failover({});
    if (!stage.Heals(30'000)) return stage.Verdict();
    stage.world.monitor().Restore(backup);
    stage.Run(5'000);
    stage.Heals(60'000);
    return stage.Verdict();
}

/// It cannot follow anybody, has no primary to be compared with, and the election asks for it.
std::string PromotedByHandAndPrimaryLost(std::uint64_t seed, Story &story) {
    Stage stage(seed, 3, story);
    stage.world.At(3).RequestPromotion();
    stage.Run(150);
    stage.world.At(1).is_gone = true;
    stage.world.At(1).PowerOff();
    stage.MustServe(30'000, "after the primary was lost while a standby was promoted by hand");
    return stage.Verdict();
}

/// At any moment of a switchover: in some of them the standby leaves recovery between what it has
/// received and what the primary seals.
std::string PromotedByHandInSwitchover(std::uint64_t seed, Story &story) {
    for (int moment = 0; moment < 240; moment += 4) {
        Stage stage(seed + static_cast<std::uint64_t>(moment), 4, story);
        const int chosen = 3;
        (void)stage.world.monitor().Failover({.preferred = stage.world.At(chosen).node});
        stage.Run(moment);
        stage.world.At(chosen).RequestPromotion();
        stage.Heals(60'000);
        stage.MustHoldAll();
        if (!stage.Verdict().empty()) return stage.Verdict();
    }
    return {};
}

/// It was chosen, and its server ends at each start before anything is decided.
std::string CandidateThatCannotStart(std::uint64_t seed, Story &story) {
    Stage stage(seed, 4, story);
    stage.world.monitor().SetPriority(stage.world.At(2).node, 100);
    (void)stage.world.monitor().SetNumberSyncStandbys(2);
    stage.Run(2'000);
    stage.world.At(1).PowerOff();
    const auto is_chosen = [&] {
        return stage.world.monitor().Rows().Find(stage.world.At(2).node)->goal == kPreparePromotion;
    };
    if (!stage.Until(is_chosen, 20'000)) return "no candidate";
    stage.world.BreakReplay(stage.world.At(2));
    stage.MustServe(20'000, "after the candidate could not start");
    stage.world.At(1).PowerOn();
    stage.Heals(120'000);
    return stage.Verdict();
}

/// The decision is made, and the winner never comes up: who was the primary holds everything.
std::string WinnerThatCannotStart(std::uint64_t seed, Story &story) {
    Stage stage(seed, 3, story);
    stage.world.monitor().SetPriority(stage.world.At(2).node, 100);
    stage.Run(1'000);
    (void)stage.world.monitor().Failover({});
    const auto is_chosen = [&] {
        return stage.world.monitor().Rows().Find(stage.world.At(2).node)->goal == kWaitPrimary;
    };
    if (!stage.Until(is_chosen, 20'000)) return "no winner";
    stage.world.BreakReplay(stage.world.At(2));
    stage.MustServe(30'000, "after the winner could not start");
    stage.Heals(120'000);
    return stage.Verdict();
}

/// A member is needed for the proof, and cannot start: the primary returns, and it is copied.
std::string MemberThatCannotStart(std::uint64_t seed, Story &story) {
    Stage stage(seed, 3, story);
    stage.world.monitor().SetPriority(stage.world.At(2).node, 100);
    stage.Run(1'000);
    stage.world.BreakReplay(stage.world.At(2));
    stage.world.At(1).PowerOff();
    stage.Run(15'000);
    stage.world.At(1).PowerOn();
    stage.MustServe(30'000, "after the primary has returned");
    stage.Heals(120'000);
    return stage.Verdict();
}

}  // namespace pgaf::sim
