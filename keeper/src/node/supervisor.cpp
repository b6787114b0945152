#include "node/supervisor.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>

#include <algorithm>
#include <csignal>
#include <stdexcept>

#include "io/env.hpp"
#include "io/log.hpp"
#include "io/pg_client.hpp"
#include "io/postgres.hpp"
#include "node/pg_setup.hpp"

namespace pgaf::node {
namespace {

constexpr Milliseconds kTick{250};
constexpr Milliseconds kLongestPause{10'000};
constexpr Milliseconds kQuietPeriod{60'000};
constexpr Milliseconds kSmartLimit{5'000};
constexpr Milliseconds kFastLimit{60'000};
constexpr Milliseconds kImmediateLimit{10'000};

}  // namespace

Loop::Loop() {
    if (uv_loop_init(&loop_) != 0) throw std::runtime_error("could not create an event loop");
}

Loop::~Loop() {
    (void)uv_run(&loop_, UV_RUN_DEFAULT);  // lets closing handles and running requests end
    (void)uv_loop_close(&loop_);
}

Supervisor::Supervisor(SupervisorOptions options)
    : options_(std::move(options)),
      postmaster_(loop_.Get(), options_.install, options_.paths.pgdata,
                  [this](int status) { OnEnd(status); }),
      tick_(loop_.Get(), [this] { Tick(); }),
      start_timer_(loop_.Get(), [this] { StartNow(); }),
      escalate_timer_(loop_.Get(), [this] { Escalate(); }) {}

int Supervisor::Run() {
    // Orphans of a dead postmaster come to us, so that we can kill and reap them.
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    const auto on = [this](int number, std::function<void()> what) {
        signals_.push_back(std::make_unique<io::Signal>(loop_.Get(), number, std::move(what)));
    };
    on(SIGTERM, [this] { OnSignal(StopMode::kSmart); });
    on(SIGINT, [this] { OnSignal(StopMode::kFast); });
    on(SIGQUIT, [this] { OnSignal(StopMode::kImmediate); });
    on(SIGHUP, [this] { OnReload(); });
    tick_.Every(kTick);
    OnBegin();
    (void)uv_run(loop_.Get(), UV_RUN_DEFAULT);
    return exit_status_;
}

void Supervisor::Exit(int status) {
    exit_status_ = status;
    uv_stop(loop_.Get());
}

Milliseconds Supervisor::PauseBeforeStart() {
    const core::BootTime now = io::BootNow();
    if (now - last_start_ > kQuietPeriod) recent_starts_ = 0;
    const int already = recent_starts_;
    if (already <= 1) return Milliseconds{0};
    return std::min(kLongestPause, Milliseconds{250} * (1 << std::min(already - 2, 6)));
}

void Supervisor::StartServer() {
    if (IsStopping() || postmaster_.IsRunning() || start_timer_.IsActive()) return;
    const Milliseconds pause = PauseBeforeStart();
    if (pause.count() == 0) return StartNow();
    spdlog::warn("Starting PostgreSQL again in {} ms: it was started {} times within a minute",
                 pause.count(), recent_starts_);
    start_timer_.Once(pause);
}

void Supervisor::StartNow() {
    if (IsStopping() || postmaster_.IsRunning()) return;
    last_start_ = io::BootNow();
    ++recent_starts_;
    was_ready_ = false;
    auto started = BeforeStart();
    if (started) started = postmaster_.Start();
    if (started) return;
    io::LogProblem(spdlog::level::err, started.error());
    ++failed_starts_;
    OnStartFailed();
}

void Supervisor::OnEnd(int status) {
    io::ReapOrphans();
    if (!was_ready_) ++failed_starts_;
    if (IsStopping()) {
        spdlog::info("PostgreSQL has stopped");
        return OnStopped();
    }
    if (status < 0) {
        spdlog::warn("PostgreSQL has ended");
    } else {
        spdlog::warn("PostgreSQL has ended with status {}", status);
    }
    OnDown();
}

void Supervisor::Tick() {
    if (postmaster_.IsRunning() && !was_ready_) {
        const auto file = io::ReadPostmasterFile(options_.paths.pgdata);
        was_ready_ = file && (file->status == "ready" || file->status == "standby");
        if (was_ready_) {
            failed_starts_ = 0;
            OnReady();
        }
    }
    OnTick();
}

void Supervisor::OnSignal(StopMode mode) {
    const bool is_first = !stop_mode_.has_value();
    if (!is_first && mode <= *stop_mode_) return;
    stop_mode_ = mode;
    spdlog::info("Stopping");
    start_timer_.Stop();
    OnStopRequest();
    if (!postmaster_.IsRunning()) {
        if (is_first) OnStopped();
        return;
    }
    postmaster_.Stop(mode);
    escalate_timer_.Once(mode == StopMode::kSmart  ? kSmartLimit
                         : mode == StopMode::kFast ? kFastLimit
                                                   : kImmediateLimit);
}

void Supervisor::Escalate() {
    if (!postmaster_.IsRunning()) return;
    if (*stop_mode_ == StopMode::kImmediate) {
        spdlog::warn("PostgreSQL does not stop, killing it");
        return postmaster_.Kill();
    }
    const bool was_smart = *stop_mode_ == StopMode::kSmart;
    stop_mode_ = was_smart ? StopMode::kFast : StopMode::kImmediate;
    spdlog::info(was_smart ? "Sessions are still open, stopping PostgreSQL in mode fast"
                           : "PostgreSQL is still running, stopping it in mode immediate");
    postmaster_.Stop(*stop_mode_);
    escalate_timer_.Once(was_smart ? kFastLimit : kImmediateLimit);
}

void MonitorSupervisor::OnBegin() {
    if (!postmaster_.Attach()) StartServer();
}

namespace {

/// A newer module may want more of its tables than an older one has made.
Result<std::string> UpdateExtension(const std::string &pgdata) {
    const auto postmaster = io::FindPostmaster(pgdata);
    if (!postmaster) return Fail(ProblemCode::kPostgres, "PostgreSQL is not running");
    const std::string &directory = postmaster->socket_directory;
    auto client = io::PgClient::Connect(
        io::BuildConninfo({{"port", std::to_string(postmaster->port)},
                           {"host", directory.empty() ? "localhost" : directory},
                           {"dbname", std::string(core::kMonitorDatabase)},
                           {"connect_timeout", "5"}}));
    if (!client) return Pass(client);
    auto before = client->Query(
        "SELECT e.extversion, a.default_version FROM pg_catalog.pg_extension e "
        "JOIN pg_catalog.pg_available_extensions a ON a.name = e.extname "
        "WHERE e.extname = 'pgautofailover' AND e.extversion <> a.default_version");
    if (!before) return Pass(before);
    if (before->IsEmpty()) return std::string();
    auto updated = client->Query("ALTER EXTENSION pgautofailover UPDATE");
    if (!updated) return Pass(updated, "could not update the extension");
    return fmt::format("Updated the extension from version {} to {}", before->At(0, 0),
                       before->At(0, 1));
}

}  // namespace

void MonitorSupervisor::OnReady() {
    auto said = std::make_shared<Result<std::string>>();
    io::RunInThread(
        LoopHandle(), [said, pgdata = options_.paths.pgdata] { *said = UpdateExtension(pgdata); },
        [said] {
            if (!*said) {
                io::LogProblem(spdlog::level::warn, said->error());
            } else if (!(*said)->empty()) {
                spdlog::info("{}", **said);
            }
        });
}

Result<void> MonitorSupervisor::BeforeStart() {
    return WriteServerFiles(options_.install, options_.config, options_.paths,
                            options_.paths.pgdata);
}

void MonitorSupervisor::OnReload() {
    auto config = LoadConfig(options_.paths);
    if (!config) return io::LogProblem(spdlog::level::err, config.error());
    options_.config = std::move(*config);
    if (auto done = BeforeStart(); !done) io::LogProblem(spdlog::level::err, done.error());
    postmaster_.Reload();
    spdlog::info("Reloaded the configuration");
}

}  // namespace pgaf::node
