#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "io/loop.hpp"
#include "io/postgres.hpp"

namespace pgaf::node {

enum class StopMode { kSmart, kFast, kImmediate };

/// The postmaster of one data directory, as a child or found running, watched through a pidfd: its
/// pid can neither be recycled nor mistaken, and its end is an event.
class Postmaster {
 public:
    /// `on_end` is called when it has ended and nothing of it is left.
    Postmaster(uv_loop_t *loop, io::PgInstall install, std::string pgdata,
               std::function<void(int status)> on_end);

    Result<void> Start();
    /// Takes over a postmaster that is running already; false when there is none.
    bool Attach();
    [[nodiscard]] bool IsRunning() const { return pid_ > 0; }
    [[nodiscard]] pid_t Pid() const { return pid_; }
    [[nodiscard]] core::BootTime StartedAt() const { return started_at_; }
    void Stop(StopMode mode) const;
    void Reload() const;
    /// SIGKILL to it and all its processes, stopped ones included.
    void Kill() const;

 private:
    void Watch(pid_t pid);
    void OnEnd();

    uv_loop_t *loop_;
    io::PgInstall install_;
    std::string pgdata_;
    std::function<void(int)> on_end_;
    pid_t pid_ = 0;
    core::BootTime started_at_;
    io::UniqueFd pidfd_;
    std::unique_ptr<io::Poll> poll_;
};

}  // namespace pgaf::node
