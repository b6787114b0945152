#pragma once

#include <memory>
#include <string>

#include "pgaf/core/keeper_config.hpp"
#include "pgaf/core/keeper_edges.hpp"
#include "pgaf/core/node_record.hpp"
#include "pgaf/core/protocol.hpp"
#include "worker/ports.hpp"

/// The keeper's transitions as small machines that are polled and never wait.
namespace pgaf::worker {

class SyncApplier;

struct Context {
    const Ports &ports;
    core::BootTime now;
    const ServerFacts &facts;
    const Ages &ages;
    const core::Reply &reply;
    const core::KeeperConfig &config;
    core::NodeState state;  ///< reached so far
    SyncApplier &sync;
    core::Lsn &sealed_lsn;                 ///< set by a drain
    const core::TimelineHistory &history;  ///< of facts.timeline
    bool may_promote = true;               ///< Keeper::NotePromotion

    [[nodiscard]] const core::Peer *FindPeer(core::NodeId node) const;
};

struct Progress {
    enum class Kind {
        kRunning,
        kDone,
        kFailed,
        kMustStop,  ///< the server is not what it should be: it must not run on
    };
    Kind kind = Kind::kRunning;
    std::string
        problem;  ///< with kFailed: why; with kRunning: what it waits for, when that is a problem
};
inline Progress Running(std::string waits_for = {}) {
    return {Progress::Kind::kRunning, std::move(waits_for)};
}
inline Progress Done() { return {Progress::Kind::kDone, {}}; }
inline Progress Failed(std::string why) { return {Progress::Kind::kFailed, std::move(why)}; }
inline Progress MustStop(std::string why) { return {Progress::Kind::kMustStop, std::move(why)}; }

class StepMachine {
 public:
    StepMachine() = default;
    virtual ~StepMachine() = default;
    StepMachine(const StepMachine &) = delete;
    StepMachine &operator=(const StepMachine &) = delete;
    virtual Progress Poll(Context &context) = 0;
    /// When to poll again unless an event says so. An event wakes the worker for everything a step
    /// waits for; the times are limits, repetitions, and the looks for which PostgreSQL has no
    /// event.
    [[nodiscard]] virtual core::BootTime NextWake(core::BootTime) const { return core::kForever; }
    /// Other work of the keeper (slots, pg_hba.conf) would delay it.
    [[nodiscard]] virtual bool IsUrgent() const { return false; }
};

/// The machine for an edge; none for kStop, kDrop and what needs a stopped server.
std::unique_ptr<StepMachine> MakeStep(const core::Edge &edge, const Ports &ports);
enum class DrainPurpose {
    kHandOver,  ///< a failure opens the gate again
    kAgain,     ///< fenced and reported as such before the worker was restarted: it stays closed
};
std::unique_ptr<StepMachine> MakeDrain(DrainPurpose purpose, const Gate &gate);

/// Empties primary_conninfo, and bars the receiver until that is in force.
core::Result<void> PointAtNobody(const Context &context);
/// This process has read a primary_conninfo that points at the upstream in the reply; a problem
/// when there is no such upstream.
core::Result<bool> PointsAtUpstream(const Context &context);
/// Makes it so: the files are written and everybody reads them again.
core::Result<void> PointAtUpstream(const Context &context);
/// For a server that points at the upstream in the reply, and was sealed before while it could not
/// read its settings: it receives again when the startup process has read whom to follow, and
/// nobody is there whom it asked for before.
void EndBar(const Context &context);

}  // namespace pgaf::worker
