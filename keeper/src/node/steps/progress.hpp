#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "io/common.hpp"
#include "node/steps/steps.hpp"

/// What pg_basebackup and pg_rewind say every second, as a line now and then.
namespace pgaf::node {

struct CopiedSoFar {
    std::uint64_t done_kb = 0;
    std::uint64_t total_kb = 0;
};
/// "  23187/1234567 kB (1%), 0/1 tablespace"; none for anything else.
std::optional<CopiedSoFar> ParseProgress(std::string_view line);

class CopyProgress {
 public:
    /// `shared` is told of every line; it may be null.
    explicit CopyProgress(SharedProgress *shared = nullptr) : shared_(shared) {}
    /// Logs the line, or what it means when that is due.
    void Take(std::string_view line);
    /// What is to be said at `now`; none when it is too early. Pure but for what it remembers.
    std::optional<std::string> Say(const CopiedSoFar &copied, core::BootTime now,
                                   Milliseconds period);

 private:
    [[nodiscard]] std::uint64_t Rate(const CopiedSoFar &copied, core::BootTime now) const;

    SharedProgress *shared_;
    core::BootTime began_;
    std::uint64_t began_kb_ = 0;
    core::BootTime said_;
};

}  // namespace pgaf::node
