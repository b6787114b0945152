#include "link.hpp"

#include <poll.h>

#include <algorithm>
#include <array>
#include <utility>

#include "pg/clock.hpp"
#include "tls/pin.hpp"

namespace pgaf::keeper {
namespace {

constexpr core::Milliseconds kConnectLimit{2000};
constexpr core::Milliseconds kReplyLimit{2000};
constexpr core::Milliseconds kBackoffMin{20};
constexpr core::Milliseconds kBackoffMax{500};

/// libpq ends its messages with line feeds.
std::string OneLine(const char *text) {
    std::string line = text == nullptr ? "" : text;
    std::replace(line.begin(), line.end(), '\n', ' ');
    while (!line.empty() && line.back() == ' ')
        line.pop_back();
    return line;
}

struct ClearResult {
    void operator()(PGresult *result) const { PQclear(result); }
};
using Result = std::unique_ptr<PGresult, ClearResult>;

}  // namespace

void MonitorLink::SetConninfo(const std::string &conninfo) {
    if (conninfo == conninfo_) return;
    conninfo_ = conninfo;
    conn_.reset();
    received_.reset();
    state_ = State::kClosed;
    retry_at_ = {};
    backoff_ = {};
}

void MonitorLink::Connect(core::BootTime now) {
    // The first entry is expanded; what follows wins over it.
    const std::array<const char *, 8> keywords{
        "dbname",          "application_name",    "gssencmode",       "tcp_user_timeout",
        "keepalives_idle", "keepalives_interval", "keepalives_count", nullptr};
    const std::array<const char *, 8> values{
        conninfo_.c_str(), "pgautofailover_keeper", "disable", "3000", "2", "1", "2", nullptr};
    conn_.reset(PQconnectStartParams(keywords.data(), values.data(), 1));
    listening_.clear();
    flush_pending_ = false;
    if (conn_ == nullptr || PQstatus(conn_.get()) == CONNECTION_BAD) {
        Drop(conn_ == nullptr ? "out of memory" : OneLine(PQerrorMessage(conn_.get())), now);
        return;
    }
    state_ = State::kConnecting;
    polling_ = PGRES_POLLING_WRITING;
    limit_ = now + kConnectLimit;
}

void MonitorLink::Drop(std::string why, core::BootTime now) {
    problem_ = why.empty() ? "connection lost" : std::move(why);
    conn_.reset();
    received_.reset();
    state_ = State::kClosed;
    backoff_ = std::clamp(backoff_ * 2, kBackoffMin, kBackoffMax);
    retry_at_ = now + backoff_;
}

void MonitorLink::Poll(core::BootTime now) {
    now_ = now;
    if (state_ == State::kClosed) {
        if (conninfo_.empty() || now < retry_at_) return;
        Connect(now);
        return;
    }
    if (state_ == State::kConnecting) {
        PollConnecting();
    } else {
        PollSession();
    }
    const bool waits =
        state_ == State::kConnecting || state_ == State::kReporting || state_ == State::kListening;
    if (waits && now >= limit_) {
        Drop(state_ == State::kConnecting ? "no connection within 2 s" : "no answer within 2 s",
             now);
    }
}

/// Without waiting. PQconnectPoll takes a socket that is still connecting for a connected one, and
/// then blocks in its first send, so it must only be called when the socket has become ready.
bool MonitorLink::IsSocketReady() const {
    pollfd fd{PQsocket(conn_.get()), POLLIN, 0};
    if (polling_ == PGRES_POLLING_WRITING) fd.events = POLLOUT;
    return fd.fd >= 0 && poll(&fd, 1, 0) > 0;
}

void MonitorLink::PollConnecting() {
    if (!IsSocketReady()) return;
    polling_ = PQconnectPoll(conn_.get());
    if (const auto stranger = tls::CheckPeer(conn_.get())) {
        Drop(stranger->message + ": " + stranger->detail, now_);
        return;
    }
    if (polling_ == PGRES_POLLING_FAILED) {
        Drop(OneLine(PQerrorMessage(conn_.get())), now_);
    } else if (polling_ == PGRES_POLLING_OK) {
        (void)PQsetnonblocking(conn_.get(), 1);
        state_ = State::kIdle;
        wake_up_ = true;
    }
}

void MonitorLink::PollSession() {
    if (PQconsumeInput(conn_.get()) == 0) {
        Drop(OneLine(PQerrorMessage(conn_.get())), now_);
        return;
    }
    if (flush_pending_) {
        const int left = PQflush(conn_.get());
        if (left < 0) {
            Drop(OneLine(PQerrorMessage(conn_.get())), now_);
            return;
        }
        flush_pending_ = left > 0;
    }
    if (state_ != State::kIdle) TakeResults();
    if (conn_ == nullptr) return;
    while (PGnotify *const notification = PQnotifies(conn_.get())) {
        wake_up_ = true;
        PQfreemem(notification);
    }
    if (PQstatus(conn_.get()) == CONNECTION_BAD) Drop(OneLine(PQerrorMessage(conn_.get())), now_);
}

void MonitorLink::TakeResults() {
    while (PQisBusy(conn_.get()) == 0) {
        const Result result(PQgetResult(conn_.get()));
        if (result == nullptr) {
            if (state_ == State::kListening) {
                listening_ = listen_wanted_;
                wake_up_ = true;  // what happened before LISTEN was not notified
            } else if (received_) {
                // Only now: the transaction is committed. The row itself is sent before that, and
                // an error may follow it.
                answer_ = std::exchange(received_, {});
                problem_.clear();
                backoff_ = {};
            }
            state_ = State::kIdle;
            return;
        }
        const ExecStatusType status = PQresultStatus(result.get());
        if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
            Drop(OneLine(PQresultErrorMessage(result.get())), now_);
            return;
        }
        if (state_ != State::kReporting || PQntuples(result.get()) != 1) continue;
        received_ = Answer{core::DecodeReply(PQgetvalue(result.get(), 0, 0)), sent_at_};
    }
}

void MonitorLink::SendReport(const core::Report &report, core::BootTime now) {
    const std::string text = core::Encode(report);
    const std::array<const char *, 1> values{text.c_str()};
    sent_at_ = pg::BootNow();
    if (PQsendQueryParams(conn_.get(), "SELECT pgautofailover.report($1)", 1, nullptr,
                          values.data(), nullptr, nullptr, 0) == 0) {
        Drop(OneLine(PQerrorMessage(conn_.get())), now);
        return;
    }
    state_ = State::kReporting;
    flush_pending_ = PQflush(conn_.get()) != 0;
    limit_ = now + kReplyLimit;
}

bool MonitorLink::Listen(const std::string &channel, core::BootTime now) {
    if (channel.empty() || channel == listening_ || !IsReady()) return false;
    char *const quoted = PQescapeIdentifier(conn_.get(), channel.c_str(), channel.size());
    if (quoted == nullptr) return false;
    const std::string command = std::string("LISTEN ") + quoted;
    PQfreemem(quoted);
    if (PQsendQuery(conn_.get(), command.c_str()) == 0) {
        Drop(OneLine(PQerrorMessage(conn_.get())), now);
        return false;
    }
    listen_wanted_ = channel;
    state_ = State::kListening;
    flush_pending_ = PQflush(conn_.get()) != 0;
    limit_ = now + kReplyLimit;
    return true;
}

std::optional<worker::Link::Answer> MonitorLink::TakeAnswer() { return std::exchange(answer_, {}); }

bool MonitorLink::TakeWakeUp() { return std::exchange(wake_up_, false); }

int MonitorLink::Socket() const { return conn_ == nullptr ? -1 : PQsocket(conn_.get()); }

bool MonitorLink::WantsWrite() const {
    return flush_pending_ || (state_ == State::kConnecting && polling_ == PGRES_POLLING_WRITING);
}

core::BootTime MonitorLink::NextDeadline() const {
    if (state_ == State::kClosed) return conninfo_.empty() ? core::kForever : retry_at_;
    return state_ == State::kIdle ? core::kForever : limit_;
}

}  // namespace pgaf::keeper
