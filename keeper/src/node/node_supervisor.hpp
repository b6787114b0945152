#pragma once

#include "node/address_watch.hpp"
#include "node/monitor_link.hpp"
#include "node/node_files.hpp"
#include "node/node_steps.hpp"
#include "node/supervisor.hpp"
#include "supervisor/node_loop.hpp"

namespace pgaf::node {

/// The supervisor of a data node: the machine, and its ports over the operating system.
class NodeSupervisor final : public Supervisor {
 public:
    explicit NodeSupervisor(const SupervisorOptions &options);

 private:
    supervisor::ServerLoop &Machine() override { return machine_; }

    NodeFiles files_;
    FileBaton baton_;
    MonitorLink link_;
    NodeSteps steps_;
    supervisor::NodeLoop machine_;
    AddressWatch addresses_;
};

}  // namespace pgaf::node
