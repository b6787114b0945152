#include "node/supervisor.hpp"

#include <sys/prctl.h>

#include <csignal>
#include <stdexcept>

namespace pgaf::node {

using supervisor::StopMode;

Loop::Loop() {
    if (uv_loop_init(&loop_) != 0) throw std::runtime_error("could not create an event loop");
}

Loop::~Loop() {
    (void)uv_run(&loop_, UV_RUN_DEFAULT);  // lets closing handles and running requests end
    (void)uv_loop_close(&loop_);
}

Supervisor::Supervisor(const SupervisorOptions &options)
    : postmaster_(loop_.Get(), options.install, options.paths.pgdata,
                  [this](int status) { Feed([&] { Machine().OnServerEnded(status); }); }),
      wake_(loop_.Get(), [this] { Feed([this] { Machine().Poll(); }); }),
      notice_(options.is_init_only ? io::ServiceManager() : io::ServiceManager::Take()),
      paths_(options.paths),
      http_(options.is_init_only ? nullptr
                                 : std::make_unique<HttpService>(options.config, options.paths)) {}

int Supervisor::Run() {
    // Orphans of a dead postmaster come to us, so that we can kill and reap them.
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    const auto on = [this](int number, const std::function<void()> &what) {
        signals_.push_back(
            std::make_unique<io::Signal>(loop_.Get(), number, [this, what] { Feed(what); }));
    };
    on(SIGTERM, [this] { Machine().OnStopSignal(StopMode::kSmart); });
    on(SIGINT, [this] { Machine().OnStopSignal(StopMode::kFast); });
    on(SIGQUIT, [this] { Machine().OnStopSignal(StopMode::kImmediate); });
    on(SIGHUP, [this] {
        Machine().OnReload();
        ReloadHttp();
    });
    Feed([this] { Machine().Begin(); });
    (void)uv_run(loop_.Get(), UV_RUN_DEFAULT);
    notice_.OnEnd();
    return exit_status_;
}

void Supervisor::ReloadHttp() {
    if (!http_) return;
    // A configuration that cannot be read changes nothing; the machine has said why.
    if (auto config = LoadConfig(paths_)) http_->Apply(*config);
}

void Supervisor::Exit(int status) {
    exit_status_ = status;
    uv_stop(loop_.Get());
}

// libuv counts whole milliseconds, and may be up to one early: then nothing would be due yet.
void Supervisor::Feed(const std::function<void()> &event) {
    event();
    notice_.OnTurn(clock_.Now(), Machine());
    if (http_) http_->OnTurn(clock_.Now(), Machine().IsStopping());
    const core::BootTime next = Machine().NextWake();
    const core::BootTime now = clock_.Now();
    wake_.Once(next > now ? next - now + Milliseconds{1} : Milliseconds{0});
}

}  // namespace pgaf::node
