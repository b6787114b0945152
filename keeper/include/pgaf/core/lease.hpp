#pragma once

#include "pgaf/core/types.hpp"

namespace pgaf::core {

/// How long after answering the monitor must assume that a grant of `lease` is still in use: the node's clock
/// may be slower by 1/64, and an acknowledgement may be on its way out for 20 ms.
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

}  // namespace pgaf::core
