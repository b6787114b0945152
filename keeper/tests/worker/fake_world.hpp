#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "pgaf/core/pg_files.hpp"
#include "worker/keeper.hpp"

namespace pgaf::worker {

using core::BootTime;
using core::GrantKind;
using core::Lsn;
using core::Milliseconds;
using core::NodeId;
using core::NodeState;

inline const std::string kRecordFile = "/node/pg_autoctl.state";
inline const std::string kConfigFile = "/node/keeper.conf";
inline const std::string kStandbyPath = "/data/" + std::string(core::kStandbyFile);
inline const std::string kSyncPath = "/data/" + std::string(core::kSyncFile);

/// Everything around a Keeper, in one piece: what the test decides, and what the keeper did.
class FakeWorld final : public Clock,
                        public Gate,
                        public Server,
                        public Files,
                        public Baton,
                        public Heartbeat,
                        public Link,
                        public Log {
 public:
    // What the test decides.
    BootTime now{1'000'000'000'000};
    ServerFacts facts;
    std::map<std::string, std::string> files;
    std::set<std::string> unwritable;  ///< paths
    std::set<std::string> throws;      ///< entries of the journal that fail
    bool is_baton_busy = false;
    bool is_connected = true;
    bool reload_takes = true;  ///< this process sees what the files say
    bool has_free_process = true;
    Milliseconds marker_takes{0};
    int committing = 0;
    WaitsLeft waits_left;
    ConfigProblem config_problem;
    int sessions = 0;
    bool admits_standbys = false;
    bool disk_answers = true;  ///< what is written is flushed at once
    std::uint32_t checkpoints_done = 0;
    std::string hba_file;
    std::string cannot_have;  ///< the name of a setting
    std::vector<core::SettingState> states;
    /// Answers every report at once; without it the monitor is silent.
    std::optional<core::Reply> monitor;
    std::optional<Link::Answer> answer;
    bool is_woken = false;  ///< by a notification of the monitor
    bool latch = false;
    Fence fence = Fence::kClosed;
    bool sync_is_required = false;
    bool is_consistent = true;
    BootTime deadline;

    // What the keeper did.
    std::vector<std::string> journal;
    std::vector<BootTime> times;  ///< of the journal's entries
    std::vector<core::Report> sent;
    std::vector<BootTime> sent_at;
    std::vector<std::string> lines;
    std::vector<std::string> warnings;
    BootTime no_stream_since;
    int beats = 0;

    [[nodiscard]] int Count(const std::string &what) const {
        return static_cast<int>(std::count(journal.begin(), journal.end(), what));
    }
    [[nodiscard]] std::vector<std::int64_t> PausesBetween(const std::string &what) const {
        std::vector<BootTime> found;
        for (std::size_t i = 0; i < journal.size(); ++i) {
            if (journal.at(i) == what) found.push_back(times.at(i));
        }
        std::vector<std::int64_t> pauses;
        for (std::size_t i = 1; i < found.size(); ++i)
            pauses.push_back((found.at(i) - found.at(i - 1)).count());
        return pauses;
    }
    [[nodiscard]] core::NodeRecord Record() const {
        return core::DecodeNodeRecord(files.at(kRecordFile)).value();
    }
    SenderFact &Sender(std::int64_t node) {
        return *std::find_if(
            facts.senders.begin(), facts.senders.end(),
            [node](const SenderFact &sender) { return sender.node.value == node; });
    }
    void AddSender(std::int64_t node, int pid) {
        facts.senders.push_back({.pid = pid,
                                 .node = {node},
                                 .streaming = true,
                                 .flush_lsn = facts.lsn,
                                 .sends_wal = true,
                                 .sync_mark = 0});
    }
    void AddSlot(std::int64_t node, bool active) {
        facts.slots.push_back(
            {.name = core::StandbyName({node}), .active = active, .restart_lsn = {0x1000}});
    }
    void RemoveSender(std::int64_t node) {
        std::erase_if(facts.senders,
                      [node](const SenderFact &sender) { return sender.node.value == node; });
    }
    /// Every process of the server uses this set from now on.
    void UseSet(const core::SyncSet &set) {
        facts.sync_names = core::ToSetting(set);
        facts.sync_k = set.k;
        facts.sync_members = set.members;
        facts.sync_defined = !set.members.empty();
        facts.checkpointer_sync = Mark(facts.sync_names);
        for (SenderFact &sender : facts.senders) {
            sender.sync_priority = set.Contains(sender.node) ? 1 : 0;
            sender.sync_mark = Mark(facts.sync_names);
        }
    }

    // Clock, gate.
    BootTime Now() override { return now; }
    [[nodiscard]] BootTime Deadline() const override { return deadline; }
    void SetDeadline(BootTime next) override { deadline = next; }
    [[nodiscard]] Fence CurrentFence() const override { return fence; }
    void SetFence(Fence next) override { fence = next; }
    int CommittingCount() override { return committing; }
    void TerminateSyncWaiters() override { Did("terminate waiters"); }
    void RepeatCancels() override {}
    [[nodiscard]] WaitsLeft LeftWaiting() const override { return waits_left; }
    void RequireSync(bool is_required) override { sync_is_required = is_required; }
    void AdmitStandbys() override { admits_standbys = true; }
    [[nodiscard]] bool AdmitsStandbys() const override { return admits_standbys; }
    [[nodiscard]] std::uint32_t CheckpointsDone() const override { return checkpoints_done; }

    // Server.
    ServerFacts Observe() override { return facts; }
    ReceiverState ObserveReceiver() override { return facts.receiver; }
    void AwaitReceiverEnd() override {}
    std::uint64_t SystemIdentifier() override { return 42; }
    [[nodiscard]] std::string Version() const override { return "15"; }
    void Reload() override {
        Did("reload");
        latch = true;
        if (!reload_takes) return;
        if (files.contains(kSyncPath))
            facts.sync_names = core::SettingOf(files.at(kSyncPath), "synchronous_standby_names");
        if (files.contains(kStandbyPath))
            facts.primary_conninfo = core::SettingOf(files.at(kStandbyPath), "primary_conninfo");
    }
    void StopImmediately() override { Did("stop"); }
    void RequestPromotion() override { Did("promote"); }
    bool IsConsistent() override { return is_consistent; }
    void BarReceiver() override {
        Did("bar");
        facts.is_barred = true;
    }
    void AdmitReceiver() override {
        Did("admit receiver");
        facts.is_barred = false;
    }
    void RequestImmediateCheckpoint() override { Did("checkpoint"); }
    bool StartCheckpointProcess() override {
        Did("start checkpoint");
        return has_free_process;
    }
    void TerminateSessions() override { Did("terminate sessions"); }
    int CountSessions() override { return sessions; }
    void TerminateClients() override { Did("terminate clients"); }
    Lsn FlushEverything() override {
        Did("flush");
        return facts.lsn;
    }
    void AskSenderToFinish(int pid) override { Did("finish " + std::to_string(pid)); }
    void EndSender(int pid) override { Did("end sender " + std::to_string(pid)); }
    void LetSenderCount(int pid) override { Did("let count " + std::to_string(pid)); }
    void Archive(const std::string &name) override { Did("archive " + name); }
    Lsn WriteMarker() override {
        Did("marker");
        now = now + marker_takes;
        const Lsn end{facts.lsn.value + 0x100};
        if (disk_answers) facts.lsn = end;
        return end;
    }
    void CreateSlot(const std::string &name) override {
        Did("create " + name);
        facts.slots.push_back({.name = name, .restart_lsn = facts.lsn});
    }
    void AdvanceSlot(const std::string &name, Lsn to) override {
        Did("advance " + name + " " + core::ToString(to));
        for (SlotFact &slot : facts.slots) {
            if (slot.name == name) slot.restart_lsn = to;
        }
    }
    void ReleaseSlotXmin(const std::string &name) override {
        Did("release " + name);
        for (SlotFact &slot : facts.slots) {
            if (slot.name == name) slot.holds_xmin = false;
        }
    }
    void DropSlot(const std::string &name) override {
        Did("drop " + name);
        std::erase_if(facts.slots, [&name](const SlotFact &slot) { return slot.name == name; });
    }
    ConfigProblem FindConfigProblem() override { return config_problem; }
    core::Result<void> CheckSetting(const std::string &name, const std::string &) override {
        if (name == cannot_have) return core::Fail(core::ProblemCode::kPostgres, "it cannot");
        return {};
    }
    std::vector<core::SettingState> SettingStates(
        const std::vector<core::PostgresSetting> &) override {
        return states;
    }
    void StopOrderly() override { Did("stop in order"); }
    std::string HbaFile() override { return hba_file; }
    void CleanUpAfterError() override { Did("clean up"); }

    // Files, baton, heartbeat.
    core::Result<std::string> Read(const std::string &path) override {
        if (!files.contains(path)) return core::Fail(core::ProblemCode::kIo, "no file " + path);
        return files.at(path);
    }
    core::Result<void> WriteAtomic(const std::string &path, std::string_view text) override {
        Did("write " + path);
        if (unwritable.contains(path)) return core::Fail(core::ProblemCode::kIo, "disk full");
        files[path] = std::string(text);
        return {};
    }
    bool Exists(const std::string &path) override { return files.contains(path); }
    std::int64_t Stamp(const std::string &path) override {
        return files.contains(path) ? static_cast<std::int64_t>(Mark(files.at(path))) : 0;
    }
    bool TryTake() override { return !is_baton_busy; }
    std::int64_t Instance() override { return instance; }
    std::int64_t instance = 7;
    void Beat(BootTime) override { ++beats; }
    void NoteStream(BootTime since, Lsn, int) override { no_stream_since = since; }

    // Link, log.
    void SetConninfo(const std::string &conninfo) override { Did("connect " + conninfo); }
    void Poll(BootTime) override {}
    [[nodiscard]] bool IsReady() const override { return is_connected && !is_under_way_; }
    void SendReport(const core::Report &report, BootTime at) override {
        sent.push_back(report);
        sent_at.push_back(at);
        is_under_way_ = true;
        if (monitor) AnswerWith(*monitor);
    }
    void AnswerWith(core::Result<core::Reply> reply) {
        answer.emplace(Link::Answer{std::move(reply), sent_at.empty() ? now : sent_at.back()});
        latch = true;
    }
    /// The link gives up the report under way, and is connected again.
    void GiveUpReport() { is_under_way_ = false; }
    bool Listen(const std::string &channel, BootTime) override {
        if (channel.empty() || channel == channel_) return false;
        channel_ = channel;
        Did("listen " + channel);
        return true;
    }
    std::optional<Link::Answer> TakeAnswer() override {
        if (answer) is_under_way_ = false;
        return std::exchange(answer, std::nullopt);
    }
    bool TakeWakeUp() override { return std::exchange(is_woken, false); }
    [[nodiscard]] const std::string &Problem() const override { return link_problem; }
    [[nodiscard]] BootTime NextDeadline() const override { return core::kForever; }
    void Line(const std::string &text) override { lines.push_back(text); }
    void Warning(const std::string &text) override { warnings.push_back(text); }

    std::string link_problem;

 private:
    void Did(const std::string &what) {
        journal.push_back(what);
        times.push_back(now);
        if (throws.contains(what)) throw std::runtime_error("it fails: " + what);
    }
    bool is_under_way_ = false;
    std::string channel_;
};

inline Ports PortsOf(FakeWorld &world) {
    return {.clock = world,
            .gate = world,
            .server = world,
            .files = world,
            .baton = world,
            .heartbeat = world,
            .link = world,
            .log = world};
}

}  // namespace pgaf::worker
