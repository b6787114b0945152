#include "headers.hpp"

#include <algorithm>
#include <csignal>
#include <memory>

#include "bench_gate.hpp"
#include "files.hpp"
#include "gate.hpp"
#include "link.hpp"
#include "module.hpp"
#include "pg/clock.hpp"
#include "pg/guard.hpp"
#include "server.hpp"
#include "worker/keeper.hpp"

namespace pgaf::keeper {
namespace {

volatile sig_atomic_t terminate = 0;

void OnTerminate(int) {
    const int saved = errno;
    terminate = 1;
    SetLatch(MyLatch);
    errno = saved;
}

void OnWakeUp(int) {
    const int saved = errno;
    SetLatch(MyLatch);
    errno = saved;
}

/// A worker that ends with status 0 is never started again: only right when the whole server ends.
bool ServerIsStopping() {
    const auto text = ReadFile(std::string(DataDir) + "/postmaster.pid");
    if (!text) return false;
    const std::size_t line = text->rfind('\n', text->size() - 2);  // the last line is the status
    return line != std::string::npos && text->find("stopping", line) != std::string::npos;
}

class PgClock final : public worker::Clock {
 public:
    core::BootTime Now() override { return pg::BootNow(); }
};

/// The gate, and what others are shown of it: they must see it closed no later than it is, and open
/// no earlier.
class ShownGate final : public worker::Gate {
 public:
    explicit ShownGate(MappedHeartbeat &shown) : shown_(shown) {}
    [[nodiscard]] core::BootTime Deadline() const override { return gate_.Deadline(); }
    [[nodiscard]] worker::Fence CurrentFence() const override { return gate_.CurrentFence(); }
    void SetDeadline(core::BootTime deadline) override {
        if (deadline < gate_.Deadline()) shown_.NoteGate(gate_.CurrentFence(), deadline);
        gate_.SetDeadline(deadline);
        shown_.NoteGate(gate_.CurrentFence(), deadline);
    }
    void SetFence(worker::Fence fence) override {
        if (fence != worker::Fence::kOpen) shown_.NoteGate(fence, gate_.Deadline());
        gate_.SetFence(fence);
        if (fence == worker::Fence::kOpen) shown_.NoteGate(fence, gate_.Deadline());
    }
    int CommittingCount() override { return gate_.CommittingCount(); }
    void TerminateSyncWaiters() override { gate_.TerminateSyncWaiters(); }
    void RepeatCancels() override { gate_.RepeatCancels(); }
    [[nodiscard]] worker::WaitsLeft LeftWaiting() const override { return gate_.LeftWaiting(); }
    void RequireSync(bool is_required) override { gate_.RequireSync(is_required); }
    void AdmitStandbys() override { gate_.AdmitStandbys(); }
    [[nodiscard]] bool AdmitsStandbys() const override { return gate_.AdmitsStandbys(); }
    [[nodiscard]] std::uint32_t CheckpointsDone() const override { return gate_.CheckpointsDone(); }

 private:
    MappedHeartbeat &shown_;
    gate::SharedGate gate_;
};

/// The worker's logic and the adapters that it lives on.
class Node {
 public:
    explicit Node(const std::string &directory)
        : baton_(directory + "/baton"),
          heartbeat_(directory + "/heartbeat"),
          gate_(heartbeat_),
          keeper_(directory, {.clock = clock_,
                              .gate = gate_,
                              .server = server_,
                              .files = files_,
                              .baton = baton_,
                              .heartbeat = heartbeat_,
                              .link = link_,
                              .log = log_}) {}
    [[nodiscard]] worker::Keeper &keeper() { return keeper_; }
    [[nodiscard]] const MonitorLink &link() const { return link_; }

 private:
    PgClock clock_;
    PgServer server_;
    DiskFiles files_;
    FlockBaton baton_;
    MappedHeartbeat heartbeat_;
    ShownGate gate_;
    MonitorLink link_;
    PgLog log_;
    worker::Keeper keeper_;
};

/// True when the latch or the monitor's socket was the reason to go on.
bool Wait(Node &node) {
    const worker::Keeper &keeper = node.keeper();
    const core::BootTime now = pg::BootNow();
    core::BootTime until = keeper.NextGlance();
#ifdef PGAF_BENCH_ALTERNATE_GATE
    until = std::min(until, bench_gate::Alternate(now));
#endif
    // Only a turn that is known to have work follows at once: whatever else were wrong, nothing
    // spins.
    const long timeout_ms =
        keeper.HasMore() ? 0 : std::clamp<long>((until - now).count() + 1, 1, 1000);
    const int socket = node.link().Socket();
    int events = WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH;
    if (socket >= 0) events |= WL_SOCKET_READABLE;
    if (socket >= 0 && node.link().WantsWrite()) events |= WL_SOCKET_WRITEABLE;
    return pg::CallPg([socket, events, timeout_ms] {
        const int happened = WaitLatchOrSocket(
            MyLatch, events, socket < 0 ? PGINVALID_SOCKET : socket, timeout_ms, PG_WAIT_EXTENSION);
        ResetLatch(MyLatch);
        if (ConfigReloadPending) {
            ConfigReloadPending = false;
            ProcessConfigFile(PGC_SIGHUP);
        }
        return (happened & ~WL_TIMEOUT) != 0;
    });
}

/// Waits until there is something to do.
void Idle(Node &node) {
    while (terminate == 0) {
        if (Wait(node) || node.keeper().Glance()) return;
    }
}

void Loop(MemoryContext tick_context) {
    const auto node = std::make_unique<Node>(directory_setting);
    worker::Keeper *const keeper = &node->keeper();
    while (terminate == 0) {
        MemoryContextSwitchTo(tick_context);
        if (!pg::RunIteration("keeper iteration", [keeper] { keeper->Iterate(); })) {
            (void)pg::RunIteration("keeper clean-up", [keeper] { keeper->OnFailedIteration(); });
        }
        MemoryContextSwitchTo(tick_context);
        MemoryContextReset(tick_context);
        (void)pg::RunIteration("keeper wait", [&node] { Idle(*node); });
    }
}

}  // namespace
}  // namespace pgaf::keeper

void pgautofailover_keeper_main(Datum) {
    using namespace pgaf;
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    pqsignal(SIGTERM, keeper::OnTerminate);
    pqsignal(SIGUSR1, keeper::OnWakeUp);
    BackgroundWorkerUnblockSignals();
    gate::AttachWorker();
    MemoryContext const tick_context =
        AllocSetContextCreate(TopMemoryContext, "keeper tick", ALLOCSET_DEFAULT_SIZES);
    (void)pg::RunIteration("keeper", [tick_context] { keeper::Loop(tick_context); });
    const bool server_stops = keeper::terminate != 0 && keeper::ServerIsStopping();
    if (server_stops) gate::CloseForEver();
    proc_exit(server_stops ? 0 : 1);
}

/// Its start is the event: the server answers queries, or recovery has ended.
void pgautofailover_keeper_wake(Datum) {
    BackgroundWorkerUnblockSignals();
    pgaf::gate::WakeWorker();
    proc_exit(0);
}

void pgautofailover_keeper_checkpoint(Datum) {
    BackgroundWorkerUnblockSignals();
    RequestCheckpoint(CHECKPOINT_IMMEDIATE | CHECKPOINT_FORCE | CHECKPOINT_WAIT);
    pgaf::gate::CountCheckpoint();
    pgaf::gate::WakeWorker();
    proc_exit(0);
}
