#pragma once

#include "pg/headers.hpp"

#include <optional>
#include <string>

#include "pgaf/core/group_view.hpp"

namespace pgaf::health {

/// One non-blocking question to a port: does a PostgreSQL answer there? It sends a startup message
/// and looks at the first answer; it never authenticates. No call waits or raises.
class Probe {
 public:
    /// Starts connecting to a numeric address. Finished at once when that already fails.
    Probe(core::NodeId node, const std::string &address, int port, core::BootTime deadline);
    ~Probe();
    Probe(Probe &&other) noexcept;
    Probe &operator=(Probe &&other) noexcept;
    Probe(const Probe &) = delete;
    Probe &operator=(const Probe &) = delete;

    core::NodeId node() const { return node_; }
    int socket() const { return socket_; }
    core::BootTime deadline() const { return deadline_; }
    /// Events to wait for: WL_SOCKET_CONNECTED, WL_SOCKET_READABLE.
    int events() const;
    /// Something happened on the socket.
    void Advance();
    void CheckDeadline(core::BootTime now);
    bool IsFinished() const { return result_.has_value(); }
    /// What the server says with kBroken.
    std::string said() const;
    core::ProbeFact result() const { return result_.value_or(core::ProbeFact::kUnknown); }

 private:
    enum class Phase { kConnecting, kReading };
    void Finish(core::ProbeFact result);
    void FinishWithError(int error);
    void SendStartup();
    void Read();

    core::NodeId node_;
    core::BootTime deadline_;
    int socket_ = -1;
    Phase phase_ = Phase::kConnecting;
    std::string answer_;
    std::optional<core::ProbeFact> result_;
};

/// What the first bytes of an answer mean; nothing while they do not tell yet.
std::optional<core::ProbeFact> Classify(std::string_view answer);

}  // namespace pgaf::health
