#include "worker/keeper.hpp"

#include <algorithm>
#include <utility>

#include "pgaf/core/intake.hpp"
#include "pgaf/core/plausible.hpp"

namespace pgaf::worker {
namespace {

/// Everything that changes has an event; this is for what an event may have missed.
constexpr core::Milliseconds kTick{500};
/// flock tells nobody that a lock has become free.
constexpr core::Milliseconds kBatonLook{20};
/// That a walsender has come to stream has no event, nor has the time of the last message received.
constexpr core::Milliseconds kStandbyLook{50};
constexpr core::Milliseconds kReceiptLook{50};
/// Nor has the confirmation of a standby, nor that a setting has reached every process.
constexpr core::Milliseconds kConfirmLook{20};
constexpr core::Milliseconds kSenderLook{5};
constexpr core::Milliseconds kSenderStart{1000};
constexpr core::Milliseconds kConfigCheck{500};
constexpr core::Milliseconds kSettingsCheck{2'000};  // of PostgreSQL
constexpr core::Milliseconds kLogAgain{10'000};

bool AwaitsStandby(core::NodeState state) {
    return state == core::NodeState::kWaitPrimary || state == core::NodeState::kCatchingup;
}

}  // namespace

Keeper::Keeper(std::string directory, const Ports &ports)
    : directory_(std::move(directory)),
      ports_(ports),
      lease_(ports.gate, ports.clock),
      settings_(directory_),
      damage_(directory_) {}

bool Keeper::LoadRecord() {
    if (record_) return true;
    const auto text = ports_.files.Read(directory_ + "/pg_autoctl.state");
    const auto record = text ? core::DecodeNodeRecord(*text) : tl::unexpected(text.error());
    if (!record) {
        if (load_problem_ != record.error().message) {
            load_problem_ = record.error().message;
            ports_.log.Warning("cannot act as the keeper of this node: " + load_problem_);
        }
        return false;
    }
    core::NodeRecord next = *record;
    ++next.keeper_epoch;
    next.instance = ports_.baton.Instance();
    const bool resumes = std::exchange(next.resumes, false);
    if (next.system_identifier == 0) next.system_identifier = ports_.server.SystemIdentifier();
    if (!SaveRecord(next)) return false;
    load_problem_.clear();
    damage_.Load(ports_.files, *record_);
    ports_.log.Line("keeper of node " + std::to_string(next.node.value) + " in state " +
                    std::string(core::ToString(next.state)) + ", epoch " +
                    std::to_string(next.keeper_epoch));
    if (next.state == core::NodeState::kSingle && !next.had_peer) {
        lease_.OpenForLonelySingle();
        ports_.gate.SetFence(Fence::kOpen);
    } else if (ports_.gate.Deadline().ns > 0) {
        // Another worker was here before in this server's life.
        was_granted_ = true;
        if (ports_.gate.CurrentFence() == Fence::kClosed) expired_at_ = now_;
    } else {
        is_fresh_server_ = true;
        if (resumes) Resume();
    }
    return true;
}

void Keeper::LoadConfig() {
    if (config_ && now_ < config_check_at_) return;
    config_check_at_ = now_ + kConfigCheck;
    const std::string path = directory_ + "/keeper.conf";
    const std::int64_t stamp = ports_.files.Stamp(path);
    if (stamp == config_stamp_) return;
    config_stamp_ = stamp;
    const auto text = ports_.files.Read(path);
    const auto config = text ? core::DecodeKeeperConfig(*text) : tl::unexpected(text.error());
    if (!config) {
        ports_.log.Warning("could not read the keeper's configuration: " + config.error().message);
        return;
    }
    config_ = *config;
    ports_.link.SetConninfo(config_->monitor_conninfo);
}

/// Whoever breaks a file makes no error and no event: nothing is read before the next reload, and
/// then nothing changes. A seal, a new set, a start would fail on the day they are needed.
void Keeper::LookAtConfig() {
    if (now_ < settings_check_at_) return;
    settings_check_at_ = now_ + kSettingsCheck;
    ConfigProblem problem = ports_.server.FindConfigProblem();
    if (problem.words == config_problem_.words) return;
    config_problem_ = std::move(problem);
    report_at_ = now_;
    if (!config_problem_.words.empty()) {
        ports_.log.Warning("PostgreSQL would not start with its settings: " +
                           config_problem_.words);
    } else {
        ports_.log.Line("PostgreSQL can read its settings again");
        // What was written meanwhile has not been read.
        ports_.server.Reload();
    }
}

/// Memory follows the disk: nothing is reported that a crash could take back.
bool Keeper::SaveRecord(const core::NodeRecord &record) {
    if (record_ && *record_ == record) {
        record_problem_.clear();
        return true;
    }
    const auto written =
        ports_.files.WriteAtomic(directory_ + "/pg_autoctl.state", core::Encode(record));
    if (!written) {
        record_problem_ = written.error().message;
        SetProblem(record_problem_);
        return false;
    }
    record_problem_.clear();
    record_ = record;
    return true;
}

bool Keeper::SetState(core::NodeState state, const std::string &why) {
    core::NodeRecord next = *record_;
    const core::NodeState before = next.state;
    next.state = state;
    // What it wrote before the group promoted it belongs to the group's history now.
    if (core::IsWritable(state)) next.has_own_writes = false;
    if (!SaveRecord(next)) return false;
    std::string line = "node " + std::to_string(next.node.value) + " \"" + config_->name +
                       "\" group " + std::to_string(next.group) + ": " +
                       std::string(core::ToString(before)) + " -> " +
                       std::string(core::ToString(state));
    if (!why.empty()) line += ": " + why;
    ports_.log.Line(line);
    report_at_ = now_;
    return true;
}

void Keeper::RecordSyncVersion() {
    const std::int64_t version = sync_.confirmed_version();
    if (version == 0 || version == record_->sync_version) return;
    core::NodeRecord next = *record_;
    next.sync_version = version;
    (void)SaveRecord(next);  // tried again in the next turn
}

void Keeper::SetProblem(std::string problem) {
    if (problem == problem_) return;
    problem_ = std::move(problem);
    // One that comes and goes is logged now and then, not every time.
    const bool is_known = problem_ == logged_problem_ && now_ < logged_at_ + kLogAgain;
    if (problem_.empty() || is_known) return;
    logged_problem_ = problem_;
    logged_at_ = now_;
    ports_.log.Line("keeper: " + problem_);
}

void Keeper::TakeAnswer() {
    const auto answer = ports_.link.TakeAnswer();
    if (ports_.link.Problem() != link_problem_) {
        link_problem_ = ports_.link.Problem();
        if (!link_problem_.empty()) {
            ports_.log.Line("could not report to the monitor, retrying: " + link_problem_);
        }
    }
    if (!answer) return;
    const auto &reply = answer->reply;
    if (!reply) {
        SetProblem("the monitor's answer is not understood: " + reply.error().message);
        return;
    }
    const std::string why = core::ImplausibleOrder(*record_, *reply);
    if (!why.empty()) return SetProblem("the monitor's answer is not believed: " + why);
    if (reply->node == record_->node && reply->refusal != core::Refusal::kNone)
        return OnRefusal(*reply);
    // One that has forgotten what we know is as good as one that is silent.
    if (!AcceptReply(*reply)) return;
    answered_at_ = now_;
    if (std::exchange(event_is_sent_, false)) event_.clear();
    is_resuming_ = false;
    streamed_.clear();
    RememberOrders(*reply);
    lease_.Accept(*reply, answer->sent_at);
    if (reply->grant != core::GrantKind::kNone) {
        was_granted_ = true;
        is_judged_ = is_judged_ || (begun_at_.IsValid() && answer->sent_at >= begun_seen_);
    }
    reply_ = *reply;
}

/// What this server would write or confirm, another one would not know of. The supervisor keeps it
/// down, and finds out what comes next.
void Keeper::OnRefusal(const core::Reply &reply) {
    if (stopping_) return;
    const bool is_copy = reply.refusal == core::Refusal::kSecondInstance;
    const std::string why =
        is_copy ? core::ExplainSecondInstance(reply) : "the node was set back to an old disk";
    ports_.log.Warning(why);
    ports_.server.TerminateClients();
    StopServer(record_->state, why);
}

bool Keeper::AcceptReply(const core::Reply &reply) {
    if (reply.node != record_->node) return false;
    if (core::HasForgotten(*record_, reply)) {
        if (!warned_old_term_) {
            ports_.log.Warning(
                "the monitor has forgotten decisions (term " + std::to_string(reply.term) +
                ", set " + std::to_string(reply.sync_version) + " after term " +
                std::to_string(record_->term) + ", set " +
                std::to_string(record_->known_sync_version) + "); its orders are ignored");
        }
        warned_old_term_ = true;
        // It has forgotten what the standbys had, too, and learns from a primary that they follow.
        is_judged_ = true;
        return false;
    }
    warned_old_term_ = false;
    core::NodeRecord next = *record_;
    core::NoteReply(next, reply);
    if (BeginsToPromote(next)) next.promotion_term = next.term;
    return SaveRecord(next);
}

/// A promotion that is on record is not undone: from now on something may be acknowledged.
bool Keeper::BeginsToPromote(const core::NodeRecord &record) const {
    return core::IsWritable(record.goal) && core::IsStandby(record.state) &&
           record.promotion_term != record.term && ports_.server.IsConsistent();
}

/// False as long as the promotion is not on record.
bool Keeper::NotePromotion() {
    if (BeginsToPromote(*record_)) {
        core::NodeRecord next = *record_;
        next.promotion_term = next.term;
        if (!SaveRecord(next)) return false;
    }
    return !core::IsStandby(record_->state) || record_->promotion_term == record_->term;
}

/// The monitor gives no grant to a primary that came back with less than its standbys have.
void Keeper::AdmitStandbys(const ServerFacts &facts) {
    if (ports_.gate.AdmitsStandbys()) return;
    const bool is_standby = facts.in_recovery && !facts.is_crash_recovery;
    if (is_fresh_server_ && !is_standby && !is_judged_ && !is_resuming_) return;
    ports_.gate.AdmitStandbys();
}

void Keeper::KeepLease(const ServerFacts &facts) {
    AdmitStandbys(facts);
    CloseExpired(facts);
    CompareWithRecord(facts);
    ExtendByStream(facts);
    OpenIfGranted(facts);
}

void Keeper::CloseExpired(const ServerFacts &facts) {
    const Fence fence = ports_.gate.CurrentFence();
    const bool was_granted = fence == Fence::kOpen || fence == Fence::kHeld;
    if (was_granted && ports_.gate.Deadline() <= now_) {
        ports_.gate.SetFence(Fence::kClosed);
        expired_at_ = now_;
        report_at_ = now_;
        ports_.log.Warning("the grant has run out: this node is fenced");
        // Whoever comes later is refused, apart from local superusers, who may look around.
        if (!facts.in_recovery) ports_.server.TerminateClients();
    }
    if (expired_at_.ns == 0 || facts.in_recovery || !core::IsWritable(record_->state)) return;
    const bool silent = answered_at_ < expired_at_;
    if (was_granted_ && silent && now_ >= expired_at_ + lease_.length()) {
        StopServer(core::NodeState::kDemoteTimeout, "no grant, and the monitor is silent");
    }
}

/// From then on the monitor is taken to be silent.
core::BootTime Keeper::SilentAt() const {
    return answered_at_ + 2 * reply_->report_interval + core::Milliseconds{1};
}

void Keeper::ExtendByStream(const ServerFacts &facts) {
    for (const SenderFact &sender : facts.senders) {
        if (!sender.node.IsValid() || !sender.streaming) continue;
        if (std::find(streamed_.begin(), streamed_.end(), sender.node) != streamed_.end()) continue;
        streamed_.push_back(sender.node);
    }
    const bool silent = reply_ && now_ > SilentAt();
    // The reply names every set that may be in use, also while it is being changed.
    const bool may_write = core::IsWritable(record_->state) && reply_ &&
                           core::IsWritable(reply_->goal) && !facts.in_recovery;
    const Fence fence = ports_.gate.CurrentFence();
    const bool is_shut = fence != Fence::kOpen && fence != Fence::kHeld && !is_resuming_;
    if (!silent || !may_write || is_shut || !lease_.IsTimed()) {
        lease_.StopStream();
        return;
    }
    lease_.ExtendByStream(
        ports_.server,
        {.facts = facts, .sets = reply_->extension, .streamed = streamed_, .now = now_});
}

/// A difference between what PostgreSQL does and what is on record. What depended on it is held at
/// once; then it is repaired.
void Keeper::CompareWithRecord(const ServerFacts &facts) {
    std::string found;
    const bool may_write = core::IsWritable(record_->state) && !facts.in_recovery;
    const bool is_settled = sync_.confirmed_version() != 0;
    if (may_write && is_settled && facts.sync_names != sync_.names()) {
        found = "synchronous_standby_names is \"" + facts.sync_names + "\" and should be \"" +
                sync_.names() + "\"";
        sync_.Withdraw();  // it is written anew, and counts again when it is in force
    }
    const WaitsLeft waits = ports_.gate.LeftWaiting();
    if (may_write && waits.count != confirmed_waits_ && IsHeldBySet(facts, waits.end))
        confirmed_waits_ = waits.count;
    // The gate was closed for a while, and who waited for standbys was ended.
    if (may_write && !MayShowEnded(facts))
        found = "commits are visible that no synchronous standby has confirmed";
    for (const SenderFact &sender : facts.senders) {
        const bool is_member = std::find(facts.sync_members.begin(), facts.sync_members.end(),
                                         sender.node) != facts.sync_members.end();
        if (may_write && is_member && sender.sends_wal && sender.sync_priority == 0)
            ports_.server.LetSenderCount(sender.pid);
        if (!may_write || sender.sync_priority == 0 || sender.node.IsValid()) continue;
        found = "process " + std::to_string(sender.pid) +
                " confirms WAL under the name of a standby whose slot it does not use";
        ports_.server.EndSender(sender.pid);
    }
    if (!found.empty() && found != contradiction_) {
        ports_.log.Warning(found);
        report_at_ = now_;
    }
    // One that was withdrawn is over when the set is in force again.
    if (found.empty() && !contradiction_.empty() && may_write && !is_settled) return;
    contradiction_ = found;
    const Fence fence = ports_.gate.CurrentFence();
    if (!contradiction_.empty() && fence == Fence::kOpen) ports_.gate.SetFence(Fence::kHeld);
    if (contradiction_.empty() && fence == Fence::kHeld && ports_.gate.Deadline() > now_)
        ports_.gate.SetFence(Fence::kOpen);
}

/// What the set has confirmed once stays confirmed, whoever is away later.
bool Keeper::MayShowEnded(const ServerFacts &facts) {
    const core::Lsn end = ports_.gate.LeftWaiting().shown_end;
    if (end > shown_held_ && IsHeldBySet(facts, end)) shown_held_ = end;
    return end <= shown_held_;
}

/// A server that has just recovered holds commits that its set may never have confirmed, and that a
/// failover may take away: nobody sees them before.
bool Keeper::MayShow(const ServerFacts &facts) {
    if (facts.in_recovery) return !is_fresh_server_;
    if (!MayShowEnded(facts)) return false;
    if (!is_fresh_server_) return true;
    if (!recovery_end_.IsValid()) recovery_end_ = facts.lsn;
    if (!IsHeldBySet(facts, recovery_end_)) return false;
    is_fresh_server_ = false;
    return true;
}

void Keeper::OpenIfGranted(const ServerFacts &facts) {
    const Fence fence = ports_.gate.CurrentFence();
    if (fence == Fence::kOpen || fence == Fence::kHeld || !reply_ || stopping_) return;
    if (!core::IsWritable(record_->state) || !core::IsWritable(reply_->goal)) return;
    if (reply_->grant == core::GrantKind::kNone && !is_resuming_) return;
    if (ports_.gate.Deadline() <= now_) return;
    if (!ports_.gate.AdmitsStandbys()) return;
    if (!MayShow(facts)) return;
    ports_.gate.SetFence(Fence::kOpen);
    expired_at_ = {};
    report_at_ = now_;
    if (is_resuming_) was_granted_ = true;
    ports_.log.Line(is_resuming_ ? "the gate is open: the monitor is away, and enough synchronous "
                                   "standbys follow this node"
                                 : "the gate is open");
    is_resuming_ = false;
}

void Keeper::ChooseWake(const ServerFacts &facts) {
    core::BootTime wake = now_ + kTick;
    const auto sooner = [&wake](core::BootTime at) { wake = std::min(wake, at); };
    const auto later_sooner = [&](core::BootTime at) {
        if (at > now_) sooner(at);
    };
    if (has_more_) sooner({});
    if (step_ != nullptr) sooner(step_->NextWake(now_));
    later_sooner(step_retry_at_);
    if (step_ == nullptr && core::IsWritable(record_->state)) sooner(sync_.NextWake(now_));
    if (stopping_) sooner(stop_again_at_);
    later_sooner(write_probe_.NextWake());
    if (expired_at_.ns != 0) later_sooner(expired_at_ + lease_.length());
    if (reply_) later_sooner(SilentAt());
    if (lease_.IsExtending()) sooner(now_ + lease_.length() / 8);
    if (AwaitsStandby(record_->state)) sooner(now_ + kStandbyLook);
    if (ports_.link.IsReady() && !stopping_) sooner(report_at_);
    sooner(ports_.link.NextDeadline());
    const Fence fence = ports_.gate.CurrentFence();
    if (fence == Fence::kOpen || fence == Fence::kHeld) sooner(ports_.gate.Deadline());
    const bool awaits_set = is_fresh_server_ && core::IsWritable(record_->state) &&
                            !facts.in_recovery && fence != Fence::kOpen;
    if (fence == Fence::kHeld || awaits_set) sooner(now_ + kConfirmLook);
    // A new walsender wakes us before it has said what it wants.
    const auto is_new = [&](const SenderFact &sender) {
        return sender.is_starting && ages_.ReplyAge(sender, now_) < kSenderStart;
    };
    if (std::any_of(facts.senders.begin(), facts.senders.end(), is_new)) sooner(now_ + kSenderLook);
    next_wake_ = wake;
    receiver_streams_ = facts.receiver.streaming;
    next_glance_ = receiver_streams_ ? now_ + kReceiptLook : core::kForever;
}

bool Keeper::Glance() {
    now_ = ports_.clock.Now();
    const ReceiverState receiver = ports_.server.ObserveReceiver();
    ages_.UpdateReceiver(receiver, now_);
    next_glance_ = receiver.streaming ? now_ + kReceiptLook : core::kForever;
    return now_ >= next_wake_ || receiver.streaming != receiver_streams_;
}

void Keeper::NoteStream(const ServerFacts &facts) {
    // A receiver that is refused what it asks for says "streaming" for an instant, again and again.
    constexpr core::Milliseconds kSteady{1000};
    const ReceiverState &receiver = facts.receiver;
    if (!receiver.streaming || receiver.pid != stream_pid_) {
        stream_pid_ = receiver.streaming ? receiver.pid : 0;
        stream_pid_since_ = now_;
    }
    const bool is_steady = stream_pid_ != 0 && now_ - stream_pid_since_ >= kSteady;
    const bool wants_stream =
        facts.in_recovery && !facts.is_crash_recovery && !facts.primary_conninfo.empty();
    if (!wants_stream || is_steady) {
        no_stream_since_ = {};
    } else if (no_stream_since_.ns == 0) {
        no_stream_since_ = now_;
    }
    ports_.heartbeat.NoteStream(no_stream_since_, facts.lsn, facts.timeline);
}

void Keeper::Iterate() {
    now_ = ports_.clock.Now();
    next_glance_ = core::kForever;
    next_wake_ = now_ + kBatonLook;
    has_more_ = false;
    ports_.heartbeat.Beat(now_);
    ports_.server.AwaitReceiverEnd();
    const ServerFacts facts = ports_.server.Observe();
    ages_.Update(facts, now_);
    NoteStream(facts);
    if (!ports_.baton.TryTake()) return;
    next_wake_ = now_ + kTick;
    LoadConfig();
    LookAtConfig();
    if (!config_ || !LoadRecord()) return;
    // Somebody has started a node that rests, and not as a standby. With the monitor or without it.
    const bool writes_at_rest =
        record_->state == core::NodeState::kMaintenance && !facts.in_recovery;
    if (writes_at_rest && !record_->has_own_writes && !NoteOwnWrites()) return;
    // What standbys may have had from this server already is not compared with it.
    const bool is_unseen = is_fresh_server_ && !ports_.gate.AdmitsStandbys();
    if (is_unseen && !facts.in_recovery && !begun_at_.IsValid()) {
        begun_at_ = facts.redo_lsn;
        begun_seen_ = now_;
    }
    ports_.gate.RepeatCancels();
    history_.Update(ports_.files, config_->pgdata, facts.timeline, now_);
    ports_.link.Poll(now_);
    TakeAnswer();
    KeepLease(facts);
    // The end of a primary that drains, or is fenced, is known: nothing is written any more.
    if (ports_.gate.CurrentFence() == Fence::kOpen && core::IsWritable(record_->state)) {
        write_probe_.Poll(ports_.server, facts, now_);
    } else {
        write_probe_ = {};
    }
    if (reply_ && !stopping_) {
        Context context{
            ports_,         now_,           facts, ages_,       *reply_,
            *config_,       record_->state, sync_, sealed_lsn_, history_.Of(facts.timeline),
            NotePromotion()};
        if (step_ == nullptr || !step_->IsUrgent()) {
            housekeeping_problem_ = housekeeping_.Poll(context);
            settings_problem_ = settings_.Poll(context);
        }
        Advance(context);
        RecordSyncVersion();
        RestartWhenAsked(facts);
    }
    if (stopping_ && now_ >= stop_again_at_) {
        stop_again_at_ = now_ + core::Milliseconds{1000};
        ports_.server.StopImmediately();
    }
    NoteDamage(facts);
    MaybeReport(facts);
    ChooseWake(facts);
}

void Keeper::OnFailedIteration() {
    ports_.server.CleanUpAfterError();
    step_.reset();
    step_retry_at_ = now_ + core::Milliseconds{500};
    next_wake_ = now_ + kTick;
}

}  // namespace pgaf::worker
