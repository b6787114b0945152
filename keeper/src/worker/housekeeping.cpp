#include "worker/housekeeping.hpp"

#include <algorithm>

#include "pgaf/core/hba.hpp"
#include "pgaf/core/pg_files.hpp"
#include "worker/overrides.hpp"

namespace pgaf::worker {
namespace {

constexpr core::Milliseconds kEvery{5000};
/// A standby that is away for longer finds its long queries cancelled when it returns; the primary
/// must not keep every dead row until then.
constexpr core::Milliseconds kFeedbackKept{60'000};

std::string PeersText(const core::Reply &reply) {
    std::string text;
    for (const core::Peer &peer : reply.peers) {
        text.append(std::to_string(peer.node.value)).append("@").append(peer.host).append(" ");
    }
    return text;
}

bool IsUseful(const Context &context, const SlotFact &slot) {
    const auto node = core::ParseStandbyName(slot.name);
    return node && slot.restart_lsn.IsValid() && context.FindPeer(*node) != nullptr;
}

}  // namespace

std::string Housekeeping::Poll(const Context &context) {
    const std::string peers = PeersText(context.reply);
    const bool changed = peers != peers_;
    if (!changed && context.now < next_) return problem_;
    next_ = context.now + kEvery;
    problem_.clear();
    try {
        KeepConfiguration(context);
        if (changed) KeepHba(context);
        if (context.facts.slots_ready) {
            KeepSlots(context);
            if (context.facts.in_recovery) AdvanceSlots(context);
            ReleaseXmins(context);
            WatchSlots(context);
            if (problem_.empty()) peers_ = peers;
        }
    } catch (const std::exception &error) {
        problem_ = error.what();
        context.ports.server.CleanUpAfterError();
    }
    return problem_;
}

void Housekeeping::KeepConfiguration(const Context &context) {
    const auto changed = RemoveOverrides(context.ports, context.config.pgdata);
    if (!changed) problem_ = changed.error().message;
    if (changed && *changed) context.ports.server.Reload();
}

void Housekeeping::KeepHba(const Context &context) {
    const std::string path = context.ports.server.HbaFile();
    if (path.empty()) return;
    const auto present = context.ports.files.Read(path);
    if (!present) {
        problem_ = present.error().message;
        return;
    }
    const std::string wanted = core::EnsureHba(*present, context.config, context.reply.peers);
    if (wanted == *present) return;
    if (const auto written = context.ports.files.WriteAtomic(path, wanted); !written) {
        problem_ = written.error().message;
        return;
    }
    context.ports.server.Reload();
}

void Housekeeping::KeepSlots(const Context &context) {
    for (const core::Peer &peer : context.reply.peers) {
        const std::string name = core::StandbyName(peer.node);
        if (context.facts.FindSlot(name) == nullptr) context.ports.server.CreateSlot(name);
    }
    for (const SlotFact &slot : context.facts.slots) {
        const auto node = core::ParseStandbyName(slot.name);
        if (!node || slot.active) continue;
        // One that has lost its WAL (max_slot_wal_keep_size) promises nothing any more, and newer
        // servers refuse to use it; the next round makes a fresh one.
        if (IsUseful(context, slot)) continue;
        context.ports.server.DropSlot(slot.name);
    }
}

/// A physical slot keeps the xmin of its last standby for ever; on a standby it even travels up to
/// the primary as feedback.
void Housekeeping::ReleaseXmins(const Context &context) {
    std::map<std::string, core::BootTime> idle;
    for (const SlotFact &slot : context.facts.slots) {
        if (slot.active || !slot.holds_xmin || !IsUseful(context, slot)) continue;
        const auto known = idle_since_.find(slot.name);
        const core::BootTime since = known == idle_since_.end() ? context.now : known->second;
        const bool is_due = context.facts.in_recovery || context.now - since >= kFeedbackKept;
        if (is_due) {
            context.ports.server.ReleaseSlotXmin(slot.name);
        } else {
            idle.emplace(slot.name, since);
        }
    }
    idle_since_ = std::move(idle);
}

/// Those of users too, which nobody but they may drop: behind the limit a slot is lost, and whoever
/// it was for begins anew.
void Housekeeping::WatchSlots(const Context &context) {
    const std::uint64_t limit = context.facts.slot_wal_limit;
    if (limit == 0) return;
    for (const SlotFact &slot : context.facts.slots) {
        const bool is_held = slot.restart_lsn.IsValid() && slot.restart_lsn < context.facts.lsn;
        const std::uint64_t held = is_held ? context.facts.lsn.value - slot.restart_lsn.value : 0;
        if (held < limit / 10 * 8) continue;
        const bool is_ours = core::ParseStandbyName(slot.name).has_value();
        problem_ = "replication slot \"" + slot.name + "\" holds back " +
                   std::to_string(held >> 20) + " MB of WAL, and is lost at " +
                   std::to_string(limit >> 20) + " MB (max_slot_wal_keep_size): " +
                   (is_ours ? "its standby must come back or be dropped"
                            : "whoever reads from it must go on, or its owner must drop it");
        return;
    }
}

void Housekeeping::AdvanceSlots(const Context &context) {
    for (const core::Peer &peer : context.reply.peers) {
        const SlotFact *const slot = context.facts.FindSlot(core::StandbyName(peer.node));
        if (slot == nullptr || slot->active || !peer.lsn.IsValid()) continue;
        if (!slot->restart_lsn.IsValid()) continue;  // was dropped just now
        // Never beyond what this node has itself: the rest it could not send either.
        const core::Lsn to = std::min(peer.lsn, context.facts.lsn);
        if (to > slot->restart_lsn) context.ports.server.AdvanceSlot(slot->name, to);
    }
}

}  // namespace pgaf::worker
