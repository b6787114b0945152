#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "io/loop.hpp"
#include "node/config.hpp"
#include "node/http_service.hpp"
#include "node/postmaster.hpp"
#include "node/service_notice.hpp"
#include "node/small_ports.hpp"
#include "supervisor/server_loop.hpp"

namespace pgaf::node {

/// An event loop that outlives the handles in it.
class Loop {
 public:
    Loop();
    Loop(const Loop &) = delete;
    Loop &operator=(const Loop &) = delete;
    ~Loop();
    [[nodiscard]] uv_loop_t *Get() { return &loop_; }

 private:
    uv_loop_t loop_{};
};

struct SupervisorOptions {
    Config config;
    Paths paths;
    io::PgInstall install;
    /// `create` without --run: reach the first state, then end with PostgreSQL stopped.
    bool is_init_only = false;
};

/// `pg_autoctl run`: an event loop around a machine, which decides everything. Signals, the end of
/// the postmaster and one timer go in, what it asks for goes to the operating system.
class Supervisor : private supervisor::Process {
 public:
    explicit Supervisor(const SupervisorOptions &options);
    Supervisor(const Supervisor &) = delete;
    Supervisor &operator=(const Supervisor &) = delete;
    ~Supervisor() override = default;
    /// Until a signal or the end of the work; returns the exit status.
    int Run();

 protected:
    virtual supervisor::ServerLoop &Machine() = 0;
    /// Tells the machine something; it may want to be woken at another time afterwards.
    void Feed(const std::function<void()> &event);
    [[nodiscard]] uv_loop_t *LoopHandle() { return loop_.Get(); }
    [[nodiscard]] supervisor::ServerPorts Ports() { return {clock_, postmaster_, *this, log_}; }

 private:
    void Exit(int status) override;
    void ReloadHttp();

    Loop loop_;
    BootClock clock_;
    LogPort log_;
    Postmaster postmaster_;
    io::Timer wake_;
    std::vector<std::unique_ptr<io::Signal>> signals_;
    ServiceNotice notice_;
    Paths paths_;
    std::unique_ptr<HttpService> http_;  ///< none while a node is being made
    int exit_status_ = 0;
};

}  // namespace pgaf::node
