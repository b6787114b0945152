#include "machine.hpp"

#include "pgaf/core/node_record.hpp"
#include "rigs.hpp"
#include "world.hpp"

/// Hosts: power, clocks, and the processes on them.
namespace pgaf::sim {

Machine::Machine(World &the_world, int the_place, std::string the_address)
    : world(the_world), place(the_place), address(std::move(the_address)) {}

Machine::~Machine() = default;

BootTime Machine::Clock() const {
    return {static_cast<std::int64_t>(static_cast<double>(world.Now().ns) * clock_rate) +
            clock_offset_ns};
}

bool Machine::IsFrozen() const { return frozen_until > world.Now(); }
bool Machine::IsDiskFrozen() const { return disk_frozen_until > world.Now(); }

std::string Machine::Who() const {
    return "machine " + std::to_string(place) + " (node " + std::to_string(node.value) + ")";
}

void Machine::PowerOff(std::size_t lost_units) {
    if (!is_up) return;
    is_up = false;
    if (supervisor) supervisor.reset();
    supervisor_starts = foreign_start = core::kForever;
    if (server) {
        // Nobody says good-bye.
        for (Sender &sender : server->senders)
            sender.peer = -1;
        server->receiver.pid = 0;
        server->senders.clear();
        if (server->rig) server->rig->Abandon();
        server.reset();
    }
    baton = Holder::kNobody;
    heartbeat.reset();
    if (!data) return;
    data->durable -= std::min(data->durable, lost_units);
    data->LoseUnflushed();
}

void Machine::PowerOn() {
    if (is_up || is_gone) return;
    is_up = true;
    ++boots;
    frozen_until = worker_frozen_until = supervisor_frozen_until = {};
    if (is_registered) supervisor_starts = world.Now() + world.random().UpTo(2000);
}

void Machine::StartSupervisor() {
    supervisor_starts = core::kForever;
    supervisor_serial = world.NewServer();
    supervisor_began = world.Now();
    supervisor = std::make_unique<SupervisorRig>(*this);
    supervisor->Begin();
}

void Machine::KillSupervisor() {
    if (!supervisor) return;
    supervisor->OnProcessEnd();
    supervisor.reset();
    if (baton == Holder::kSupervisor) baton = Holder::kNobody;
    supervisor_starts = world.Now() + Milliseconds{200} + world.random().UpTo(1000);
}

void Machine::KillWorker() {
    if (!server || !server->rig) return;
    server->rig->OnProcessEnd();
    server->rig.reset();
    if (baton == Holder::kWorker) baton = Holder::kNobody;
    server->rig_starts = world.Now() + Milliseconds{1000};
}

void Machine::Effect() {
    if (dies_after_effects == 0 || --dies_after_effects > 0) return;
    throw ProcessDied{};
}

bool Machine::Survives() {
    if (dies_after_effects == 0 || --dies_after_effects > 0) return true;
    Die();
    return false;
}

void Machine::Die() {
    world.Tell("fault: " + Who() + (death == Death::kPower ? " loses its power" : " crashes") +
               " right after an effect");
    dies_after_effects = 0;
    if (death == Death::kPower) {
        PowerOff();
        return;
    }
    if (server) return KillServer();
    KillSupervisor();
}

void Machine::Receive(Packet &packet) {
    if (!is_up) return;
    if (server && server->rig && server->rig->Takes(packet)) {
        server->latch = true;
        return;
    }
    if (supervisor) (void)supervisor->Takes(packet);
}

std::optional<core::NodeRecord> Machine::Record() const {
    const auto at = files.find(kNodeDirectory + "/pg_autoctl.state");
    if (at == files.end()) return std::nullopt;
    const auto record = core::DecodeNodeRecord(at->second);
    return record ? std::optional(*record) : std::nullopt;
}

std::optional<core::NodeState> Machine::RecordedState() const {
    const auto record = Record();
    return record ? std::optional(record->state) : std::nullopt;
}

void Machine::TickWorker() {
    if (!server || server->ending != Ending::kNone) return;
    Server &s = *server;
    if (!s.rig && s.rig_starts <= world.Now()) {
        s.rig_starts = core::kForever;
        s.rig = std::make_unique<WorkerRig>(*this);
        s.rig_began = world.Now();
        s.latch = true;
    }
    if (!s.rig || worker_frozen_until > world.Now()) return;
    try {
        s.rig->Turn();
    } catch (const ProcessDied &) {
        Die();
    }
}

void Machine::TickSupervisor() {
    if (supervisor_frozen_until > world.Now()) return;
    try {
        if (supervisor_starts <= world.Now()) StartSupervisor();
        if (supervisor) supervisor->Turn();
    } catch (const ProcessDied &) {
        Die();
        KillSupervisor();  // it was in the middle of something
    }
    if (!supervisor || !supervisor->HasExited()) return;
    is_registered = false;  // it was dropped, and has heard of it
    supervisor.reset();
}

void Machine::Tick() {
    if (!is_up) return;
    TickServer();
    if (IsFrozen()) return;
    if (foreign_start <= world.Now()) {
        foreign_start = core::kForever;
        StartServerByHand();
    }
    TickClients();
    TickWorker();
    TickSupervisor();
}

}  // namespace pgaf::sim
