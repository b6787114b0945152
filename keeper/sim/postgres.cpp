#include <algorithm>

#include "model.hpp"

/// The model of PostgreSQL: WAL, streaming, synchronous commit, the gate of the keeper in it.
namespace pgaf::sim {

using namespace core;  // NOLINT: the model speaks of nothing but the core
using enum NodeState;

bool World::GateOpen(const Node &node) const {
    return !node.fenced && node.deadline > ClockOf(node);
}

bool World::IsConfirmed(const Node &node, const SyncSet &set, Lsn end) const {
    const auto count = std::count_if(set.members.begin(), set.members.end(), [&](NodeId member) {
        const auto it = node.standbys.find(member);
        return it != node.standbys.end() && it->second.flushed >= end;
    });
    return set.members.empty() || count >= set.k;
}

void World::Acknowledge(Node &node, const Record &record) {
    if (node.term < owner_term_ || (node.term == owner_term_ && node.id != owner_)) {
        Violate("node " + std::to_string(node.id.value) + " acknowledged in term " +
                std::to_string(node.term) + " after node " + std::to_string(owner_.value) +
                " did in term " + std::to_string(owner_term_));
    }
    owner_term_ = node.term;
    owner_ = node.id;
    if (!record.local && promises_) durable_.push_back(record.id);
}

void World::ClientWrites(Node &node) {
    if (!node.pg_running || node.in_recovery || IsFrozen(node)) return;
    // A woken waiter is answered only if the gate is still open.
    std::erase_if(node.waiters, [&](const Node::Waiter &waiter) {
        if (!IsConfirmed(node, node.sync.loaded.set, waiter.end)) return false;
        if (GateOpen(node)) Acknowledge(node, waiter.record);
        return true;
    });
    if (Chance(3) != 0 || !GateOpen(node)) return;
    const Record record{next_record_++, Chance(4) == 0};
    node.wal.records.push_back(record);
    if (record.local) {
        Acknowledge(node, record);
    } else {
        node.waiters.push_back({node.wal.End(), record});
    }
}

bool World::StreamsFrom(const Node &standby, const Node &upstream) const {
    const bool both_run = standby.pg_running && standby.in_recovery && !IsFrozen(standby) &&
                          upstream.pg_running && !IsFrozen(upstream);
    if (!both_run || standby.upstream.loaded != upstream.id || upstream.id == standby.id)
        return false;
    if (!Connected(standby.id, upstream.id)) return false;
    const Ancestry ancestry = Compare(standby.wal.Position(), upstream.wal.Position());
    return ancestry == Ancestry::kEqual || ancestry == Ancestry::kBehind;
}

/// A standby is on the timeline on which its last byte was written.
static void SetTimeline(Wal &to, const Wal &from) {
    const auto left = std::find_if(from.history.begin(), from.history.end(),
                                   [&to](const TimelineSwitch &s) { return to.End() <= s.at; });
    to.timeline = left == from.history.end() ? from.timeline : left->timeline;
    to.history.assign(from.history.begin(), left);
}

void World::Replicate() {
    for (Node &standby : nodes_) {
        for (Node &upstream : nodes_) {
            Node::Standby &sender = upstream.standbys[standby.id];
            if (!StreamsFrom(standby, upstream)) {
                sender.streaming = false;
                continue;
            }
            Wal &to = standby.wal;
            const Wal &from = upstream.wal;
            const std::size_t common = to.records.size();
            if (common > 0 && to.records.back().id != from.records.at(common - 1).id) {
                Violate("node " + std::to_string(standby.id.value) + " streams another history");
                return;
            }
            standby.received_at = now_;
            const std::size_t step = 1 + static_cast<std::size_t>(Chance(4));
            const std::size_t end = std::min(from.records.size(), common + step);
            to.records.insert(to.records.end(),
                              from.records.begin() + static_cast<std::ptrdiff_t>(common),
                              from.records.begin() + static_cast<std::ptrdiff_t>(end));
            SetTimeline(to, from);
            sender.flushed = to.End();
            sender.replied = now_;
            sender.streaming = end == from.records.size() || Chance(2) == 0;
        }
    }
}

void World::KillServer(Node &node) {
    node.pg_running = false;
    node.reply.reset();
    node.waiters.clear();
    node.markers.clear();
    node.standbys.clear();
    node.deadline = {};
    node.fenced = true;
    node.drained = false;
    node.sealed_lsn = {};
    node.confirmed_sync = 0;
    node.hold = {};
    node.outstanding = 0;
    ++node.connection;
}

void World::StartServer(Node &node) {
    if (node.is_marked) {
        Violate("node " + std::to_string(node.id.value) + " starts on an incomplete copy");
        return;
    }
    KillServer(node);
    node.pg_running = true;
    node.sync.Poll(kForever);
    node.upstream.Poll(kForever);
    node.received_at = now_;
    node.streamed.clear();
    ++node.epoch;
    node.next_report = now_ + Milliseconds{Chance(30)};
}

/// At the end of recovery: nothing that was promised may be missing.
void World::CheckPromotion(const Node &node) {
    if (node.wal.records.size() < node.consistent_at) {
        Violate("node " + std::to_string(node.id.value) + " was promoted before it was consistent");
    }
    std::vector<std::int64_t> have;
    for (const Record &record : node.wal.records)
        have.push_back(record.id);
    std::sort(have.begin(), have.end());
    for (const std::int64_t id : durable_) {
        if (std::binary_search(have.begin(), have.end(), id)) continue;
        Violate("acknowledged commit " + std::to_string(id) +
                " is missing on the new primary, node " + std::to_string(node.id.value));
        return;
    }
}

}  // namespace pgaf::sim
