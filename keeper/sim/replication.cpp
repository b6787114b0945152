#include <algorithm>
#include <optional>

#include "rigs.hpp"
#include "world.hpp"

/// Streaming, as PostgreSQL does it: who may follow is told by numbers of timelines, WAL is sent
/// from the beginning of a segment, and names of applications decide who confirms.
namespace pgaf::sim {

namespace {

constexpr Milliseconds kTimeout{10'000};
constexpr Milliseconds kKeepalive{5'000};
constexpr Milliseconds kStatus{1'000};
constexpr Milliseconds kConnectTimeout{5'000};

/// What the server sends: a primary what it has flushed, a standby what it has replayed.
std::size_t SendableEnd(const Machine &upstream) {
    return upstream.server->IsInRecovery()
               ? std::min(upstream.data->durable, upstream.data->applied)
               : upstream.data->durable;
}

/// The server would send from there to a standby that is on the timeline and has replayed so much.
bool Admits(const Machine &upstream, const Cluster &standby, std::size_t start) {
    const Wal &wal = upstream.data->wal;
    if (wal.timeline == standby.wal.timeline) return start <= SendableEnd(upstream);
    for (const core::TimelineSwitch &s : wal.history) {
        if (s.timeline == standby.wal.timeline) return standby.wal.End() <= s.at;
    }
    return false;
}

/// Where it left the timeline; nothing: it is on it still, or never was.
std::optional<std::size_t> LeftAt(const Wal &wal, int timeline) {
    for (const core::TimelineSwitch &s : wal.history) {
        if (s.timeline == timeline) return UnitsOf(s.at);
    }
    return std::nullopt;
}

}  // namespace

void World::Replicate() {
    for (const auto &machine : machines_) {
        if (!machine->is_up || machine->IsFrozen() || !machine->server) continue;
        if (machine->server->phase != Phase::kStandby) continue;
        if (machine->server->receiver.pid == 0) {
            Connect(*machine);
        } else {
            Stream(*machine);
        }
    }
    // Walsenders that hear nothing end; whoever was not a standby of ours lives outside.
    for (const auto &machine : machines_) {
        if (!machine->server || machine->IsFrozen()) continue;
        Server &server = *machine->server;
        const std::size_t before = server.senders.size();
        bool is_confirmed = false;
        std::erase_if(server.senders, [&](Sender &sender) {
            if (sender.peer == kMonitorPlace) {  // a program that receives WAL under a name
                sender.flush = SendableEnd(*machine);
                sender.heard_at = now_;
                ++sender.replies;
                sender.streaming = true;
                is_confirmed = true;
                return false;
            }
            return now_ - sender.heard_at > kTimeout;
        });
        if (server.senders.size() != before) server.latch = true;
        if (is_confirmed) ReleaseWaiters(*machine);
    }
}

void World::Connect(Machine &standby) {
    Server &server = *standby.server;
    const Settings &settings = server.startup.settings;
    const bool wants = !settings.conninfo.empty() && server.awaits_wal &&
                       server.promotion == PromotionStep::kNone && now_ >= server.receiver_retry &&
                       !standby.IsDiskFrozen();
    if (!wants) return;
    server.receiver_retry = now_ + settings.retry;
    if (server.is_barred) return CountLogLine(standby, "the walreceiver is barred");
    Machine *const upstream = FindByAddress(Keyword(settings.conninfo, "host"));
    if (upstream == nullptr || upstream == &standby) return;
    const bool is_mute =
        !AreOpen(standby.place, upstream->place) || !upstream->is_up || upstream->IsFrozen();
    if (is_mute && Path(standby.place, upstream->place) != Way::kReset) {
        server.receiver_retry = now_ + kConnectTimeout;
        return;
    }
    CountLogLine(standby, "the walreceiver connects");
    if (is_mute || !upstream->server) return;
    Server &from = *upstream->server;
    const bool accepts = (from.phase == Phase::kWritable || from.phase == Phase::kStandby) &&
                         from.ending == Ending::kNone && from.postmaster_frozen_until <= now_ &&
                         (from.admits_standbys || from.IsInRecovery() || !from.has_module);
    if (!accepts) return;
    if (!settings.slot.empty()) {
        const bool is_used = std::any_of(from.senders.begin(), from.senders.end(),
                                         [&](const Sender &x) { return x.slot == settings.slot; });
        if (is_used || !upstream->data->slots.contains(settings.slot)) return;
    }
    const std::size_t start = standby.data->applied / kSegmentUnits * kSegmentUnits;
    if (!Admits(*upstream, *standby.data, start)) return;
    Sender sender;
    sender.pid = from.next_pid++;
    sender.peer = standby.place;
    sender.app =
        core::ParseStandbyName(Keyword(settings.conninfo, "application_name")).value_or(NodeId{});
    sender.slot = settings.slot;
    sender.proc.settings = from.postmaster.settings;
    sender.heard_at = now_;
    sender.starts_at = now_ + random_.UpTo(10);
    sender.flush = standby.data->applied;
    from.senders.push_back(sender);
    from.latch = true;
    Receiver &receiver = server.receiver;
    receiver.pid = server.next_pid++;
    receiver.peer = upstream->place;
    receiver.sender_pid = sender.pid;
    receiver.conninfo = settings.conninfo;
    receiver.streaming = true;
    receiver.received = start;
    receiver.said = standby.data->applied;
    receiver.heard_at = now_;
    receiver.status_at = {};
    server.latch = true;
}

void World::TakeUnits(Machine &standby, Machine &upstream, std::size_t most) {
    Cluster &data = *standby.data;
    Receiver &receiver = standby.server->receiver;
    const Wal &from = upstream.data->wal;
    std::size_t end = std::min(SendableEnd(upstream), receiver.received + most);
    if (const auto left = LeftAt(from, data.wal.timeline); left && end > *left) {
        // The stream ends where the upstream has left the timeline; who has replayed more than that
        // does not follow it to the next one.
        if (data.applied > *left) {
            end = *left;
            if (receiver.received >= end) return standby.EndReceiver();
        }
    }
    while (receiver.received < end) {
        const std::size_t at = receiver.received++;
        const Unit &unit = from.units.at(at);
        if (at < data.wal.units.size() && data.wal.units.at(at).record == unit.record) continue;
        if (at < data.applied && !data.data_fork) {
            data.data_fork = data.Data();
            Tell(standby.Who() + " receives WAL that does not fit its data");
        }
        data.wal.units.resize(at);
        data.wal.units.push_back(unit);
    }
    data.durable = data.wal.units.size();
    const int before = data.wal.timeline;
    if (receiver.received == data.wal.units.size()) SetLineage(data.wal, from);
    if (data.wal.timeline != before) data.WriteHistory(data.wal.timeline, data.wal.history);
}

void World::ReleaseWaiters(Machine &upstream) {
    Server &server = *upstream.server;
    if (server.IsInRecovery()) return;
    const std::size_t before = server.sync_confirmed;
    for (const Sender &own : server.senders) {
        if (own.proc.settings.sync_names.empty()) continue;
        const SyncNames &names = own.proc.settings.names;
        if (!own.counts || !names.Contains(own.app)) continue;
        std::vector<std::size_t> held;
        for (const Sender &sender : server.senders) {
            if (sender.counts && names.Contains(sender.app)) held.push_back(sender.flush);
        }
        std::sort(held.begin(), held.end(), std::greater<>());
        const auto needed = static_cast<std::size_t>(std::max(names.k, 1));
        if (held.size() >= needed)
            server.sync_confirmed = std::max(server.sync_confirmed, held.at(needed - 1));
    }
    if (server.sync_confirmed != before && server.fence != worker::Fence::kOpen)
        server.latch = true;
}

void World::Confirm(Machine &standby, Machine &upstream) {
    Receiver &receiver = standby.server->receiver;
    receiver.status_at = now_ + kStatus;
    if (Path(standby.place, upstream.place) == Way::kReset) return standby.EndReceiver();
    if (!IsOpen(standby.place, upstream.place) || !upstream.server || upstream.IsFrozen()) return;
    Sender *const sender = upstream.server->FindSender(receiver.sender_pid);
    if (sender == nullptr || sender->peer != standby.place) return;
    const bool was_streaming = sender->streaming;
    sender->flush = receiver.said;
    sender->heard_at = now_;
    ++sender->replies;
    sender->streaming = receiver.received >= SendableEnd(upstream);
    if (sender->streaming && !was_streaming) upstream.server->latch = true;
    if (!sender->slot.empty()) {
        const auto slot = upstream.data->slots.find(sender->slot);
        if (slot != upstream.data->slots.end()) slot->second.restart = sender->flush;
    }
    ReleaseWaiters(upstream);
    if (sender->is_finishing && sender->flush >= upstream.data->durable) {
        upstream.EndSender(receiver.sender_pid);
        if (IsOpen(upstream.place, standby.place)) standby.EndReceiver();
    }
}

void World::Stream(Machine &standby) {
    Receiver &receiver = standby.server->receiver;
    Machine &upstream = At(receiver.peer);
    if (standby.IsDiskFrozen()) return;
    const Server &server = *standby.server;
    if (server.is_barred && receiver.pid == server.barred_pid && server.barred_one_ends <= now_)
        return standby.EndReceiver();
    if (now_ - receiver.heard_at > kTimeout) return standby.EndReceiver();
    const bool arrives = IsOpen(upstream.place, standby.place) && upstream.is_up;
    Sender *const sender =
        upstream.server ? upstream.server->FindSender(receiver.sender_pid) : nullptr;
    if (sender == nullptr || sender->peer != standby.place) {
        // The host of a process that has ended says so, when it lives and can.
        if (arrives && !upstream.IsFrozen()) standby.EndReceiver();
        return;
    }
    if (upstream.IsFrozen()) return;
    const bool has_more = receiver.received < SendableEnd(upstream);
    const bool sends = has_more || now_ - receiver.heard_at > kKeepalive;
    if (sends && Path(upstream.place, standby.place) == Way::kReset) {
        return upstream.EndSender(receiver.sender_pid);
    }
    bool heard = false;
    if (sends && arrives) {
        const std::size_t units = standby.data->applied + 64 < receiver.received ? 16 : 6;
        TakeUnits(standby, upstream,
                  1 + static_cast<std::size_t>(random_.Below(static_cast<int>(units))));
        receiver.said = std::max(receiver.said, receiver.received);
        receiver.heard_at = now_;
        ++receiver.messages;
        heard = true;
    }
    if (heard || now_ >= receiver.status_at) Confirm(standby, upstream);
}

void World::PassLastUnits(Machine &upstream, const Sender &sender) {
    if (sender.peer <= kMonitorPlace || sender.peer > Machines()) return;
    Machine &standby = At(sender.peer);
    const bool is_there = standby.is_up && standby.server && !standby.IsFrozen() &&
                          !standby.IsDiskFrozen() && AreOpen(upstream.place, standby.place) &&
                          standby.server->receiver.pid != 0 &&
                          standby.server->receiver.sender_pid == sender.pid;
    if (is_there) TakeUnits(standby, upstream, upstream.data->wal.units.size());
}

}  // namespace pgaf::sim
