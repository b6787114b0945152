#pragma once

#include "pgaf/core/types.hpp"
#include "worker/facts.hpp"
#include "worker/ports.hpp"

namespace pgaf::worker {

/// Whether what this primary writes still reaches its disk: a frozen file system refuses nothing,
/// it does not answer. While nobody writes, the probe does, a record of a few bytes now and then.
class WriteProbe {
 public:
    /// In every turn. Writes on a primary only.
    void Poll(Server &server, const ServerFacts &facts, core::BootTime now);
    /// How long a record has waited longer than it may to be flushed; 0: none has.
    [[nodiscard]] core::Milliseconds Age(core::BootTime now) const;
    [[nodiscard]] core::BootTime NextWake() const;

 private:
    core::Lsn flushed_;
    core::BootTime moved_at_;
    core::Lsn awaited_;      ///< end of the record that has not been flushed; 0: none
    core::BootTime due_at_;  ///< when it may be expected to be flushed
};

}  // namespace pgaf::worker
