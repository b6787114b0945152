#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "io/loop.hpp"

namespace pgaf::node {

/// What the monitor's name stands for may change while PostgreSQL runs: the monitor has moved, and
/// its name with it. The worker in the server cannot look names up, which may block; so this is
/// done for it, every few seconds, in a thread. An address that the name still has is kept.
class AddressWatch {
 public:
    struct Events {
        /// The connection string of the monitor, and the address that the worker uses now.
        std::function<std::string()> monitor;
        std::function<std::string()> used;
        std::function<void(const std::string &hostaddr)> on_changed;
    };
    AddressWatch(uv_loop_t *loop, Events events);

 private:
    void Look();
    void Take(const std::vector<std::string> &addresses);

    uv_loop_t *loop_;
    Events events_;
    bool is_looking_ = false;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
    io::Timer timer_;
};

}  // namespace pgaf::node
