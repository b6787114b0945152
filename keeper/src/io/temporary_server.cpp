#include "io/temporary_server.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <algorithm>

#include "io/env.hpp"
#include "io/files.hpp"
#include "io/process.hpp"

namespace pgaf::io {
namespace {

/// Recovery may take long, and is cancelled by a signal.
constexpr const char *kStartSeconds = "864000";
constexpr Milliseconds kSayAgain{10'000};

/// The role with which initdb began, whatever it is called.
Result<std::string> FindSuperuser(const PgInstall &install, const std::string &pgdata,
                                  Cancel *cancel) {
    auto out = RunSingleUser(
        install,
        {.pgdata = pgdata,
         .commands = {"SELECT rolname FROM pg_catalog.pg_roles WHERE rolsuper AND rolcanlogin "
                      "ORDER BY rolname <> " +
                      QuoteLiteral(OsUser()) + ", oid LIMIT 1"}},
        cancel);
    if (!out) return Pass(out);
    constexpr std::string_view kBegin = "rolname = \"";
    const std::size_t at = out->find(kBegin);
    if (at == std::string::npos)
        return Fail(ProblemCode::kPostgres, "the cluster has no superuser that can log in");
    const std::size_t end = out->find("\"\t(", at + kBegin.size());
    return out->substr(at + kBegin.size(), end - at - kBegin.size());
}

/// pg_ctl takes a server that recovers for a standby, and waits no longer.
Result<std::string> AwaitReady(const std::string &pgdata, const Cancel *cancel) {
    const core::BootTime began = BootNow();
    core::BootTime said = began;
    for (;;) {
        const auto file = FindPostmaster(pgdata);
        if (!file) return Fail(ProblemCode::kPostgres, "PostgreSQL has ended during recovery");
        if (file->status == "ready") return std::string();
        if (cancel != nullptr && cancel->IsRequested())
            return Fail(ProblemCode::kPostgres, "recovery was interrupted");
        if (BootNow() - said > kSayAgain) {
            said = BootNow();
            spdlog::info("Recovery goes on, for {} s now", (said - began).count() / 1000);
        }
        (void)::poll(nullptr, 0, 100);  // PostgreSQL tells nobody but its file
    }
}

std::string OptionsFor(const std::string &directory, const TemporaryServer::Options &wanted) {
    std::string options;
    for (const std::string &setting :
         {std::string("listen_addresses="), "unix_socket_directories=" + directory,
          "hba_file=" + directory + "/hba", std::string("port=5432"), std::string("ssl=off"),
          "shared_preload_libraries=" + wanted.libraries, std::string("synchronous_standby_names="),
          std::string("default_transaction_read_only=off"), std::string("logging_collector=off"),
          std::string("log_destination=stderr"), std::string("log_min_error_statement=panic"),
          std::string("log_statement=none"), std::string("log_min_duration_statement=-1"),
          "external_pid_file=" + directory + "/pid", std::string("hot_standby=off")}) {
        options += fmt::format("-c '{}' ", setting);
    }
    for (const std::string &setting : wanted.settings)
        options += fmt::format("-c '{}' ", setting);
    return options;
}

}  // namespace

Result<std::string> MakePrivateDirectory(const std::string &parent) {
    constexpr std::size_t kMost = 107 - std::string_view("/.s.PGSQL.5432").size();
    std::string path = parent + "/private";
    // It becomes an item of a list of directories, and a word of a command line.
    const bool is_plain = std::all_of(path.begin(), path.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view("/._-+").find(c) != std::string_view::npos;
    });
    if (!parent.empty() && path.size() <= kMost && is_plain && IsOwnDirectory(parent)) {
        if (auto removed = RemoveTree(path); !removed) return Pass(removed);
        if (::mkdir(path.c_str(), 0700) != 0) return tl::unexpected(IoProblem("create", path));
        return path;
    }
    path = "/tmp/pgaf-XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) return tl::unexpected(IoProblem("create", path));
    return path;
}

Result<std::unique_ptr<TemporaryServer>> TemporaryServer::Start(const PgInstall &install,
                                                                const std::string &pgdata,
                                                                const Options &options) {
    std::string superuser;
    if (options.has_sessions) {
        auto found = FindSuperuser(install, pgdata, options.cancel);
        if (!found) return Pass(found);
        superuser = std::move(*found);
    }
    auto directory = MakePrivateDirectory(options.parent);
    if (!directory) return Pass(directory);
    std::unique_ptr<TemporaryServer> server(new TemporaryServer(install, pgdata, *directory));
    server->superuser_ = std::move(superuser);
    // Nobody else can enter the directory of the socket.
    if (auto hba = WriteFile(*directory + "/hba", "local all all trust\n", 0600); !hba)
        return Pass(hba);
    const std::string log = *directory + "/log";
    server->is_running_ = true;  // also one that pg_ctl gives up to wait for
    auto started =
        RunChecked({.argv = {install.pg_ctl, "start", "-D", pgdata, "-w", "-t", kStartSeconds, "-l",
                             log, "-o", OptionsFor(*directory, options)},
                    .env = {{"LC_ALL", "C"}, {"PGOPTIONS", ""}},
                    .cancel = options.cancel});
    if (started) started = AwaitReady(pgdata, options.cancel);
    if (started) return server;
    Problem problem = started.error().In("could not start PostgreSQL to prepare its data");
    if (auto said = ReadFile(log)) problem.detail = *said;
    return tl::unexpected(std::move(problem));
}

TemporaryServer::~TemporaryServer() {
    (void)Stop();
    (void)RemoveTree(directory_);
}

Result<PgClient> TemporaryServer::Connect(const std::string &database) const {
    return PgClient::Connect(BuildConninfo({{"host", directory_},
                                            {"port", "5432"},
                                            {"user", superuser_},
                                            {"dbname", database},
                                            {"options", "-c statement_timeout=0"}}));
}

Result<void> TemporaryServer::Stop() {
    const bool was_running = is_running_ && FindPostmaster(pgdata_);
    is_running_ = false;
    if (!was_running) return {};
    auto stopped = RunChecked(
        {.argv = {install_.pg_ctl, "stop", "-D", pgdata_, "-w", "-m", "fast", "-t", "300"},
         .env = {{"LC_ALL", "C"}}});
    if (!stopped) return Pass(stopped, "could not stop PostgreSQL after it was set up");
    return {};
}

}  // namespace pgaf::io
