#include "worker/lease.hpp"

#include <algorithm>
#include <functional>

#include "pgaf/core/lease.hpp"

namespace pgaf::worker {
namespace {

constexpr std::size_t kMarkersMax = 16;

/// What k members of the set have confirmed. k = 0: all of them, and whoever has streamed since the
/// monitor fell silent: nobody becomes a candidate without streaming from here.
core::Lsn ConfirmedBy(const core::SyncSet &set, const Lease::StreamInput &input) {
    std::vector<core::NodeId> members = set.members;
    if (set.k == 0) members.insert(members.end(), input.streamed.begin(), input.streamed.end());
    std::vector<core::Lsn> held;
    for (const core::NodeId node : members) {
        const SenderFact *const sender = input.facts.FindSender(node);
        held.push_back(sender == nullptr ? core::Lsn{} : sender->flush_lsn);
    }
    std::sort(held.begin(), held.end(), std::greater<>());
    const std::size_t needed = set.k == 0 ? held.size() : static_cast<std::size_t>(set.k);
    return needed == 0 || needed > held.size() ? core::Lsn{} : held.at(needed - 1);
}

}  // namespace

void Lease::OpenForLonelySingle() { gate_.SetDeadline(core::kForever); }

bool Lease::IsTimed() const { return gate_.Deadline() != core::kForever; }

void Lease::Extend(core::BootTime deadline) {
    if (gate_.Deadline() < deadline) gate_.SetDeadline(deadline);
}

void Lease::Accept(const core::Reply &reply, core::BootTime sent_at) {
    switch (reply.grant) {
        case core::GrantKind::kNone:
            return;
        case core::GrantKind::kUnlimited:
            gate_.SetDeadline(core::kForever);
            return;
        case core::GrantKind::kTimed:
            length_ = std::max(reply.lease, core::Milliseconds{1});
            const core::BootTime deadline = core::NodeDeadline(sent_at, reply.lease);
            if (IsTimed()) {
                Extend(deadline);
            } else {
                gate_.SetDeadline(deadline);  // from now on the gate obeys timed grants
            }
            return;
    }
}

void Lease::ExtendByStream(Server &server, const StreamInput &input) {
    is_extending_ = !input.sets.empty();
    if (!is_extending_) return;
    if (input.now >= next_marker_ || markers_.empty()) {
        // The clock is read before the record exists: whoever confirms it does so later.
        const core::BootTime before = clock_.Now();
        markers_.push_back({before, server.WriteMarker()});
        if (markers_.size() > kMarkersMax) markers_.pop_front();
        next_marker_ = input.now + length_ / 4;
    }
    core::Lsn confirmed{UINT64_MAX};
    for (const core::SyncSet &set : input.sets)
        confirmed = std::min(confirmed, ConfirmedBy(set, input));
    while (!markers_.empty() && markers_.front().end <= confirmed) {
        Extend(core::NodeDeadline(markers_.front().written_at, length_));
        markers_.pop_front();
    }
}

}  // namespace pgaf::worker
