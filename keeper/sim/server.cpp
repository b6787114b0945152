#include "server.hpp"

#include <utility>

#include "machine.hpp"
#include "rigs.hpp"
#include "world.hpp"

/// How a PostgreSQL starts, recovers, is promoted, and ends.
namespace pgaf::sim {

using supervisor::ClusterState;

void Machine::StartServerByHand() {
    const bool repeats = std::exchange(repeats_options, false);
    const bool is_locked = supervisor && data && data->lock == supervisor_serial;
    world.Tell("operator: a server is started by hand on " + Who() +
               (is_locked ? ", which is locked" : ""));
    if (!data || is_locked) return;
    (void)StartServer(repeats ? data->options : std::vector<std::string>{});
}

core::Result<void> Machine::StartServer(const std::vector<std::string> &options) {
    const auto fail = [](const char *why) { return core::Fail(core::ProblemCode::kPostgres, why); };
    if (server) return fail("lock file \"postmaster.pid\" already exists");
    if (!data) return fail("the data directory is empty");
    if (IsDiskFrozen()) return fail("the disk does not answer");
    if (data->conf.has_syntax_error || data->conf.prevents_start) {
        return fail("configuration file contains errors");
    }
    Settings settings = ReadSettings(*data);
    settings.has_module = settings.has_module || LoadModule(options);
    if (settings.has_module && files.contains(kNodeDirectory + "/unsafe")) {
        return fail("the data directory is incomplete and must not be started");
    }
    server = std::make_unique<Server>();
    data->options = options;
    Server &s = *server;
    s.serial = world.NewServer();
    s.has_module = settings.has_module;
    s.phase_ends = world.Now() + Milliseconds{20} + world.random().UpTo(150);
    s.postmaster.settings = s.worker.settings = s.startup.settings = s.checkpointer.settings =
        settings;
    s.sync_defined = !settings.sync_names.empty();
    s.is_replay_paused = is_replay_paused;
    s.replay_units = replay_units;
    if (s.has_module) s.rig_starts = world.Now() + Milliseconds{5} + world.random().UpTo(20);
    if (data->standby_signal) data->promote_signal = false;
    return {};
}

void Machine::Read(Proc &proc, bool is_checkpointer) {
    proc.reads_at = core::kForever;
    if (data->conf.has_syntax_error) return;
    proc.settings = ReadSettings(*data);
    proc.settings.has_module = server->has_module;
    server->latch = true;
    if (!is_checkpointer) return;
    server->sync_defined = !proc.settings.sync_names.empty();
}

void Machine::Reload() {
    if (!server) return;
    Proc &postmaster = server->postmaster;
    postmaster.reads_at = std::min(postmaster.reads_at, world.Now() + world.random().UpTo(3));
}

/// The postmaster reads first, and then tells its children; who is born later has what it has.
void Machine::TellChildren() {
    Server &s = *server;
    const int most = reloads_late ? 1500 : 12;
    const auto tell = [&](Proc &proc) {
        proc.reads_at = std::min(proc.reads_at, world.Now() + world.random().UpTo(most));
    };
    for (Proc *proc : {&s.worker, &s.startup, &s.checkpointer})
        tell(*proc);
    for (Sender &sender : s.senders)
        tell(sender.proc);
}

void Machine::ReadSettingsDue() {
    Server &s = *server;
    const BootTime now = world.Now();
    if (s.postmaster.reads_at <= now && s.postmaster_frozen_until <= now) {
        Read(s.postmaster, false);
        TellChildren();
    }
    if (s.worker.reads_at <= now) Read(s.worker, false);
    if (s.checkpointer.reads_at <= now && s.checkpointer.frozen_until <= now)
        Read(s.checkpointer, true);
    if (s.startup.reads_at <= now) {
        const std::string before = s.startup.settings.conninfo + s.startup.settings.slot;
        Read(s.startup, false);
        if (before != s.startup.settings.conninfo + s.startup.settings.slot) {
            EndReceiver();
            s.receiver_retry = now;  // the signal has woken it
        }
    }
    for (Sender &sender : s.senders) {
        if (sender.proc.reads_at > now) continue;
        Read(sender.proc, false);
        sender.counts = sender.app.IsValid() && sender.slot == core::StandbyName(sender.app);
    }
}

void Machine::LeavePhase() {
    Server &s = *server;
    if (world.Now() < s.phase_ends) return;
    data->is_fresh_copy = false;
    const bool recovers = data->standby_signal || !data->control.IsShutDown();
    if (s.phase == Phase::kStarting && recovers && data->breaks_replay) {
        return EndServer(2, false);
    }
    if (s.phase == Phase::kStarting && data->standby_signal) {
        s.phase = Phase::kStandby;
        data->control.state = ClusterState::kInArchiveRecovery;
        s.latch = true;
        return;
    }
    const bool was_clean = data->control.IsShutDown();
    if (s.phase == Phase::kStarting && !was_clean) {
        s.phase = Phase::kCrashRecovery;
        s.phase_ends = world.Now() + Milliseconds{20} + world.random().UpTo(300);
        return;
    }
    if (s.phase != Phase::kStandby && s.phase != Phase::kWritable) BecomeWritable();
}

void Machine::BecomeWritable() {
    data->EndRecovery();
    if (data->wal.units.size() < data->consistent_at) {
        EndServer(1, false);  // the WAL ends before a consistent point
        return;
    }
    server->begun = data->wal.units.size();
    data->wal.units.push_back({world.NewRecord(SessionKind::kIdle), true});
    data->applied = data->durable = data->wal.units.size();
    server->phase = Phase::kWritable;
    server->is_witnessed = false;
    server->latch = true;
    WriteControl();
}

/// A checkpoint, or a restartpoint.
void Machine::WriteControl() {
    Control &control = data->control;
    const bool writes = server != nullptr && server->phase == Phase::kWritable;
    control.timeline = std::max(control.timeline, data->wal.timeline);
    if (writes) control.timeline = data->wal.timeline;
    control.state = writes ? ClusterState::kOther : ClusterState::kInArchiveRecovery;
    control.checkpoint = StartOfLast(*data);
    control.min_recovery = writes ? 0 : data->applied;
    next_control_ = world.Now() + Milliseconds{2000} + world.random().UpTo(8000);
}

void Machine::Replay() {
    Server &s = *server;
    if (s.phase != Phase::kStandby || IsDiskFrozen()) return;
    const bool is_going_on = !s.is_replay_paused || s.promotion != PromotionStep::kNone;
    const std::size_t end = data->wal.units.size();
    const bool had_awaited = s.awaits_wal;
    if (is_going_on && !data->IsStuck()) {
        data->applied = std::min(end, data->applied + static_cast<std::size_t>(s.replay_units));
    }
    s.awaits_wal = is_going_on && (data->IsStuck() || data->applied == end);
    if (s.awaits_wal && !had_awaited) s.latch = true;
}

void Machine::RequestPromotion() {
    if (!server) return;
    data->promote_signal = true;
    if (server->phase != Phase::kStandby || server->promotion != PromotionStep::kNone) return;
    server->promotion = PromotionStep::kAsked;
    server->promotion_next = world.Now() + world.random().UpTo(10);
}

/// One effect of it, when it is due; the server may die after each.
void Machine::Promote() {
    Server &s = *server;
    if (s.promotion == PromotionStep::kNone || world.Now() < s.promotion_next || IsDiskFrozen())
        return;
    if (data->wal.units.size() < data->consistent_at) {
        // "WAL ends before consistent recovery point"
        data->promote_signal = false;
        return Die();
    }
    s.promotion_next = world.Now() + world.random().UpTo(12);
    Wal &wal = data->wal;
    switch (s.promotion) {
        case PromotionStep::kNone:
            return;
        case PromotionStep::kAsked:
            EndReceiver();
            if (!s.awaits_wal) return;
            data->EndRecovery();
            s.new_timeline = wal.timeline + 1;
            while (data->HasHistory(s.new_timeline))
                ++s.new_timeline;
            data->standby_signal = false;
            data->promote_signal = false;
            s.promotion = PromotionStep::kSignalRemoved;
            break;
        case PromotionStep::kSignalRemoved: {
            core::TimelineHistory history = wal.history;
            history.push_back({wal.timeline, wal.End()});
            data->WriteHistory(s.new_timeline, history);
            world.NoteArchived(s.new_timeline);
            s.promotion = PromotionStep::kHistoryWritten;
            break;
        }
        case PromotionStep::kHistoryWritten:
            wal.history.push_back({wal.timeline, wal.End()});
            wal.timeline = s.new_timeline;
            wal.units.push_back({world.NewRecord(SessionKind::kIdle), true});
            data->applied = data->durable = wal.units.size();
            data->control.timeline = s.new_timeline;
            s.promotion = PromotionStep::kEndOfRecovery;
            break;
        case PromotionStep::kEndOfRecovery:
            s.promotion = PromotionStep::kNone;
            s.phase = Phase::kWritable;
            s.is_witnessed = false;
            data->control.state = ClusterState::kOther;
            s.latch = true;
            world.Tell(Who() + " has left recovery on timeline " + std::to_string(wal.timeline));
            return;
    }
    if (dies_in_promotion > 0 && --dies_in_promotion == 0) return Die();
    (void)Survives();
}

void Machine::RequestCheckpoint() {
    if (!server) return;
    server->checkpoint_ends = std::min(server->checkpoint_ends,
                                       world.Now() + Milliseconds{10} + world.random().UpTo(200));
}

void Machine::TickServer() {
    if (!server) return;
    Server &s = *server;
    if (world.Now() >= s.ends_at && s.ending != Ending::kNone &&
        world.Now() >= s.postmaster_frozen_until) {
        const bool is_fast = s.ending == Ending::kFast;
        const bool is_clean =
            is_fast && (s.phase == Phase::kWritable || s.phase == Phase::kStandby);
        return EndServer(is_fast ? 0 : 2, is_clean);
    }
    if (IsFrozen()) return;
    ReadSettingsDue();
    LeavePhase();
    if (!server) return;
    Replay();
    Promote();
    if (!server) return;
    if (world.Now() >= s.checkpoint_ends && !IsDiskFrozen()) {
        s.checkpoint_ends = core::kForever;
        ++s.checkpoints_done;
        WriteControl();
        s.latch = true;
    }
    if (world.Now() >= next_control_ && s.promotion == PromotionStep::kNone && !IsDiskFrozen() &&
        (s.phase == Phase::kWritable || s.phase == Phase::kStandby)) {
        WriteControl();
    }
    if (s.phase == Phase::kWritable && !IsDiskFrozen()) {
        data->durable = data->applied = data->wal.units.size();
    }
}

void Machine::StopServer(Ending how) {
    if (!server || how <= server->ending) return;
    server->ending = how;
    const Milliseconds least = how == Ending::kFast ? Milliseconds{20} : Milliseconds{2};
    server->ends_at = world.Now() + least + world.random().UpTo(how == Ending::kFast ? 300 : 20);
}

void Machine::KillServer() {
    if (server) EndServer(137, false);
}

void Machine::EndServer(int status, bool is_clean) {
    const bool was_writable = server->phase == Phase::kWritable;
    if (is_clean) {
        // A primary shuts down with a record that its standbys still get.
        if (was_writable) data->wal.units.push_back({world.NewRecord(SessionKind::kIdle), true});
        // The receiver of a standby flushes what it has when it ends.
        data->durable = data->wal.units.size();
        if (was_writable) data->applied = data->durable;
        WriteControl();
        data->control.state =
            was_writable ? ClusterState::kShutDown : ClusterState::kShutDownInRecovery;
    } else if (data) {
        data->LoseUnflushed();
    }
    if (is_clean && was_writable) {
        for (const Sender &sender : server->senders)
            world.PassLastUnits(*this, sender);
    }
    EndSenders();
    EndReceiver();
    if (server->rig) server->rig->OnProcessEnd();
    if (baton == Holder::kWorker) baton = Holder::kNobody;
    server.reset();
    if (restarts_by_hand) {
        restarts_by_hand = false;
        repeats_options = true;
        foreign_start = world.Now() + world.random().UpTo(100);  // pg_ctl looks every 100 ms
    }
    if (supervisor) supervisor->OnServerEnded(status);
}

void Machine::EndSender(int pid) {
    if (!server) return;
    std::erase_if(server->senders, [pid](const Sender &sender) { return sender.pid == pid; });
    server->latch = true;
}

void Machine::EndSenders() {
    if (server) server->senders.clear();
}

void Machine::EndReceiver() {
    if (!server || server->receiver.pid == 0) return;
    Receiver &receiver = server->receiver;
    receiver.pid = 0;
    receiver.streaming = false;
    server->receiver_retry = world.Now() + server->startup.settings.retry;
    server->latch = true;
    if (receiver.peer <= 0) return;
    Machine &upstream = world.At(receiver.peer);
    if (world.IsOpen(place, upstream.place) && is_up) upstream.EndSender(receiver.sender_pid);
}

/// Answers sessions, and is where its supervisor believes it to be.
bool Machine::IsServing() const {
    return is_up && server && server->phase == Phase::kWritable && worker::MayEnter(Gate());
}

}  // namespace pgaf::sim
