#pragma once

#include "pgaf/core/protocol.hpp"
#include "pgaf/core/types.hpp"

namespace pgaf::core {

/// How long after answering the monitor must assume that a grant of `lease` is still in use: the
/// node's clock may be slower by 1/64, and an acknowledgement may be on its way out for 20 ms.
constexpr Milliseconds MonitorLease(Milliseconds lease) {
    return lease + lease / 64 + Milliseconds{20};
}

/// The node's deadline for a grant: it counts from before the report was sent.
constexpr BootTime NodeDeadline(BootTime before_sending, Milliseconds lease) {
    return before_sending + lease;
}

/// What a sealed standby's report says of the lease that its answers may have extended (stream
/// extension): how much of it may be left when the report arrives. 0 or negative: nothing.
constexpr Milliseconds StreamLeaseLeft(Milliseconds stream_age, Milliseconds lease) {
    return MonitorLease(lease) - stream_age;
}

inline constexpr Milliseconds kNoLimit = Milliseconds::max();

/// What the monitor keeps of the grants of one node, in shared memory; instants on its own clock.
struct LeaseRecord {
    BootTime timed_end;
    bool unlimited = false;
    /// The last report said so, and nothing was granted since: whatever the node was given before
    /// is void.
    bool proved_fenced = false;
    /// Report::instance of the keeper that was granted something last; 0: none was.
    std::int64_t instance = 0;
};

/// To be called with every report of the node, before decisions. A fenced report ends every earlier
/// grant: the node had processed or thrown away every earlier reply when it sent it. A node in
/// lease mode no longer uses an unlimited grant. Of grants that another instance was given (before
/// the machine was started anew, or a copy was) it proves nothing: they run out.
constexpr void NoteReport(LeaseRecord &lease, const Report &report) {
    const bool is_own =
        lease.instance == 0 || report.instance == 0 || lease.instance == report.instance;
    if (report.fenced && is_own) lease.timed_end = {};
    // Nothing else would ever end it: the machine was started anew.
    if (report.fenced) lease.unlimited = false;
    lease.proved_fenced = report.fenced && is_own;
    if (report.lease_mode && is_own) lease.unlimited = false;
}

/// To be called before the reply leaves; `instance`: of the report that it answers.
constexpr void NoteGrant(LeaseRecord &lease, const Reply &reply, BootTime now,
                         std::int64_t instance = 0) {
    if (reply.grant != GrantKind::kNone) lease.proved_fenced = false;
    if (reply.grant != GrantKind::kNone) lease.instance = instance;
    if (reply.grant == GrantKind::kUnlimited) lease.unlimited = true;
    if (reply.grant == GrantKind::kTimed && now + MonitorLease(reply.lease) > lease.timed_end) {
        lease.timed_end = now + MonitorLease(reply.lease);
    }
}

/// For NodeView::lease_left; never negative.
constexpr Milliseconds LeaseLeft(const LeaseRecord &lease, BootTime now) {
    if (lease.unlimited) return kNoLimit;
    return lease.timed_end > now ? lease.timed_end - now + Milliseconds{1} : Milliseconds{0};
}

}  // namespace pgaf::core
