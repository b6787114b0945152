#include "node/pid_file.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>

#include "io/process.hpp"

namespace pgaf::node {
namespace {

std::string LockPath(const Paths &paths) { return paths.pid + ".lock"; }

}  // namespace

Result<PidFile> PidFile::Take(const Paths &paths) {
    if (auto made = io::MakeDirectories(paths.run_directory, 0700); !made) return Pass(made);
    if (!io::IsOwnDirectory(paths.run_directory)) {
        return Fail(ProblemCode::kIo,
                    fmt::format("directory \"{}\" is not ours alone", paths.run_directory),
                    "Another user could put a false pid file there.",
                    "It must belong to the user who runs pg_autoctl, and nobody else may write "
                    "there: chmod go-w.");
    }
    auto lock = io::FileLock::Try(LockPath(paths));
    if (!lock) return Pass(lock);
    if (!lock->has_value()) {
        const auto pid = RunningSupervisor(paths);
        return Fail(ProblemCode::kBadState,
                    fmt::format("pg_autoctl is already running for \"{}\"", paths.pgdata),
                    pid ? fmt::format("Its process id is {}.", *pid) : "");
    }
    const std::string text = fmt::format("{}\n{}\n3.0\n3.0\n", getpid(), paths.pgdata);
    if (auto written = io::WriteFile(paths.pid, text, 0600); !written) return Pass(written);
    return PidFile(std::move(**lock), paths.pid);
}

PidFile::~PidFile() {
    if (!path_.empty() && lock_ && lock_->Fd() >= 0) (void)io::RemoveFile(path_);
}

std::optional<pid_t> RunningSupervisor(const Paths &paths) {
    auto text = io::ReadFile(paths.pid);
    if (!text) return std::nullopt;
    pid_t pid = 0;
    (void)std::from_chars(text->data(), text->data() + text->size(), pid);
    // The number alone proves nothing: the file may be old, or forged. Whether the lock is free is
    // not tried: a supervisor that starts at that moment would find it taken.
    return io::HoldsLock(pid, LockPath(paths)) ? std::optional(pid) : std::nullopt;
}

Result<io::UniqueFd> SignalSupervisor(const Paths &paths, int number) {
    const auto pid = RunningSupervisor(paths);
    io::UniqueFd pidfd;
    if (pid) pidfd = io::OpenPidFd(*pid);
    // Again, now that the descriptor stands for one process for ever.
    if (!pidfd.IsOpen() || !io::HoldsLock(*pid, LockPath(paths))) {
        return Fail(ProblemCode::kBadState,
                    fmt::format("pg_autoctl is not running for \"{}\"", paths.pgdata));
    }
    if (!io::SendSignal(pidfd, number))
        return tl::unexpected(io::IoProblem("signal process", std::to_string(*pid)));
    return pidfd;
}

}  // namespace pgaf::node
