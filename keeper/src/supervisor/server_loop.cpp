#include "supervisor/server_loop.hpp"

#include <algorithm>

namespace pgaf::supervisor {
namespace {

using core::Milliseconds;

constexpr Milliseconds kTick{250};
constexpr Milliseconds kLongestPause{10'000};
constexpr Milliseconds kQuietPeriod{60'000};
/// A server that we would stop again as soon as it runs has ended before.
constexpr Milliseconds kSoundAfter{3'000};
constexpr Milliseconds kSmartLimit{5'000};
constexpr Milliseconds kFastLimit{60'000};
constexpr Milliseconds kImmediateLimit{10'000};

}  // namespace

ServerLoop::ServerLoop(ServerPorts ports)
    : server_(ports.server),
      log_(ports.log),
      clock_(ports.clock),
      process_(ports.process),
      alarms_(ports.clock),
      tick_(alarms_, [this] { Tick(); }),
      start_(alarms_, [this] { StartNow(); }),
      escalate_(alarms_, [this] { Escalate(); }) {}

void ServerLoop::Begin() {
    tick_.Once(kTick);
    OnBegin();
}

Milliseconds ServerLoop::PauseBeforeStart() {
    if (Now() - last_start_ > kQuietPeriod) recent_starts_ = 0;
    const int already = recent_starts_;
    if (already <= 1) return Milliseconds{0};
    return std::min(kLongestPause, Milliseconds{250} * (1 << std::min(already - 2, 6)));
}

void ServerLoop::StartServer() {
    if (IsStopping() || server_.IsRunning() || start_.IsActive()) return;
    const Milliseconds pause = PauseBeforeStart();
    if (pause.count() == 0) return StartNow();
    log_.Warn("Starting PostgreSQL again in " + std::to_string(pause.count()) +
              " ms: it was started " + std::to_string(recent_starts_) + " times within a minute");
    start_.Once(pause);
}

void ServerLoop::StartNow() {
    if (IsStopping() || server_.IsRunning()) return;
    was_ready_ = false;
    came_up_at_ = {};
    if (server_.Attach()) return OnFound();
    last_start_ = Now();
    ++recent_starts_;
    auto options = BeforeStart();
    const auto started =
        options ? server_.Start(*options) : core::Result<void>(core::Pass(options));
    if (started) return;
    log_.Error(started.error());
    ++failed_starts_;
    OnStartFailed(started.error());
}

void ServerLoop::OnServerEnded(int status) {
    server_.ReapOrphans();
    if (!was_ready_) ++failed_starts_;
    // Somebody has stopped by hand what ran well: there is nothing that a pause would spare.
    const bool was_sound = came_up_at_.ns != 0 && Now() - came_up_at_ >= kSoundAfter;
    if (status == 0 && was_sound) recent_starts_ = 0;
    came_up_at_ = {};
    if (IsStopping()) {
        log_.Info("PostgreSQL has stopped");
        return OnStopped();
    }
    log_.Warn("PostgreSQL has ended" +
              (status < 0 ? "" : " with status " + std::to_string(status)));
    OnDown();
}

void ServerLoop::Tick() {
    tick_.Once(kTick);
    if (server_.IsRunning() && !was_ready_) {
        was_ready_ = server_.AcceptsConnections();
        if (was_ready_) {
            failed_starts_ = 0;
            came_up_at_ = Now();
            OnReady();
        }
    }
    OnTick();
}

Condition ServerLoop::Describe() {
    const bool is_running = server_.IsRunning();
    const bool is_serving = is_running && !IsStopping() && server_.AcceptsConnections();
    std::string text = IsStopping() ? "stopping"
                       : is_serving ? "PostgreSQL is serving"
                       : is_running ? "PostgreSQL is starting"
                                    : "PostgreSQL is down";
    return {std::move(text), is_serving};
}

void ServerLoop::OnStopSignal(StopMode mode) {
    const bool is_first = !stop_mode_.has_value();
    if (!is_first && mode <= *stop_mode_) return;
    stop_mode_ = mode;
    log_.Info("Stopping");
    start_.Stop();
    OnStopRequest();
    if (!server_.IsRunning()) {
        if (is_first) OnStopped();
        return;
    }
    server_.Stop(mode);
    escalate_.Once(mode == StopMode::kSmart  ? kSmartLimit
                   : mode == StopMode::kFast ? kFastLimit
                                             : kImmediateLimit);
}

void ServerLoop::Escalate() {
    if (!server_.IsRunning()) return;
    if (*stop_mode_ == StopMode::kImmediate) {
        log_.Warn("PostgreSQL does not stop, killing it");
        return server_.Kill();
    }
    const bool was_smart = *stop_mode_ == StopMode::kSmart;
    stop_mode_ = was_smart ? StopMode::kFast : StopMode::kImmediate;
    log_.Info(was_smart ? "Sessions are still open, stopping PostgreSQL in mode fast"
                        : "PostgreSQL is still running, stopping it in mode immediate");
    server_.Stop(*stop_mode_);
    escalate_.Once(was_smart ? kFastLimit : kImmediateLimit);
}

}  // namespace pgaf::supervisor
