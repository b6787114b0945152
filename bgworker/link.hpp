#pragma once

#include <libpq-fe.h>

#include <memory>
#include <optional>
#include <string>

#include "worker/ports.hpp"

namespace pgaf::keeper {

/// The keeper's session with the monitor over asynchronous libpq. Names must have been resolved
/// already.
class MonitorLink final : public worker::Link {
 public:
    void SetConninfo(const std::string &conninfo) override;
    void Poll(core::BootTime now) override;
    [[nodiscard]] bool IsReady() const override { return state_ == State::kIdle; }
    void SendReport(const core::Report &report, core::BootTime now) override;
    bool Listen(const std::string &channel, core::BootTime now) override;
    std::optional<Answer> TakeAnswer() override;
    bool TakeWakeUp() override;
    [[nodiscard]] const std::string &Problem() const override { return problem_; }
    [[nodiscard]] core::BootTime NextDeadline() const override;

    /// For the wait: descriptor (-1: none), and whether to wait for writing too.
    [[nodiscard]] int Socket() const;
    [[nodiscard]] bool WantsWrite() const;

 private:
    enum class State { kClosed, kConnecting, kIdle, kReporting, kListening };
    struct Finish {
        void operator()(PGconn *conn) const { PQfinish(conn); }
    };

    void Connect(core::BootTime now);
    [[nodiscard]] bool IsSocketReady() const;
    void PollConnecting();
    void PollSession();
    void TakeResults();
    void Drop(std::string why, core::BootTime now);

    std::string conninfo_;
    std::unique_ptr<PGconn, Finish> conn_;
    State state_ = State::kClosed;
    PostgresPollingStatusType polling_ = PGRES_POLLING_WRITING;
    bool flush_pending_ = false;
    core::BootTime limit_;  ///< of the wait under way
    core::BootTime retry_at_;
    core::BootTime now_;
    core::Milliseconds backoff_{0};
    core::BootTime sent_at_;
    std::string listening_;  ///< channel that this session listens on
    std::string listen_wanted_;
    std::optional<Answer> received_;  ///< not committed by the monitor yet
    std::optional<Answer> answer_;
    bool wake_up_ = false;
    std::string problem_;
};

}  // namespace pgaf::keeper
