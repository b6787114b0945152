#include "machine.hpp"
#include "rigs.hpp"
#include "world.hpp"

/// Sessions of clients: they commit through the gate that ships, wait for synchronous standbys, and
/// read.
namespace pgaf::sim {

namespace {
constexpr std::size_t kSessionsMax = 12;
constexpr std::size_t kPrepareUnits = 6;
}  // namespace

worker::GateFacts Machine::Gate() const {
    return {.fence = server->fence,
            .deadline = server->deadline,
            .now = Clock(),
            .postmaster_lives = true};
}

void Machine::BeginSession() {
    Server &s = *server;
    const bool is_gated = s.has_module;
    if (is_gated && !worker::MayEnter(Gate())) {
        s.latch = true;  // who is refused wakes the worker
        return;
    }
    const int kind = world.random().Below(16);
    if (kind == 0) return world.Read(*this);
    Session session;
    session.kind = kind <= 3 ? SessionKind::kLocal : SessionKind::kCommit;
    // Clients that wait for their answers do not ask again.
    const bool is_full = s.sessions.size() >= kSessionsMax;
    if (is_full && (session.kind != SessionKind::kLocal || s.sessions.size() >= 2 * kSessionsMax))
        return;
    if (kind == 4 && world.with_prepare) session.kind = SessionKind::kPrepare;
    session.record = world.NewRecord(session.kind);
    session.start = data->wal.units.size();
    const std::size_t units = session.kind == SessionKind::kPrepare ? kPrepareUnits : 1;
    for (std::size_t i = 0; i < units; ++i)
        data->wal.units.push_back({session.record, i + 1 == units});
    session.end = data->wal.units.size();
    if (world.with_cancels && world.random().OneIn(20)) session.is_cancelled = true;
    if (world.with_cancels && world.random().OneIn(40)) session.is_terminated = true;
    s.sessions.push_back(session);
}

bool Machine::IsAnswered(const Session &session) const {
    const Server &s = *server;
    if (session.is_terminated || session.has_left) return false;
    if (!s.has_module) return true;
    if (!worker::MayAnswer(Gate())) return false;
    const bool is_due =
        session.kind != SessionKind::kLocal && (s.sync_defined || s.is_sync_required);
    return !worker::WasCancelled(
        {.was_due = is_due, .confirmed = LsnOf(s.sync_confirmed), .end = LsnOf(session.end)});
}

/// When it has ended, ends_at is the present.
void Machine::TickSession(Session &session) {
    Server &s = *server;
    const BootTime now = world.Now();
    if (session.kind == SessionKind::kIdle || session.kind == SessionKind::kLeaked) {
        if (session.is_terminated && session.ends_at == core::kForever)
            session.ends_at = now + world.random().UpTo(50);
        return;
    }
    if (IsDiskFrozen()) return;
    session.is_flushed = data->durable >= session.end;
    if (!session.is_flushed) return;
    const bool waits =
        session.kind != SessionKind::kLocal && s.sync_defined && s.sync_confirmed < session.end;
    const bool gives_up =
        session.is_terminated || (session.is_cancelled && world.random().OneIn(30));
    if (waits && !gives_up) return;
    if (waits && s.has_module && worker::KeepsWaiting(Gate())) {
        session.has_left = true;
        session.is_terminated = session.is_cancelled = false;
        return;
    }
    // What was not confirmed is seen by others although its own client was told nothing.
    if (waits) {
        s.waits_left.shown_end = std::max(s.waits_left.shown_end, LsnOf(session.end));
        s.latch = true;
    }
    if (IsAnswered(session)) world.Acknowledge(*this, session);
    session.ends_at = now;
}

void Machine::TickClients() {
    if (!server || server->ending == Ending::kImmediate) return;
    Server &s = *server;
    for (Session &session : s.sessions)
        TickSession(session);
    const std::size_t before = s.sessions.size();
    std::erase_if(s.sessions, [&](const Session &x) { return x.ends_at <= world.Now(); });
    if (s.sessions.size() != before && s.fence != worker::Fence::kOpen) s.latch = true;
    if (s.phase != Phase::kWritable || s.ending != Ending::kNone) return;
    if (s.postmaster_frozen_until > world.Now() && s.sessions.empty()) return;
    if (world.random().OneIn(3)) BeginSession();
}

}  // namespace pgaf::sim
