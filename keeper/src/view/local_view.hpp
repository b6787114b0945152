#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "pgaf/core/node_status.hpp"

/// What a node knows of itself without asking anybody. Pure.
namespace pgaf::view {

/// The postmaster, as /proc shows it.
enum class ServerProcess { kGone, kRuns, kFrozen };

/// What does not change while pg_autoctl runs.
struct Identity {
    bool is_monitor = false;
    std::string name{};
    std::string formation{};
    int group = 0;
    std::string version{};                    ///< of pg_autoctl
    std::int64_t certificate_expires_at = 0;  ///< Unix seconds; 0: there is none
    friend bool operator==(const Identity &, const Identity &) = default;
};

struct LocalView {
    Identity identity{};
    core::BootTime now{};
    /// None: there is no worker, or its page could not be read whole.
    std::optional<core::NodeStatus> status{};
    ServerProcess server = ServerProcess::kGone;
    core::BootTime loop_beat{};  ///< when the supervisor's loop went round last
    bool is_stopping = false;    ///< pg_autoctl is about to end
};

struct Verdict {
    bool is_so = false;
    std::string why;  ///< when it is not so
};

/// A worker that has written nothing for so long says nothing any more.
inline constexpr core::Milliseconds kStatusLimit{3000};
/// So long an answer may be on its way and still be true.
inline constexpr core::Milliseconds kAnswerMargin{100};
/// The supervisor's loop goes round every second.
inline constexpr core::Milliseconds kLoopLimit{30'000};

/// The commit gate is open, and a client that connects now gets in. Whatever is not certain is no.
Verdict MayWrite(const LocalView &local);
/// PostgreSQL runs and lets sessions in.
Verdict IsUp(const LocalView &local);
/// It is a standby that clients may read from.
Verdict IsReplica(const LocalView &local);
Verdict IsAlive(const LocalView &local);

enum class LagMode { kApply, kWrite };
/// How much of the primary's WAL a standby lacks, or has not replayed. None: it is not known, as
/// nothing streams.
std::optional<std::uint64_t> LagBytes(const LocalView &local, LagMode mode);

}  // namespace pgaf::view
