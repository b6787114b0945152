#include "supervisor/steps.hpp"

#include "supervisor/rejoin.hpp"

namespace pgaf::supervisor {
namespace {

using core::Fail;
using core::Pass;
using core::Peer;
using core::Problem;
using core::ProblemCode;
using core::Result;

/// Where the new standby copies from and streams from.
Result<Peer> FindUpstream(const std::optional<core::Reply> &reply) {
    if (reply) {
        for (const Peer &peer : reply->peers) {
            if (reply->upstream.IsValid() ? peer.node == reply->upstream : peer.is_primary)
                return peer;
        }
    }
    return Fail(ProblemCode::kBadState, "there is no primary to follow yet");
}

/// For "node " and "Node ".
std::string Named(const Peer &peer) {
    return std::to_string(peer.node.value) + " \"" + peer.name + "\"";
}

Problem Foreign(std::string_view whose, std::uint64_t theirs, std::string_view ours,
                std::uint64_t own, ProblemCode code) {
    return {code,
            std::string(whose) + " has system identifier " + std::to_string(theirs) + " and " +
                std::string(ours) + " " + std::to_string(own),
            {},
            {}};
}

Problem ForeignPrimary(std::uint64_t primary, std::uint64_t own) {
    return Foreign("the primary", primary, "this node", own, ProblemCode::kRefused);
}

/// One run of a step: straight-line code over the effects.
class Run {
 public:
    Run(StepEffects &effects, Log &log, const StepInput &input)
        : effects_(effects), log_(log), input_(input) {}
    Result<std::uint64_t> Join();
    Result<std::uint64_t> Clone(bool is_connected = false);
    Result<std::uint64_t> Rejoin();
    [[nodiscard]] std::string TakeNote() { return std::move(note_); }
    [[nodiscard]] bool HasReplaced() const { return is_replaced_; }

 private:
    Result<bool> Keep(const Peer &upstream, const ControlFacts &control);
    Result<void> Copy(const Peer &upstream, std::uint64_t system_identifier);
    Result<std::uint64_t> RejoinWith(const Peer &upstream, const ControlFacts &control);
    Kinship Compare(const ControlFacts &control, const SourceIdentity &identity);
    bool IsDamaged();
    void SayDamaged(const std::string &why);
    void SaySlots(const std::vector<StepEffects::UsersSlot> &slots);
    Result<std::uint64_t> RejoinAnyhow();
    Result<void> Recover();
    void KeepAside(const SourceIdentity &identity);
    Result<void> Rewind(const Peer &upstream, const SourceIdentity &identity);

    StepEffects &effects_;
    Log &log_;
    const StepInput &input_;
    std::string note_;
    bool is_replaced_ = false;
};

/// A new node. What is in its directory already is kept when it fits: the standby of another
/// tool, or of this group before it was dropped.
Result<std::uint64_t> Run::Join() {
    const bool is_cluster =
        !effects_.IsMarked() && effects_.InspectDataDirectory() == DataDirectory::kCluster;
    auto upstream = FindUpstream(input_.reply);
    if (!upstream) return Pass(upstream);
    auto control = is_cluster ? effects_.ReadControl(Place::kData)
                              : Result<ControlFacts>(Fail(ProblemCode::kNotFound, ""));
    if (!control) return Clone();
    auto kept = Keep(*upstream, *control);
    if (!kept) return Pass(kept);
    return *kept ? Result<std::uint64_t>(control->system_identifier) : Clone(true);
}

Result<bool> Run::Keep(const Peer &upstream, const ControlFacts &control) {
    if (auto done = effects_.Connect(upstream); !done) return Pass(done);
    auto identity = effects_.Identify();
    if (!identity) return Pass(identity);
    if (identity->system_identifier != control.system_identifier) return false;
    if (Compare(control, *identity) != Kinship::kFollows) {
        log_.Warn("The data in \"" + effects_.DataDirectoryPath() +
                  "\" have left the history of node " + Named(upstream) +
                  ", or may have: they are replaced by a copy");
        return false;
    }
    log_.Info("The data in \"" + effects_.DataDirectoryPath() + "\" fit: following node " +
              Named(upstream) + " without a copy");
    if (auto done = effects_.MakeStandby(upstream); !done) return Pass(done);
    return true;
}

Result<std::uint64_t> Run::Clone(bool is_connected) {
    if (effects_.InspectDataDirectory() == DataDirectory::kForeign && !effects_.IsMarked()) {
        return tl::unexpected(ForeignDirectory(effects_.DataDirectoryPath()));
    }
    auto upstream = FindUpstream(input_.reply);
    if (!upstream) return Pass(upstream);
    if (!is_connected) {
        if (auto done = effects_.Connect(*upstream); !done) return Pass(done);
    }
    auto identity = effects_.Identify();
    if (!identity) return Pass(identity);
    const std::uint64_t known = input_.record.system_identifier;
    if (known != 0 && known != identity->system_identifier) {
        return tl::unexpected(ForeignPrimary(identity->system_identifier, known));
    }
    if (auto done = effects_.SetMarker("clone"); !done) return Pass(done);
    if (auto done = Copy(*upstream, identity->system_identifier); !done) return Pass(done);
    if (auto done = effects_.ClearMarker(); !done) return Pass(done);
    return identity->system_identifier;
}

Result<void> Run::Copy(const Peer &upstream, std::uint64_t system_identifier) {
    if (auto done = effects_.RemoveCopy(); !done) return done;
    log_.Info("Copying node " + Named(upstream) + " (" + upstream.host + ":" +
              std::to_string(upstream.port) + ")");
    if (auto done = effects_.TakeBaseBackup(upstream); !done) {
        return Pass(done, "could not copy node " + Named(upstream));
    }
    auto control = effects_.ReadControl(Place::kCopy);
    if (!control) return Pass(control);
    if (control->system_identifier != system_identifier) {
        return tl::unexpected(Foreign("the copy", control->system_identifier, "the primary",
                                      system_identifier, ProblemCode::kCorrupt));
    }
    if (auto done = effects_.MakeCopyOurs(upstream); !done) return done;
    if (auto done = effects_.ExchangeDirectories(); !done) return done;
    is_replaced_ = true;
    return effects_.RemoveCopy();  // what was in PGDATA before
}

/// The WAL is asked only when the control file does not say: it may be a lot to read.
Kinship Run::Compare(const ControlFacts &control, const SourceIdentity &identity) {
    ControlFacts ours = control;
    ours.has_own_writes = input_.record.has_own_writes;
    const Judgement judgement = JudgeKinship(ours, identity);
    if (judgement.kinship != Kinship::kAskWal) return judgement.kinship;
    const core::Lsn received = judgement.received_fork;
    if (received.IsValid() && effects_.HasWalBeyond(control.received_timeline, received))
        return Kinship::kMustCopy;
    return effects_.HasWalBeyond(control.timeline, judgement.fork) ? Kinship::kDiverged
                                                                   : Kinship::kFollows;
}

/// pg_rewind wants a cleanly stopped target, and would start the server itself, with our module in
/// it, which rightly refuses while the marker is set: hence before it, and without modules.
Result<void> Run::Recover() {
    if (auto done = effects_.RemoveStandbySignal(); !done) return done;
    auto control = effects_.ReadControl(Place::kData);
    if (!control) return Pass(control);
    if (control->IsShutDown()) return {};
    auto done = effects_.RecoverInSingleUserMode();
    if (!done) return Pass(done, "could not recover before pg_rewind");
    return {};
}

/// Once, before anything is changed: an interrupted rewind goes on as a copy.
void Run::KeepAside(const SourceIdentity &identity) {
    if (auto control = effects_.ReadControl(Place::kData))
        note_ = effects_.KeepDiscardedWal(identity, *control);
}

Result<void> Run::Rewind(const Peer &upstream, const SourceIdentity &identity) {
    if (auto done = effects_.EnsureCheckpoint(identity.timeline); !done) return done;
    const auto recovered = Recover();
    KeepAside(identity);
    if (!recovered) return recovered;
    const auto control = effects_.ReadControl(Place::kData);
    if (control && HasLostItsEnd(*control, identity)) {
        return Fail(ProblemCode::kCorrupt, "this node has lost the end of its WAL, from " +
                                               core::ToString(control->checkpoint) + " on");
    }
    if (auto done = effects_.SetMarker("rewind"); !done) return done;
    auto rewound = effects_.RunPgRewind(upstream);
    if (!rewound && rewound.error().code == ProblemCode::kBadState) {
        if (auto done = effects_.ClearMarker(); !done) return done;
    }
    if (!rewound) return Pass(rewound, "could not rewind");
    // pg_rewind goes by the source's last checkpoint. From one of an older timeline it would write
    // a control file with which every start ends in "unexpected timeline ID".
    auto after = effects_.ReadControl(Place::kData);
    if (!after) return Pass(after);
    if (after->state == ClusterState::kInArchiveRecovery && after->timeline < identity.timeline) {
        return Fail(ProblemCode::kCorrupt, "pg_rewind took the primary for one on timeline " +
                                               std::to_string(after->timeline) +
                                               ", and it is on timeline " +
                                               std::to_string(identity.timeline));
    }
    // An idle source would leave us waiting for a record that nobody writes.
    effects_.CheckpointSource();
    if (auto done = effects_.MakeStandby(upstream); !done) return done;
    return effects_.ClearMarker();
}

void Run::SayDamaged(const std::string &why) {
    note_ = "The data in \"" + effects_.DataDirectoryPath() + "\" cannot be used: " + why +
            ". They are replaced by a copy";
    log_.Warn(note_);
}

/// Nothing carries the slots of users over to another node, and nobody but they knows what is to
/// become of them.
void Run::SaySlots(const std::vector<StepEffects::UsersSlot> &slots) {
    std::string gone;
    std::string useless;
    for (const StepEffects::UsersSlot &slot : slots) {
        std::string &list = is_replaced_ ? gone : useless;
        if (is_replaced_ || slot.is_logical)
            list += (list.empty() ? "\"" : ", \"") + slot.name + "\"";
    }
    std::string text;
    if (!gone.empty()) {
        text = "Replication slots of users went with the old data: " + gone +
               "; whoever needs them makes them anew on the primary";
    } else if (!useless.empty()) {
        text =
            "Logical replication slots of users are on this standby, where they hold WAL back: " +
            useless + "; make them anew on the primary, and drop them here";
    }
    if (text.empty()) return;
    log_.Warn(text);
    note_ += (note_.empty() ? "" : ". ") + text;
}

Result<std::uint64_t> Run::Rejoin() {
    const auto slots = effects_.ListUsersSlots();
    auto result = RejoinAnyhow();
    if (result) SaySlots(slots);
    return result;
}

Result<std::uint64_t> Run::RejoinAnyhow() {
    auto upstream = FindUpstream(input_.reply);
    if (!upstream) return Pass(upstream);
    if (effects_.IsMarked()) return Clone();
    if (effects_.InspectDataDirectory() != DataDirectory::kCluster) {
        SayDamaged("essential files are missing");
        return Clone();
    }
    auto control = effects_.ReadControl(Place::kData);
    if (control) return RejoinWith(*upstream, *control);
    SayDamaged(control.error().message);
    return Clone();
}

/// A server that does not start because of something else would not start on a copy either.
bool Run::IsDamaged() {
    if (!input_.has_failed_starts) return false;
    const auto damage = effects_.FindDamage();
    if (damage) SayDamaged("PostgreSQL does not start on them (" + *damage + ")");
    return damage.has_value();
}

Result<std::uint64_t> Run::RejoinWith(const Peer &upstream, const ControlFacts &control) {
    if (auto done = effects_.Connect(upstream); !done) return Pass(done);
    if (auto primary = effects_.MustBePrimary(); !primary) return Pass(primary);
    auto identity = effects_.Identify();
    if (!identity) return Pass(identity);
    if (identity->system_identifier != control.system_identifier) {
        return tl::unexpected(
            ForeignPrimary(identity->system_identifier, control.system_identifier));
    }
    effects_.ArchiveReadyWal();
    if (input_.must_copy) {
        log_.Warn(input_.reply && !input_.reply->copy_reason.empty()
                      ? "Making a new copy: " + input_.reply->copy_reason
                      : "This node has lost WAL that the group has, and may have written other WAL "
                        "in its place: making a new copy");
        KeepAside(*identity);
        return Clone();
    }
    const Kinship kinship = Compare(control, *identity);
    if (kinship == Kinship::kMustCopy) {
        log_.Warn("This node may have written on timeline " + std::to_string(control.timeline) +
                  " what node " + Named(upstream) + " does not have there: making a new copy");
        KeepAside(*identity);
        return Clone();
    }
    if (kinship == Kinship::kFollows && input_.is_wal_gone) {
        log_.Warn("Node " + Named(upstream) +
                  " no longer has the WAL that this node needs: making a new copy");
        return Clone();
    }
    if (kinship == Kinship::kFollows && IsDamaged()) return Clone();
    if (kinship == Kinship::kFollows) {
        log_.Info("Nothing was written after timeline " + std::to_string(control.timeline) +
                  " was left: following node " + Named(upstream) + " as it is");
        if (auto done = effects_.MakeStandby(upstream); !done) return Pass(done);
        return control.system_identifier;
    }
    log_.Info("Rewinding to the history of node " + Named(upstream));
    auto rewound = Rewind(upstream, *identity);
    is_replaced_ = is_replaced_ || rewound;
    if (rewound) return control.system_identifier;
    const bool is_waiting = rewound.error().code == ProblemCode::kBadState;
    if (is_waiting || effects_.IsCancelled()) return Pass(rewound);
    log_.Warn(rewound.error());
    log_.Warn("Making a new copy instead");
    return Clone();
}

}  // namespace

Problem ForeignDirectory(const std::string &path) {
    return {ProblemCode::kBadState,
            "\"" + path + "\" is neither empty nor a PostgreSQL data directory",
            {},
            {}};
}

namespace {

StepOutcome RunLocked(core::Step step, StepEffects &effects, Log &log, const StepInput &input) {
    if (step == core::Step::kInitPrimary) {
        auto result = effects.InitPrimary();
        return {.result = std::move(result), .note = effects.TakeNote()};
    }
    Run run(effects, log, input);
    if (step == core::Step::kClone) {
        auto result = run.Join();
        return {.result = std::move(result), .is_replaced = run.HasReplaced()};
    }
    if (step != core::Step::kRejoin) {
        return {.result = Fail(ProblemCode::kInternal, "not a step of the supervisor")};
    }
    auto result = run.Rejoin();
    return {.result = std::move(result), .note = run.TakeNote(), .is_replaced = run.HasReplaced()};
}

}  // namespace

StepOutcome CarryOut(core::Step step, StepEffects &effects, Log &log, const StepInput &input) {
    if (auto locked = effects.LockDirectory(); !locked) return {.result = Pass(locked)};
    StepOutcome outcome = RunLocked(step, effects, log, input);
    effects.UnlockDirectory();
    return outcome;
}

}  // namespace pgaf::supervisor
