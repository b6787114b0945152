#include <algorithm>
#include <utility>

#include "pgaf/core/pg_files.hpp"
#include "worker/keeper.hpp"

/// What the keeper tells the monitor, and when.
namespace pgaf::worker {
namespace {

constexpr core::Milliseconds kBusyInterval{100};
/// A fact that flickers must not become a stream of reports.
constexpr core::Milliseconds kGapMin{10};

/// Below this WAL waits as it always does for a moment.
constexpr core::Milliseconds kStallNoticed{1000};
constexpr core::Milliseconds kStallNamed{3000};
/// A standby whose primary has just gone has another reason.
constexpr core::Milliseconds kDeafNamed{5000};

std::string StallOf(const ServerFacts &facts) {
    if (!facts.in_recovery) return "WAL does not reach the disk";
    return facts.replay_paused ? "the replay of WAL is paused" : "the replay of WAL does not go on";
}

/// Everything that decides something, without what changes all the time.
std::string SignatureOf(const core::Report &report) {
    std::string text(core::ToString(report.state));
    const auto add = [&text](std::int64_t value) {
        text.append(" ").append(std::to_string(value));
    };
    add(report.in_recovery);
    add(report.timeline);
    add(report.fenced);
    add(static_cast<std::int64_t>(report.sealed_lsn.value));
    add(report.goal_version);
    add(report.sync_version);
    add(report.lease_mode);
    add(report.receiver.upstream.value);
    add(report.receiver.streaming);
    add(report.receiver.sealed);
    add(report.receiver.replay_paused);
    add(report.is_damaged);
    add(report.settings_version);
    add(report.refused_settings);
    add(report.settings_mark);
    for (const core::StandbyFact &standby : report.standbys) {
        add(standby.node.value);
        add(standby.streaming);
        add(standby.in_sync_set);
    }
    return text + report.problem;
}

core::NodeId UpstreamOf(const ServerFacts &facts, const core::KeeperConfig &config,
                        const core::Reply &reply) {
    if (facts.primary_conninfo.empty()) return {};
    for (const core::Peer &peer : reply.peers) {
        if (facts.primary_conninfo == core::PrimaryConninfo(config, peer)) return peer.node;
    }
    return {};
}

}  // namespace

core::Report Keeper::BuildReport(const ServerFacts &facts) const {
    // A drain under way may fail and open the gate again without a new grant: no promise before its
    // end.
    const Fence fence = ports_.gate.CurrentFence();
    const bool is_closed = fence == Fence::kClosed ||
                           (fence == Fence::kDraining && core::IsHandingOver(record_->state));
    core::Report report;
    report.formation = config_->formation;
    report.node = record_->node;
    report.group = record_->group;
    report.keeper_epoch = record_->keeper_epoch;
    report.instance = record_->instance;
    report.holder = core::KeeperHolder::kWorker;
    report.state = record_->state;
    report.goal_version = reply_ ? reply_->goal_version : 0;
    report.term = record_->term;
    report.promotion_term = record_->promotion_term;
    report.copies = record_->copies;
    report.pg_running = true;
    report.in_recovery = facts.in_recovery;
    report.timeline = facts.timeline;
    report.history = history_.Of(facts.timeline);
    report.lsn = facts.lsn;
    if (!facts.in_recovery) report.begun_at = begun_at_;
    report.system_identifier = ports_.server.SystemIdentifier();
    report.fenced = is_closed && ports_.gate.CommittingCount() == 0;
    if (report.fenced && core::IsHandingOver(report.state)) report.sealed_lsn = sealed_lsn_;
    report.sync_version = sync_.confirmed_version();
    if (report.sync_version != 0) report.sync_names = sync_.names();
    if (core::IsWritable(record_->state) && report.sync_version == 0) {
        report.recorded_sync_version =
            sync_.first_version() != 0 ? sync_.first_version() : record_->sync_version;
        report.sync_names = facts.sync_names;
    }
    report.known_sync_version = record_->known_sync_version;
    report.lease_mode = lease_.IsTimed();
    for (const SenderFact &sender : facts.senders) {
        if (!sender.node.IsValid()) continue;
        report.standbys.push_back({.node = sender.node,
                                   .streaming = sender.streaming,
                                   .in_sync_set = sender.sync_priority > 0,
                                   .flush_lsn = sender.flush_lsn,
                                   .reply_age = ages_.ReplyAge(sender, now_)});
    }
    std::sort(report.standbys.begin(), report.standbys.end(),
              [](const auto &a, const auto &b) { return a.node < b.node; });
    if (facts.in_recovery) {
        if (reply_) report.receiver.upstream = UpstreamOf(facts, *config_, *reply_);
        report.receiver.streaming = facts.receiver.streaming;
        report.receiver.stream_age = ages_.StreamAge(now_);
        report.receiver.sealed = facts.IsSealed();
        report.receiver.replay_lsn = facts.replay_lsn;
        report.receiver.replay_paused = facts.replay_paused;
    }
    const core::Milliseconds stall =
        facts.in_recovery ? ages_.ReplayStall(now_) : write_probe_.Age(now_);
    if (stall >= kStallNoticed) report.stall_age = stall;
    const WaitsLeft waits = ports_.gate.LeftWaiting();
    report.cancelled_waits = static_cast<std::int64_t>(waits.count);
    report.unconfirmed_waits = static_cast<std::int64_t>(waits.count - confirmed_waits_);
    report.problem = problem_.empty() ? housekeeping_problem_ : problem_;
    report.cannot_reload = config_problem_.stops_reload;
    report.is_inconsistent = facts.in_recovery && !ports_.server.IsConsistent();
    if (!config_problem_.words.empty()) report.problem = config_problem_.words;
    if (!contradiction_.empty()) report.problem = contradiction_;
    if (!record_problem_.empty()) report.problem = record_problem_;
    report.is_damaged = damage_.IsDamaged();
    report.event = event_;
    if (report.problem.empty() && report.is_damaged)
        report.problem =
            damage_.Problem(config_->name, record_->state, reply_ ? &*reply_ : nullptr);
    const bool is_deaf = no_stream_since_.ns != 0 && now_ - no_stream_since_ >= kDeafNamed;
    if (report.problem.empty() && is_deaf && !facts.receiver_error.empty())
        report.problem = "no WAL is received: " + facts.receiver_error;
    if (report.problem.empty() && stall >= kStallNamed) report.problem = StallOf(facts);
    if (report.problem.empty() && facts.is_crash_recovery) {
        report.problem = "PostgreSQL is in crash recovery";
    }
    if (report.problem.empty()) report.problem = settings_problem_;
    report.pg_version = ports_.server.Version();
    report.server_start = facts.started_at;
    report.sizes = facts.sizes;
    settings_.Fill(report, reply_ ? reply_->settings_mark : 0);
    return report;
}

void Keeper::NoteDamage(const ServerFacts &facts) {
    if (stopping_) return;  // one that is restarted by command forgets what it has seen
    if (!damage_.Note(ports_.files, *record_, facts.damage)) return;
    event_ = "damaged data were seen: " + damage_.text();
    event_is_sent_ = false;
    report_at_ = now_;
    ports_.log.Warning(event_);
}

core::Milliseconds Keeper::ReportInterval() const {
    if (!reply_ || record_->state != reply_->goal) return kBusyInterval;
    const bool busy = record_->state == core::NodeState::kCatchingup ||
                      record_->state == core::NodeState::kWaitPrimary;
    const auto asked = std::max(reply_->report_interval, core::Milliseconds{10});
    return busy ? std::min(kBusyInterval, asked) : asked;
}

void Keeper::MaybeReport(const ServerFacts &facts) {
    if (ports_.link.TakeWakeUp()) report_at_ = now_;
    if (!ports_.link.IsReady()) return;
    if (reply_ && ports_.link.Listen(reply_->channel, now_)) return;
    // A node that is about to stop leaves the report of its new state to the supervisor.
    if (stopping_) return;
    core::Report report = BuildReport(facts);
    std::string signature = SignatureOf(report);
    const bool is_due = now_ >= report_at_;
    if (!is_due && signature == signature_) return;
    if (!is_due && now_ < reported_at_ + kGapMin) {
        report_at_ = std::min(report_at_, reported_at_ + kGapMin);
        return;
    }
    signature_ = std::move(signature);
    reported_at_ = now_;
    report_at_ = now_ + ReportInterval();
    if (report.fenced && core::IsWritable(record_->state)) {
        is_resuming_ = false;
        if (!ForgetOrders()) return SetProblem("could not forget the orders of this primary");
    }
    report.sequence = ++sequence_;
    event_is_sent_ = !report.event.empty();
    ports_.link.SendReport(report, now_);
}

}  // namespace pgaf::worker
