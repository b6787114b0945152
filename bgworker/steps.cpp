#include "headers.hpp"

#include "steps.hpp"

#include <algorithm>

#include "files.hpp"
#include "gate.hpp"
#include "pgaf/core/pg_files.hpp"
#include "server.hpp"
#include "sync_applier.hpp"

namespace pgaf::keeper {
namespace {

constexpr core::Milliseconds kSealLimit{10'000};
constexpr core::Milliseconds kGrantLimit{10'000};
constexpr core::Milliseconds kPromoteAgain{1000};
constexpr core::Milliseconds kReloadAgain{1000};
/// Until version 16 nothing tells a process that WAL has arrived, and in no version that a stream began.
constexpr core::Milliseconds kArrivalLook{5};
constexpr core::Milliseconds kStreamLook{20};

core::Result<void> WriteStandbyFile(const Context &context, const core::Peer *upstream) {
    const std::string path = context.config.pgdata + "/" + std::string(core::kStandbyFile);
    const std::string text = core::StandbyText(context.config, upstream);
    const auto present = ReadFile(path);
    if (!present || *present != text) {
        if (auto written = WriteFileAtomic(path, text); !written) return written;
    }
    server::Reload();
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
        if (context.reply.grant == core::GrantKind::kNone || gate::Deadline() <= context.now) {
            return Running("waiting for a grant");
        }
        const Progress prepared = context.sync.Prepare(context);
        if (prepared.kind != Progress::Kind::kDone) return prepared;
        gate::SetFence(gate::Fence::kOpen);
        context.sealed_lsn = {};
        return Done();
    }
};

/// For servers that the supervisor has brought up as a standby.
class ArrivedStep final : public StepMachine {
 public:
    Progress Poll(Context &context) override {
        if (!context.facts.in_recovery) return Failed("PostgreSQL is not in recovery");
        // A crashed primary is in recovery too, and so is a standby in its first moments.
        return context.facts.is_crash_recovery ? Running() : Done();
    }
};

class FollowStep final : public StepMachine {
 public:
    explicit FollowStep(core::NodeState goal) : goal_(goal) {}
    Progress Poll(Context &context) override {
        const bool wants_stream = goal_ == core::NodeState::kSecondary;
        if (!context.reply.upstream.IsValid() && !wants_stream) return Done();
        // The reload wakes this process too: without a limit, a setting that is overridden would be written
        // again and again.
        const auto pointed = PointsAtUpstream(context);
        if (!pointed) return Failed(pointed.error().message);
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
        if (!context.facts.in_recovery) return Failed("PostgreSQL is not in recovery");
        if (limit_.ns == 0) limit_ = context.now + kSealLimit;
        if (context.now >= limit_) {
            return Failed(written_ ? "the WAL receiver has not ended within 10 s"
                                   : "the WAL of the old primary has not arrived within 10 s");
        }
        if (!written_) {
            if (context.facts.lsn < context.reply.target_lsn) return Running();
            if (const auto written = WriteStandbyFile(context, nullptr); !written) {
                return Failed(written.error().message);
            }
            written_ = true;
        }
        return context.facts.receives_nothing ? Done() : Running();
    }
    [[nodiscard]] bool IsUrgent() const override { return true; }
    [[nodiscard]] core::BootTime NextWake(core::BootTime now) const override {
        return written_ ? limit_ : now + kArrivalLook;
    }

 private:
    bool written_ = false;
    core::BootTime limit_;
};

class PromoteStep final : public StepMachine {
 public:
    Progress Poll(Context &context) override {
        if (!context.facts.in_recovery) {
            server::RequestImmediateCheckpoint();
            return Done();
        }
        if (limit_.ns == 0) limit_ = context.now + kGrantLimit;
        if (!promoted_) {
            if (context.reply.grant == core::GrantKind::kNone || gate::Deadline() <= context.now) {
                return context.now < limit_ ? Running("waiting for a grant") : Failed("no grant came");
            }
            const Progress prepared = context.sync.Prepare(context);
            if (prepared.kind != Progress::Kind::kDone) return prepared;
            gate::SetFence(gate::Fence::kOpen);
        }
        if (context.now >= again_at_) {
            again_at_ = context.now + kPromoteAgain;
            server::RequestPromotion();
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

core::Result<bool> PointsAtUpstream(const Context &context) {
    const core::Peer *const upstream = context.FindPeer(context.reply.upstream);
    if (upstream == nullptr) {
        return core::Fail(core::ProblemCode::kNotFound, "the upstream is not among the peers");
    }
    return context.facts.primary_conninfo == core::PrimaryConninfo(context.config, *upstream);
}

core::Result<void> PointAtUpstream(const Context &context) {
    return WriteStandbyFile(context, context.FindPeer(context.reply.upstream));
}

std::unique_ptr<StepMachine> MakeStep(const core::Edge &edge) {
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
            return MakeDrain(DrainPurpose::kHandOver);
        case core::Step::kApplySync:
            return std::make_unique<ApplySyncStep>();
        case core::Step::kFollow:
            return std::make_unique<FollowStep>(edge.to);
        case core::Step::kSeal:
            return std::make_unique<SealStep>();
        case core::Step::kPromote:
            return std::make_unique<PromoteStep>();
        case core::Step::kStop:
        case core::Step::kDrop:
            break;
    }
    return nullptr;
}

}  // namespace pgaf::keeper
