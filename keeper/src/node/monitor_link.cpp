#include "node/monitor_link.hpp"

#include <algorithm>

#include "io/postgres.hpp"
#include "pgaf/core/pg_files.hpp"
#include "tls/pin.hpp"

namespace pgaf::node {
namespace {

constexpr Milliseconds kAnswerLimit{2000};
constexpr Milliseconds kFirstPause{100};
constexpr Milliseconds kLongestPause{1000};

}  // namespace

MonitorLink::MonitorLink(uv_loop_t *loop, std::string monitor, std::string node_name, Events events)
    : loop_(loop),
      monitor_(std::move(monitor)),
      node_name_(std::move(node_name)),
      events_(std::move(events)),
      limit_(loop, [this] { Fail("the monitor did not answer in time"); }),
      retry_(loop, [this] { Advance(); }) {}

void MonitorLink::Send(core::Report report, int tag) {
    pending_ = Item{std::move(report), tag};
    Advance();
}

void MonitorLink::Close() {
    pending_.reset();
    retry_.Stop();
    Drop();
}

void MonitorLink::SetMonitor(std::string monitor) {
    if (monitor == monitor_) return;
    monitor_ = std::move(monitor);
    Drop();
    Advance();
}

void MonitorLink::Advance() {
    if (!pending_ || retry_.IsActive()) return;
    if (phase_ == Phase::kClosed) StartResolve();
    if (phase_ == Phase::kIdle) SendNext();
}

void MonitorLink::StartResolve() {
    auto options = io::ParseConninfo(monitor_);
    if (!options) return Fail(options.error().message);
    const std::string host = io::OptionOf(*options, "host");
    const bool is_settled = !io::OptionOf(*options, "hostaddr").empty() || host.empty() ||
                            host.front() == '/' || host.find(',') != std::string::npos;
    if (is_settled) return StartConnect("");
    phase_ = Phase::kResolving;
    const std::weak_ptr<bool> alive = alive_;
    io::Resolve(loop_, host, [this, alive, round = ++resolve_round_](const std::string &address) {
        if (alive.expired() || phase_ != Phase::kResolving || round != resolve_round_) return;
        if (address.empty()) return Fail("the monitor's host name cannot be resolved");
        if (events_.on_resolved) events_.on_resolved(address);
        StartConnect(address);
    });
}

void MonitorLink::StartConnect(const std::string &hostaddr) {
    auto options = io::ParseConninfo(monitor_);
    if (!options) return Fail(options.error().message);
    if (!hostaddr.empty()) io::SetOption(*options, "hostaddr", hostaddr);
    io::SetOption(*options, "application_name", "pg_autoctl " + node_name_);
    io::SetOption(*options, "tcp_user_timeout", "3000");
    io::SetOption(*options, "gssencmode", "disable");
    connection_.reset(PQconnectStart(io::BuildConninfo(*options).c_str()));
    if (!connection_ || PQstatus(connection_.get()) == CONNECTION_BAD) {
        return Fail(connection_ ? io::LibpqMessage(PQerrorMessage(connection_.get()))
                                : "out of memory");
    }
    (void)PQsetnonblocking(connection_.get(), 1);
    PQsetNoticeProcessor(
        connection_.get(), [](void *, const char *) {}, nullptr);
    phase_ = Phase::kConnecting;
    limit_.Once(kAnswerLimit);
    Watch(UV_WRITABLE);
}

void MonitorLink::Watch(int events) {
    poll_.reset();  // before the new one: libuv allows one watcher for a descriptor
    poll_ =
        std::make_unique<io::Poll>(loop_, PQsocket(connection_.get()), events, [this](int, int) {
            if (phase_ == Phase::kConnecting) return PollConnect();
            OnReadable();
        });
}

void MonitorLink::PollConnect() {
    poll_.reset();  // libpq may replace the socket, even by one with the same number
    const PostgresPollingStatusType polling = PQconnectPoll(connection_.get());
    if (const auto stranger = tls::CheckPeer(connection_.get())) return Fail(*stranger);
    switch (polling) {
        case PGRES_POLLING_READING:
            return Watch(UV_READABLE);
        case PGRES_POLLING_WRITING:
            return Watch(UV_WRITABLE);
        case PGRES_POLLING_OK:
            break;
        default:
            return Fail(io::LibpqMessage(PQerrorMessage(connection_.get())));
    }
    limit_.Stop();
    phase_ = Phase::kIdle;
    Watch(UV_READABLE);
    Advance();
}

void MonitorLink::SendNext() {
    const std::string text = core::Encode(pending_->report);
    sent_tag_ = pending_->tag;
    const char *value = text.c_str();
    if (PQsendQueryParams(connection_.get(), "SELECT pgautofailover.report($1)", 1, nullptr, &value,
                          nullptr, nullptr, 0) == 0) {
        return Fail(io::LibpqMessage(PQerrorMessage(connection_.get())));
    }
    pending_.reset();
    phase_ = Phase::kBusy;
    limit_.Once(kAnswerLimit);
    OnReadable();
}

void MonitorLink::OnReadable() {
    if (!connection_) return;
    const int flushed = PQflush(connection_.get());
    if (flushed < 0 || PQconsumeInput(connection_.get()) == 0) {
        return Fail(io::LibpqMessage(PQerrorMessage(connection_.get())));
    }
    Watch(flushed > 0 ? UV_READABLE | UV_WRITABLE : UV_READABLE);
    TakeNotifications();
    if (phase_ == Phase::kBusy || phase_ == Phase::kListening) TakeResults();
}

void MonitorLink::TakeNotifications() {
    bool any = false;
    while (PGnotify *notify = PQnotifies(connection_.get())) {
        PQfreemem(notify);
        any = true;
    }
    if (any && events_.on_notify) events_.on_notify();
}

void MonitorLink::TakeResults() {
    io::PgResult last;
    while (connection_ && PQisBusy(connection_.get()) == 0) {
        io::PgResult result(PQgetResult(connection_.get()));
        if (result) {
            last = std::move(result);
            continue;
        }
        limit_.Stop();
        const bool was_report = phase_ == Phase::kBusy;
        phase_ = Phase::kIdle;
        if (last && was_report) HandleResult(last.get());
        break;
    }
    if (phase_ != Phase::kIdle || !connection_) return;
    if (!wanted_channel_.empty() && wanted_channel_ != channel_) {
        const std::string listen = "LISTEN " + io::QuoteIdentifier(wanted_channel_);
        channel_ = wanted_channel_;
        if (PQsendQuery(connection_.get(), listen.c_str()) == 0) return Fail("could not listen");
        phase_ = Phase::kListening;
        limit_.Once(kAnswerLimit);
        return OnReadable();
    }
    Advance();
}

void MonitorLink::HandleResult(PGresult *result) {
    if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) != 1) {
        return Fail(io::LibpqMessage(PQresultErrorMessage(result)));
    }
    auto reply = core::DecodeReply(PQgetvalue(result, 0, 0));
    if (!reply) return Fail(reply.error().message);
    pause_ = kFirstPause;
    is_sick_ = false;
    wanted_channel_ = reply->channel;
    if (events_.on_reply) events_.on_reply(*reply, sent_tag_);
}

void MonitorLink::Fail(const std::string &message) {
    Fail(Problem{ProblemCode::kMonitor, message, {}, {}});
}

void MonitorLink::Fail(const Problem &problem) {
    Drop();
    retry_.Once(pause_);
    pause_ = std::min(pause_ * 2, kLongestPause);
    if (is_sick_) return;  // said once; what follows is the same story
    is_sick_ = true;
    if (events_.on_problem) events_.on_problem(problem.In("could not report to the monitor"));
}

void MonitorLink::Drop() {
    limit_.Stop();
    poll_.reset();
    connection_.reset();
    channel_.clear();
    phase_ = Phase::kClosed;
}

}  // namespace pgaf::node
