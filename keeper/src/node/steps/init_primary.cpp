#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "io/data_directory.hpp"
#include "io/env.hpp"
#include "io/files.hpp"
#include "io/temporary_server.hpp"
#include "node/adopt.hpp"
#include "node/adoption.hpp"
#include "node/steps/steps.hpp"
#include "pgaf/core/names.hpp"

namespace pgaf::node {
namespace {

std::vector<std::string> RoleCommands(const StepContext &context) {
    const Config &config = context.config;
    const std::string replicator(core::kReplicatorRole);
    std::vector<std::string> commands{EnsureRoleSql(core::kReplicatorRole, "LOGIN REPLICATION"),
                                      EnsureRoleSql(core::kHealthRole, "LOGIN CONNECTION LIMIT 2")};
    if (!config.replication_password.empty()) {
        commands.push_back(fmt::format("ALTER ROLE {} PASSWORD {}", replicator,
                                       io::QuoteLiteral(config.replication_password)));
    }
    // What the documentation of pg_rewind names as sufficient.
    for (const char *function :
         {"pg_ls_dir(text, boolean, boolean)", "pg_stat_file(text, boolean)",
          "pg_read_binary_file(text)", "pg_read_binary_file(text, bigint, bigint, boolean)"}) {
        commands.push_back(
            fmt::format("GRANT EXECUTE ON FUNCTION pg_catalog.{} TO {}", function, replicator));
    }
    if (context.install.major >= 15) commands.push_back("GRANT pg_checkpoint TO " + replicator);
    if (!config.username.empty() && config.username != io::OsUser()) {
        commands.push_back(EnsureRoleSql(config.username, "LOGIN"));
    }
    return commands;
}

Result<void> MakeObjects(const StepContext &context, const io::TemporaryServer &server) {
    const Config &config = context.config;
    auto client = server.Connect(std::string(core::kUsualDatabase));
    if (!client) client = server.Connect(std::string(core::kTemplateDatabase));
    if (!client) return Pass(client);
    std::vector<std::string> commands = RoleCommands(context);
    auto rows =
        client->Query("SELECT 1 FROM pg_catalog.pg_database WHERE datname = $1", {config.dbname});
    if (!rows) return Pass(rows);
    if (rows->IsEmpty()) {
        std::string create = "CREATE DATABASE " + io::QuoteIdentifier(config.dbname);
        if (!config.username.empty() && config.username != io::OsUser()) {
            create += " OWNER " + io::QuoteIdentifier(config.username);
        }
        commands.push_back(std::move(create));
    }
    for (const std::string &command : commands) {
        if (auto done = client->Query(command); !done)
            return Pass(done, "could not set up the database");
    }
    return {};
}

/// Servers remove the lock of PGDATA when they end.
Result<void> SetUpDatabase(const StepContext &context, const std::string &directory,
                           io::DirectoryLock &lock) {
    auto server = io::TemporaryServer::Start(
        context.install, directory, {.cancel = context.cancel, .parent = context.paths.directory});
    if (!server) return Pass(server);
    if (auto done = MakeObjects(context, **server); !done) return done;
    if (auto stopped = (*server)->Stop(); !stopped) return stopped;
    return lock.Take();
}

Result<void> WriteFiles(const StepContext &context, const std::string &directory) {
    if (auto done = WriteServerFiles(context.install, context.config, context.paths, directory);
        !done)
        return done;
    if (auto done = WriteNodeHba(context.keeper, directory, context.Peers()); !done) return done;
    if (auto done =
            WriteInto(directory, core::kStandbyFile, core::StandbyText(context.keeper, nullptr));
        !done) {
        return done;
    }
    return WriteInto(directory, core::kSyncFile, core::SyncText(""));
}

Result<void> MakeClusterIn(const StepContext &context, const std::string &directory,
                           io::DirectoryLock &lock) {
    if (auto done = InitDb(context.install, context.config, directory, context.cancel); !done)
        return done;
    if (auto done = WriteFiles(context, directory); !done) return done;
    return SetUpDatabase(context, directory, lock);
}

/// Where nothing can be moved to PGDATA it is made there, with the marker.
Result<void> CreateInPlace(const StepContext &context, io::DirectoryLock &lock) {
    const std::string &pgdata = context.paths.pgdata;
    if (auto done = SetMarker(context.paths, "init"); !done) return done;
    if (auto done = io::KillPostgres(pgdata, Milliseconds{5000}); !done) return done;
    if (auto done = io::EmptyDirectory(pgdata); !done) return done;
    if (auto done = MakeClusterIn(context, pgdata, lock); !done) return done;
    return ClearMarker(context.paths);
}

Result<void> CreateCluster(const StepContext &context, io::DirectoryLock &lock) {
    const std::string &pgdata = context.paths.pgdata;
    spdlog::info("Creating a database cluster in \"{}\"", pgdata);
    if (io::IsFixedDirectory(pgdata)) return CreateInPlace(context, lock);
    const std::string fresh = pgdata + ".pgaf-init";
    if (auto done = io::KillPostgres(fresh, Milliseconds{5000}); !done) return done;
    if (auto done = io::RemoveTree(fresh); !done) return done;
    if (auto done = MakeClusterIn(context, fresh, lock); !done) return done;
    if (auto done = io::MoveInto(fresh, pgdata); !done) return done;
    return io::RemoveTree(fresh);  // the empty directory that was there before
}

/// A restored backup is run to the end of its recovery, on a timeline of its own: what follows in
/// the archive is lost otherwise, and its files would be written again with other contents.
Result<void> FinishRecovery(const StepContext &context, io::DirectoryLock &lock) {
    const std::string &pgdata = context.paths.pgdata;
    spdlog::info("Finishing the recovery of the backup in \"{}\"; this may take long", pgdata);
    const std::string libraries =
        io::ConfiguredValue(context.install, pgdata, "shared_preload_libraries").value_or("");
    auto server = io::TemporaryServer::Start(context.install, pgdata,
                                             {.libraries = libraries,
                                              .settings = {"recovery_target_action=promote"},
                                              .has_sessions = false,
                                              .cancel = context.cancel,
                                              .parent = context.paths.directory});
    if (!server) {
        Problem problem = server.error().In("the recovery of the backup did not end");
        problem.code = ProblemCode::kRefused;
        problem.hint =
            "Correct restore_command and the recovery target in the configuration, and "
            "repeat the command: it goes on with the recovery.";
        return tl::unexpected(std::move(problem));
    }
    if (auto stopped = (*server)->Stop(); !stopped) return stopped;
    spdlog::info("The recovery has ended");
    return lock.Take();
}

void AddListening(const Config &config, const std::string &listens, std::string &note) {
    const auto deaf = SayWhoCannotConnect(config, listens);
    if (!deaf) return;
    spdlog::warn("{}", *deaf);
    spdlog::warn(
        "HINT:  Before you add a node: pg_autoctl config set postgresql.listen_addresses '*'");
    note += (note.empty() ? "" : ". ") + *deaf;
}

Result<void> AdoptCluster(const StepContext &context, io::DirectoryLock &lock, std::string &note) {
    const std::string &pgdata = context.paths.pgdata;
    if (auto fits = CheckAdoptable(pgdata); !fits) return fits;
    if (io::Exists(pgdata + "/recovery.signal")) {
        if (auto done = FinishRecovery(context, lock); !done) return done;
    }
    spdlog::info("Taking over the database cluster in \"{}\"", pgdata);
    const ConfiguredValues before = ReadConfigured(context.install, pgdata, {});
    if (auto done = WriteFiles(context, pgdata); !done) return done;
    auto control = io::ReadControlData(context.install, pgdata);
    if (!control) return Pass(control);
    auto options =
        WriteNodeServerFiles(context.install, context.config, context.paths, {.control = *control});
    if (!options) return Pass(options);
    const ConfiguredValues after = ReadConfigured(context.install, pgdata, *options);
    note = SayWhatChanged(before, after);
    const auto listens = after.find("listen_addresses");
    if (listens != after.end()) AddListening(context.config, listens->second, note);
    return SetUpDatabase(context, pgdata, lock);
}

}  // namespace

Result<std::uint64_t> InitPrimary(const StepContext &context, io::DirectoryLock &lock,
                                  std::string &note) {
    const std::string &pgdata = context.paths.pgdata;
    const bool was_interrupted = HasMarker(context.paths);
    const io::DataDirectory kind =
        was_interrupted ? io::DataDirectory::kEmpty : io::InspectDataDirectory(pgdata);
    if (kind == io::DataDirectory::kOther) {
        return tl::unexpected(supervisor::ForeignDirectory(pgdata));
    }
    auto done = kind == io::DataDirectory::kCluster ? AdoptCluster(context, lock, note)
                                                    : CreateCluster(context, lock);
    if (!done) return Pass(done);
    auto control = io::ReadControlData(context.install, pgdata);
    if (!control) return Pass(control);
    return control->system_identifier;
}

}  // namespace pgaf::node
