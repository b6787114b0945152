#include "node/http_service.hpp"

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <ctime>

#include "io/env.hpp"
#include "io/log.hpp"
#include "io/pg_client.hpp"
#include "node/version.hpp"

namespace pgaf::node {
namespace {

/// A monitor asks its own server, through the socket, as its owner.
Result<std::string> OwnConninfo(const Config &config) {
    if (!config.IsMonitor()) return MonitorConninfo(config);
    const auto postmaster = io::ReadPostmasterFile(config.pgdata);
    if (!postmaster) return Fail(ProblemCode::kPostgres, "PostgreSQL is not running");
    const std::string &directory = postmaster->socket_directory;
    return io::BuildConninfo({{"port", std::to_string(postmaster->port)},
                              {"host", directory.empty() ? "localhost" : directory},
                              {"dbname", std::string(core::kMonitorDatabase)},
                              {"options", io::kSafePath}});
}

/// Without it HTTPS does not begin; HTTP does not need it, and only tells when it expires.
std::string ReadCertificate(const Config &config) {
    if (!config.ssl_active || config.ssl_cert_file.empty()) return {};
    auto text = io::ReadFile(config.ssl_cert_file);
    if (text) return *text;
    if (config.http_tls) io::LogProblem(spdlog::level::err, text.error());
    return {};
}

/// All that it depends on: with the same nothing is touched, and no check of a load balancer fails.
struct Wanted {
    http::ListenerOptions listener{};
    view::Identity identity{};
    std::string monitor{};
    friend bool operator==(const Wanted &, const Wanted &) = default;
};

std::optional<Wanted> WantedBy(const Config &config) {
    if (http::IsOff(config.http_listen)) return std::nullopt;
    auto endpoint = http::ParseEndpoint(config.http_listen);
    if (!endpoint) {
        io::LogProblem(spdlog::level::err, endpoint.error());
        return std::nullopt;
    }
    const std::string certificate = ReadCertificate(config);
    Wanted wanted;
    wanted.listener.endpoint = *endpoint;
    if (config.http_tls) {
        auto key = io::ReadFile(config.ssl_key_file);
        if (!key) io::LogProblem(spdlog::level::err, key.error());
        if (!key || certificate.empty()) return std::nullopt;
        wanted.listener.certificate = certificate;
        wanted.listener.key = *key;
    }
    const bool is_monitor = config.IsMonitor();
    wanted.identity = {.is_monitor = is_monitor,
                       .name = is_monitor ? "monitor" : config.name,
                       .formation = is_monitor ? "" : config.formation,
                       .group = config.group,
                       .version = std::string(kVersion),
                       .certificate_expires_at = ExpiryOf(certificate)};
    if (!is_monitor) wanted.monitor = MonitorConninfo(config);
    return wanted;
}

}  // namespace

/// What lives while the port is open. The listener goes first: its thread uses the others.
struct HttpService::Running {
    Running(Wanted what, const Config &config, const Paths &paths)
        : wanted(std::move(what)),
          status(paths.heartbeat),
          cluster({.conninfo = [config] { return OwnConninfo(config); },
                   .formation = wanted.identity.formation}) {}
    Wanted wanted;
    http::StatusSource status;
    http::ClusterSource cluster;
    std::unique_ptr<http::Listener> listener;
};

HttpService::HttpService(const Config &config, Paths paths) : paths_(std::move(paths)) {
    loop_beat_ns_ = io::BootNow().ns;
    Apply(config);
}

HttpService::~HttpService() = default;

void HttpService::OnTurn(core::BootTime now, bool is_stopping) {
    loop_beat_ns_.store(now.ns, std::memory_order_relaxed);
    is_stopping_.store(is_stopping, std::memory_order_relaxed);
}

std::int64_t ExpiryOf(const std::string &certificate) {
    const std::unique_ptr<BIO, decltype(&BIO_free)> text(
        BIO_new_mem_buf(certificate.data(), static_cast<int>(certificate.size())), BIO_free);
    const std::unique_ptr<X509, decltype(&X509_free)> parsed(
        text ? PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr) : nullptr, X509_free);
    std::tm expiry{};
    if (!parsed || ASN1_TIME_to_tm(X509_get0_notAfter(parsed.get()), &expiry) != 1) return 0;
    return ::timegm(&expiry);
}

void HttpService::Apply(const Config &config) {
    auto wanted = WantedBy(config);
    if (wanted && running_ && *wanted == running_->wanted) return;
    running_.reset();
    if (!wanted) return;
    auto running = std::make_unique<Running>(std::move(*wanted), config, paths_);
    const auto look = [this, here = running.get()](view::LocalView &local) {
        local.identity = here->wanted.identity;
        if (!local.identity.is_monitor) here->status.Read(local);
        // After the page was read: what it says must still hold now.
        local.now = io::BootNow();
        local.loop_beat = {loop_beat_ns_.load(std::memory_order_relaxed)};
        local.is_stopping = is_stopping_.load(std::memory_order_relaxed);
    };
    running->listener =
        std::make_unique<http::Listener>(running->wanted.listener, look, running->cluster);
    running_ = std::move(running);
}

}  // namespace pgaf::node
