#include "headers.hpp"

#include "keeper.hpp"

#include <algorithm>
#include <utility>

#include "gate.hpp"
#include "pg/clock.hpp"
#include "pg/guard.hpp"
#include "server.hpp"

namespace pgaf::keeper {
namespace {

constexpr core::Milliseconds kTurn{50};
constexpr core::Milliseconds kStandbyTurn{20};
constexpr core::Milliseconds kStepTurn{5};
constexpr core::Milliseconds kConfigCheck{500};
constexpr core::Milliseconds kLogAgain{10'000};

}  // namespace

Keeper::Keeper(std::string directory)
    : directory_(std::move(directory)),
      baton_(directory_ + "/baton"),
      heartbeat_(directory_ + "/heartbeat") {}

bool Keeper::LoadRecord() {
    if (record_) return true;
    const auto text = ReadFile(directory_ + "/pg_autoctl.state");
    const auto record = text ? core::DecodeNodeRecord(*text) : tl::unexpected(text.error());
    if (!record) {
        if (load_problem_ != record.error().message) {
            load_problem_ = record.error().message;
            server::LogWarning("cannot act as the keeper of this node: " + load_problem_);
        }
        return false;
    }
    core::NodeRecord next = *record;
    ++next.keeper_epoch;
    if (next.system_identifier == 0) next.system_identifier = SystemIdentifier();
    if (!SaveRecord(next)) return false;
    load_problem_.clear();
    server::LogLine("keeper of node " + std::to_string(next.node.value) + " in state " +
                    std::string(core::ToString(next.state)) + ", epoch " +
                    std::to_string(next.keeper_epoch));
    if (next.state == core::NodeState::kSingle && !next.had_peer) {
        Lease::OpenForLonelySingle();
        gate::SetFence(gate::Fence::kOpen);
    } else if (gate::Deadline().ns > 0) {
        // Another worker was here before in this server's life.
        was_granted_ = true;
        if (gate::CurrentFence() == gate::Fence::kClosed) expired_at_ = now_;
    }
    return true;
}

void Keeper::LoadConfig() {
    if (config_ && now_ < config_check_at_) return;
    config_check_at_ = now_ + kConfigCheck;
    const std::string path = directory_ + "/keeper.conf";
    const std::int64_t stamp = FileStamp(path);
    if (stamp == config_stamp_) return;
    config_stamp_ = stamp;
    const auto text = ReadFile(path);
    const auto config = text ? core::DecodeKeeperConfig(*text) : tl::unexpected(text.error());
    if (!config) {
        server::LogWarning("could not read the keeper's configuration: " + config.error().message);
        return;
    }
    config_ = *config;
    link_.SetConninfo(config_->monitor_conninfo);
}

/// Memory follows the disk: nothing is reported that a crash could take back.
bool Keeper::SaveRecord(const core::NodeRecord &record) {
    if (record_ && *record_ == record) {
        record_problem_.clear();
        return true;
    }
    const auto written = WriteFileAtomic(directory_ + "/pg_autoctl.state", core::Encode(record));
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
    if (!SaveRecord(next)) return false;
    std::string line = "node " + std::to_string(next.node.value) + " \"" + config_->name + "\" group " +
                       std::to_string(next.group) + ": " + std::string(core::ToString(before)) + " -> " +
                       std::string(core::ToString(state));
    if (!why.empty()) line += ": " + why;
    server::LogLine(line);
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
    server::LogLine("keeper: " + problem_);
}

void Keeper::TakeAnswer() {
    const auto answer = link_.TakeAnswer();
    if (link_.problem() != link_problem_) {
        link_problem_ = link_.problem();
        if (!link_problem_.empty()) {
            server::LogLine("could not report to the monitor, retrying: " + link_problem_);
        }
    }
    if (!answer) return;
    const auto reply = core::DecodeReply(answer->text);
    if (!reply) {
        SetProblem("the monitor's answer is not understood: " + reply.error().message);
        return;
    }
    answered_at_ = now_;
    streamed_.clear();
    if (!AcceptReply(*reply)) return;
    lease_.Accept(*reply, answer->sent_at);
    if (reply->grant != core::GrantKind::kNone) was_granted_ = true;
    reply_ = *reply;
}

bool Keeper::AcceptReply(const core::Reply &reply) {
    if (reply.node != record_->node) return false;
    if (reply.term < record_->term) {
        if (!warned_old_term_) {
            server::LogWarning("the monitor has forgotten promotions (term " +
                               std::to_string(reply.term) + " after " +
                               std::to_string(record_->term) + "); its orders are ignored");
        }
        warned_old_term_ = true;
        return false;
    }
    warned_old_term_ = false;
    core::NodeRecord next = *record_;
    next.goal = reply.goal;
    next.term = reply.term;
    next.had_peer = next.had_peer || !reply.peers.empty();
    return SaveRecord(next);
}

void Keeper::KeepLease(const ServerFacts &facts) {
    CloseExpired(facts);
    ExtendByStream(facts);
    OpenIfGranted();
}

void Keeper::CloseExpired(const ServerFacts &facts) {
    if (gate::CurrentFence() == gate::Fence::kOpen && gate::Deadline() <= now_) {
        gate::SetFence(gate::Fence::kClosed);
        expired_at_ = now_;
        report_at_ = now_;
        server::LogWarning("the grant has run out: this node is fenced");
        // Whoever comes later is refused, apart from local superusers, who may look around.
        if (!facts.in_recovery) server::TerminateClients();
    }
    if (expired_at_.ns == 0 || facts.in_recovery || !core::IsWritable(record_->state)) return;
    const bool silent = answered_at_ < expired_at_;
    if (was_granted_ && silent && now_ >= expired_at_ + lease_.length()) {
        StopServer(core::NodeState::kDemoteTimeout, "no grant, and the monitor is silent");
    }
}

void Keeper::ExtendByStream(const ServerFacts &facts) {
    for (const SenderFact &sender : facts.senders) {
        if (!sender.node.IsValid() || !sender.streaming) continue;
        if (std::find(streamed_.begin(), streamed_.end(), sender.node) != streamed_.end()) continue;
        streamed_.push_back(sender.node);
    }
    const bool silent =
        reply_ && now_ - answered_at_ > 2 * reply_->report_interval + core::Milliseconds{1};
    if (!silent || record_->state != core::NodeState::kPrimary ||
        reply_->goal != core::NodeState::kPrimary || facts.in_recovery ||
        gate::CurrentFence() != gate::Fence::kOpen || !Lease::IsTimed()) {
        lease_.StopStream();
        return;
    }
    lease_.ExtendByStream({.facts = facts, .sets = reply_->extension, .streamed = streamed_, .now = now_});
}

void Keeper::OpenIfGranted() {
    if (gate::CurrentFence() == gate::Fence::kOpen || !reply_ || stopping_) return;
    if (!core::IsWritable(record_->state) || !core::IsWritable(reply_->goal)) return;
    if (reply_->grant == core::GrantKind::kNone || gate::Deadline() <= now_) return;
    gate::SetFence(gate::Fence::kOpen);
    expired_at_ = {};
    report_at_ = now_;
    server::LogLine("the gate is open");
}

void Keeper::UpdateSealed(const ServerFacts &facts) {
    // The startup process may not have read the setting yet when a stopped receiver is first seen; it does
    // within a turn of its loop, and would start no other receiver after that.
    constexpr core::Milliseconds kGrace{20};
    const bool quiet = facts.in_recovery && !facts.is_crash_recovery &&
                       facts.primary_conninfo.empty() && facts.receiver.stopped;
    if (!quiet) {
        quiet_since_ = {};
    } else if (quiet_since_.ns == 0) {
        quiet_since_ = now_;
    }
    sealed_ = quiet && now_ - quiet_since_ >= kGrace;
}

void Keeper::ChooseWake() {
    // A standby looks more often: that its stream has ended is a witness against the primary.
    core::BootTime wake = now_ + (core::IsStandby(record_->state) ? kStandbyTurn : kTurn);
    const auto sooner = [&wake](core::BootTime at) { wake = std::min(wake, at); };
    if (step_ != nullptr || (quiet_since_.ns != 0 && !sealed_)) sooner(now_ + kStepTurn);
    if (link_.IsReady()) sooner(report_at_);
    sooner(link_.NextDeadline());
    if (gate::CurrentFence() == gate::Fence::kOpen) sooner(gate::Deadline());
    next_wake_ = wake;
}

void Keeper::Iterate() {
    now_ = pg::BootNow();
    next_wake_ = now_ + kTurn;
    heartbeat_.Beat(now_);
    const ServerFacts facts = Observe();
    ages_.Update(facts, now_);
    UpdateSealed(facts);
    if (!baton_.TryTake()) return;
    LoadConfig();
    if (!config_ || !LoadRecord()) return;
    history_.Update(config_->pgdata, facts.timeline, now_);
    link_.Poll(now_);
    TakeAnswer();
    KeepLease(facts);
    if (reply_ && !stopping_) {
        Context context{now_,    facts, ages_,      *reply_, *config_, record_->state,
                        sealed_, sync_, sealed_lsn_, history_.Of(facts.timeline)};
        if (step_ == nullptr || !step_->IsUrgent()) {
            housekeeping_problem_ = housekeeping_.Poll(context);
        }
        Advance(context);
        RecordSyncVersion();
    }
    if (stopping_ && now_ >= stop_again_at_) {
        stop_again_at_ = now_ + core::Milliseconds{1000};
        server::StopImmediately();
    }
    MaybeReport(facts);
    ChooseWake();
}

void Keeper::OnFailedIteration() {
    server::CleanUpAfterError();
    step_.reset();
    step_retry_at_ = now_ + core::Milliseconds{500};
    next_wake_ = now_ + kTurn;
}

}  // namespace pgaf::keeper
