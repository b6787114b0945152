#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "supervisor/node_loop.hpp"

namespace pgaf::supervisor {

using core::BootTime;
using core::Milliseconds;
using core::NodeState;

/// Everything around a NodeLoop, in one piece: what it asked for, in order, and what it is told.
class FakeWorld final : public Clock,
                        public Server,
                        public Process,
                        public Log,
                        public Files,
                        public Baton,
                        public Link,
                        public Steps {
 public:
    // What the test decides.
    BootTime now{1'000'000'000'000};
    core::NodeRecord disk{.node = {7}, .state = NodeState::kSecondary, .keeper_epoch = 10};
    bool is_disk_full = false;
    bool is_record_lost = false;
    bool is_baton_busy = false;
    bool runs_already = false;
    bool answers = true;   ///< a running server answers its clients
    bool is_ready = true;  ///< a running server accepts connections
    bool can_start = true;
    bool is_marked = false;
    bool is_out_of_recovery = false;
    bool is_configuration_broken = false;
    bool is_shutting_down = false;
    std::optional<ControlFacts> control;
    std::optional<supervisor::Heartbeat> heartbeat;

    // What the machine did.
    std::vector<std::string> journal;
    std::vector<std::string> lines;  ///< of the log
    std::string monitor;             ///< whom it reports to
    struct Sent {
        core::Report report;
        int tag = 0;
    };
    std::vector<Sent> sent;
    std::vector<BootTime> starts;
    int times_ready = 0;  ///< a server has come up
    std::optional<int> exit_status;
    std::optional<core::Step> step;  ///< that was begun and has not ended
    StepInput step_input;
    std::vector<BootTime> step_begins;
    bool is_running = false;
    std::vector<std::string> start_options;
    std::optional<NodeState> prepared_state;

    [[nodiscard]] int Count(const std::string &what) const {
        return static_cast<int>(std::count(journal.begin(), journal.end(), what));
    }

    // The ports.
    [[nodiscard]] BootTime Now() const override { return now; }
    core::Result<void> Start(const std::vector<std::string> &options) override {
        Did("start");
        start_options = options;
        starts.push_back(now);
        if (!can_start) return core::Fail(core::ProblemCode::kPostgres, "it does not start");
        is_running = true;
        started_at_ = now;
        return {};
    }
    bool Attach() override {
        is_running = runs_already;
        started_at_ = now;
        return is_running;
    }
    [[nodiscard]] bool IsRunning() const override { return is_running; }
    void Stop(StopMode mode) override {
        Did(mode == StopMode::kSmart  ? "stop smart"
            : mode == StopMode::kFast ? "stop fast"
                                      : "stop immediate");
    }
    void Kill() override { Did("kill"); }
    void Reload() override { Did("reload"); }
    void Ask() override {
        if (answers) answered_at_ = now;
    }
    [[nodiscard]] BootTime AnsweredAt() const override { return answered_at_; }
    [[nodiscard]] BootTime StartedAt() const override { return started_at_; }
    [[nodiscard]] bool AcceptsConnections() const override { return is_ready; }
    [[nodiscard]] bool IsOutOfRecovery() const override { return is_out_of_recovery; }
    [[nodiscard]] bool IsShuttingDown() const override { return is_shutting_down; }
    [[nodiscard]] int ProcessId() const override { return is_running ? 50 : 0; }
    [[nodiscard]] bool IsParentOf(int pid) const override { return pid == 99; }
    core::Result<void> KillLeftovers() override {
        Did("kill leftovers");
        return {};
    }
    void ReapOrphans() override {}
    void Exit(int status) override { exit_status = status; }
    void Write(LogLevel, const std::string &text) override { lines.push_back(text); }
    void Write(LogLevel, const core::Problem &) override {}
    core::Result<core::NodeRecord> LoadRecord() override {
        if (is_record_lost) return core::Fail(core::ProblemCode::kCorrupt, "it cannot be read");
        return disk;
    }
    core::Result<void> SaveRecord(const core::NodeRecord &record) override {
        if (is_disk_full) return core::Fail(core::ProblemCode::kIo, "the disk is full");
        disk = record;
        Did("save");
        return {};
    }
    core::Result<void> SaveKeeperConfig(const core::NodeRecord &, const std::string &) override {
        return {};
    }
    core::Result<NodeSettings> LoadSettings() override {
        return NodeSettings{.formation = "other", .name = "renamed", .monitor = "host=other"};
    }
    core::Result<std::vector<std::string>> PrepareStart(NodeState state,
                                                        const core::Reply *reply) override {
        Did(reply != nullptr ? "prepare with peers" : "prepare");
        if (is_configuration_broken)
            return core::Fail(core::ProblemCode::kPostgres, "line 3 is wrong");
        prepared_state = state;
        return std::vector<std::string>{"-c", "what_safety=needs"};
    }
    void TakeSettings(const core::Reply &) override { Did("take settings"); }
    void NoteStarted() override { ++times_ready; }
    void NoteFailedStarts() override { Did("note failed starts"); }
    void FillSettings(core::Report &report) override { report.settings_version = 77; }
    core::Result<void> WriteSettings() override {
        Did("write settings");
        return {};
    }
    std::optional<std::string> TakeEvent() override {
        if (left_event.empty()) return std::nullopt;
        return std::exchange(left_event, {});
    }
    std::string left_event;
    void ForgetHeartbeat() override { heartbeat.reset(); }
    std::optional<supervisor::Heartbeat> ReadHeartbeat() override { return heartbeat; }
    bool IsMarked() override { return is_marked; }
    std::optional<ControlFacts> ReadControl() override { return control; }
    core::Result<bool> Take() override {
        if (!is_baton_busy) Did("take baton");
        return !is_baton_busy;
    }
    void Release() override { Did("release baton"); }
    std::int64_t Instance() override { return 7; }
    bool KeepRole(core::NodeState state) override {
        kept_role = state;
        return is_signal_missing;
    }
    bool is_signal_missing = false;
    std::optional<core::NodeState> kept_role;
    [[nodiscard]] int SentTag() const override {
        return is_link_down || sent.empty() ? -1 : sent.back().tag;
    }
    bool is_link_down = false;
    void Send(core::Report report, int tag) override {
        Did("send");
        sent.push_back({std::move(report), tag});
    }
    void Close() override { Did("close"); }
    void SetMonitor(std::string conninfo) override { monitor = std::move(conninfo); }
    void Begin(core::Step begun, const StepInput &input) override {
        step = begun;
        step_input = input;
        step_begins.push_back(now);
    }
    void Cancel() override { Did("cancel"); }
    void BeginStreamCheck(const core::WalPosition &) override { Did("check stream"); }

 private:
    void Did(std::string what) { journal.push_back(std::move(what)); }
    BootTime answered_at_;
    BootTime started_at_;
};

inline core::Reply ReplyOf(NodeState goal, std::int64_t term = 0) {
    core::Reply reply;
    const bool follows = goal == NodeState::kCatchingup || goal == NodeState::kSecondary;
    if (follows) reply.upstream = {1};
    reply.goal = goal;
    reply.term = term;
    return reply;
}

/// A NodeLoop in a world, and time that passes.
class Bench {
 public:
    FakeWorld world;

    bool is_init_only = false;

    void Begin() {
        loop_.emplace(
            NodePorts{.clock = world,
                      .server = world,
                      .process = world,
                      .log = world,
                      .files = world,
                      .baton = world,
                      .link = world,
                      .steps = world},
            NodeOptions{
                .settings = {.name = "a"}, .pg_version = "15", .is_init_only = is_init_only});
        loop_->Begin();
    }
    NodeLoop &Loop() { return *loop_; }
    /// Nothing left on the way to it.
    void MonitorIsAway() {
        world.is_link_down = true;
        loop_->OnLinkProblem({core::ProblemCode::kMonitor, "connection refused", {}, {}});
    }
    void RunFor(Milliseconds time) {
        const BootTime end = world.now + time;
        while (loop_->NextWake() <= end) {
            world.now = std::max(world.now, loop_->NextWake());
            loop_->Poll();
        }
        world.now = end;
    }
    /// The monitor answers the last report.
    void Answer(NodeState goal, std::int64_t term = 0) {
        loop_->OnReply(ReplyOf(goal, term), world.sent.back().tag);
    }
    void EndServer(int status = 1) {
        world.is_running = false;
        world.runs_already = false;
        loop_->OnServerEnded(status);
    }
    void EndStep(StepOutcome outcome) {
        world.step.reset();
        loop_->OnStepDone(std::move(outcome));
    }

 private:
    std::optional<NodeLoop> loop_;
};

}  // namespace pgaf::supervisor
