#include "node/monitor_supervisor.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "io/log.hpp"
#include "io/pg_client.hpp"
#include "io/postgres.hpp"
#include "node/pg_setup.hpp"

namespace pgaf::node {

MonitorLoop::MonitorLoop(supervisor::ServerPorts ports, uv_loop_t *loop, SupervisorOptions options)
    : ServerLoop(ports), loop_(loop), options_(std::move(options)) {}

void MonitorLoop::OnBegin() {
    if (!server_.Attach()) StartServer();
}

namespace {

/// Operators and readers must not keep nodes out. A limit that somebody has set stays.
Result<void> LimitOtherRoles(io::PgClient &client) {
    for (const std::string role : {"autoctl_operator", "autoctl_reader"}) {
        auto most = client.Query(
            "SELECT greatest(pg_catalog.current_setting('max_connections')::int / 5, 5)"
            " FROM pg_catalog.pg_roles WHERE rolconnlimit = -1 AND rolname = '" +
            role + "'");
        if (!most) return Pass(most);
        if (most->IsEmpty()) continue;
        auto done = client.Query("ALTER ROLE " + role + " CONNECTION LIMIT " + most->At(0, 0));
        if (!done) return Pass(done, "could not limit the sessions of role " + role);
    }
    return {};
}

/// Nodes, or whoever knows their password, must not keep operators out.
Result<void> LimitSessions(io::PgClient &client) {
    if (auto done = LimitOtherRoles(client); !done) return done;
    auto most = client.Query(
        "SELECT greatest(pg_catalog.current_setting('max_connections')::int - 10, 10)"
        " FROM pg_catalog.pg_roles WHERE rolname = 'autoctl_node' AND rolconnlimit <> "
        "greatest(pg_catalog.current_setting('max_connections')::int - 10, 10)");
    if (!most) return Pass(most);
    if (most->IsEmpty()) return {};
    auto done = client.Query("ALTER ROLE autoctl_node CONNECTION LIMIT " + most->At(0, 0));
    if (!done) return Pass(done, "could not limit the sessions of role autoctl_node");
    return {};
}

/// A newer module may want more of its tables than an older one has made.
Result<std::string> UpdateExtension(const std::string &pgdata) {
    const auto postmaster = io::FindPostmaster(pgdata);
    if (!postmaster) return Fail(ProblemCode::kPostgres, "PostgreSQL is not running");
    const std::string &directory = postmaster->socket_directory;
    auto client = io::PgClient::Connect(
        io::BuildConninfo({{"port", std::to_string(postmaster->port)},
                           {"host", directory.empty() ? "localhost" : directory},
                           {"dbname", std::string(core::kMonitorDatabase)},
                           {"connect_timeout", "5"}}));
    if (!client) return Pass(client);
    if (auto limited = LimitSessions(*client); !limited) return Pass(limited);
    auto before = client->Query(
        "SELECT e.extversion, a.default_version FROM pg_catalog.pg_extension e "
        "JOIN pg_catalog.pg_available_extensions a ON a.name = e.extname "
        "WHERE e.extname = 'pgautofailover' AND e.extversion <> a.default_version");
    if (!before) return Pass(before);
    if (before->IsEmpty()) return std::string();
    auto updated = client->Query("ALTER EXTENSION pgautofailover UPDATE");
    if (!updated) return Pass(updated, "could not update the extension");
    return fmt::format("Updated the extension from version {} to {}", before->At(0, 0),
                       before->At(0, 1));
}

}  // namespace

void MonitorLoop::OnReady() {
    auto said = std::make_shared<Result<std::string>>();
    io::RunInThread(
        loop_, [said, pgdata = options_.paths.pgdata] { *said = UpdateExtension(pgdata); },
        [said] {
            if (!*said) {
                io::LogProblem(spdlog::level::warn, said->error());
            } else if (!(*said)->empty()) {
                spdlog::info("{}", **said);
            }
        });
}

Result<std::vector<std::string>> MonitorLoop::BeforeStart() {
    auto done =
        WriteServerFiles(options_.install, options_.config, options_.paths, options_.paths.pgdata);
    if (!done) return Pass(done);
    return std::vector<std::string>{};
}

void MonitorLoop::OnReload() {
    auto config = LoadConfig(options_.paths);
    if (!config) return log_.Error(config.error());
    options_.config = std::move(*config);
    if (auto done = BeforeStart(); !done) log_.Error(done.error());
    server_.Reload();
    log_.Info("Reloaded the configuration");
}

}  // namespace pgaf::node
