#include "worker/steps.hpp"

#include <algorithm>

#include "pgaf/core/pg_files.hpp"
#include "worker/overrides.hpp"
#include "worker/sync_applier.hpp"
#include "worker/timelines.hpp"

namespace pgaf::worker {
namespace {

constexpr std::string_view kLeftRecovery =
    "PostgreSQL has left recovery, and this node is a standby";
constexpr core::Milliseconds kSealLimit{10'000};
constexpr core::Milliseconds kGrantLimit{10'000};
constexpr core::Milliseconds kFetchLimit{60'000};
constexpr core::Milliseconds kFetchAgain{1000};
constexpr core::Milliseconds kPromoteAgain{1000};
constexpr core::Milliseconds kReloadAgain{1000};
/// Until version 16 nothing tells a process that WAL has arrived, and in no version that a stream
/// began.
constexpr core::Milliseconds kArrivalLook{5};
constexpr core::Milliseconds kStreamLook{20};

core::Result<void> WriteStandbyFile(const Context &context, const core::Peer *upstream) {
    const std::string path = context.config.pgdata + "/" + std::string(core::kStandbyFile);
    const std::string text = core::StandbyText(context.config, upstream);
    const auto present = context.ports.files.Read(path);
    if (!present || *present != text) {
        if (auto written = context.ports.files.WriteAtomic(path, text); !written) return written;
    }
    if (auto repaired = RemoveOverrides(context.ports, context.config.pgdata); !repaired)
        return tl::unexpected(repaired.error());
    context.ports.server.Reload();
    return {};
}

class ApplySyncStep final : public StepMachine {
 public:
    Progress Poll(Context &context) override {
        sync_ = &context.sync;
        return sync_->Poll(context);
    }
    [[nodiscard]] core::BootTime NextWake(core::BootTime now) const override {
        return sync_ == nullptr ? now : sync_->NextWake(now);
    }

 private:
    SyncApplier *sync_ = nullptr;  // the keeper's, which outlives every step
};

class NoneStep final : public StepMachine {
 public:
    Progress Poll(Context &) override { return Done(); }
};

class UnfenceStep final : public StepMachine {
 public:
    Progress Poll(Context &context) override {
        if (context.facts.in_recovery) return Running("PostgreSQL is in recovery");
        if (context.reply.grant == core::GrantKind::kNone ||
            context.ports.gate.Deadline() <= context.now) {
            return Running("waiting for a grant");
        }
        const Progress prepared = context.sync.Prepare(context);
        if (prepared.kind != Progress::Kind::kDone) return prepared;
        // The state is reached, so that standbys follow; the keeper opens the gate when its grant
        // and its set allow it.
        context.sealed_lsn = {};
        return Done();
    }
};

/// For servers that the supervisor has brought up as a standby.
class ArrivedStep final : public StepMachine {
 public:
    Progress Poll(Context &context) override {
        if (!context.facts.in_recovery) return MustStop(std::string(kLeftRecovery));
        // A crashed primary is in recovery too, and so is a standby in its first moments.
        return context.facts.is_crash_recovery ? Running() : Done();
    }
};

/// The upstream has not what we have: following it would mean to lose it, or to mix two histories.
core::Result<void> CheckHistory(const Context &context, const core::Peer &upstream) {
    const core::WalPosition own{context.facts.timeline, context.facts.lsn, context.history};
    if (!core::HasLeftHistory(own, upstream.timeline, upstream.history)) return {};
    return core::Fail(core::ProblemCode::kBadState,
                      "this node is at " + core::ToString(own.lsn) + " of timeline " +
                          std::to_string(own.timeline) + ", which node " +
                          std::to_string(upstream.node.value) + " on timeline " +
                          std::to_string(upstream.timeline) + " does not have");
}

class FollowStep final : public StepMachine {
 public:
    explicit FollowStep(core::NodeState goal) : goal_(goal) {}
    Progress Poll(Context &context) override {
        if (!context.facts.in_recovery) return MustStop(std::string(kLeftRecovery));
        const bool wants_stream = goal_ == core::NodeState::kSecondary;
        if (!context.reply.upstream.IsValid() && !wants_stream) return Done();
        // The reload wakes this process too: without a limit, a setting that is overridden would be
        // written again and again.
        const auto pointed = PointsAtUpstream(context);
        if (!pointed) return Failed(pointed.error().message);
        if (*pointed) EndBar(context);
        if (!*pointed && context.now >= write_at_) {
            write_at_ = context.now + kReloadAgain;
            if (const auto written = PointAtUpstream(context); !written) {
                return Failed(written.error().message);
            }
        }
        if (!wants_stream) return Done();
        const core::Peer *const upstream = context.FindPeer(context.reply.upstream);
        const ReceiverState &receiver = context.facts.receiver;
        const bool streams = *pointed && receiver.streaming && upstream != nullptr &&
                             receiver.port == upstream->port && receiver.host == upstream->host;
        return streams ? Done() : Running("not streaming from the upstream yet");
    }
    [[nodiscard]] core::BootTime NextWake(core::BootTime now) const override {
        return now + kStreamLook;
    }

 private:
    core::NodeState goal_;
    core::BootTime write_at_;
};

class SealStep final : public StepMachine {
 public:
    Progress Poll(Context &context) override {
        if (!context.facts.in_recovery) return MustStop(std::string(kLeftRecovery));
        if (limit_.ns == 0) limit_ = context.now + kSealLimit;
        if (context.now >= limit_) {
            return Failed(written_ ? "the WAL receiver has not ended within 10 s"
                                   : "the WAL of the old primary has not arrived within 10 s");
        }
        if (!written_) {
            if (context.facts.lsn < context.reply.target_lsn) return Running();
            if (const auto written = PointAtNobody(context); !written) {
                return Failed(written.error().message);
            }
            written_ = true;
        }
        awaits_end_ = context.facts.receives_nothing && !context.facts.is_lsn_final;
        return context.facts.IsSealed() ? Done() : Running();
    }
    [[nodiscard]] bool IsUrgent() const override { return true; }
    [[nodiscard]] core::BootTime NextWake(core::BootTime now) const override {
        return written_ && !awaits_end_ ? limit_ : now + kArrivalLook;
    }

 private:
    bool awaits_end_ = false;  ///< WAL that is there already is still being read
    bool written_ = false;
    core::BootTime limit_;
};

/// Gets from another standby what this one lacks, and stops receiving again.
class FetchStep final : public StepMachine {
 public:
    Progress Poll(Context &context) override {
        if (!context.facts.in_recovery) return MustStop(std::string(kLeftRecovery));
        if (limit_.ns == 0) limit_ = context.now + kFetchLimit;
        if (context.now >= limit_) return Failed("the missing WAL has not arrived within 60 s");
        if (context.facts.lsn < context.reply.target_lsn) {
            if (!context.reply.upstream.IsValid()) return Running("no standby has the missing WAL");
            if (context.now < write_at_) return Running();
            write_at_ = context.now + kFetchAgain;
            const auto pointed = PointsAtUpstream(context);
            if (!pointed) return Failed(pointed.error().message);
            if (*pointed) {
                EndBar(context);
                return Running();
            }
            const auto written = PointAtUpstream(context);
            return written ? Running() : Failed(written.error().message);
        }
        if (!written_) {
            if (const auto written = PointAtNobody(context); !written) {
                return Failed(written.error().message);
            }
            written_ = true;
        }
        return context.facts.IsSealed() ? Done() : Running();
    }
    [[nodiscard]] bool IsUrgent() const override { return true; }
    [[nodiscard]] core::BootTime NextWake(core::BootTime now) const override {
        return now + kArrivalLook;
    }

 private:
    bool written_ = false;
    core::BootTime limit_;
    core::BootTime write_at_;
};

class PromoteStep final : public StepMachine {
 public:
    Progress Poll(Context &context) override {
        if (!context.facts.in_recovery) {
            // A promotion that was interrupted comes back by crash recovery, on the old timeline:
            // nobody may open there.
            if (context.facts.timeline < context.reply.next_timeline) {
                return MustStop("PostgreSQL has left recovery on timeline " +
                                std::to_string(context.facts.timeline) + ", and timeline " +
                                std::to_string(context.reply.next_timeline) + " was to be begun");
            }
            context.ports.server.RequestImmediateCheckpoint();
            return Done();
        }
        if (limit_.ns == 0) limit_ = context.now + kGrantLimit;
        if (!promoted_) {
            if (context.reply.grant == core::GrantKind::kNone ||
                context.ports.gate.Deadline() <= context.now) {
                return context.now < limit_ ? Running("waiting for a grant")
                                            : Failed("no grant came");
            }
            if (!context.may_promote)
                return Running("what PostgreSQL has replayed is not whole yet");
            const Progress prepared = context.sync.Prepare(context);
            if (prepared.kind != Progress::Kind::kDone) return prepared;
            context.sync.NoteFirst();
            const auto reserved =
                ReserveTimelines(context.ports, context.config.pgdata,
                                 {context.facts.timeline, context.facts.lsn, context.history},
                                 context.reply.next_timeline);
            if (!reserved) return Failed(reserved.error().message);
            context.ports.gate.SetFence(Fence::kOpen);
        }
        if (context.now >= again_at_) {
            again_at_ = context.now + kPromoteAgain;
            context.ports.server.RequestPromotion();
            promoted_ = true;
        }
        return Running();
    }
    [[nodiscard]] bool IsUrgent() const override { return true; }
    [[nodiscard]] core::BootTime NextWake(core::BootTime) const override {
        return promoted_ ? again_at_ : limit_;
    }

 private:
    bool promoted_ = false;
    core::BootTime limit_;
    core::BootTime again_at_;
};

}  // namespace

const core::Peer *Context::FindPeer(core::NodeId node) const {
    const auto at = std::find_if(reply.peers.begin(), reply.peers.end(),
                                 [node](const core::Peer &peer) { return peer.node == node; });
    return at == reply.peers.end() ? nullptr : &*at;
}

core::Result<void> PointAtNobody(const Context &context) {
    // The file first: after a restart it is all that there is.
    if (auto written = WriteStandbyFile(context, nullptr); !written) return written;
    context.ports.server.BarReceiver();
    return {};
}

core::Result<bool> PointsAtUpstream(const Context &context) {
    const core::Peer *const upstream = context.FindPeer(context.reply.upstream);
    if (upstream == nullptr) {
        return core::Fail(core::ProblemCode::kNotFound, "the upstream is not among the peers");
    }
    if (const auto checked = CheckHistory(context, *upstream); !checked) {
        return tl::unexpected(checked.error());
    }
    return context.facts.primary_conninfo == core::PrimaryConninfo(context.config, *upstream);
}

core::Result<void> PointAtUpstream(const Context &context) {
    return WriteStandbyFile(context, context.FindPeer(context.reply.upstream));
}

void EndBar(const Context &context) {
    const ServerFacts &facts = context.facts;
    if (!facts.is_barred || !facts.receiver.stopped) return;
    const core::Peer *const upstream = context.FindPeer(context.reply.upstream);
    if (upstream == nullptr || facts.startup_upstream != Mark(core::UpstreamMark(*upstream)))
        return;
    context.ports.server.AdmitReceiver();
}

std::unique_ptr<StepMachine> MakeStep(const core::Edge &edge, const Ports &ports) {
    switch (edge.step) {
        case core::Step::kNone:
            return std::make_unique<NoneStep>();
        case core::Step::kInitPrimary:
        case core::Step::kStart:
        case core::Step::kUnfence:
            return std::make_unique<UnfenceStep>();
        case core::Step::kClone:
        case core::Step::kRejoin:
            return std::make_unique<ArrivedStep>();
        case core::Step::kDrain:
            return MakeDrain(DrainPurpose::kHandOver, ports.gate);
        case core::Step::kApplySync:
            return std::make_unique<ApplySyncStep>();
        case core::Step::kFollow:
            return std::make_unique<FollowStep>(edge.to);
        case core::Step::kSeal:
            return std::make_unique<SealStep>();
        case core::Step::kFetch:
            return std::make_unique<FetchStep>();
        case core::Step::kPromote:
            return std::make_unique<PromoteStep>();
        case core::Step::kStop:
        case core::Step::kDrop:
            break;
    }
    return nullptr;
}

}  // namespace pgaf::worker
