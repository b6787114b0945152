#include "http/server.hpp"

#include <arpa/inet.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "http/quiet_thread.hpp"
#include "io/env.hpp"

namespace pgaf::http {
namespace {

using core::BootTime;
using core::Milliseconds;

// Bounds. A load balancer's checks are short, and few at a time.
constexpr unsigned kConnectionsMost = 128;
constexpr unsigned kConnectionsMostOfOne = 32;  ///< address
constexpr std::size_t kMemoryOfOne = 16 * 1024;
/// From the beginning of a connection, or the last answer on it, to the next answer.
constexpr Milliseconds kConnectionLimit{5000};
constexpr Milliseconds kSweep{250};
constexpr Milliseconds kBindAgain{2000};
/// A view that is so young is as good as a new one.
constexpr Milliseconds kViewYoung{1000};
constexpr Milliseconds kViewWait{2000};
constexpr Milliseconds kViewOld{4000};

bool HasBody(MHD_Connection *connection) {
    const char *const length =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    if (length != nullptr && std::strcmp(length, "0") != 0) return true;
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                       MHD_HTTP_HEADER_TRANSFER_ENCODING) != nullptr;
}

/// What libmicrohttpd says goes nowhere: anybody may cause it, as often as he likes.
void Ignore(void * /*self*/, const char * /*format*/, va_list /*arguments*/) {}

struct SocketAddress {
    sockaddr_storage storage{};
    bool is_v6 = false;
    bool is_dual = false;
};

bool HasIpv6() {
    const io::UniqueFd fd(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    return fd.IsOpen();
}

SocketAddress AddressOf(const Endpoint &endpoint) {
    SocketAddress address;
    const auto port = htons(static_cast<std::uint16_t>(endpoint.port));
    const bool is_any = endpoint.address == "*";
    address.is_dual = is_any && HasIpv6();
    address.is_v6 = address.is_dual || endpoint.address.find(':') != std::string::npos;
    if (address.is_v6) {
        auto *const v6 = reinterpret_cast<sockaddr_in6 *>(&address.storage);
        v6->sin6_family = AF_INET6;
        v6->sin6_port = port;
        v6->sin6_addr = in6addr_any;
        if (!address.is_dual) (void)::inet_pton(AF_INET6, endpoint.address.c_str(), &v6->sin6_addr);
    } else {
        auto *const v4 = reinterpret_cast<sockaddr_in *>(&address.storage);
        v4->sin_family = AF_INET;
        v4->sin_port = port;
        if (!is_any) (void)::inet_pton(AF_INET, endpoint.address.c_str(), &v4->sin_addr);
    }
    return address;
}

}  // namespace

Listener::Server::Server(ListenerOptions options, std::function<void(view::LocalView &)> look,
                         ClusterSource &cluster)
    : options_(std::move(options)),
      look_(std::move(look)),
      cluster_(cluster),
      event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

/// After this nobody calls back.
Listener::Server::~Server() { cluster_.Forget(); }

void Listener::Server::Stop() {
    is_stopping_ = true;
    (void)::eventfd_write(event_.Get(), 1);
}

bool Listener::Server::Start() {
    SocketAddress address = AddressOf(options_.endpoint);
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    if (address.is_dual) flags |= MHD_USE_DUAL_STACK;
    if (address.is_v6) flags |= MHD_USE_IPv6;
    const bool is_tls = !options_.certificate.empty();
    if (is_tls) flags |= MHD_USE_TLS;
    std::vector<MHD_OptionItem> more;
    if (is_tls) {
        more.push_back({MHD_OPTION_HTTPS_MEM_CERT, 0, options_.certificate.data()});
        more.push_back({MHD_OPTION_HTTPS_MEM_KEY, 0, options_.key.data()});
        more.push_back({MHD_OPTION_HTTPS_PRIORITIES, 0,
                        const_cast<char *>("NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2")});
    }
    more.push_back({MHD_OPTION_END, 0, nullptr});
    errno = 0;
    daemon_ = MHD_start_daemon(
        flags, static_cast<std::uint16_t>(options_.endpoint.port), nullptr, nullptr, OnRequest,
        this, MHD_OPTION_EXTERNAL_LOGGER, Ignore, nullptr, MHD_OPTION_SOCK_ADDR,
        reinterpret_cast<sockaddr *>(&address.storage), MHD_OPTION_CONNECTION_LIMIT,
        kConnectionsMost, MHD_OPTION_PER_IP_CONNECTION_LIMIT, kConnectionsMostOfOne,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, kMemoryOfOne, MHD_OPTION_CONNECTION_TIMEOUT,
        static_cast<unsigned>(kConnectionLimit.count() / 1000), MHD_OPTION_URI_LOG_CALLBACK, OnUri,
        this, MHD_OPTION_NOTIFY_COMPLETED, OnCompleted, this, MHD_OPTION_NOTIFY_CONNECTION,
        OnConnection, this, MHD_OPTION_ARRAY, more.data(), MHD_OPTION_END);
    if (daemon_ != nullptr) {
        spdlog::info("Listening for {} on {}:{}", is_tls ? "HTTPS" : "HTTP",
                     options_.endpoint.address, options_.endpoint.port);
        has_complained_ = false;
        return true;
    }
    if (!has_complained_)
        spdlog::error("could not listen for HTTP on {}:{}, trying again: {}",
                      options_.endpoint.address, options_.endpoint.port,
                      errno != 0 ? std::generic_category().message(errno)
                                 : "the certificate or its key is not usable");
    has_complained_ = true;
    return false;
}

void Listener::Server::Run() {
    while (!is_stopping_) {
        if (daemon_ == nullptr && !Start()) {
            Pause(kBindAgain);
            continue;
        }
        Turn();
    }
    if (daemon_ == nullptr) return;
    ResumeWaiting(true);
    MHD_stop_daemon(daemon_);
}

void Listener::Server::Pause(Milliseconds time) {
    pollfd wake{event_.Get(), POLLIN, 0};
    (void)::poll(&wake, 1, static_cast<int>(time.count()));
}

int Listener::Server::TimeLeft() const {
    if (connections_.empty()) return -1;
    MHD_UNSIGNED_LONG_LONG left = 0;
    const auto most = static_cast<MHD_UNSIGNED_LONG_LONG>(kSweep.count());
    return MHD_get_timeout(daemon_, &left) == MHD_YES ? static_cast<int>(std::min(left, most))
                                                      : static_cast<int>(most);
}

void Listener::Server::Turn() {
    const MHD_DaemonInfo *const info = MHD_get_daemon_info(daemon_, MHD_DAEMON_INFO_EPOLL_FD);
    std::array<pollfd, 2> fds{pollfd{event_.Get(), POLLIN, 0}, pollfd{info->epoll_fd, POLLIN, 0}};
    (void)::poll(fds.data(), fds.size(), TimeLeft());
    if ((fds[0].revents & POLLIN) != 0) {
        eventfd_t count = 0;
        (void)::eventfd_read(event_.Get(), &count);
    }
    if (is_stopping_) return;
    ResumeWaiting(has_news_.exchange(false));
    (void)MHD_run(daemon_);
    CloseSlow();
}

void Listener::Server::ResumeWaiting(bool all) {
    const BootTime now = io::BootNow();
    std::erase_if(waiting_, [&](const Waiting &waiting) {
        if (!all && now < waiting.until) return false;
        MHD_resume_connection(waiting.connection);
        if (waiting.entry != nullptr) {
            waiting.entry->is_waiting = false;
            waiting.entry->since = now;
        }
        return true;
    });
}

/// libmicrohttpd counts from the last byte: one now and then would hold a place for ever.
void Listener::Server::CloseSlow() {
    const BootTime now = io::BootNow();
    if (now - swept_at_ < kSweep) return;
    swept_at_ = now;
    for (Connection &connection : connections_) {
        const bool is_slow = now - connection.since > kConnectionLimit && !connection.is_waiting;
        if (!is_slow || connection.is_shut) continue;
        connection.is_shut = true;
        (void)::shutdown(connection.fd, SHUT_RDWR);
    }
}

MHD_Result Listener::Server::Queue(MHD_Connection *connection, const view::Answer &answer,
                                   view::Method method) {
    const bool has_body = method != view::Method::kOptions;
    MHD_Response *const response = MHD_create_response_from_buffer(
        has_body ? answer.body.size() : 0, const_cast<char *>(answer.body.data()),
        MHD_RESPMEM_MUST_COPY);
    if (response == nullptr) return MHD_NO;
    const auto add = [response](const char *name, const char *value) {
        (void)MHD_add_response_header(response, name, value);
    };
    add(MHD_HTTP_HEADER_CONTENT_TYPE, answer.type.c_str());
    add(MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    add("X-Content-Type-Options", "nosniff");
    if (method == view::Method::kOptions || answer.code == 405)
        add(MHD_HTTP_HEADER_ALLOW, "GET, HEAD, OPTIONS");
    const MHD_Result queued =
        MHD_queue_response(connection, static_cast<unsigned>(answer.code), response);
    MHD_destroy_response(response);
    return queued;
}

/// Until a new view of the cluster has come, or too much time has passed.
MHD_Result Listener::Server::Wait(MHD_Connection *connection, Exchange &exchange) {
    exchange.has_waited = true;
    const auto *const info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    auto *const entry = info == nullptr ? nullptr : static_cast<Connection *>(info->socket_context);
    waiting_.push_back({connection, entry, io::BootNow() + kViewWait});
    if (entry != nullptr) entry->is_waiting = true;
    MHD_suspend_connection(connection);
    return MHD_YES;
}

bool Listener::Server::BeginFetch() {
    return cluster_.Fetch([this] {
        has_news_ = true;
        (void)::eventfd_write(event_.Get(), 1);
    });
}

MHD_Result Listener::Server::Handle(MHD_Connection *connection, const char *method,
                                    Exchange &exchange, std::size_t &upload) {
    const view::Method kind = view::ParseMethod(method);
    if (!exchange.is_begun) {
        exchange.is_begun = true;
        if (kind != view::Method::kOther && HasBody(connection))
            return Queue(connection, view::Refusal(413, "a request must not have a body"), kind);
        // What is answered before its body has come is closed afterwards.
        if (kind == view::Method::kOther)
            return Queue(connection, view::Refusal(405, "only GET, HEAD and OPTIONS are served"),
                         kind);
        return MHD_YES;
    }
    if (upload != 0) {
        upload = 0;
        return MHD_YES;
    }
    const auto request = view::ParseRequest(kind, exchange.uri);
    if (!request) return Queue(connection, view::Refusal(400, "the request is malformed"), kind);
    view::LocalView local;
    look_(local);
    std::shared_ptr<const view::ClusterView> cluster;
    if (view::NeedsCluster(*request, local.identity)) {
        cluster = cluster_.Latest(exchange.has_waited ? kViewOld : kViewYoung);
        if (!cluster && !exchange.has_waited && BeginFetch()) return Wait(connection, exchange);
        if (!cluster) cluster = cluster_.Latest(kViewOld);
    }
    return Queue(connection, view::AnswerTo(*request, local, cluster.get()), kind);
}

MHD_Result Listener::Server::OnRequest(void *self, MHD_Connection *connection, const char * /*url*/,
                                       const char *method, const char * /*version*/,
                                       const char * /*upload*/, std::size_t *upload_size,
                                       void **exchange) {
    if (*exchange == nullptr) return MHD_NO;
    try {
        return static_cast<Server *>(self)->Handle(
            connection, method, *static_cast<Exchange *>(*exchange), *upload_size);
    } catch (const std::exception &) {
        return MHD_NO;  // the connection is closed: whoever asked takes that for a no
    }
}

void *Listener::Server::OnUri(void * /*self*/, const char *uri, MHD_Connection * /*connection*/) {
    try {
        auto exchange = std::make_unique<Exchange>();
        exchange->uri.assign(uri, ::strnlen(uri, view::kUriMost + 1));
        return exchange.release();
    } catch (const std::exception &) {
        return nullptr;
    }
}

void Listener::Server::OnCompleted(void * /*self*/, MHD_Connection *connection, void **exchange,
                                   MHD_RequestTerminationCode /*code*/) {
    delete static_cast<Exchange *>(*exchange);
    *exchange = nullptr;
    const auto *const info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    if (info == nullptr || info->socket_context == nullptr) return;
    auto *const entry = static_cast<Connection *>(info->socket_context);
    entry->since = io::BootNow();
    entry->is_waiting = false;
}

void Listener::Server::OnConnection(void *self, MHD_Connection *connection, void **context,
                                    MHD_ConnectionNotificationCode code) {
    auto &connections = static_cast<Server *>(self)->connections_;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const auto *const info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        try {
            connections.push_back({.fd = info->connect_fd, .since = io::BootNow()});
            *context = &connections.back();
        } catch (const std::exception &) {
            *context = nullptr;  // only libmicrohttpd's own limit holds for it
        }
        return;
    }
    std::erase_if(connections, [&](const Connection &entry) { return &entry == *context; });
    *context = nullptr;
}

Listener::Listener(ListenerOptions options, std::function<void(view::LocalView &)> look,
                   ClusterSource &cluster)
    : server_(std::make_unique<Server>(std::move(options), std::move(look), cluster)) {
    thread_ = QuietThread([this] { server_->Run(); });
}

Listener::~Listener() {
    server_->Stop();
    thread_.join();
}

}  // namespace pgaf::http
