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
    if (!io::Exists(LockPath(paths))) return std::nullopt;
    auto lock = io::FileLock::Try(LockPath(paths));
    if (!lock || lock->has_value()) return std::nullopt;  // nobody holds it: a left-over
    auto text = io::ReadFile(paths.pid);
    if (!text) return std::nullopt;
    pid_t pid = 0;
    (void)std::from_chars(text->data(), text->data() + text->size(), pid);
    return io::IsAlive(pid) ? std::optional(pid) : std::nullopt;
}

}  // namespace pgaf::node
