#include "scenarios.hpp"

#include <array>

#include "pgaf/core/pg_files.hpp"
#include "scenarios_found.hpp"
#include "story.hpp"

/// The findings of findings/safety.md (F) and findings/performance.md (P), each as the shortest
/// story that shows it. Machine 1 is the primary.
namespace pgaf::sim {

namespace {

using enum core::NodeState;
using Story = std::vector<std::string>;

std::string CrashInPromotion(std::uint64_t seed, Story &story) {
    Stage stage(seed, 2, story);
    stage.Cut(1, 2);
    stage.Run(400);  // the primary writes what nobody else has
    stage.world.At(2).dies_in_promotion = 1;
    stage.world.At(1).PowerOff();
    stage.MustServe(20'000, "after the primary was lost");
    stage.Run(2'000);
    stage.Mend(1, 2);
    stage.world.At(1).PowerOn();
    stage.Heals(60'000);
    stage.Run(20'000);
    return stage.Verdict();
}

std::string CancelledPrepare(std::uint64_t seed, Story &story) {
    Stage stage(seed, 2, story, {.with_prepare = true});
    Machine &primary = stage.world.At(1);
    const auto is_half_confirmed = [&] {
        for (Session &session : primary.server->sessions) {
            const bool is_half = session.kind == SessionKind::kPrepare && session.is_flushed &&
                                 primary.server->sync_confirmed > session.start &&
                                 primary.server->sync_confirmed < session.end;
            if (is_half) session.is_cancelled = true;
            if (is_half) return true;
        }
        return false;
    };
    for (int i = 0; i < 40 && stage.Verdict().empty(); ++i) {
        if (!stage.Until(is_half_confirmed, 60'000)) return "no PREPARE was confirmed in part";
        stage.Cut(1, 2);
        stage.Run(1'000);
        primary.PowerOff();
        stage.MustServe(20'000, "after the primary was lost");
        stage.MustHoldAll();
        break;
    }
    return stage.Verdict();
}

std::string RefusedPort(std::uint64_t seed, Story &story) {
    Stage stage(seed, 2, story);
    stage.world.Tell("fault: a firewall before machine 1 answers with resets");
    stage.world.SetPath(kMonitorPlace, 1, Way::kReset, false);
    stage.world.SetPath(2, 1, Way::kReset, false);
    stage.Run(15'000);
    return stage.Verdict();
}

std::string CopiedPrimary(std::uint64_t seed, Story &story) {
    Stage stage(seed, 2, story);
    stage.world.At(2).PowerOff();
    if (!stage.Reaches(1, kWaitPrimary, 20'000)) return "the primary does not go on alone";
    (void)stage.world.CopyMachine(1);
    stage.Run(20'000);
    return stage.Verdict();
}

std::string Impostor(std::uint64_t seed, Story &story) {
    Stage stage(seed, 2, story);
    Inject(stage.world, {.kind = FaultKind::kImpostor, .numbers = {1, 0, 0, 0}});
    stage.Cut(1, 2);
    stage.Run(2'000);
    stage.world.At(1).PowerOff();
    stage.Mend(1, 2);
    stage.MustServe(20'000, "after the primary was lost");
    return stage.Verdict();
}

std::string EmptiedSet(std::uint64_t seed, Story &story) {
    Stage stage(seed, 2, story);
    stage.Alter(1, "synchronous_standby_names", "");
    stage.Run(2'000);
    stage.Cut(1, 2);
    stage.Run(1'000);
    stage.world.At(1).PowerOff();
    stage.Mend(1, 2);
    stage.MustServe(20'000, "after the primary was lost");
    return stage.Verdict();
}

std::string OldMonitorFences(std::uint64_t seed, Story &story) {
    Stage stage(seed, 2, story);
    const Monitor::Backup backup = stage.world.monitor().Save();
    (void)stage.world.monitor().Failover({});
    if (!stage.Heals(30'000)) return stage.Verdict();
    stage.world.monitor().Restore(backup);
    stage.Run(8'000);
    stage.MustServe(6'000, "with a monitor from an older backup");
    return stage.Verdict();
}

std::string OldMonitorPromotes(std::uint64_t seed, Story &story) {
    Stage stage(seed, 3, story);
    Monitor &monitor = stage.world.monitor();
    // As before the third node had joined: the same term, and an older set.
    Monitor::Backup backup = monitor.Save();
    std::erase_if(backup.group.nodes,
                  [&](const core::NodeView &row) { return row.id == stage.world.At(3).node; });
    backup.group.number_sync_standbys = 0;
    backup.group.sync.goal = backup.group.sync.confirmed = {1, {stage.world.At(2).node}};
    backup.group.sync.goal_version = backup.group.sync.confirmed_version = 2;
    stage.Run(7'000);  // everybody has heard of the newest set
    stage.Cut(1, 2);
    stage.Run(700);
    stage.world.At(1).PowerOff();
    monitor.Restore(backup);
    stage.Mend(1, 2);
    (void)stage.Serves(20'000);
    return stage.Verdict();
}

std::string RestartByHand(std::uint64_t seed, Story &story) {
    Stage stage(seed, 2, story);
    Inject(stage.world, {.kind = FaultKind::kPgCtlRestart, .numbers = {0, 1, 0, 0}});
    stage.Run(3'000);
    stage.Heals(60'000);
    return stage.Verdict();
}

std::string PromotedByHand(std::uint64_t seed, Story &story) {
    Stage stage(seed, 2, story);
    stage.world.At(2).RequestPromotion();
    stage.Run(5'000);
    stage.MustServe(10'000, "after a standby was promoted by hand");
    stage.Heals(60'000);
    stage.Run(15'000);
    return stage.Verdict();
}

std::string CrashWithoutMonitor(std::uint64_t seed, Story &story) {
    Stage stage(seed, 2, story);
    stage.world.monitor().Stop();
    stage.Run(6'000);
    stage.world.At(1).KillServer();
    stage.MustServe(20'000, "after a crash while the monitor was away");
    return stage.Verdict();
}

std::string MonitorLostInChange(std::uint64_t seed, Story &story) {
    Stage stage(seed, 3, story);
    stage.world.At(1).server->checkpointer.frozen_until = core::kForever;
    stage.world.At(3).PowerOff();
    const bool is_under_way =
        stage.Until([&] { return stage.world.At(1).RecordedState() == kApplySettings; }, 20'000);
    if (!is_under_way) return "the set was not changed:" + stage.world.Summary();
    stage.world.monitor().Stop();
    stage.Run(10'000);
    stage.MustServe(5'000, "after the monitor was lost while the set was changed");
    return stage.Verdict();
}

std::string PausedReplay(std::uint64_t seed, Story &story) {
    Stage stage(seed, 2, story);
    Inject(stage.world, {.kind = FaultKind::kPauseReplay, .numbers = {1, 0, 0, 0}});
    stage.Run(20'000);
    return stage.Verdict();
}

/// What the documentation offers to whoever has lost the last primary for good.
std::string NoWayBack(std::uint64_t seed, Story &story) {
    Stage stage(seed, 2, story);
    stage.world.At(1).PowerOff();
    if (!stage.Reaches(2, kWaitPrimary, 20'000)) return "the standby does not take over";
    stage.Run(1'000);
    stage.world.Tell("fault: machine 2 is gone for good");
    stage.world.At(2).is_gone = true;
    stage.world.At(2).PowerOff();
    stage.world.At(1).PowerOn();
    if (stage.Serves(20'000)) return stage.Verdict();
    const std::string said =
        stage.world.monitor().Failover({.allow_data_loss = true, .primary_is_off = true});
    if (said.empty() && stage.Serves(20'000)) return stage.Verdict();
    (void)stage.world.monitor().Remove(stage.world.At(2).node, true);
    if (stage.Serves(20'000)) return stage.Verdict();
    stage.wrong = "there is no way back: " + said + ":" + stage.world.Summary();
    return stage.Verdict();
}

std::string UpstreamBehind(std::uint64_t seed, Story &story) {
    Stage stage(seed, 2, story);
    stage.world.monitor().SetPriority(stage.world.At(2).node, 0);
    stage.Run(1'000);
    Inject(stage.world, {.kind = FaultKind::kLostTail, .numbers = {0, 5, 0, 0}});
    stage.Run(500);
    stage.world.At(1).PowerOn();
    if (stage.Serves(20'000)) return stage.Verdict();
    // Nobody may be chosen but by the operator, who knows by now why nobody writes.
    (void)stage.world.monitor().Failover({.preferred = stage.world.At(2).node});
    stage.MustServe(20'000, "after the operator named the standby that has everything");
    stage.MustHoldAll();
    stage.Heals(60'000);
    return stage.Verdict();
}

std::string FrozenDisk(std::uint64_t seed, Story &story) {
    Stage stage(seed, 2, story);
    stage.world.Tell("fault: disk of machine 1 frozen");
    stage.world.At(1).disk_frozen_until = core::kForever;
    stage.Run(5'000);
    stage.MustServe(15'000, "after the primary's disk froze");
    return stage.Verdict();
}

std::string FrozenPostmaster(std::uint64_t seed, Story &story) {
    Stage stage(seed, 2, story);
    stage.world.Tell("fault: postmaster of machine 1 frozen");
    stage.world.At(1).server->postmaster_frozen_until = core::kForever;
    stage.Run(20'000);
    return stage.Verdict();
}

std::string LeakedSession(std::uint64_t seed, Story &story) {
    Stage stage(seed, 2, story);
    Inject(stage.world, {.kind = FaultKind::kLeakedSession, .numbers = {0, 0, 0, 0}});
    stage.Run(1'000);
    stage.ForgetGap();
    (void)stage.world.monitor().Failover({});
    stage.Run(12'000);
    if (stage.LongestGap() > Milliseconds{3'000})
        stage.wrong = "one idle session costs " + std::to_string(stage.LongestGap().count()) +
                      " ms of service in a switchover";
    return stage.Verdict();
}

std::string ReadThatVanishes(std::uint64_t seed, Story &story) {
    Stage stage(seed, 3, story, {.with_reads = true});
    stage.world.At(2).PowerOff();
    stage.world.At(3).PowerOff();
    stage.Run(3'000);
    stage.world.At(1).KillServer();
    stage.Run(6'000);
    stage.world.At(1).PowerOff();
    stage.world.At(2).PowerOn();
    stage.world.At(3).PowerOn();
    (void)stage.Serves(30'000);
    return stage.Verdict();
}

/// Whether somebody reads just what was cancelled is a matter of chance.
std::string CancelledRead(std::uint64_t seed, Story &story) {
    std::string verdict;
    for (std::uint64_t i = 0; i < 8 && verdict.empty(); ++i) {
        story.clear();
        Stage stage(seed + i, 2, story, {.with_cancels = true, .with_reads = true});
        stage.Cut(1, 2);
        stage.Run(2'500);
        stage.world.At(1).PowerOff();
        stage.Mend(1, 2);
        (void)stage.Serves(30'000);
        verdict = stage.Verdict();
    }
    return verdict;
}

std::string ReplayLags(std::uint64_t seed, Story &story) {
    Stage stage(seed, 2, story);
    Machine &standby = stage.world.At(2);
    standby.is_replay_paused = standby.server->is_replay_paused = true;
    stage.Run(9'000);
    standby.is_replay_paused = standby.server->is_replay_paused = false;
    standby.replay_units = standby.server->replay_units = 1;
    stage.ForgetGap();
    const std::string said = stage.world.monitor().Failover({});
    if (!said.empty()) return stage.Verdict();
    stage.Run(20'000);
    if (stage.LongestGap() > Milliseconds{1'500})
        stage.wrong = "a planned switchover waits " + std::to_string(stage.LongestGap().count()) +
                      " ms for replay";
    return stage.Verdict();
}

std::string OverriddenUpstream(std::uint64_t seed, Story &story) {
    Stage stage(seed, 2, story);
    stage.Alter(2, "primary_conninfo", stage.world.At(2).server->worker.settings.conninfo);
    stage.Run(2'000);
    stage.world.At(1).PowerOff();
    stage.MustServe(40'000, "after the primary was lost");
    return stage.Verdict();
}

std::string SyntaxError(std::uint64_t seed, Story &story) {
    Stage stage(seed, 2, story);
    stage.world.At(2).data->conf.has_syntax_error = true;
    stage.world.At(2).Reload();
    stage.Run(2'000);
    stage.world.At(1).PowerOff();
    stage.MustServe(40'000, "after the primary was lost");
    return stage.Verdict();
}

std::string WithoutModule(std::uint64_t seed, Story &story) {
    Stage stage(seed, 2, story);
    stage.Alter(1, "shared_preload_libraries", "auto_explain");
    stage.world.At(2).PowerOff();
    if (!stage.Reaches(1, kWaitPrimary, 20'000)) return "the primary does not go on alone";
    stage.world.At(1).KillServer();
    stage.Run(5'000);
    stage.world.At(2).PowerOn();
    stage.Heals(60'000);
    return stage.Verdict();
}

std::string ReservedNumbers(std::uint64_t seed, Story &story) {
    Stage stage(seed, 2, story);
    stage.world.monitor().SkipTimeline();
    (void)stage.world.monitor().Failover({});
    if (!stage.Heals(30'000)) return stage.Verdict();
    const int last = stage.world.At(2).data->wal.timeline;
    for (int timeline = 2; timeline <= last; ++timeline) {
        if (stage.world.Archived().contains(timeline)) continue;
        stage.wrong = "the archive has no history of timeline " + std::to_string(timeline) +
                      ": a restore to the latest stops before it";
    }
    return stage.Verdict();
}

std::string OpenTransaction(std::uint64_t seed, Story &story) {
    Stage stage(seed, 2, story);
    stage.world.monitor().Lock(core::kForever);
    stage.Run(10'000);
    stage.world.At(1).KillServer();
    stage.MustServe(60'000, "while a transaction on the monitor was open");
    return stage.Verdict();
}

std::string NoisyStandby(std::uint64_t seed, Story &story) {
    Stage stage(seed, 2, story);
    stage.world.monitor().SetPriority(stage.world.At(2).node, 0);
    stage.world.At(1).is_gone = true;
    stage.world.At(1).KillServer();
    stage.world.At(1).supervisor.reset();
    stage.Run(1'000);
    const std::int64_t before = stage.world.LogLines();
    stage.Run(60'000);
    const std::int64_t lines = stage.world.LogLines() - before;
    if (lines > 120)
        stage.wrong =
            "a standby without its upstream logs " + std::to_string(lines) + " lines in a minute";
    return stage.Verdict();
}

std::string BriefCut(std::uint64_t seed, Story &story) {
    Stage stage(seed, 2, story);
    for (int i = 0; i < 8 && stage.Verdict().empty(); ++i) {
        stage.world.At(2).frozen_until = stage.world.Now() + Milliseconds{4'000 + 700 * i};
        stage.Run(9'000 + 700 * i);
        stage.Heals(30'000);
    }
    return stage.Verdict();
}

constexpr std::array kScenarios{
    Scenario{"F1", "a crash inside a promotion leaves a group that heals", CrashInPromotion},
    Scenario{"F2", "a PREPARE TRANSACTION that was confirmed in part is not acknowledged",
             CancelledPrepare},
    Scenario{"F3", "a refused port is no proof that a server is dead", RefusedPort},
    Scenario{"F4", "a copy of a node does not write beside it", CopiedPrimary},
    Scenario{"F5", "only the member itself confirms in its name", Impostor},
    Scenario{"F6", "an emptied synchronous_standby_names is noticed", EmptiedSet},
    Scenario{"F7", "a monitor from an older backup does not end the service", OldMonitorFences},
    Scenario{"F8", "a monitor from an older backup promotes nobody who lacks commits",
             OldMonitorPromotes},
    Scenario{"F9", "pg_ctl restart does not wedge a node", RestartByHand},
    Scenario{"F10", "a standby that has left recovery does not stop the writes", PromotedByHand},
    Scenario{"F11", "a crash while the monitor is away is survived", CrashWithoutMonitor},
    Scenario{"F12", "the monitor may be lost while the set is changed", MonitorLostInChange},
    Scenario{"F13", "a standby that cannot replay is not shown as a healthy one", PausedReplay},
    Scenario{"F14", "there is a way back after the new primary is lost", NoWayBack},
    Scenario{"F15", "an upstream that comes back behind its standby loses nothing", UpstreamBehind},
    Scenario{"F16", "a frozen disk is noticed", FrozenDisk},
    Scenario{"F16b", "a frozen postmaster is noticed", FrozenPostmaster},
    Scenario{"F17", "an idle session does not block a switchover", LeakedSession},
    Scenario{"F18", "what was read does not vanish", ReadThatVanishes},
    Scenario{"F18b", "what was read does not vanish, also when its writer gave up waiting",
             CancelledRead},
    Scenario{"F19", "a switchover does not wait for replay without service", ReplayLags},
    Scenario{"F20", "a left-over primary_conninfo does not block a failover", OverriddenUpstream},
    Scenario{"F20b", "a wrong line in a configuration file does not block a failover", SyntaxError},
    Scenario{"F21", "a server without the module is not left running", WithoutModule},
    Scenario{"F22", "reserved numbers of timelines are archived", ReservedNumbers},
    Scenario{"F23", "an open transaction on the monitor blocks nobody", OpenTransaction},
    Scenario{"F24", "a standby without its upstream does not flood the log", NoisyStandby},
    Scenario{"P1", "no two rules undo each other", BriefCut},
    Scenario{"N1", "a machine that was paused with its clock does not acknowledge", PausedClock},
    Scenario{"N2", "a member that was set back to an old disk is not promoted without what it had",
             OldDiskPromoted},
    Scenario{"N3", "a node that was set back to an old disk comes back", OldDiskReturns},
    Scenario{"N4", "a monitor from an older backup learns what it lacks", OldMonitorLearns},
    Scenario{"N8", "a server that is started by hand without the supervisor is fenced",
             StartedByHandWithoutModule},
    Scenario{"N12", "nor does one that comes back while nobody writes", OldMonitorInElection},
    Scenario{"N16", "nor one that comes back before a former primary and the present one",
             OldMonitorForAll},
    Scenario{"N13", "a server that is started by hand in a promotion leaves one history",
             RestartInPromotion},
    Scenario{"N11", "nor does a copy that is made while the original cannot be heard",
             CopyOfUnheard},
    Scenario{"N10", "nor when the monitor has not heard of what its upstream has lost",
             UpstreamBehindUnheard},
    Scenario{"N5", "a standby that was promoted by hand does not block an election",
             PromotedByHandAndPrimaryLost},
    Scenario{"N17", "nor is it handed over to without the end of what the primary has sealed",
             PromotedByHandInSwitchover},
    Scenario{"N18", "a candidate whose server ends at each start is passed over",
             CandidateThatCannotStart},
    Scenario{"N19", "a winner whose server never comes up does not stop the group",
             WinnerThatCannotStart},
    Scenario{"N20", "nor does a member that the proof would need", MemberThatCannotStart},
};

}  // namespace

std::span<const Scenario> Scenarios() { return kScenarios; }

}  // namespace pgaf::sim
