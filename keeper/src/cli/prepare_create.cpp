#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "cli/create.hpp"
#include "io/data_directory.hpp"
#include "io/env.hpp"
#include "io/files.hpp"
#include "node/adopt.hpp"
#include "node/pid_file.hpp"
#include "pgaf/core/names.hpp"

namespace pgaf::cli {
namespace {

Result<void> BadOption(std::string message, std::string hint = {}) {
    return Fail(ProblemCode::kBadArgument, std::move(message), {}, std::move(hint));
}

bool HasCertificateOptions(const CreateOptions &o) {
    return !o.server_cert.empty() || !o.server_key.empty() || !o.ssl_ca_file.empty() ||
           !o.ssl_crl_file.empty();
}

Result<void> ApplyCertificates(const CreateOptions &o, node::Config &config) {
    if (o.server_cert.empty() || o.server_key.empty()) {
        return BadOption("--server-cert and --server-key must both be given");
    }
    if (o.replication_cert.empty() != o.replication_key.empty())
        return BadOption("--replication-cert and --replication-key must both be given");
    config.ssl_mode = o.ssl_mode.empty() ? "verify-full" : o.ssl_mode;
    if (config.ssl_mode.starts_with("verify-") && o.ssl_ca_file.empty()) {
        return BadOption(fmt::format("SSL mode {} needs --ssl-ca-file", config.ssl_mode));
    }
    for (const std::string &file : {o.server_cert, o.server_key, o.ssl_ca_file, o.ssl_crl_file}) {
        if (!file.empty() && ::access(file.c_str(), R_OK) != 0) {
            return BadOption(io::IoProblem("read", file).message);
        }
    }
    const auto absolute = [](const std::string &file) {
        return file.empty() ? file : io::AbsolutePath(file);
    };
    config.ssl_cert_file = absolute(o.server_cert);
    config.ssl_key_file = absolute(o.server_key);
    config.ssl_ca_file = absolute(o.ssl_ca_file);
    config.ssl_crl_file = absolute(o.ssl_crl_file);
    return {};
}

/// Exactly one way is chosen; there is no silent default.
Result<void> ApplySsl(const CreateOptions &o, node::Config &config, bool had_config) {
    const int ways = int{o.no_ssl} + int{o.ssl_self_signed} + int{HasCertificateOptions(o)};
    if (ways == 0 && had_config) return {};
    if (ways == 0) {
        return BadOption(
            "the use of SSL is not chosen",
            "Use one of --ssl-self-signed, --no-ssl, or --server-cert with --server-key.");
    }
    if (ways > 1)
        return BadOption("--no-ssl, --ssl-self-signed and certificate files exclude each other");
    config.ssl_self_signed = o.ssl_self_signed;
    config.ssl_active = !o.no_ssl;
    config.ssl_cert_file.clear();
    config.ssl_key_file.clear();
    if (HasCertificateOptions(o)) return ApplyCertificates(o, config);
    config.ssl_mode = !o.ssl_mode.empty() ? o.ssl_mode : o.no_ssl ? "prefer" : "require";
    if (config.ssl_mode.starts_with("verify-")) {
        return BadOption(fmt::format("SSL mode {} needs certificate files", config.ssl_mode));
    }
    if (o.ssl_self_signed) {
        config.ssl_cert_file = config.pgdata + "/server.crt";
        config.ssl_key_file = config.pgdata + "/server.key";
    }
    return {};
}

Result<void> ApplyAuth(const CreateOptions &o, node::Config &config) {
    if (o.skip_pg_hba) {
        config.auth_method = "skip";
        config.hba_level = "skip";
        return {};
    }
    if (!o.auth.empty()) config.auth_method = o.auth;
    if (config.auth_method.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") !=
        std::string::npos) {
        return BadOption(fmt::format("invalid authentication method \"{}\"", config.auth_method));
    }
    if (config.auth_method.empty()) {
        return BadOption(
            "the authentication method is not chosen",
            "Use --auth with a method of pg_hba.conf, such as scram-sha-256, or --skip-pg-hba.");
    }
    if (o.pg_hba_lan) config.hba_level = "lan";
    return {};
}

}  // namespace

Result<void> CheckTexts(const node::Config &config) {
    auto good = node::CheckConfig(config);
    if (!good) good.error().code = ProblemCode::kBadArgument;
    return good;
}

namespace {

void ApplyNames(const Session &session, const CreateOptions &o, node::Config &config) {
    const auto set = [](std::string &into, const std::string &value) {
        if (!value.empty()) into = value;
    };
    if (o.port) config.port = *o.port;
    set(config.listen_addresses, o.listen);
    if (o.no_tune) config.tune = false;
    set(config.http_listen, o.http_listen);
    if (o.http_tls) config.http_tls = true;
    set(config.hostname, o.hostname);
    // Another monitor has another certificate.
    if (!session.monitor.empty() && session.monitor != config.monitor)
        config.monitor_fingerprint.clear();
    set(config.monitor, session.monitor);
    set(config.monitor_fingerprint, o.monitor_fingerprint);
    set(config.formation, session.formation);
    set(config.name, o.name);
    set(config.pg_host, o.pg_host);
    set(config.username, o.username);
    set(config.dbname, o.dbname);
    set(config.maximum_backup_rate, o.maximum_backup_rate);
    set(config.replication_password, o.replication_password);
    if (!o.replication_cert.empty())
        config.replication_cert_file = io::AbsolutePath(o.replication_cert);
    if (!o.replication_key.empty())
        config.replication_key_file = io::AbsolutePath(o.replication_key);
    if (o.candidate_priority) config.candidate_priority = *o.candidate_priority;
    if (!o.replication_quorum.empty()) config.replication_quorum = o.replication_quorum == "true";
}

}  // namespace

Result<void> PortIsFree(int port) {
    const io::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    (void)::setsockopt(fd.Get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_ANY);
    if (::bind(fd.Get(), reinterpret_cast<sockaddr *>(&address), sizeof address) == 0 ||
        errno != EADDRINUSE)
        return {};
    return Fail(ProblemCode::kBadState, fmt::format("port {} is in use", port), {},
                "Choose another with --pgport.");
}

namespace {

Result<void> CheckDirectory(const CreatePlan &plan) {
    const std::string &pgdata = plan.paths.pgdata;
    if (plan.data == io::DataDirectory::kOther && !io::Exists(plan.paths.unsafe_marker)) {
        return Fail(ProblemCode::kBadState,
                    fmt::format("\"{}\" is not empty and not a PostgreSQL data directory", pgdata),
                    {}, "Choose another directory with --pgdata; nothing in it was touched.");
    }
    if (io::FindPostmaster(pgdata)) {
        return Fail(ProblemCode::kBadState, fmt::format("PostgreSQL is running in \"{}\"", pgdata),
                    {}, "Stop it first with pg_ctl stop.");
    }
    if (plan.data == io::DataDirectory::kCluster) {
        if (auto linked = node::LinkConfiguration(pgdata); !linked) return linked;
        for (const char *file : {"/postgresql.conf", "/pg_hba.conf"}) {
            if (io::Exists(pgdata + file)) continue;
            return Fail(ProblemCode::kBadState,
                        fmt::format("\"{}{}\" does not exist", pgdata, file),
                        "The configuration of the server must be in its data directory, or below "
                        "/etc/postgresql with this data_directory.",
                        "Put it, or links to it, there.");
        }
        if (io::IsWritable(pgdata)) return {};
        return Fail(ProblemCode::kIo, fmt::format("directory \"{}\" is not writable", pgdata));
    }
    if (io::IsFixedDirectory(pgdata)) {
        if (io::IsWritable(pgdata)) return {};
        return Fail(ProblemCode::kIo, fmt::format("directory \"{}\" is not writable", pgdata));
    }
    std::string parent = io::ParentOf(pgdata);
    while (!io::Exists(parent))
        parent = io::ParentOf(parent);
    if (!io::IsWritable(parent)) {
        return Fail(ProblemCode::kIo, fmt::format("directory \"{}\" is not writable", parent),
                    fmt::format("The data directory \"{}\" is made there.", pgdata));
    }
    return {};
}

}  // namespace

std::string MonitorUri(const node::Config &config, std::string_view password) {
    const bool is_v6 = config.hostname.find(':') != std::string::npos;
    std::string uri = fmt::format("postgres://{}", core::kMonitorRole);
    if (!password.empty()) uri += fmt::format(":{}", core::QuoteUri(password));
    uri += fmt::format("@{}{}{}:{}/{}?sslmode={}", is_v6 ? "[" : "", config.hostname,
                       is_v6 ? "]" : "", config.port, core::kMonitorDatabase, config.ssl_mode);
    if (core::BindsChannel(config.auth_method, config.ssl_active, config.ssl_mode))
        uri += "&channel_binding=require";
    if (!config.ssl_ca_file.empty())
        uri += "&sslrootcert=" + core::QuoteUriPath(config.ssl_ca_file);
    if (!config.ssl_crl_file.empty()) uri += "&sslcrl=" + core::QuoteUriPath(config.ssl_crl_file);
    return uri;
}

Result<CreatePlan> PrepareCreate(const Session &session, const CreateOptions &options,
                                 bool is_monitor) {
    if (auto user = RequireOrdinaryUser(); !user) return Pass(user);
    auto paths = RequirePaths(session);
    if (!paths) return Pass(paths);
    CreatePlan plan;
    plan.paths = *paths;
    plan.had_config = io::Exists(plan.paths.config);
    if (plan.had_config) {
        auto config = node::LoadConfig(plan.paths);
        if (!config) return Pass(config);
        plan.config = *config;
        if (plan.config.IsMonitor() != is_monitor) {
            return Fail(ProblemCode::kBadState, fmt::format("\"{}\" is already configured as a {}",
                                                            plan.paths.pgdata, plan.config.role));
        }
    }
    plan.config.role = is_monitor ? "monitor" : "keeper";
    plan.config.pgdata = plan.paths.pgdata;
    ApplyNames(session, options, plan.config);
    if (auto ssl = ApplySsl(options, plan.config, plan.had_config); !ssl) return Pass(ssl);
    if (auto auth = ApplyAuth(options, plan.config); !auth) return Pass(auth);
    if (auto texts = CheckTexts(plan.config); !texts) return Pass(texts);
    if (const auto pid = node::RunningSupervisor(plan.paths)) {
        return Fail(ProblemCode::kBadState,
                    fmt::format("pg_autoctl is already running for \"{}\", process {}",
                                plan.paths.pgdata, *pid));
    }
    plan.data = io::InspectDataDirectory(plan.paths.pgdata);
    if (auto checked = CheckDirectory(plan); !checked) return Pass(checked);
    if (auto free = PortIsFree(plan.config.port); !free) return Pass(free);
    auto install = io::FindPgInstall(options.pg_ctl.empty() ? plan.config.pg_ctl : options.pg_ctl);
    if (!install) {
        // Nothing was configured yet: it is the command line that lacks something.
        if (!plan.had_config) install.error().code = ProblemCode::kBadArgument;
        return Pass(install);
    }
    if (auto same = io::CheckMajorVersion(*install, plan.paths.pgdata); !same) return Pass(same);
    plan.install = *install;
    plan.config.pg_ctl = install->pg_ctl;
    return plan;
}

}  // namespace pgaf::cli
