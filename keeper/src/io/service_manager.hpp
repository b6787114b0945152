#pragma once

#include <string>
#include <string_view>

#include "io/common.hpp"
#include "io/files.hpp"

namespace pgaf::io {

/// The one who has started us and wants to hear from us, as sd_notify(3) describes it: datagrams of
/// lines "KEY=value" to the socket in NOTIFY_SOCKET.
class ServiceManager {
 public:
    /// Nobody.
    ServiceManager() = default;
    /// Of the environment, from which its variables are taken: PostgreSQL would speak to it as
    /// well.
    static ServiceManager Take();
    [[nodiscard]] bool IsThere() const { return socket_.IsOpen(); }
    /// So often it wants a sign of life at the latest; 0: it does not.
    [[nodiscard]] Milliseconds WatchdogLimit() const { return watchdog_; }
    /// Never waits; false when it was not taken.
    [[nodiscard]] bool Tell(std::string_view lines) const;

 private:
    UniqueFd socket_;
    std::string address_;  ///< a leading '@' is that of an abstract one
    Milliseconds watchdog_{0};
};

}  // namespace pgaf::io
