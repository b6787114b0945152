#pragma once

#include <libpq-fe.h>

#include <memory>
#include <optional>
#include <string>

#include "pgaf/core/types.hpp"

namespace pgaf::keeper {

/// The keeper's session with the monitor: asynchronous libpq, one statement under way at a time, a
/// limit on every wait, reconnects with a bounded back-off. Never blocks; names must have been
/// resolved already.
class MonitorLink {
 public:
    struct Answer {
        std::string text;
        core::BootTime sent_at;  ///< clock just before the report left
    };

    void SetConninfo(const std::string &conninfo);
    /// Moves things along; call in every loop.
    void Poll(core::BootTime now);
    [[nodiscard]] bool IsReady() const { return state_ == State::kIdle; }
    /// Only when IsReady. The time is taken inside, before anything is sent.
    void SendReport(const std::string &report, core::BootTime now);
    /// LISTENs on the channel unless that is done; true when it sent something.
    bool Listen(const std::string &channel, core::BootTime now);

    std::optional<Answer> TakeAnswer();
    /// A notification came, or LISTEN has just begun: report now.
    bool TakeWakeUp();
    /// What went wrong last; empty once a report has been answered.
    [[nodiscard]] const std::string &problem() const { return problem_; }

    /// For the wait: descriptor (-1: none), whether to wait for writing too, and when to look
    /// again.
    [[nodiscard]] int Socket() const;
    [[nodiscard]] bool WantsWrite() const;
    [[nodiscard]] core::BootTime NextDeadline() const;

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
