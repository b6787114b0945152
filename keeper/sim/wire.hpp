#pragma once

#include <optional>
#include <string>

#include "pgaf/core/protocol.hpp"
#include "pgaf/core/types.hpp"

/// A keeper's connection with the monitor, as libpq would behave.
namespace pgaf::sim {

class Machine;
struct Packet;

class Wire {
 public:
    explicit Wire(Machine &machine) : machine_(machine) {}
    enum class State { kClosed, kConnecting, kIdle, kBusy };

    [[nodiscard]] State state() const { return state_; }
    [[nodiscard]] const std::string &problem() const { return problem_; }
    /// Times are those of the machine's clock.
    void Poll(core::BootTime now, bool wants_session);
    void SendReport(const core::Report &report, core::BootTime now);
    /// True when the packet was for this session.
    bool Takes(const Packet &packet);
    void Drop(const std::string &why, core::BootTime now);
    /// The process has ended: its host says good-bye for it.
    void End();
    [[nodiscard]] core::BootTime NextDeadline() const;

    struct Answer {
        core::Reply reply;
        core::BootTime sent_at;
    };
    std::optional<Answer> answer;
    bool is_woken = false;

 private:
    void SendEnd();
    Machine &machine_;
    State state_ = State::kClosed;
    std::int64_t session_ = 0;
    core::BootTime limit_;
    core::BootTime retry_at_;
    core::BootTime sent_at_;
    core::Milliseconds backoff_{0};
    std::string problem_;
};

}  // namespace pgaf::sim
