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

}  // namespace

std::int64_t ExpiryOf(const std::string &certificate) {
    const std::unique_ptr<BIO, decltype(&BIO_free)> text(
        BIO_new_mem_buf(certificate.data(), static_cast<int>(certificate.size())), BIO_free);
    const std::unique_ptr<X509, decltype(&X509_free)> parsed(
        text ? PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr) : nullptr, X509_free);
    std::tm expiry{};
    if (!parsed || ASN1_TIME_to_tm(X509_get0_notAfter(parsed.get()), &expiry) != 1) return 0;
    return ::timegm(&expiry);
}

/// What lives while the port is open. The listener goes first: its thread uses the others.
struct HttpService::Running {
    Running(const Config &config, const Paths &paths)
        : status(paths.heartbeat),
          cluster({.conninfo = [config] { return OwnConninfo(config); },
                   .formation = config.IsMonitor() ? "" : config.formation}) {}
    view::Identity identity;
    http::StatusSource status;
    http::ClusterSource cluster;
    std::unique_ptr<http::Listener> listener;
};

HttpService::HttpService(Config config, Paths paths)
    : config_(std::move(config)), paths_(std::move(paths)) {
    loop_beat_ns_ = io::BootNow().ns;
    Start(config_);
}

HttpService::~HttpService() = default;

void HttpService::OnTurn(core::BootTime now, bool is_stopping) {
    loop_beat_ns_.store(now.ns, std::memory_order_relaxed);
    is_stopping_.store(is_stopping, std::memory_order_relaxed);
}

void HttpService::Start(const Config &config) {
    if (http::IsOff(config.http_listen)) return;
    auto endpoint = http::ParseEndpoint(config.http_listen);
    if (!endpoint) return io::LogProblem(spdlog::level::err, endpoint.error());
    const std::string certificate = ReadCertificate(config);
    http::ListenerOptions options{.endpoint = *endpoint, .certificate = {}, .key = {}};
    if (config.http_tls) {
        auto key = io::ReadFile(config.ssl_key_file);
        if (!key) return io::LogProblem(spdlog::level::err, key.error());
        if (certificate.empty()) return;
        options.certificate = certificate;
        options.key = *key;
    }
    auto running = std::make_unique<Running>(config, paths_);
    running->identity = {.is_monitor = config.IsMonitor(),
                         .name = config.IsMonitor() ? "monitor" : config.name,
                         .formation = config.IsMonitor() ? "" : config.formation,
                         .group = config.group,
                         .version = std::string(kVersion),
                         .certificate_expires_at = ExpiryOf(certificate)};
    const auto look = [this, here = running.get()](view::LocalView &local) {
        local.identity = here->identity;
        if (!here->identity.is_monitor) here->status.Read(local);
        // After the page was read: what it says must still hold now.
        local.now = io::BootNow();
        local.loop_beat = {loop_beat_ns_.load(std::memory_order_relaxed)};
        local.is_stopping = is_stopping_.load(std::memory_order_relaxed);
    };
    running->listener =
        std::make_unique<http::Listener>(std::move(options), look, running->cluster);
    running_ = std::move(running);
}

void HttpService::Apply(const Config &config) {
    running_.reset();
    config_ = config;
    Start(config_);
}

}  // namespace pgaf::node
