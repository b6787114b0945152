#pragma once

#include <string>

#include "io/service_manager.hpp"
#include "supervisor/server_loop.hpp"

namespace pgaf::node {

/// What the service manager hears: readiness once, the state when it has changed, the stop, and
/// that the machine turns. It is told in the machine's own turns, and by nothing beside them.
class ServiceNotice {
 public:
    explicit ServiceNotice(io::ServiceManager manager) : manager_(std::move(manager)) {}
    /// After a turn of the machine.
    void OnTurn(core::BootTime now, supervisor::ServerLoop &machine);
    /// The program ends.
    void OnEnd();

 private:
    void TellStatus(const supervisor::Condition &condition);

    io::ServiceManager manager_;
    std::string said_;
    bool is_ready_said_ = false;
    bool is_stop_said_ = false;
    core::BootTime next_look_;
    core::BootTime next_sign_;
};

}  // namespace pgaf::node
