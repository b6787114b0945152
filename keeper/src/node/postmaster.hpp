#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "io/loop.hpp"
#include "io/postgres.hpp"
#include "supervisor/ports.hpp"

namespace pgaf::node {

/// The postmaster of one data directory, as a child or found running, watched through a pidfd: its
/// pid can neither be recycled nor mistaken, and its end is an event.
class Postmaster final : public supervisor::Server {
 public:
    /// `on_end` is called when it has ended and nothing of it is left.
    Postmaster(uv_loop_t *loop, io::PgInstall install, std::string pgdata,
               std::function<void(int status)> on_end);

    Result<void> Start(const std::vector<std::string> &options) override;
    bool Attach() override;
    [[nodiscard]] bool IsRunning() const override { return pid_ > 0; }
    void Stop(supervisor::StopMode mode) override;
    void Kill() override;
    void Reload() override;
    void Ask() override;
    [[nodiscard]] core::BootTime AnsweredAt() const override { return asking_->answered_at; }
    [[nodiscard]] core::BootTime StartedAt() const override { return started_at_; }
    [[nodiscard]] bool AcceptsConnections() const override;
    [[nodiscard]] bool IsOutOfRecovery() const override;
    [[nodiscard]] bool IsShuttingDown() const override;
    [[nodiscard]] int ProcessId() const override { return pid_; }
    [[nodiscard]] bool IsParentOf(int pid) const override;
    Result<void> KillLeftovers() override;
    void ReapOrphans() override { io::ReapOrphans(); }

 private:
    void Watch(pid_t pid);
    void OnEnd();

    uv_loop_t *loop_;
    io::PgInstall install_;
    std::string pgdata_;
    std::function<void(int)> on_end_;
    pid_t pid_ = 0;
    core::BootTime started_at_;
    /// Of the thread that asks, which may end after this.
    struct Asking {
        bool is_running = false;
        core::BootTime answered_at;
    };
    std::shared_ptr<Asking> asking_ = std::make_shared<Asking>();
    io::UniqueFd pidfd_;
    std::unique_ptr<io::Poll> poll_;
};

}  // namespace pgaf::node
