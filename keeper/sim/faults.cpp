#include "faults.hpp"

#include <array>

#include "rigs.hpp"
#include "world.hpp"

namespace pgaf::sim {

using core::NodeView;
using enum core::NodeState;

namespace {

using enum FaultKind;

constexpr std::array kInfos{
    FaultInfo{kKillServer, "kill_server", 16},
    FaultInfo{kPower, "power", 10},
    FaultInfo{kFreezeMachine, "freeze_machine", 8},
    FaultInfo{kFreezeWorker, "freeze_worker", 6},
    FaultInfo{kFreezeSupervisor, "freeze_supervisor", 3},
    FaultInfo{kKillSupervisor, "kill_supervisor", 4},
    FaultInfo{kKillWorker, "kill_worker", 4},
    FaultInfo{kCut, "cut", 24},
    FaultInfo{kMonitorDown, "monitor_down", 8},
    FaultInfo{kFailover, "failover", 10},
    FaultInfo{kNumberSync, "number_sync", 4},
    FaultInfo{kAcceptLoss, "accept_loss", 1},
    FaultInfo{kMaintenance, "maintenance", 5},
    FaultInfo{kPriority, "priority", 3},
    FaultInfo{kMembership, "membership", 4},
    FaultInfo{kDieInStep, "die_in_step", 8},
    FaultInfo{kDieInPromotion, "die_in_promotion", 5},
    FaultInfo{kLateReloads, "late_reloads", 3},
    FaultInfo{kReset, "reset", 6},
    FaultInfo{kUnreachable, "unreachable", 4},
    FaultInfo{kMonitorLock, "monitor_lock", 3},
    FaultInfo{kMonitorRestore, "monitor_restore", 3},
    FaultInfo{kMonitorLost, "monitor_lost", 2},
    FaultInfo{kCopyMachine, "copy_machine", 2},
    FaultInfo{kLastingCopy, "lasting_copy", 2},
    FaultInfo{kOldDisk, "old_disk", 2},
    FaultInfo{kUnheardOldDisk, "old_disk_unheard", 2},
    FaultInfo{kImpostor, "impostor", 2},
    FaultInfo{kAlterSync, "alter_sync", 2},
    FaultInfo{kAlterConninfo, "alter_conninfo", 2},
    FaultInfo{kAlterPreload, "alter_preload", 2},
    FaultInfo{kLoseInclude, "lose_include", 2},
    FaultInfo{kSyntaxError, "syntax_error", 2},
    FaultInfo{kPgCtlStart, "pg_ctl_start", 2},
    FaultInfo{kPgCtlStop, "pg_ctl_stop", 3},
    FaultInfo{kPgCtlRestart, "pg_ctl_restart", 3},
    FaultInfo{kPgCtlPromote, "pg_ctl_promote", 2},
    FaultInfo{kNodeGone, "node_gone", 2},
    FaultInfo{kPauseReplay, "pause_replay", 3},
    FaultInfo{kSlowReplay, "slow_replay", 3},
    FaultInfo{kStartFails, "start_fails", 2},
    FaultInfo{kBreakReplay, "break_replay", 2},
    FaultInfo{kLostTail, "lost_tail", 2},
    FaultInfo{kLeakedSession, "leaked_session", 3},
    FaultInfo{kFreezeDisk, "freeze_disk", 3},
    FaultInfo{kHungPostmaster, "hung_postmaster", 3},
    FaultInfo{kPauseMachine, "pause_machine", 3},
    FaultInfo{kPrepare, "prepare", 0},
    FaultInfo{kCancels, "cancels", 0},
    FaultInfo{kReads, "reads", 0},
};

constexpr bool IsInOrder() {
    for (std::size_t i = 0; i < kInfos.size(); ++i) {
        if (kInfos.at(i).kind != static_cast<FaultKind>(i)) return false;
    }
    return kInfos.size() == static_cast<std::size_t>(kFaultKinds);
}
static_assert(IsInOrder(), "every kind of fault has a row, at its place");

Machine &Pick(World &world, std::uint32_t number) {
    return world.At(1 + static_cast<int>(number % static_cast<unsigned>(world.Machines())));
}

Milliseconds Time(std::uint32_t number, int least, int most) {
    return Milliseconds{least + static_cast<int>(number % static_cast<unsigned>(most - least + 1))};
}

void CutPath(World &world, const Fault &fault, Way way) {
    const auto count = static_cast<std::uint32_t>(world.Machines() + 1);
    const int from = static_cast<int>(fault.numbers[0] % count);
    const int to =
        static_cast<int>((fault.numbers[0] % count + 1 + fault.numbers[1] % (count - 1)) % count);
    const bool both = fault.numbers[2] % 3 != 0;
    const Way next = world.Path(from, to) == way ? Way::kOpen : way;
    world.SetPath(from, to, next, both);
    world.Tell("fault: path " + std::to_string(from) + (both ? " <-> " : " -> ") +
               std::to_string(to) +
               (next == Way::kOpen     ? " open"
                : next == Way::kSilent ? " silent"
                : next == Way::kReset  ? " answers resets"
                                       : " unreachable"));
}

void ChangeMembership(World &world, Machine &machine, bool force) {
    if (!world.monitor().IsUp()) return;
    if (!machine.is_registered) {
        // On an empty monitor it would be the first of another group.
        if (world.monitor().Rows().nodes.empty()) return;
        if (machine.supervisor || !machine.is_up) return;
        (void)world.Create(machine);
        return;
    }
    if (world.monitor().Rows().nodes.size() <= 2) return;
    (void)world.monitor().Remove(machine.node, force);
}

void InjectProcess(World &world, const Fault &fault, Machine &machine) {
    const std::uint32_t n = fault.numbers[1];
    switch (fault.kind) {
        case kKillServer:
            world.Tell("fault: PostgreSQL of " + machine.Who() + " killed");
            return machine.KillServer();
        case kPower:
            world.Tell("fault: power of " + machine.Who() + (machine.is_up ? " off" : " on"));
            return machine.is_up ? machine.PowerOff() : machine.PowerOn();
        case kLostTail:
            world.Tell("fault: power of " + machine.Who() + " off, and WAL that was flushed lost");
            world.LoseTail(machine, 1 + n % 8);
            return;
        case kNodeGone:
            if (world.Originals() < 3) return;
            world.Tell("fault: " + machine.Who() + " is gone for good");
            machine.is_gone = true;
            return machine.PowerOff();
        case kFreezeMachine:
            world.Tell("fault: " + machine.Who() + " frozen");
            machine.frozen_until = world.Now() + Time(n, 200, 15'000);
            return;
        case kPauseMachine: {
            // A hypervisor pauses it, and its clock does not count meanwhile.
            world.Tell("fault: " + machine.Who() + " paused, with its clock");
            const Milliseconds time = Time(n, 200, 15'000);
            machine.frozen_until = world.Now() + time;
            machine.clock_offset_ns -= std::chrono::nanoseconds(time).count();
            return;
        }
        case kFreezeWorker:
            world.Tell("fault: worker of " + machine.Who() + " frozen");
            machine.worker_frozen_until = world.Now() + Time(n, 200, 8'000);
            return;
        case kFreezeSupervisor:
            world.Tell("fault: supervisor of " + machine.Who() + " frozen");
            machine.supervisor_frozen_until = world.Now() + Time(n, 200, 8'000);
            return;
        case kKillSupervisor:
            world.Tell("fault: supervisor of " + machine.Who() + " killed");
            return machine.KillSupervisor();
        case kKillWorker:
            world.Tell("fault: worker of " + machine.Who() + " ended");
            return machine.KillWorker();
        case kFreezeDisk:
            world.Tell("fault: disk of " + machine.Who() + " frozen");
            machine.disk_frozen_until = world.Now() + Time(n, 500, 25'000);
            return;
        case kHungPostmaster:
            if (!machine.server) return;
            world.Tell("fault: postmaster of " + machine.Who() + " frozen");
            machine.server->postmaster_frozen_until = world.Now() + Time(n, 500, 25'000);
            return;
        case kBreakReplay:
            if (!machine.data || (machine.server && machine.server->phase == Phase::kWritable))
                return;
            return world.BreakReplay(machine);
        case kLateReloads:
            machine.reloads_late = !machine.reloads_late;
            return;
        case kPauseReplay:
        case kSlowReplay: {
            world.Tell("operator: replay of " + machine.Who() +
                       (fault.kind == kSlowReplay ? " is slow" : " paused"));
            if (fault.kind == kPauseReplay) machine.is_replay_paused = !machine.is_replay_paused;
            if (fault.kind == kSlowReplay)
                machine.replay_units = machine.replay_units == 64 ? 1 : 64;
            if (!machine.server) return;
            machine.server->is_replay_paused = machine.is_replay_paused;
            machine.server->replay_units = machine.replay_units;
            return;
        }
        case kDieInStep:
            machine.dies_after_effects = 1 + static_cast<int>(n % 12);
            machine.death = fault.numbers[2] % 3 == 0 ? Death::kPower : Death::kServer;
            return;
        case kDieInPromotion:
            machine.dies_in_promotion = 1 + static_cast<int>(n % 4);
            machine.death = fault.numbers[2] % 3 == 0 ? Death::kPower : Death::kServer;
            return;
        case kLeakedSession:
            if (!machine.server || machine.server->phase != Phase::kWritable) return;
            if (!worker::EntersForPrepared(true)) return;
            world.Tell("client: a session of " + machine.Who() + " stays in the gate");
            machine.server->sessions.push_back({.kind = SessionKind::kLeaked});
            return;
        default:
            return;
    }
}

void InjectOperator(World &world, const Fault &fault, Machine &machine) {
    const std::uint32_t n = fault.numbers[1];
    Monitor &monitor = world.monitor();
    switch (fault.kind) {
        case kFailover: {
            core::FailoverRequest request;
            if (n % 2 == 0) request.preferred = machine.node;
            (void)monitor.Failover(request);
            return;
        }
        case kAcceptLoss:
            (void)monitor.Failover({.allow_data_loss = true});
            return;
        case kNumberSync:
            (void)monitor.SetNumberSyncStandbys(static_cast<int>(n % 3));
            return;
        case kMaintenance:
            if (n % 2 == 0) {
                (void)monitor.BeginMaintenance(machine.node);
            } else {
                (void)monitor.EndMaintenance(machine.node);
            }
            return;
        case kPriority:
            return monitor.SetPriority(machine.node, n % 3 == 0 ? 0 : static_cast<int>(n % 101));
        case kMembership:
            return ChangeMembership(world, machine, false);
        case kAlterSync:
            return AlterSystem(world, machine, "synchronous_standby_names", "");
        case kAlterConninfo:
            return AlterSystem(world, machine, "primary_conninfo",
                               machine.server ? machine.server->worker.settings.conninfo : "");
        case kAlterPreload:
            return AlterSystem(world, machine, "shared_preload_libraries", "pg_stat_statements");
        case kLoseInclude:
            if (!machine.data) return;
            world.Tell("operator: the include line of " + machine.Who() + " is gone");
            machine.data->files[kMainFile] = "";
            return machine.Reload();
        case kSyntaxError:
            if (!machine.data) return;
            world.Tell("operator: a line of the configuration of " + machine.Who() + " is wrong");
            machine.data->conf.has_syntax_error = true;
            return machine.Reload();
        case kStartFails:
            if (!machine.data) return;
            world.Tell("operator: " + machine.Who() + " cannot start with its settings");
            machine.data->conf.prevents_start = true;
            return;
        case kPgCtlStart:
            if (machine.is_up) machine.foreign_start = world.Now();
            return;
        case kPgCtlStop:
        case kPgCtlRestart:
            if (!machine.server) return;
            world.Tell("operator: pg_ctl " +
                       std::string(fault.kind == kPgCtlStop ? "stop" : "restart") + " on " +
                       machine.Who());
            machine.StopServer(n % 3 == 0 ? Ending::kImmediate : Ending::kFast);
            if (fault.kind == kPgCtlRestart) machine.restarts_by_hand = true;
            return;
        case kPgCtlPromote:
            if (!machine.server || machine.server->phase != Phase::kStandby) return;
            world.Tell("operator: pg_ctl promote on " + machine.Who());
            return machine.RequestPromotion();
        default:
            return;
    }
}

/// Nobody hears of what this hides, and a machine that was set back must be heard first (N10).
bool IsTooEarly(World &world, FaultKind kind) {
    return (kind == kCut || kind == kReset || kind == kUnreachable || kind == kMonitorDown ||
            kind == kMonitorLock || kind == kMonitorRestore || kind == kMonitorLost) &&
           world.AwaitsSetBack();
}

void InjectWorld(World &world, const Fault &fault, Machine &machine) {
    if (IsTooEarly(world, fault.kind)) return;
    Monitor &monitor = world.monitor();
    switch (fault.kind) {
        case kCut:
            return CutPath(world, fault, Way::kSilent);
        case kReset:
            return CutPath(world, fault, Way::kReset);
        case kUnreachable:
            return CutPath(world, fault, Way::kUnreachable);
        case kMonitorDown:
            world.Tell(monitor.IsUp() ? "fault: monitor down" : "monitor up");
            return monitor.IsUp() ? monitor.Stop() : monitor.Start();
        case kMonitorLock:
            world.Tell("operator: a transaction on the monitor stays open");
            return monitor.Lock(world.Now() + Time(fault.numbers[1], 500, 20'000));
        case kMonitorRestore: {
            world.Tell("operator: the monitor is restored from a backup");
            return world.RestoreMonitor(fault.numbers[1]);
        }
        case kMonitorLost:
            // Its rows are gone until somebody finds a backup.
            world.Tell("fault: the monitor has lost its tables");
            return world.LoseMonitor();
        case kOldDisk:
            if (core::IsPrimaryIsh(machine.RecordedState().value_or(core::NodeState::kInit)) ||
                !world.IsHeard(machine))
                return;
            world.ForgetUnheard(machine);
            world.ReturnToImage(machine, fault.numbers[1]);
            machine.is_set_back = true;
            return;
        case kUnheardOldDisk:
            return world.ReturnToImage(machine, fault.numbers[1]);
        case kCopyMachine:
        case kLastingCopy: {
            const bool is_lasting = fault.kind == kLastingCopy;
            if (!is_lasting && !world.IsHeard(machine)) return;
            const int copy = world.CopyMachine(machine.place);
            // Soon enough the original is silent for other reasons, in this world.
            if (copy != 0 && !is_lasting)
                world.At(copy).retires_at = world.Now() + Milliseconds{2500};
            if (copy != 0)
                world.Tell("operator: " + machine.Who() + " is copied to machine " +
                           std::to_string(copy));
            return;
        }
        case kImpostor: {
            const int primary = world.Primary();
            if (primary == 0) return;
            Server &server = *world.At(primary).server;
            Sender sender;
            sender.pid = server.next_pid++;
            sender.peer = kMonitorPlace;
            sender.app = machine.node;
            sender.proc.settings = server.postmaster.settings;
            sender.heard_at = world.Now();
            server.senders.push_back(sender);
            world.Tell("operator: pg_receivewal under the name of node " +
                       std::to_string(machine.node.value));
            return;
        }
        default:
            return;
    }
}

}  // namespace

void AlterSystem(World &world, Machine &machine, const std::string &name,
                 const std::string &value) {
    if (!machine.data) return;
    SetAutomatically(*machine.data, name, value);
    world.Tell("operator: ALTER SYSTEM SET " + name + " = '" + value + "' on " + machine.Who());
    machine.Reload();
}

const FaultInfo &InfoOf(FaultKind kind) { return kInfos.at(static_cast<std::size_t>(kind)); }

FaultKind FaultNamed(std::string_view name) {
    for (const FaultInfo &info : kInfos) {
        if (info.name == name) return info.kind;
    }
    return kFaultKinds;
}

FaultSet FaultSet::All() {
    FaultSet all;
    all.kinds_.fill(true);
    return all;
}

std::vector<Fault> DrawFaults(Random &random, const FaultSet &allowed) {
    int total = 0;
    for (const FaultInfo &info : kInfos) {
        if (allowed.Has(info.kind)) total += info.weight;
    }
    std::vector<Fault> faults(static_cast<std::size_t>(2 + random.Below(10)));
    for (Fault &fault : faults) {
        int at = random.Below(total);
        for (const FaultInfo &info : kInfos) {
            if (!allowed.Has(info.kind)) continue;
            fault.kind = info.kind;
            at -= info.weight;
            if (at < 0) break;
        }
        for (std::uint32_t &number : fault.numbers)
            number = static_cast<std::uint32_t>(random.Next());
        fault.then = Milliseconds{random.Below(3) == 0 ? random.Below(500) : random.Below(12'000)};
    }
    return faults;
}

void Inject(World &world, const Fault &fault) {
    Machine &machine = Pick(world, fault.numbers[0]);
    InjectProcess(world, fault, machine);
    InjectOperator(world, fault, machine);
    InjectWorld(world, fault, machine);
}

}  // namespace pgaf::sim
