#include "node/postmaster.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/wait.h>

#include "io/env.hpp"
#include "io/log.hpp"

namespace pgaf::node {

Postmaster::Postmaster(uv_loop_t *loop, io::PgInstall install, std::string pgdata,
                       std::function<void(int)> on_end)
    : loop_(loop),
      install_(std::move(install)),
      pgdata_(std::move(pgdata)),
      on_end_(std::move(on_end)) {}

Result<void> Postmaster::Start(const std::vector<std::string> &options) {
    if (const auto other = io::FindPostmaster(pgdata_)) {
        return Fail(ProblemCode::kBadState,
                    fmt::format("PostgreSQL is running already in \"{}\", process {}", pgdata_,
                                other->pid));
    }
    // What an earlier server left behind would make this one refuse to start.
    if (auto killed = KillLeftovers(); !killed) return killed;
    std::vector<std::string> argv{install_.Tool("postgres"), "-D", pgdata_};
    argv.insert(argv.end(), options.begin(), options.end());
    auto pid = io::Spawn(argv);
    if (!pid) return Pass(pid, "could not start PostgreSQL");
    started_at_ = io::BootNow();
    Watch(*pid);
    spdlog::info("Started PostgreSQL {} in \"{}\", process {}", install_.version, pgdata_, *pid);
    return {};
}

bool Postmaster::Attach() {
    const auto file = io::FindPostmaster(pgdata_);
    if (!file) return false;
    started_at_ = io::BootNow();
    Watch(file->pid);
    if (pid_ > 0)
        spdlog::info("PostgreSQL is running already in \"{}\", process {}", pgdata_, pid_);
    return pid_ > 0;
}

void Postmaster::Watch(pid_t pid) {
    poll_.reset();
    pidfd_ = io::OpenPidFd(pid);
    if (!pidfd_.IsOpen()) return;
    pid_ = pid;
    poll_ =
        std::make_unique<io::Poll>(loop_, pidfd_.Get(), UV_READABLE, [this](int, int) { OnEnd(); });
}

void Postmaster::OnEnd() {
    int status = 0;
    const bool is_child = ::waitpid(pid_, &status, WNOHANG) == pid_;
    const int code = !is_child           ? -1
                     : WIFEXITED(status) ? WEXITSTATUS(status)
                                         : 128 + WTERMSIG(status);
    poll_.reset();
    pidfd_.Close();
    pid_ = 0;
    if (auto killed = KillLeftovers(); !killed) {
        io::LogProblem(spdlog::level::err, killed.error());
    }
    on_end_(code);
}

Result<void> Postmaster::KillLeftovers() { return io::KillPostgres(pgdata_, Milliseconds{5000}); }

bool Postmaster::AcceptsConnections() const {
    const auto file = io::ReadPostmasterFile(pgdata_);
    return file && (file->status == "ready" || file->status == "standby");
}

bool Postmaster::IsOutOfRecovery() const {
    const auto file = io::ReadPostmasterFile(pgdata_);
    // A hot standby is "ready" as well; by then its control file is no longer that of a primary.
    return file && file->pid == pid_ && file->status == "ready" && io::IsInProduction(pgdata_);
}

bool Postmaster::IsShuttingDown() const {
    const auto file = io::ReadPostmasterFile(pgdata_);
    return file && file->pid == pid_ && file->status == "stopping";
}

bool Postmaster::IsParentOf(int pid) const {
    return pid_ > 0 && io::InspectProcess(pid).parent == pid_;
}

void Postmaster::Stop(supervisor::StopMode mode) {
    using supervisor::StopMode;
    if (pid_ <= 0) return;
    const int number = mode == StopMode::kSmart  ? SIGTERM
                       : mode == StopMode::kFast ? SIGINT
                                                 : SIGQUIT;
    (void)::kill(pid_, number);
}

void Postmaster::Reload() {
    if (pid_ > 0) (void)::kill(pid_, SIGHUP);
}

void Postmaster::Ask() {
    if (asking_->is_running || pid_ <= 0) return;
    asking_->is_running = true;
    const auto has_answered = std::make_shared<bool>(false);
    io::RunInThread(
        loop_,
        [has_answered, pgdata = pgdata_] {
            const auto file = io::ReadPostmasterFile(pgdata);
            *has_answered = file && io::AnswersClients(*file, Milliseconds{1500});
        },
        [has_answered, asking = asking_] {
            asking->is_running = false;
            if (*has_answered) asking->answered_at = io::BootNow();
        });
}

void Postmaster::Kill() {
    if (pid_ > 0) (void)::kill(pid_, SIGKILL);
    (void)KillLeftovers();
}

}  // namespace pgaf::node
