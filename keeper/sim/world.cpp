#include "world.hpp"

#include <algorithm>
#include <utility>

#include "pgaf/core/node_record.hpp"
#include "rigs.hpp"

/// Time, the network, and the judgement at the end.
namespace pgaf::sim {

using core::NodeView;
using enum core::NodeState;

World::World(const Options &options)
    : with_prepare(options.with_prepare),
      with_cancels(options.with_cancels),
      with_reads(options.with_reads),
      options_(options),
      random_(options.seed),
      monitor_(*this) {
    records_.emplace_back();
    for (int place = 1; place <= options.nodes; ++place) {
        machines_.push_back(
            std::make_unique<Machine>(*this, place, "10.0.0." + std::to_string(place)));
        machines_.back()->name = std::string(1, static_cast<char>('a' + place - 1));
        machines_.back()->clock_rate = 1.0 + (random_.Below(3) - 1) / 128.0;
    }
    // Room for copies of machines.
    const std::size_t places = static_cast<std::size_t>(options.nodes) * 2 + 2;
    paths_.assign(places, std::vector<Way>(places, Way::kOpen));
}

World::~World() = default;

void World::Tell(std::string text) {
    story_.push_back(std::to_string((now_.ns - 1'000'000'000'000) / 1'000'000) + " " +
                     std::move(text));
    if (story_.size() > 800) story_.erase(story_.begin(), story_.begin() + 200);
}

void World::Violate(const std::string &text) {
    if (!violation_.empty()) return;
    for (const std::string &prefix : disregarded_) {
        if (text.starts_with(prefix)) return;
    }
    violation_ = text;
    Tell("violation: " + text);
}

Machine *World::FindByAddress(const std::string &address) {
    for (const auto &machine : machines_) {
        if (machine->address == address) return machine.get();
    }
    return nullptr;
}

void World::SetPath(int from, int to, Way way, bool both) {
    Path(from, to) = way;
    if (both) Path(to, from) = way;
}

int World::Primary() const {
    for (const auto &machine : machines_) {
        if (machine->IsServing()) return machine->place;
    }
    return 0;
}

int World::CopyMachine(int place) {
    const Machine &from = At(place);
    const int to = Machines() + 1;
    if (static_cast<std::size_t>(to) >= paths_.size()) return 0;
    machines_.push_back(std::make_unique<Machine>(*this, to, "10.0.0." + std::to_string(to)));
    Machine &copy = *machines_.back();
    copy.node = from.node;
    copy.name = from.name;
    copy.files = from.files;
    copy.data = from.data;
    copy.is_registered = true;
    copy.supervisor_starts = now_;
    return to;
}

bool World::Create(Machine &machine) {
    if (!monitor_.Register(machine, options_.promises)) return false;
    machine.files.clear();
    machine.data.reset();
    machine.copy.reset();
    core::NodeRecord record;
    record.node = machine.node;
    machine.files[kNodeDirectory + "/pg_autoctl.state"] = core::Encode(record);
    machine.supervisor_starts = now_;
    return true;
}

// ---- packets

void World::Send(Packet packet) {
    packet.at = now_ + Milliseconds{1} + random_.UpTo(14);
    // A backend that is slow: the keeper gives up, and reports anew.
    if (packet.kind == Packet::Kind::kReport && random_.OneIn(150))
        packet.at = now_ + Milliseconds{1500} + random_.UpTo(5000);
    packet.gives_up = packet.at + Milliseconds{3000};
    packets_.push_back(std::move(packet));
}

void World::DropPacketsTo(int place) {
    std::erase_if(packets_, [place](const Packet &packet) { return packet.to == place; });
}

void World::Deliver() {
    std::vector<Packet> due;
    std::erase_if(packets_, [&](Packet &packet) {
        if (packet.at > now_) return false;
        due.push_back(std::move(packet));
        return true;
    });
    for (Packet &packet : due) {
        const Way way = Path(packet.from, packet.to);
        const bool is_established = packet.kind != Packet::Kind::kConnect;
        const bool bounces = way == Way::kReset || (way == Way::kUnreachable && !is_established);
        if (bounces) {
            // Whoever has sent it learns that nobody is there; the other side learns nothing.
            packet.kind = Packet::Kind::kEnd;
            packet.text = is_established ? "connection reset" : "connection refused";
            if (packet.from == kMonitorPlace) {
                monitor_.Receive(packet);
            } else {
                At(packet.from).Receive(packet);
            }
            continue;
        }
        const bool host_hears =
            packet.to == kMonitorPlace || (At(packet.to).is_up && !At(packet.to).IsFrozen());
        if (way != Way::kOpen || !host_hears) {
            packet.at = now_ + Milliseconds{200};  // sent again, for a while
            if (packet.at < packet.gives_up) packets_.push_back(std::move(packet));
            continue;
        }
        if (packet.to == kMonitorPlace) {
            monitor_.Receive(packet);
        } else {
            At(packet.to).Receive(packet);
        }
    }
}

// ---- time

void World::Tick() {
    now_ = now_ + Milliseconds{4} + random_.UpTo(12);
    Deliver();
    Replicate();
    const int first = random_.Below(Machines());
    for (int i = 0; i < Machines(); ++i)
        At(1 + (first + i) % Machines()).Tick();
    monitor_.Tick();
    for (const auto &machine : machines_) {
        if (now_ < machine->retires_at || machine->is_gone) continue;
        machine->retires_at = core::kForever;
        // The one that the monitor listens to is the node now, whoever was first.
        if (monitor_.InstanceOf(machine->node) == machine->Instance()) continue;
        machine->is_gone = true;
        machine->PowerOff();
    }
    CheckFacts();
    if (now_ < backup_at_ || newest_backup_) return;
    backup_at_ = now_ + Milliseconds{3000};
    if (backups_.size() < 12) backups_.push_back(monitor_.Save());
    if (!options_.keeps_images) return;
    constexpr std::size_t kImagesMax = 40;
    for (const auto &machine : machines_) {
        if (machine->data && images_.size() < kImagesMax)
            images_.push_back({machine->place, machine->files, machine->data});
    }
}

bool World::IsHeard(const Machine &machine) const {
    return monitor_.IsUp() && machine.is_up && !machine.IsFrozen() &&
           IsOpen(machine.place, kMonitorPlace) && IsOpen(kMonitorPlace, machine.place) &&
           monitor_.Hears(machine.node, machine.Instance());
}

/// What a monitor has forgotten it can hear only from somebody who is there: the operator looks
/// after that first (docs/limits.md). Until then the newest backup is no older than the tables.
bool World::IsHeardOf(std::int64_t term, std::int64_t version) const {
    using Memory = std::pair<std::int64_t, std::int64_t>;
    Memory last;
    Memory heard{term, version};
    for (const auto &machine : machines_) {
        const auto record = machine->Record();
        if (!record) continue;
        const Memory memory{record->term, record->known_sync_version};
        last = std::max(last, memory);
        const bool is_there = machine->is_up && !machine->IsFrozen() && machine->server &&
                              machine->server->rig && AreOpen(kMonitorPlace, machine->place);
        if (is_there) heard = std::max(heard, memory);
    }
    return heard >= last;
}

void World::RestoreMonitor(std::uint32_t number) {
    if (newest_backup_) return;
    // One from before a node was registered, or dropped, does not know who belongs to the group:
    // that is for the operator.
    std::vector<const Monitor::Backup *> fitting;
    for (const Monitor::Backup &backup : backups_) {
        const auto is_known = [&](const NodeView &row) {
            return std::any_of(backup.group.nodes.begin(), backup.group.nodes.end(),
                               [&](const NodeView &other) { return other.id == row.id; });
        };
        const auto &rows = monitor_.Rows().nodes;
        if (backup.group.nodes.size() == rows.size() &&
            IsHeardOf(backup.group.term, backup.group.sync.goal_version) &&
            std::all_of(rows.begin(), rows.end(), is_known))
            fitting.push_back(&backup);
    }
    if (!fitting.empty()) monitor_.Restore(*fitting.at(number % fitting.size()));
}

void World::LoseMonitor() {
    if (newest_backup_) return;
    newest_backup_ = monitor_.Save();
    monitor_.Restore({});
}

void World::BreakReplay(Machine &machine) {
    if (!machine.data) return;
    Tell("fault: recovery of " + machine.Who() + " PANICs from now on");
    machine.data->breaks_replay = true;
    machine.KillServer();
}

void World::LoseTail(Machine &machine, std::size_t units) {
    if (!machine.data) return machine.PowerOff();
    has_lost_wal_ = true;
    const Cluster &data = *machine.data;
    const std::vector<Unit> before = data.wal.units;
    // Without the record that its control file names, or the begin of its timeline, it never
    // starts.
    std::size_t needed = std::max(data.control.checkpoint, data.control.min_recovery);
    if (!data.wal.history.empty())
        needed = std::max(needed, UnitsOf(data.wal.history.back().at) + 1);
    machine.PowerOff(data.durable > needed ? std::min(units, data.durable - needed) : 0);
    for (std::size_t i = machine.data->wal.units.size(); i < before.size(); ++i)
        lost_.push_back(before.at(i).record);
    std::vector<bool> is_left(records_.size());
    for (const auto &each : machines_) {
        if (!each->data) continue;
        for (const std::vector<Unit> &wal : {each->data->wal.units, each->data->Data()}) {
            for (const Unit &unit : wal)
                is_left.at(static_cast<std::size_t>(unit.record)) = true;
        }
    }
    std::erase_if(promised_,
                  [&](std::int64_t id) { return !is_left.at(static_cast<std::size_t>(id)); });
}

bool World::IsAnyGone() const {
    return std::any_of(machines_.begin(), machines_.end(),
                       [](const auto &machine) { return machine->is_gone; });
}

void World::ForgetLostWal() {
    std::erase_if(promised_, [&](std::int64_t id) {
        return std::find(lost_.begin(), lost_.end(), id) != lost_.end();
    });
}

void World::ReturnToImage(Machine &machine, std::uint32_t number) {
    std::vector<const Image *> own;
    for (const Image &image : images_) {
        if (image.place == machine.place) own.push_back(&image);
    }
    if (own.empty() || machine.is_gone) return;
    const Image &image = *own.at(number % own.size());
    Tell("operator: " + machine.Who() + " is set back to an earlier image of its disk");
    has_lost_wal_ = true;
    machine.PowerOff();
    if (machine.data) {
        for (const Unit &unit : machine.data->wal.units)
            lost_.push_back(unit.record);
    }
    machine.files = image.files;
    machine.data = image.data;
    machine.copy.reset();
    ForgetWhatNobodyHas();
    machine.PowerOn();
}

bool World::AwaitsSetBack() {
    return std::any_of(machines_.begin(), machines_.end(), [this](const auto &machine) {
        if (machine->is_set_back && IsHeard(*machine)) machine->is_set_back = false;
        return machine->is_set_back;
    });
}

/// What it has confirmed since the monitor heard of it last is known to its primary alone (N10).
void World::ForgetUnheard(const Machine &machine) {
    const core::GroupView view = monitor_.View();
    const core::NodeView *const row = view.Find(machine.node);
    if (row == nullptr || !machine.data) return;
    const auto &units = machine.data->wal.units;
    const bool is_same = row->held.timeline == machine.data->wal.timeline;
    for (std::size_t i = 0; i < units.size(); ++i) {
        if (!is_same || LsnOf(i) >= row->held.lsn) unheard_.insert(units.at(i).record);
    }
    std::erase_if(promised_, [&](std::int64_t id) { return unheard_.contains(id); });
}

/// Nothing brings back what was on one disk only.
void World::ForgetWhatNobodyHas() {
    std::set<std::int64_t> held;
    for (const auto &machine : machines_) {
        if (machine->is_gone || !machine->data) continue;
        for (const Unit &unit : machine->data->wal.units)
            held.insert(unit.record);
    }
    std::erase_if(promised_, [&](std::int64_t id) { return !held.contains(id); });
}

void World::Run(Milliseconds time) {
    const BootTime end = now_ + time;
    while (now_ < end && violation_.empty())
        Tick();
}

bool World::RunUntil(const std::function<bool()> &is_true, Milliseconds limit) {
    const BootTime end = now_ + limit;
    while (now_ < end && violation_.empty()) {
        if (is_true()) return true;
        Tick();
    }
    return violation_.empty() && is_true();
}

bool World::SetUp() {
    for (const auto &machine : machines_) {
        const bool is_created = RunUntil([&] { return machine->is_registered || Create(*machine); },
                                         Milliseconds{10'000});
        if (!is_created) return false;
        const bool is_first = machine->place == 1;
        const bool is_settled = RunUntil(
            [&] {
                return IsConverged() &&
                       monitor_.Rows().Find(machine->node)->reported != core::NodeState::kInit;
            },
            Milliseconds{is_first ? 10'000 : 40'000});
        if (!is_settled) return false;
    }
    return true;
}

/// systemd starts what has ended, unless the node was dropped: then somebody makes it anew, later.
void World::HealEverything() {
    Tell("everything heals");
    for (auto &row : paths_)
        row.assign(row.size(), Way::kOpen);
    RetireCopies();
    for (const auto &machine : machines_) {
        if (machine->is_gone) continue;
        machine->frozen_until = machine->worker_frozen_until = {};
        machine->supervisor_frozen_until = machine->disk_frozen_until = {};
        machine->is_replay_paused = machine->reloads_late = false;
        machine->replay_units = 64;
        machine->dies_after_effects = machine->dies_in_promotion = 0;
        if (machine->server) {
            machine->server->postmaster_frozen_until = {};
            machine->server->is_replay_paused = false;
            machine->server->replay_units = 64;
        }
        if (machine->data && (machine->data->conf.has_syntax_error)) {
            machine->data->conf.has_syntax_error = false;
            machine->Reload();
        }
        if (machine->data) machine->data->conf.prevents_start = false;
        if (machine->data) machine->data->breaks_replay = false;
        machine->PowerOn();
    }
    if (newest_backup_) {
        monitor_.Restore(*std::exchange(newest_backup_, std::nullopt));
    } else if (!monitor_.IsUp()) {
        monitor_.Start();
    }
    monitor_.Lock({});
    for (const NodeView &row : monitor_.View().nodes)
        monitor_.SetPriority(row.id, std::max(row.candidate_priority, 1));
}

/// Two machines are one node: the operator keeps the one that the monitor listens to, and says
/// where it is.
void World::RetireCopies() {
    for (const auto &machine : machines_) {
        for (const auto &other : machines_) {
            const bool is_pair = machine != other && machine->node == other->node &&
                                 machine->node.IsValid() && !machine->is_gone && !other->is_gone;
            if (!is_pair || monitor_.InstanceOf(machine->node) != machine->Instance()) continue;
            Tell("operator: " + other->Who() + " is switched off for good, a copy goes on");
            other->is_gone = true;
            other->PowerOff();
            monitor_.Move(machine->node, machine->address);
        }
    }
}

/// Every node that can return is a primary or a secondary, and says so.
bool World::IsConverged() const {
    const core::GroupView &rows = monitor_.Rows();
    const auto is_gone = [&](const NodeView &row) {
        return std::any_of(machines_.begin(), machines_.end(), [&row](const auto &machine) {
            return machine->address == row.host && machine->is_gone;
        });
    };
    std::size_t primaries = 0;
    const auto gone =
        static_cast<std::size_t>(std::count_if(rows.nodes.begin(), rows.nodes.end(), is_gone));
    for (const NodeView &row : rows.nodes) {
        if (is_gone(row)) continue;
        const bool is_alone = rows.nodes.size() == 1 && row.goal == kSingle;
        // With nobody left to confirm, the primary waits for a standby, and writes.
        const bool is_left = rows.nodes.size() == gone + 1 && row.goal == kWaitPrimary;
        const bool is_primary = row.goal == kPrimary || is_alone || is_left;
        if (row.goal != row.reported || (!is_primary && row.goal != kSecondary)) return false;
        primaries += is_primary ? 1 : 0;
    }
    if (primaries != 1 || !rows.sync.IsSettled() || !monitor_.IsUp()) return false;
    const core::GroupView view = monitor_.View();
    return std::all_of(view.nodes.begin(), view.nodes.end(), [&](const NodeView &row) {
        return is_gone(row) || core::HealthOf(view, row) == 1;
    });
}

std::string World::Summary() const {
    std::string text;
    const core::GroupView view = monitor_.View();
    for (const NodeView &row : view.nodes) {
        text += " " + row.name + " " + std::string(core::ToString(row.reported)) + "/" +
                std::string(core::ToString(row.goal));
        if (row.held.lost_from.IsValid()) text += " lost " + core::ToString(row.held.lost_from);
        if (row.held.is_behind_others) text += " behind";
    }
    for (const auto &machine : machines_) {
        text += "; " + machine->name + (machine->is_up ? "" : " off");
        if (const auto state = machine->RecordedState())
            text += " " + std::string(core::ToString(*state));
        if (machine->data) {
            text += " " + std::to_string(machine->data->wal.timeline) + "@" +
                    std::to_string(machine->data->wal.units.size()) + "/" +
                    std::to_string(machine->data->applied);
            if (machine->data->IsStuck()) text += " stuck";
        }
        if (machine->server) {
            text += machine->server->IsInRecovery() ? " standby" : " writable";
            text += machine->server->fence == worker::Fence::kOpen ? "" : " fenced";
        }
    }
    return text + "; set " + core::EncodeSets(core::PossibleSets(view.sync)) + "; " +
           core::Decide(view).blocked;
}

}  // namespace pgaf::sim
