#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "io/env.hpp"
#include "io/files.hpp"
#include "node/adoption.hpp"
#include "node/steps/steps.hpp"

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

/// Single-user servers remove the lock of PGDATA when they end.
Result<void> SetUpDatabase(const StepContext &context, const std::string &directory,
                           io::DirectoryLock &lock) {
    const Config &config = context.config;
    io::SingleUser session{.pgdata = directory, .commands = RoleCommands(context)};
    session.commands.push_back("SELECT datname FROM pg_catalog.pg_database WHERE datname = " +
                               io::QuoteLiteral(config.dbname));
    auto out = io::RunSingleUser(context.install, session, context.cancel);
    if (!out) return Pass(out);
    if (auto locked = lock.Take(); !locked) return locked;
    if (out->find(fmt::format("datname = \"{}\"", config.dbname)) != std::string::npos) return {};
    std::string create = "CREATE DATABASE " + io::QuoteIdentifier(config.dbname);
    if (!config.username.empty() && config.username != io::OsUser()) {
        create += " OWNER " + io::QuoteIdentifier(config.username);
    }
    session.commands = {create};
    auto created = io::RunSingleUser(context.install, session, context.cancel);
    if (!created) return Pass(created);
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

Result<void> CreateCluster(const StepContext &context, io::DirectoryLock &lock) {
    const std::string &pgdata = context.paths.pgdata;
    const std::string fresh = pgdata + ".pgaf-init";
    if (auto done = io::RemoveTree(fresh); !done) return done;
    spdlog::info("Creating a database cluster in \"{}\"", pgdata);
    if (auto done = InitDb(context.install, context.config, fresh, context.cancel); !done)
        return done;
    if (auto done = WriteFiles(context, fresh); !done) return done;
    if (auto done = SetUpDatabase(context, fresh, lock); !done) return done;
    if (auto done = io::MoveInto(fresh, pgdata); !done) return done;
    return io::RemoveTree(fresh);  // the empty directory that was there before
}

Result<void> AdoptCluster(const StepContext &context, io::DirectoryLock &lock) {
    const std::string &pgdata = context.paths.pgdata;
    if (io::Exists(pgdata + "/standby.signal") || io::Exists(pgdata + "/recovery.signal")) {
        return Fail(ProblemCode::kBadState,
                    fmt::format("the cluster in \"{}\" is a standby; only a primary can be adopted",
                                pgdata));
    }
    spdlog::info("Taking over the database cluster in \"{}\"", pgdata);
    const ConfiguredValues before = ReadConfigured(context.install, pgdata, {});
    if (auto done = WriteFiles(context, pgdata); !done) return done;
    auto control = io::ReadControlData(context.install, pgdata);
    if (!control) return Pass(control);
    auto options =
        WriteNodeServerFiles(context.install, context.config, context.paths, {.control = *control});
    if (!options) return Pass(options);
    SayWhatChanged(before, ReadConfigured(context.install, pgdata, *options));
    return SetUpDatabase(context, pgdata, lock);
}

}  // namespace

Result<std::uint64_t> InitPrimary(const StepContext &context, io::DirectoryLock &lock) {
    const std::string &pgdata = context.paths.pgdata;
    const io::DataDirectory kind = io::InspectDataDirectory(pgdata);
    if (kind == io::DataDirectory::kOther) {
        return tl::unexpected(supervisor::ForeignDirectory(pgdata));
    }
    auto done = kind == io::DataDirectory::kCluster ? AdoptCluster(context, lock)
                                                    : CreateCluster(context, lock);
    if (!done) return Pass(done);
    auto control = io::ReadControlData(context.install, pgdata);
    if (!control) return Pass(control);
    return control->system_identifier;
}

}  // namespace pgaf::node
