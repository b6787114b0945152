#include "headers.hpp"

#include "housekeeping.hpp"

#include <algorithm>

#include "files.hpp"
#include "pg/guard.hpp"
#include "pgaf/core/pg_files.hpp"
#include "server.hpp"

namespace pgaf::keeper {
namespace {

constexpr core::Milliseconds kEvery{5000};

std::string PeersText(const core::Reply &reply) {
    std::string text;
    for (const core::Peer &peer : reply.peers) {
        text.append(std::to_string(peer.node.value)).append("@").append(peer.host).append(" ");
    }
    return text;
}

}  // namespace

std::string Housekeeping::Poll(const Context &context) {
    const std::string peers = PeersText(context.reply);
    const bool changed = peers != peers_;
    if (!changed && context.now < next_) return problem_;
    next_ = context.now + kEvery;
    problem_.clear();
    try {
        if (changed) KeepHba(context);
        if (context.facts.slots_ready) {
            KeepSlots(context);
            if (context.facts.in_recovery) AdvanceSlots(context);
            if (problem_.empty()) peers_ = peers;
        }
    } catch (const pg::PgError &error) {
        problem_ = error.message();
        server::CleanUpAfterError();
    }
    return problem_;
}

void Housekeeping::KeepHba(const Context &context) {
    const std::string path = server::HbaFile();
    if (path.empty()) return;
    const auto present = ReadFile(path);
    if (!present) {
        problem_ = present.error().message;
        return;
    }
    const std::string wanted = core::EnsureHba(*present, context.config, context.reply.peers);
    if (wanted == *present) return;
    if (const auto written = WriteFileAtomic(path, wanted); !written) {
        problem_ = written.error().message;
        return;
    }
    server::Reload();
}

void Housekeeping::KeepSlots(const Context &context) {
    for (const core::Peer &peer : context.reply.peers) {
        const std::string name = core::StandbyName(peer.node);
        if (context.facts.FindSlot(name) == nullptr) server::CreateSlot(name);
    }
    for (const SlotFact &slot : context.facts.slots) {
        const auto node = core::ParseStandbyName(slot.name);
        if (!node || slot.active || context.FindPeer(*node) != nullptr) continue;
        server::DropSlot(slot.name);
    }
}

void Housekeeping::AdvanceSlots(const Context &context) {
    for (const core::Peer &peer : context.reply.peers) {
        const SlotFact *const slot = context.facts.FindSlot(core::StandbyName(peer.node));
        if (slot == nullptr || slot->active || !peer.lsn.IsValid()) continue;
        // Never beyond what this node has itself: the rest it could not send either.
        const core::Lsn to = std::min(peer.lsn, context.facts.lsn);
        if (to > slot->restart_lsn) server::AdvanceSlot(slot->name, to);
    }
}

}  // namespace pgaf::keeper
