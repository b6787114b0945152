#pragma once

#include <deque>
#include <vector>

#include "facts.hpp"
#include "pgaf/core/protocol.hpp"
#include "pgaf/core/types.hpp"

namespace pgaf::keeper {

/// The worker's side of the lease: the only writer of the gate's deadline.
class Lease {
 public:
    /// The exception to "fail closed": a node that never had a peer needs no monitor.
    static void OpenForLonelySingle();
    /// Takes the grant of a reply to a report that was sent at `sent_at`.
    void Accept(const core::Reply &reply, core::BootTime sent_at);
    /// The gate obeys timed grants.
    [[nodiscard]] static bool IsTimed();

    struct StreamInput {
        const ServerFacts &facts;
        const std::vector<core::SyncSet> &sets;     ///< Reply::extension
        const std::vector<core::NodeId> &streamed;  ///< since the last answer of the monitor
        core::BootTime now;
    };
    /// With the monitor silent: extends the deadline by what enough members of every set confirm;
    /// without a set: not at all.
    void ExtendByStream(const StreamInput &input);
    void StopStream() {
        markers_.clear();
        is_extending_ = false;
    }

    [[nodiscard]] core::Milliseconds length() const { return length_; }
    /// Markers are on their way; nothing tells this process that they were confirmed.
    [[nodiscard]] bool IsExtending() const { return !markers_.empty() || is_extending_; }

 private:
    struct Marker {
        core::BootTime written_at;
        core::Lsn end;
    };
    core::Milliseconds length_{3000};
    std::deque<Marker> markers_;
    core::BootTime next_marker_;
    bool is_extending_ = false;
};

}  // namespace pgaf::keeper
