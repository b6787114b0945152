#include <algorithm>
#include <vector>

#include "worker/steps.hpp"

namespace pgaf::worker {
namespace {

constexpr core::Milliseconds kCheckpointLimit{60'000};
constexpr core::Milliseconds kGrantReserve{500};
constexpr core::Milliseconds kWaiterPatience{300};
constexpr core::Milliseconds kSessionsLimit{5'000};
constexpr core::Milliseconds kSignalAgain{100};
constexpr core::Milliseconds kStandbyLimit{5'000};

/// A planned hand-over, the primary's part: checkpoint while it still serves, then close the gate,
/// end what is under way and everybody's sessions, and see that the standbys hold the last byte.
class DrainStep final : public StepMachine {
 public:
    DrainStep(DrainPurpose purpose, const Gate &gate) : purpose_(purpose), gate_(gate) {}
    Progress Poll(Context &context) override {
        Progress progress = Running();
        // Each phase may fall through to the next in one poll; the outage has begun.
        for (int i = 0; i < kPhases && progress.kind == Progress::Kind::kRunning; ++i) {
            const Phase before = phase_;
            progress = PollPhase(context);
            if (phase_ == before) break;
        }
        const bool has_closed = phase_ > Phase::kCheckpoint && purpose_ == DrainPurpose::kHandOver;
        if (progress.kind == Progress::Kind::kFailed && has_closed) Reopen(context);
        return progress;
    }
    [[nodiscard]] bool IsUrgent() const override { return phase_ > Phase::kCheckpoint; }
    [[nodiscard]] core::BootTime NextWake(core::BootTime now) const override {
        switch (phase_) {
            case Phase::kStart:
                return now;
            case Phase::kCheckpoint:
                return std::min(limit_, GrantReserve());
            case Phase::kCommits:
                return std::min(limit_, std::max(patience_until_, signal_at_));
            case Phase::kSessions:
                return std::min(limit_, signal_at_);
            case Phase::kStandbys:
                return limit_;
        }
        return now;
    }

 private:
    enum class Phase { kStart, kCheckpoint, kCommits, kSessions, kStandbys };
    static constexpr int kPhases = 5;

    struct Sender {
        core::NodeId node;
        int pid;
        bool is_member;
    };

    Progress PollPhase(Context &context) {
        switch (phase_) {
            case Phase::kStart:
                return Start(context);
            case Phase::kCheckpoint:
                return Checkpoint(context);
            case Phase::kCommits:
                return Commits(context);
            case Phase::kSessions:
                return Sessions(context);
            case Phase::kStandbys:
                return Standbys(context);
        }
        return Failed("unknown phase");
    }

    /// When the grant runs out the outage begins anyway: better spend it on the hand-over.
    [[nodiscard]] core::BootTime GrantReserve() const {
        const core::BootTime deadline = gate_.Deadline();
        if (deadline == core::kForever) return deadline;
        return {deadline.ns - kGrantReserve.count() * 1'000'000};
    }

    void Enter(Phase phase, core::BootTime limit) {
        phase_ = phase;
        limit_ = limit;
        signal_at_ = {};
    }

    /// Who waited was ended, and others would see what no standby has confirmed: the keeper opens
    /// the gate when it has looked at that.
    static void Reopen(const Context &context) {
        Gate &gate = context.ports.gate;
        const bool has_ended = gate.LeftWaiting().shown_end.IsValid();
        if (gate.Deadline() > context.now) gate.SetFence(has_ended ? Fence::kHeld : Fence::kOpen);
    }

    Progress Start(const Context &context) {
        if (context.facts.in_recovery) return Failed("PostgreSQL is in recovery");
        const auto &senders = context.facts.senders;
        hands_over_ = std::any_of(senders.begin(), senders.end(), [](const SenderFact &sender) {
            return sender.node.IsValid() && sender.streaming;
        });
        if (!hands_over_ || context.ports.gate.CurrentFence() != Fence::kOpen) {
            // Nobody streams: this is a failover that found us alive. Or closed already. No time to
            // lose.
            Close(context);
            return Running();
        }
        checkpoints_ = context.ports.gate.CheckpointsDone();
        if (!context.ports.server.StartCheckpointProcess())
            return Failed("no background worker slot is free");
        Enter(Phase::kCheckpoint, context.now + kCheckpointLimit);
        return Running();
    }

    Progress Checkpoint(const Context &context) {
        if (context.ports.gate.CheckpointsDone() == checkpoints_ && context.now < GrantReserve()) {
            return context.now < limit_ ? Running()
                                        : Failed("a checkpoint has not completed within 60 s");
        }
        Close(context);
        return Running();
    }

    void Close(const Context &context) {
        context.ports.gate.SetFence(Fence::kDraining);
        Enter(Phase::kCommits, context.now + kSessionsLimit);
        patience_until_ = context.now + kWaiterPatience;
    }

    Progress Commits(const Context &context) {
        if (context.ports.gate.CommittingCount() == 0) {
            Enter(Phase::kSessions, context.now + kSessionsLimit);
            return Running();
        }
        if (context.now >= patience_until_ && context.now >= signal_at_) {
            context.ports.gate.TerminateSyncWaiters();
            signal_at_ = context.now + kSignalAgain;
        }
        return context.now < limit_ ? Running()
                                    : Failed("commits under way have not ended within 5 s");
    }

    Progress Sessions(Context &context) {
        if (context.now >= signal_at_) {
            context.ports.server.TerminateSessions();
            signal_at_ = context.now + kSignalAgain;
        }
        if (context.ports.server.CountSessions() > 0) {
            return context.now < limit_ ? Running() : Failed("sessions have not ended within 5 s");
        }
        end_ = context.ports.server.FlushEverything();
        if (!hands_over_) return Done();  // fenced, and nobody else has seen the end of WAL
        BeginStandbys(context);
        return Running();
    }

    void BeginStandbys(const Context &context) {
        const auto &members = context.facts.sync_members;
        for (const SenderFact &sender : context.facts.senders) {
            if (!sender.node.IsValid() || !sender.streaming) continue;
            const bool is_member =
                std::find(members.begin(), members.end(), sender.node) != members.end();
            senders_.push_back({sender.node, sender.pid, is_member});
            context.ports.server.AskSenderToFinish(sender.pid);
        }
        Enter(Phase::kStandbys, context.now + kStandbyLimit);
    }

    /// The walsender ends right after the last confirmation; its slot has kept the position.
    [[nodiscard]] bool Holds(const Context &context, const Sender &sender) const {
        const SenderFact *const live = context.facts.FindSender(sender.node);
        if (live != nullptr && live->flush_lsn >= end_) return true;
        const SlotFact *const slot = context.facts.FindSlot(core::StandbyName(sender.node));
        return slot != nullptr && slot->restart_lsn >= end_;
    }

    Progress Standbys(Context &context) {
        const auto holds = [&](const Sender &sender) { return Holds(context, sender); };
        const bool everyone = std::all_of(senders_.begin(), senders_.end(), holds);
        const auto members = std::count_if(senders_.begin(), senders_.end(), [&](const Sender &s) {
            return s.is_member && holds(s);
        });
        const int needed =
            context.facts.sync_members.empty() ? 0 : std::max(context.facts.sync_k, 1);
        if (!everyone && context.now < limit_) return Running();
        if (members < needed)
            return Failed("the synchronous standbys have not confirmed the end of WAL");
        context.sealed_lsn = end_;
        return Done();
    }

    DrainPurpose purpose_;
    const Gate &gate_;
    Phase phase_ = Phase::kStart;
    bool hands_over_ = false;
    core::BootTime limit_;
    core::BootTime signal_at_;
    core::BootTime patience_until_;
    std::uint32_t checkpoints_ = 0;
    core::Lsn end_;
    std::vector<Sender> senders_;
};

}  // namespace

std::unique_ptr<StepMachine> MakeDrain(DrainPurpose purpose, const Gate &gate) {
    return std::make_unique<DrainStep>(purpose, gate);
}

}  // namespace pgaf::worker
