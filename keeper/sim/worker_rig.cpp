#include <stdexcept>
#include <utility>

#include "rigs.hpp"
#include "world.hpp"

/// The worker's ports.
namespace pgaf::sim {

namespace {

constexpr int kTurnsMax = 6;

core::NodeId NodeOfSlot(const std::string &slot) {
    return core::ParseStandbyName(slot).value_or(core::NodeId{});
}

}  // namespace

WorkerRig::WorkerRig(Machine &machine)
    : machine_(machine),
      wire_(machine),
      keeper_(kNodeDirectory, {.clock = *this,
                               .gate = *this,
                               .server = *this,
                               .files = *this,
                               .baton = *this,
                               .heartbeat = *this,
                               .link = *this,
                               .log = *this}) {}

void WorkerRig::Turn() {
    sim::Server &server = S();
    bool is_due = std::exchange(server.latch, false);
    for (int turn = 0; turn < kTurnsMax; ++turn) {
        if (!is_due && Now() >= keeper_.NextGlance()) is_due = keeper_.Glance();
        if (!is_due) return;
        try {
            keeper_.Iterate();
        } catch (const std::exception &) {
            keeper_.OnFailedIteration();
        }
        if (server.ending != Ending::kNone) return;
        is_due = keeper_.HasMore() || std::exchange(server.latch, false);
    }
    server.latch = is_due;
}

int WorkerRig::CommittingCount() {
    int count = 0;
    for (const Session &session : S().sessions)
        count += session.IsCommitting() ? 1 : 0;
    return count;
}

void WorkerRig::TerminateSyncWaiters() {
    for (Session &session : S().sessions) {
        const bool waits = session.is_flushed && session.kind != SessionKind::kLocal &&
                           session.kind != SessionKind::kLeaked;
        if (waits) session.is_terminated = true;
    }
}

worker::ConfigProblem WorkerRig::FindConfigProblem() {
    if (!machine_.data->conf.has_syntax_error) return {};
    return {.words = "line 1: syntax error", .stops_reload = true};
}

worker::WaitsLeft WorkerRig::LeftWaiting() const { return S().waits_left; }

void WorkerRig::TerminateClients() {
    for (Session &session : S().sessions)
        session.is_terminated = true;
}

worker::ReceiverState WorkerRig::ObserveReceiver() {
    const Receiver &receiver = S().receiver;
    return {.pid = receiver.pid,
            .stopped = receiver.pid == 0,
            .streaming = receiver.pid != 0 && receiver.streaming && S().IsInRecovery(),
            .received_lsn = receiver.received == 0 ? Lsn{} : LsnOf(receiver.received),
            .receipt_time = receiver.messages,
            .host = Keyword(receiver.conninfo, "host"),
            .port = receiver.conninfo.empty() ? 0 : 5432};
}

worker::ServerFacts WorkerRig::Observe() {
    const sim::Server &s = S();
    const Cluster &d = D();
    worker::ServerFacts facts;
    facts.in_recovery = s.IsInRecovery();
    facts.is_crash_recovery = facts.in_recovery && s.phase != Phase::kStandby;
    facts.slots_ready = s.phase == Phase::kWritable || s.phase == Phase::kStandby;
    const std::size_t received = s.receiver.received;
    const std::size_t at = facts.in_recovery ? std::max(received, d.applied) : d.durable;
    facts.lsn = LsnOf(at);
    facts.timeline = d.wal.timeline;
    if (s.promotion == PromotionStep::kEndOfRecovery) {
        // Until recovery has ended the server speaks of what it has replayed.
        facts.timeline = d.wal.history.back().timeline;
        facts.lsn = d.wal.history.back().at;
    }
    if (facts.in_recovery) facts.replay_lsn = LsnOf(d.Replayed());
    if (!facts.in_recovery) facts.redo_lsn = LsnOf(s.begun);
    facts.replay_paused = facts.in_recovery && s.is_replay_paused;
    facts.checkpointer_sync = worker::Mark(s.checkpointer.settings.sync_mark);
    facts.sync_defined = s.sync_defined;
    facts.sync_names = s.worker.settings.sync_names;
    facts.primary_conninfo = s.worker.settings.conninfo;
    const SyncNames &names = s.worker.settings.names;
    facts.sync_k = names.k;
    for (const NodeId member : names.members) {
        if (member.IsValid()) facts.sync_members.push_back(member);
    }
    for (const Sender &sender : s.senders) {
        const bool counts = sender.counts && sender.proc.settings.names.Contains(sender.app);
        const bool is_starting = sender.starts_at > machine_.world.Now();
        facts.senders.push_back({.pid = sender.pid,
                                 .node = NodeOfSlot(sender.slot),
                                 .streaming = sender.streaming,
                                 .sync_priority = counts ? 1 : 0,
                                 .flush_lsn = LsnOf(sender.flush),
                                 .reply_time = sender.replies,
                                 .is_starting = is_starting,
                                 .sends_wal = !is_starting,
                                 .sync_mark = worker::Mark(sender.proc.settings.sync_mark)});
    }
    for (const auto &[name, slot] : d.slots) {
        const bool active = std::any_of(s.senders.begin(), s.senders.end(),
                                        [&](const Sender &x) { return x.slot == name; });
        facts.slots.push_back({name, active, LsnOf(slot.restart), slot.holds_xmin});
    }
    facts.receiver = ObserveReceiver();
    const std::string &upstream = s.startup.settings.upstream_mark;
    const bool is_standby = s.phase == Phase::kStandby;
    facts.startup_upstream = worker::Mark(upstream);
    facts.has_no_upstream =
        is_standby && upstream.empty() && facts.primary_conninfo.empty() && facts.receiver.stopped;
    facts.is_barred = s.is_barred;
    const bool bar_holds =
        s.is_barred && (facts.receiver.stopped || facts.receiver.pid != s.barred_pid);
    facts.receives_nothing = facts.has_no_upstream || (is_standby && bar_holds);
    facts.is_lsn_final = received > d.applied || s.awaits_wal;
    return facts;
}

void WorkerRig::Reload() {
    machine_.Effect();
    machine_.Reload();
}

void WorkerRig::BarReceiver() {
    machine_.Effect();
    sim::Server &s = S();
    if (std::exchange(s.is_barred, true)) return;
    s.barred_pid = s.receiver.pid;
    s.barred_one_ends = machine_.world.Now() + machine_.world.random().UpTo(12);
}

void WorkerRig::RequestPromotion() {
    machine_.Effect();
    machine_.RequestPromotion();
}

bool WorkerRig::StartCheckpointProcess() {
    machine_.RequestCheckpoint();
    return true;
}

Lsn WorkerRig::FlushEverything() {
    if (machine_.IsDiskFrozen()) throw std::runtime_error("the disk does not answer");
    D().durable = D().applied = D().wal.units.size();
    return LsnOf(D().durable);
}

void WorkerRig::AskSenderToFinish(int pid) {
    if (Sender *const sender = S().FindSender(pid)) sender->is_finishing = true;
}

void WorkerRig::LetSenderCount(int pid) {
    Sender *const sender = S().FindSender(pid);
    if (sender != nullptr && sender->proc.reads_at == core::kForever)
        sender->proc.reads_at = machine_.world.Now() + machine_.world.random().UpTo(5);
}

void WorkerRig::Archive(const std::string &name) {
    machine_.world.NoteArchived(std::stoi(name, nullptr, 16));
}

Lsn WorkerRig::WriteMarker() {
    D().wal.units.push_back({machine_.world.NewRecord(SessionKind::kIdle), true});
    return D().wal.End();
}

void WorkerRig::CreateSlot(const std::string &name) {
    D().slots[name] = {.restart = D().applied, .holds_xmin = false};
}

void WorkerRig::AdvanceSlot(const std::string &name, Lsn to) {
    Slot &slot = D().slots[name];
    slot.restart = std::max(slot.restart, UnitsOf(to));
}

std::map<std::string, std::string> &WorkerRig::FilesOf(const std::string &path) const {
    return path.starts_with(kDataDirectory + "/") ? D().files : machine_.files;
}

core::Result<std::string> WorkerRig::Read(const std::string &path) {
    const auto &files = FilesOf(path);
    const auto at = files.find(path);
    if (at == files.end())
        return core::Fail(core::ProblemCode::kIo, "could not open file \"" + path + "\"");
    return at->second;
}

core::Result<void> WorkerRig::WriteAtomic(const std::string &path, std::string_view text) {
    if (path.starts_with(kDataDirectory + "/") && machine_.IsDiskFrozen()) {
        // The write does not return before the disk does.
        machine_.worker_frozen_until =
            std::max(machine_.worker_frozen_until, machine_.disk_frozen_until);
        throw std::runtime_error("the disk does not answer");
    }
    FilesOf(path)[path] = std::string(text);
    machine_.Effect();
    return {};
}

std::int64_t WorkerRig::Stamp(const std::string &path) {
    const auto &files = FilesOf(path);
    const auto at = files.find(path);
    return at == files.end() ? 0 : static_cast<std::int64_t>(worker::Mark(at->second));
}

bool WorkerRig::TryTake() {
    if (machine_.baton == Machine::Holder::kWorker) return true;
    if (machine_.baton != Machine::Holder::kNobody) return false;
    machine_.baton = Machine::Holder::kWorker;
    return true;
}

void WorkerRig::Beat(BootTime now) { machine_.heartbeat = {now, S().serial}; }

void WorkerRig::NoteStream(BootTime since, Lsn lsn, int timeline) {
    machine_.no_stream_since = since;
    machine_.heartbeat_lsn = lsn;
    machine_.heartbeat_timeline = timeline;
}

std::optional<worker::Link::Answer> WorkerRig::TakeAnswer() {
    auto answer = std::exchange(wire_.answer, std::nullopt);
    if (!answer) return std::nullopt;
    return Answer{std::move(answer->reply), answer->sent_at};
}

void WorkerRig::Line(const std::string &text) { machine_.world.CountLogLine(machine_, text); }

}  // namespace pgaf::sim
