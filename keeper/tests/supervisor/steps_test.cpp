// Goal: whatever kills a clone or a rejoin, incomplete data stays marked, old data is replaced only
// by a whole copy, and another run ends well. Method: the real sequences over fake effects; a
// death after each of them.
#include "supervisor/steps.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "supervisor/rejoin.hpp"

namespace pgaf::supervisor {
namespace {

using core::Fail;
using core::ProblemCode;
using core::Result;
using Journal = std::vector<std::string>;

struct Death {};

class SilentLog final : public Log {
 public:
    void Write(LogLevel, const std::string &) override {}
    void Write(LogLevel, const core::Problem &) override {}
};

/// A directory, a copy beside it, and a primary.
class FakeEffects final : public StepEffects {
 public:
    enum class Content { kNone, kOld, kPart, kWhole, kOurs };
    Content data = Content::kOld;
    Content copy = Content::kNone;
    bool is_marked = false;
    bool is_foreign = false;
    bool is_cancelled = false;
    bool is_source_fenced = false;
    bool has_wal_beyond = true;
    bool is_server_there = false;
    bool is_locked = false;
    std::optional<std::string> damage;
    std::vector<UsersSlot> slots;
    core::Lsn recovered_to{0x1f80};
    ControlFacts control{.system_identifier = 42,
                         .state = ClusterState::kShutDown,
                         .timeline = 1,
                         .checkpoint = {0x1f00},
                         .min_recovery = {}};
    std::uint64_t copied_identifier = 42;
    SourceIdentity primary{
        .system_identifier = 42, .timeline = 2, .end = {0x3000}, .history = {{1, {0x2000}}}};
    int checkpoint_timeline = 2;  ///< of the primary's last checkpoint
    std::string failing;          ///< the effect that fails
    ProblemCode failure = ProblemCode::kPostgres;
    int lives = 1000;  ///< effects until the machine dies
    Journal journal;

    bool IsCancelled() override { return is_cancelled; }
    [[nodiscard]] std::string DataDirectoryPath() const override { return "/data"; }
    DataDirectory InspectDataDirectory() override {
        if (is_foreign) return DataDirectory::kForeign;
        return data == Content::kNone ? DataDirectory::kEmpty : DataDirectory::kCluster;
    }
    Result<ControlFacts> ReadControl(Place place) override {
        ControlFacts facts = control;
        if (place == Place::kCopy) facts.system_identifier = copied_identifier;
        return facts;
    }
    Result<void> LockDirectory() override {
        if (is_server_there) return Fail(ProblemCode::kBadState, "PostgreSQL is running");
        is_locked = true;
        return {};
    }
    void UnlockDirectory() override { is_locked = false; }
    bool IsMarked() override { return is_marked; }
    Result<void> SetMarker(std::string_view what) override {
        return Do("mark " + std::string(what), [this] { is_marked = true; });
    }
    Result<void> ClearMarker() override {
        return Do("unmark", [this] { is_marked = false; });
    }
    Result<void> Connect(const core::Peer &) override { return Do("connect"); }
    Result<SourceIdentity> Identify() override { return primary; }
    Result<void> MustBePrimary() override { return Do("is it a primary"); }
    Result<void> EnsureCheckpoint(int) override { return Do("ensure checkpoint"); }
    void CheckpointSource() override { (void)Do("checkpoint"); }
    Result<void> RemoveCopy() override {
        return Do("remove copy", [this] { copy = Content::kNone; });
    }
    Result<void> TakeBaseBackup(const core::Peer &) override {
        copy = Content::kPart;
        return Do("base backup", [this] { copy = Content::kWhole; });
    }
    Result<void> MakeCopyOurs(const core::Peer &) override {
        return Do("make copy ours", [this] { copy = Content::kOurs; });
    }
    Result<void> ExchangeDirectories() override {
        return Do("exchange", [this] { std::swap(data, copy); });
    }
    std::optional<std::string> FindDamage() override {
        (void)Do("try the data");
        return damage;
    }
    std::vector<UsersSlot> ListUsersSlots() override { return slots; }
    void ArchiveReadyWal() override { (void)Do("archive"); }
    bool HasWalBeyond(int, core::Lsn fork) override {
        (void)Do("look into WAL at " + core::ToString(fork));
        return has_wal_beyond;
    }
    Result<void> RemoveStandbySignal() override { return Do("remove standby.signal"); }
    Result<void> RecoverInSingleUserMode() override {
        return Do("recover", [this] {
            control.state = ClusterState::kShutDown;
            control.checkpoint = recovered_to;
        });
    }
    std::string KeepDiscardedWal(const SourceIdentity &, const ControlFacts &) override {
        (void)Do("keep WAL");
        return "WAL is discarded";
    }
    Result<void> RunPgRewind(const core::Peer &) override {
        if (is_source_fenced) return Fail(ProblemCode::kBadState, "this node is fenced");
        data = Content::kPart;
        return Do("rewind", [this] {
            data = Content::kWhole;
            control.state = ClusterState::kInArchiveRecovery;
            control.timeline = checkpoint_timeline;
        });
    }
    Result<void> MakeStandby(const core::Peer &) override {
        return Do("make standby", [this] { data = Content::kOurs; });
    }
    Result<std::uint64_t> InitPrimary() override {
        (void)Do("init");
        return 42;
    }

 private:
    template <typename Fn>
    Result<void> Do(const std::string &what, Fn effect) {
        EXPECT_TRUE(is_locked) << what;
        journal.push_back(what);
        if (what == failing) return Fail(failure, what + " fails");
        effect();
        if (--lives == 0) throw Death{};
        return {};
    }
    Result<void> Do(const std::string &what) {
        return Do(what, [] {});
    }
};

core::Peer PeerOf(std::int64_t id) {
    core::Peer peer;
    peer.node = {id};
    return peer;
}

StepInput Input() {
    StepInput input;
    input.record = {.node = {2}, .system_identifier = 42};
    input.reply.emplace().peers.push_back(PeerOf(1));
    input.reply->peers.at(0).is_primary = true;
    return input;
}

StepOutcome RunStep(core::Step step, FakeEffects &effects, const StepInput &input = Input()) {
    SilentLog log;
    return CarryOut(step, effects, log, input);
}

const Journal kCloneJournal{"connect",        "mark clone", "remove copy", "base backup",
                            "make copy ours", "exchange",   "remove copy", "unmark"};

/// Data that have left the history are compared first.
const Journal kJoinJournal{"connect",     "look into WAL at 0/2000", "mark clone", "remove copy",
                           "base backup", "make copy ours",          "exchange",   "remove copy",
                           "unmark"};

TEST(Clone, MarksFirstAndUnmarksLast) {
    FakeEffects effects;
    const auto outcome = RunStep(core::Step::kClone, effects);
    EXPECT_EQ(outcome.result.value(), 42U);
    EXPECT_EQ(effects.journal, kJoinJournal);
    EXPECT_EQ(effects.data, FakeEffects::Content::kOurs);
    EXPECT_FALSE(effects.is_marked);
}

TEST(Clone, ADeathAfterAnyEffectLeavesTheMarkAndNeverHalfACopy) {
    for (int lives = 1; lives < static_cast<int>(kJoinJournal.size()); ++lives) {
        FakeEffects effects;
        effects.lives = lives;
        EXPECT_THROW((void)RunStep(core::Step::kClone, effects), Death);
        EXPECT_EQ(effects.is_marked, lives >= 3) << lives;
        EXPECT_TRUE(effects.data == FakeEffects::Content::kOld ||
                    effects.data == FakeEffects::Content::kOurs);
        effects.lives = 1000;
        EXPECT_TRUE(RunStep(core::Step::kRejoin, effects).result.has_value());
        EXPECT_EQ(effects.data, FakeEffects::Content::kOurs);
        EXPECT_FALSE(effects.is_marked);
    }
}

TEST(Clone, AnEmptyDirectoryIsFilled) {
    FakeEffects effects;
    effects.data = FakeEffects::Content::kNone;
    EXPECT_TRUE(RunStep(core::Step::kClone, effects).result.has_value());
    EXPECT_EQ(effects.journal, kCloneJournal);
}

TEST(Clone, DataThatFitAreKept) {
    FakeEffects effects;
    effects.has_wal_beyond = false;
    EXPECT_EQ(RunStep(core::Step::kClone, effects).result.value(), 42U);
    const Journal kept{"connect", "look into WAL at 0/2000", "make standby"};
    EXPECT_EQ(effects.journal, kept);
    EXPECT_FALSE(effects.is_marked);
}

TEST(Clone, ReceivedWalOfATimelineThatThePrimaryHasLeftIsLookedAtToo) {
    FakeEffects effects;
    effects.control.received_timeline = effects.control.timeline + 1;
    effects.primary.timeline = effects.control.timeline + 2;
    effects.primary.history.push_back({effects.control.timeline + 1, {0x8000}});
    EXPECT_TRUE(RunStep(core::Step::kClone, effects).result.has_value());
    const auto &did = effects.journal;
    EXPECT_NE(std::find(did.begin(), did.end(), "look into WAL at 0/8000"), did.end());
    EXPECT_NE(std::find(did.begin(), did.end(), "base backup"), did.end());
}

TEST(Clone, DataOfAnUnfinishedCopyAreNeverKept) {
    FakeEffects effects;
    effects.has_wal_beyond = false;
    effects.is_marked = true;
    EXPECT_TRUE(RunStep(core::Step::kClone, effects).result.has_value());
    EXPECT_EQ(effects.journal, kCloneJournal);
}

TEST(Clone, AFailureLeavesTheMarkAndTheOldData) {
    for (const char *failing : {"remove copy", "base backup", "make copy ours", "exchange"}) {
        FakeEffects effects;
        effects.failing = failing;
        EXPECT_FALSE(RunStep(core::Step::kClone, effects).result.has_value());
        EXPECT_TRUE(effects.is_marked);
        EXPECT_EQ(effects.data, FakeEffects::Content::kOld);
    }
}

TEST(Clone, RefusesAnotherClusterBeforeItTouchesAnything) {
    FakeEffects effects;
    effects.primary.system_identifier = 43;
    const auto outcome = RunStep(core::Step::kClone, effects);
    EXPECT_EQ(outcome.result.error().code, ProblemCode::kRefused);
    EXPECT_EQ(outcome.result.error().message,
              "the primary has system identifier 43 and this node 42");
    EXPECT_EQ(effects.journal, Journal{"connect"});
}

TEST(Clone, ACopyOfAnotherClusterNeverBecomesOurs) {
    FakeEffects effects;
    effects.copied_identifier = 43;
    EXPECT_EQ(RunStep(core::Step::kClone, effects).result.error().code, ProblemCode::kCorrupt);
    EXPECT_EQ(effects.data, FakeEffects::Content::kOld);
}

TEST(Clone, LeavesADirectoryAloneThatHoldsSomethingElse) {
    FakeEffects effects;
    effects.is_foreign = true;
    const auto outcome = RunStep(core::Step::kClone, effects);
    EXPECT_EQ(outcome.result.error().message,
              "\"/data\" is neither empty nor a PostgreSQL data directory");
    EXPECT_TRUE(effects.journal.empty());
    effects.is_marked = true;  // what a clone left is ours
    EXPECT_TRUE(RunStep(core::Step::kClone, effects).result.has_value());
}

TEST(Clone, CopiesFromTheUpstreamThatTheMonitorNames) {
    FakeEffects effects;
    StepInput input = Input();
    input.reply->upstream = {3};
    EXPECT_EQ(RunStep(core::Step::kClone, effects, input).result.error().code,
              ProblemCode::kBadState);
    input.reply->peers.push_back(PeerOf(3));
    EXPECT_TRUE(RunStep(core::Step::kClone, effects, input).result.has_value());
}

const Journal kRewindJournal{"connect",
                             "is it a primary",
                             "archive",
                             "look into WAL at 0/2000",
                             "ensure checkpoint",
                             "remove standby.signal",
                             "keep WAL",
                             "mark rewind",
                             "rewind",
                             "checkpoint",
                             "make standby",
                             "unmark"};

TEST(Rejoin, RewindsWhatHasDiverged) {
    FakeEffects effects;
    const auto outcome = RunStep(core::Step::kRejoin, effects);
    EXPECT_TRUE(outcome.result.has_value());
    EXPECT_EQ(outcome.note, "WAL is discarded");
    EXPECT_EQ(effects.journal, kRewindJournal);
}

TEST(Rejoin, ADeathAfterAnyEffectNeverLeavesHalfRewoundDataUnmarked) {
    for (int lives = 1; lives < static_cast<int>(kRewindJournal.size()); ++lives) {
        FakeEffects effects;
        effects.lives = lives;
        EXPECT_THROW((void)RunStep(core::Step::kRejoin, effects), Death);
        EXPECT_EQ(effects.is_marked, effects.data != FakeEffects::Content::kOld ||
                                         effects.journal.back() == "mark rewind");
        effects.lives = 1000;
        EXPECT_TRUE(RunStep(core::Step::kRejoin, effects).result.has_value());
        EXPECT_EQ(effects.data, FakeEffects::Content::kOurs);
        EXPECT_FALSE(effects.is_marked);
    }
}

// PostgreSQL would end at each start: "unexpected timeline ID".
TEST(Rejoin, ARewindToACheckpointOfAnOlderTimelineEndsInACopy) {
    FakeEffects effects;
    effects.checkpoint_timeline = 1;
    const auto outcome = RunStep(core::Step::kRejoin, effects);
    EXPECT_TRUE(outcome.result.has_value());
    EXPECT_TRUE(outcome.is_replaced);
    EXPECT_EQ(std::count(effects.journal.begin(), effects.journal.end(), "rewind"), 1);
    EXPECT_TRUE(std::equal(kCloneJournal.rbegin(), kCloneJournal.rend(), effects.journal.rbegin()));
    EXPECT_FALSE(effects.is_marked);
}

TEST(Rejoin, FollowsAsItIsWhenNothingWasWritten) {
    FakeEffects effects;
    effects.has_wal_beyond = false;
    EXPECT_TRUE(RunStep(core::Step::kRejoin, effects).result.has_value());
    EXPECT_EQ(effects.journal, (Journal{"connect", "is it a primary", "archive",
                                        "look into WAL at 0/2000", "make standby"}));
}

TEST(Rejoin, CopiesAnewWhenTheWalIsGone) {
    FakeEffects effects;
    effects.has_wal_beyond = false;
    StepInput input = Input();
    input.is_wal_gone = true;
    EXPECT_TRUE(RunStep(core::Step::kRejoin, effects, input).result.has_value());
    EXPECT_TRUE(std::equal(kCloneJournal.rbegin(), kCloneJournal.rend(), effects.journal.rbegin()));
}

// pg_rewind says "no rewind required" of two histories under one number.
TEST(Rejoin, CopiesWhatMayHaveBeenWrittenOnThePrimarysOwnTimeline) {
    FakeEffects effects;
    effects.control.timeline = effects.primary.timeline;
    effects.control.history = effects.primary.history;
    const auto outcome = RunStep(core::Step::kRejoin, effects);
    EXPECT_TRUE(outcome.result.has_value());
    EXPECT_EQ(outcome.note, "WAL is discarded");
    EXPECT_EQ(std::count(effects.journal.begin(), effects.journal.end(), "rewind"), 0);
    EXPECT_TRUE(std::equal(kCloneJournal.rbegin(), kCloneJournal.rend(), effects.journal.rbegin()));
}

TEST(Rejoin, DamagedDataAreCopiedAfterFailedStartsOnlyWhenTheyAreTheReason) {
    for (const bool is_damaged : {false, true}) {
        for (const bool has_failed : {false, true}) {
            FakeEffects effects;
            effects.has_wal_beyond = false;
            if (is_damaged) effects.damage = "could not locate a valid checkpoint record";
            StepInput input = Input();
            input.has_failed_starts = has_failed;
            const auto outcome = RunStep(core::Step::kRejoin, effects, input);
            EXPECT_TRUE(outcome.result.has_value());
            EXPECT_EQ(outcome.is_replaced, is_damaged && has_failed);
            EXPECT_EQ(outcome.note.find("valid checkpoint") != std::string::npos,
                      is_damaged && has_failed);
            EXPECT_EQ(std::count(effects.journal.begin(), effects.journal.end(), "try the data"),
                      has_failed ? 1 : 0);
        }
    }
}

TEST(Rejoin, SaysWhatBecomesOfTheSlotsOfUsers) {
    FakeEffects effects;
    effects.has_wal_beyond = false;
    effects.slots = {{"barman", false}, {"debezium", true}};
    const auto kept = RunStep(core::Step::kRejoin, effects);
    EXPECT_NE(kept.note.find("\"debezium\""), std::string::npos);
    EXPECT_EQ(kept.note.find("barman"), std::string::npos) << "it goes on as it is";
    FakeEffects again;
    again.slots = effects.slots;
    const auto gone = RunStep(core::Step::kRejoin, again);
    EXPECT_NE(gone.note.find("\"barman\", \"debezium\""), std::string::npos);
}

TEST(Lock, NoStepTouchesADirectoryInWhichAServerRuns) {
    for (const core::Step step :
         {core::Step::kInitPrimary, core::Step::kClone, core::Step::kRejoin}) {
        FakeEffects effects;
        effects.is_server_there = true;
        EXPECT_EQ(RunStep(step, effects).result.error().code, ProblemCode::kBadState);
        EXPECT_TRUE(effects.journal.empty());
    }
}

TEST(Lock, IsReleasedHoweverAStepEnds) {
    for (const char *failing : {"", "base backup", "connect"}) {
        FakeEffects effects;
        effects.failing = failing;
        (void)RunStep(core::Step::kClone, effects);
        EXPECT_FALSE(effects.is_locked);
    }
}

TEST(Rejoin, RecoversFirstWhatWasNotShutDown) {
    FakeEffects effects;
    effects.control.state = ClusterState::kOther;
    effects.failing = "recover";
    const auto outcome = RunStep(core::Step::kRejoin, effects);
    EXPECT_EQ(std::count(effects.journal.begin(), effects.journal.end(), "rewind"), 0);
    EXPECT_EQ(outcome.note, "WAL is discarded");  // kept although it could not be recovered
    EXPECT_TRUE(outcome.result.has_value());      // by a copy
}

TEST(Rejoin, CopiesWhatIsMarkedOrCannotBeRewound) {
    FakeEffects marked;
    marked.is_marked = true;
    EXPECT_TRUE(RunStep(core::Step::kRejoin, marked).result.has_value());
    EXPECT_EQ(marked.journal, kCloneJournal);
    FakeEffects failing;
    failing.failing = "rewind";
    EXPECT_TRUE(RunStep(core::Step::kRejoin, failing).result.has_value());
    EXPECT_EQ(failing.data, FakeEffects::Content::kOurs);
}

TEST(Rejoin, WaitsForASourceThatLetsNobodyInYet) {
    FakeEffects effects;
    effects.is_source_fenced = true;
    const auto refused = RunStep(core::Step::kRejoin, effects).result;
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().message, "could not rewind: this node is fenced");
    EXPECT_FALSE(effects.is_marked) << "nothing was changed";
    EXPECT_EQ(std::count(effects.journal.begin(), effects.journal.end(), "base backup"), 0);
    effects.is_source_fenced = false;
    EXPECT_TRUE(RunStep(core::Step::kRejoin, effects).result.has_value());
    EXPECT_EQ(std::count(effects.journal.begin(), effects.journal.end(), "rewind"), 1);
}

// pg_rewind goes by timelines, and would say that no rewind is required.
TEST(Rejoin, CopiesWhatHasLostTheEndOfItsWal) {
    FakeEffects effects;
    effects.control.state = ClusterState::kOther;
    effects.recovered_to = {0x1000};
    EXPECT_TRUE(RunStep(core::Step::kRejoin, effects).result.has_value());
    EXPECT_EQ(std::count(effects.journal.begin(), effects.journal.end(), "rewind"), 0);
    EXPECT_EQ(std::count(effects.journal.begin(), effects.journal.end(), "base backup"), 1);
    // It was interrupted after recovery: what the control file says is enough.
    FakeEffects later;
    later.control.checkpoint = {0x1000};
    EXPECT_TRUE(RunStep(core::Step::kRejoin, later).result.has_value());
    EXPECT_EQ(std::count(later.journal.begin(), later.journal.end(), "base backup"), 1);
}

TEST(Rejoin, DoesNotCopyWhenItIsCancelledOrThePrimaryIsNotReady) {
    FakeEffects cancelled;
    cancelled.failing = "rewind";
    cancelled.is_cancelled = true;
    EXPECT_EQ(RunStep(core::Step::kRejoin, cancelled).result.error().message,
              "could not rewind: rewind fails");
    EXPECT_TRUE(cancelled.is_marked);
    for (const char *waiting : {"is it a primary", "ensure checkpoint"}) {
        FakeEffects effects;
        effects.failing = waiting;
        effects.failure = ProblemCode::kBadState;
        EXPECT_FALSE(RunStep(core::Step::kRejoin, effects).result.has_value());
        EXPECT_FALSE(effects.is_marked);
        EXPECT_EQ(effects.data, FakeEffects::Content::kOld);
    }
}

}  // namespace
}  // namespace pgaf::supervisor
