#pragma once

#include "node/supervisor.hpp"

namespace pgaf::node {

/// The machine of a monitor: its PostgreSQL runs, always.
class MonitorLoop final : public supervisor::ServerLoop {
 public:
    MonitorLoop(supervisor::ServerPorts ports, uv_loop_t *loop, SupervisorOptions options);
    void OnReload() override;

 protected:
    void OnBegin() override;
    void OnReady() override;
    void OnDown() override { StartServer(); }
    void OnFound() override {}
    void OnStartFailed(const core::Problem &) override { StartServer(); }
    Result<std::vector<std::string>> BeforeStart() override;

 private:
    uv_loop_t *loop_;
    SupervisorOptions options_;
};

/// The supervisor of a monitor.
class MonitorSupervisor final : public Supervisor {
 public:
    explicit MonitorSupervisor(const SupervisorOptions &options)
        : Supervisor(options), machine_(Ports(), LoopHandle(), options) {}

 private:
    supervisor::ServerLoop &Machine() override { return machine_; }

    MonitorLoop machine_;
};

}  // namespace pgaf::node
