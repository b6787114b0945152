#pragma once

#include <algorithm>
#include <deque>
#include <vector>

#include "pgaf/core/protocol.hpp"
#include "pgaf/core/types.hpp"
#include "worker/ports.hpp"

namespace pgaf::worker {

/// The worker's side of the lease: the only writer of the gate's deadline.
class Lease {
 public:
    Lease(Gate &gate, Clock &clock) : gate_(gate), clock_(clock) {}
    /// The exception to "fail closed": a node that never had a peer needs no monitor.
    void OpenForLonelySingle();
    /// Takes the grant of a reply to a report that was sent at `sent_at`.
    void Accept(const core::Reply &reply, core::BootTime sent_at);
    /// The gate obeys timed grants.
    [[nodiscard]] bool IsTimed() const;

    struct StreamInput {
        const ServerFacts &facts;
        const std::vector<core::SyncSet> &sets;     ///< Reply::extension
        const std::vector<core::NodeId> &streamed;  ///< since the last answer of the monitor
        core::BootTime now;
    };
    /// With the monitor silent: extends the deadline by what enough members of every set confirm;
    /// without a set: not at all.
    void ExtendByStream(Server &server, const StreamInput &input);
    void StopStream() {
        markers_.clear();
        is_extending_ = false;
    }

    /// As a grant of that length would, which is not given.
    void SetLength(core::Milliseconds length) { length_ = std::max(length, core::Milliseconds{1}); }
    [[nodiscard]] core::Milliseconds length() const { return length_; }
    /// Markers are on their way; nothing tells this process that they were confirmed.
    [[nodiscard]] bool IsExtending() const { return !markers_.empty() || is_extending_; }

 private:
    struct Marker {
        core::BootTime written_at;
        core::Lsn end;
    };
    void Extend(core::BootTime deadline);

    Gate &gate_;
    Clock &clock_;
    core::Milliseconds length_{3000};
    std::deque<Marker> markers_;
    core::BootTime next_marker_;
    bool is_extending_ = false;
};

}  // namespace pgaf::worker
