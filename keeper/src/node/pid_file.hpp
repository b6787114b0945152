#pragma once

#include <sys/types.h>

#include <optional>

#include "io/common.hpp"
#include "io/files.hpp"
#include "node/paths.hpp"

namespace pgaf::node {

/// The pid file of `pg_autoctl run`; locked while its owner lives, so that a recycled pid cannot
/// fool anybody.
class PidFile {
 public:
    /// kBadState when another pg_autoctl runs for this PGDATA.
    static Result<PidFile> Take(const Paths &paths);
    PidFile(PidFile &&other) noexcept = default;
    PidFile &operator=(PidFile &&) = delete;
    PidFile(const PidFile &) = delete;
    PidFile &operator=(const PidFile &) = delete;
    ~PidFile();

 private:
    explicit PidFile(io::FileLock lock, std::string path)
        : lock_(std::move(lock)), path_(std::move(path)) {}
    std::optional<io::FileLock> lock_;
    std::string path_;
};

/// Pid of the pg_autoctl that runs for this PGDATA.
std::optional<pid_t> RunningSupervisor(const Paths &paths);
/// Signals the supervisor, and no other process that may have got its number; the descriptor tells
/// when it has ended. kBadState when there is none.
Result<io::UniqueFd> SignalSupervisor(const Paths &paths, int number);

}  // namespace pgaf::node
