#include "node/pg_setup.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include "io/config_lines.hpp"
#include "io/files.hpp"
#include "io/machine.hpp"
#include "io/process.hpp"
#include "pgaf/core/hba.hpp"
#include "pgaf/core/leave.hpp"
#include "pgaf/core/server_options.hpp"

namespace pgaf::node {

std::string PlaceOf(const std::string &pgdata, const std::string &said) {
    std::vector<io::ConfigLine> lines = io::ReadConfigLines(pgdata + "/postgresql.conf");
    for (io::ConfigLine &line : io::ReadConfigLines(pgdata + "/postgresql.auto.conf"))
        lines.push_back(std::move(line));
    const io::ConfigLine *const found = io::FindRefusedLine(lines, said);
    return found == nullptr ? "" : fmt::format(" ({}, line {})", found->file, found->number);
}

namespace {

constexpr Milliseconds kToolLimit{300'000};
constexpr const char *kUsualSocketDirectory = "/var/run/postgresql";

/// True when postgresql.conf has an active line for the setting.
bool HasSetting(std::string_view conf, std::string_view name) {
    for (std::size_t at = conf.find(name); at != std::string_view::npos;
         at = conf.find(name, at + 1)) {
        const std::size_t line = conf.rfind('\n', at) + 1;  // npos + 1 is the first line
        const std::string_view before = conf.substr(line, at - line);
        if (before.find_first_not_of(" \t") == std::string_view::npos) return true;
    }
    return false;
}

int AtLeast(int least, std::string_view conf, std::string_view name) {
    return std::max(least, core::ParseSize(core::SettingOf(conf, name)).value_or(0));
}

/// What Debian compiles in belongs to the user postgres; everybody else gets a directory of his
/// own, unless the operator chose one: in /tmp anybody could pretend to be this server.
core::ServerSettings SettingsOf(const io::PgInstall &install, const Config &config,
                                const Paths &paths, const std::string &directory,
                                std::string_view conf) {
    core::ServerSettings settings = MakeServerSettings(config, paths, install.major);
    if (settings.unix_socket_directory.empty() && !io::IsWritable(kUsualSocketDirectory) &&
        !HasSetting(core::WithoutKeptSettings(conf), "unix_socket_directories")) {
        settings.unix_socket_directory = paths.sockets;
    }
    // As they were found before the last start of the node; on a copy, of its upstream.
    const auto old = io::ReadFile(directory + "/" + std::string(core::kSettingsFile));
    if (old && !config.IsMonitor()) {
        const std::string libraries = core::SettingOf(*old, "shared_preload_libraries");
        settings.preload_libraries = core::MergeLibraries(libraries, core::kKeeperLibrary);
        const std::string level = core::SettingOf(*old, "wal_level");
        if (!level.empty()) settings.wal_level = level;
        settings.wal_senders = AtLeast(core::kLeastWalSenders, *old, "max_wal_senders");
        settings.replication_slots = AtLeast(core::kLeastSlots, *old, "max_replication_slots");
    }
    return settings;
}

Result<void> MakeCertificate(const Config &config, const std::string &directory) {
    const std::string certificate = directory + "/server.crt";
    const std::string key = directory + "/server.key";
    auto made = io::RunChecked(
        {.argv = {"openssl", "req", "-new", "-x509", "-days", "3650", "-nodes", "-text", "-out",
                  certificate, "-keyout", key, "-subj", "/CN=" + config.hostname.substr(0, 64)},
         .timeout = kToolLimit});
    if (!made) return Pass(made, "could not create a self-signed certificate");
    if (::chmod(key.c_str(), 0600) != 0)
        return tl::unexpected(io::IoProblem("change the mode of", key));
    return {};
}

/// The certificate in `directory` names this host; a clone brings that of its upstream.
bool HasOwnCertificate(const Config &config, const std::string &directory) {
    const std::string certificate = directory + "/server.crt";
    if (!io::Exists(certificate) || !io::Exists(directory + "/server.key")) return false;
    auto subject =
        io::RunChecked({.argv = {"openssl", "x509", "-noout", "-subject", "-in", certificate},
                        .timeout = kToolLimit});
    return subject && subject->find(config.hostname.substr(0, 64)) != std::string::npos;
}

/// A configuration without ours, beside it so that the includes in it are found.
constexpr std::string_view kAsked = "postgresql-auto-failover-asked.conf";

Result<std::string> AskConfiguration(const io::PgInstall &install, const std::string &pgdata,
                                     const std::string &name) {
    auto value = io::ConfiguredValue(install, pgdata, name, pgdata + "/" + std::string(kAsked));
    if (value) return value;
    Problem problem = value.error();
    for (std::size_t at = problem.message.find(kAsked); at != std::string::npos;
         at = problem.message.find(kAsked))
        problem.message.replace(at, kAsked.size(), "postgresql.conf");
    // Of a value that it cannot have PostgreSQL says only the name.
    if (problem.message.find("\" line ") == std::string::npos)
        problem.message += PlaceOf(pgdata, problem.message);
    return tl::unexpected(std::move(problem));
}

Result<int> AskSize(const io::PgInstall &install, const std::string &pgdata,
                    std::string_view name) {
    auto value = AskConfiguration(install, pgdata, std::string(name));
    if (!value) return Pass(value);
    return core::ParseSize(*value).value_or(0);
}

/// All five only where they matter: each question is a process.
Result<void> FindSizes(const io::PgInstall &install, const Paths &paths,
                       core::ConfiguredServer &found) {
    for (std::size_t i = 0; i < core::kSizeNames.size(); ++i) {
        const bool is_asked = found.required || core::kSizeNames.at(i) == "max_wal_senders";
        if (!is_asked) continue;
        auto size = AskSize(install, paths.pgdata, core::kSizeNames.at(i));
        if (!size) return Pass(size);
        found.sizes.at(i) = *size;
    }
    auto slots = AskSize(install, paths.pgdata, "max_replication_slots");
    if (!slots) return Pass(slots);
    found.replication_slots = *slots;
    return {};
}

Result<core::ConfiguredServer> FindConfigured(const io::PgInstall &install, const Paths &paths,
                                              const StartFacts &facts) {
    core::ConfiguredServer found{.libraries = {},
                                 .wal_level = {},
                                 .has_checksums = facts.control.has_checksums,
                                 .keeper_directory = paths.directory};
    if (facts.is_standby) found.required = facts.control.sizes;
    if (auto done = FindSizes(install, paths, found); !done) return Pass(done);
    auto libraries = AskConfiguration(install, paths.pgdata, "shared_preload_libraries");
    if (!libraries) return Pass(libraries);
    found.libraries = std::move(*libraries);
    auto level = AskConfiguration(install, paths.pgdata, "wal_level");
    if (!level) return Pass(level);
    found.wal_level = std::move(*level);
    return found;
}

/// Whatever needs it first says what is to be done: a start, or a step before it.
Result<std::string> ReadMainFile(const std::string &directory) {
    const std::string path = directory + "/postgresql.conf";
    if (!io::Exists(path)) {
        return Fail(ProblemCode::kIo, "\"" + path +
                                          "\" is missing: put it back; an empty one will do, and "
                                          "leaves PostgreSQL's defaults");
    }
    return io::ReadFile(path);
}

Result<core::ConfiguredServer> AskAdministrator(const io::PgInstall &install, const Paths &paths,
                                                const StartFacts &facts) {
    auto conf = ReadMainFile(paths.pgdata);
    if (!conf) return Pass(conf);
    std::string asked = core::WithoutInclude(*conf);
    asked.append("include_if_exists '").append(core::kGroupSettingsFile).append("'\n");
    if (auto done = WriteInto(paths.pgdata, kAsked, asked); !done) return Pass(done);
    auto found = FindConfigured(install, paths, facts);
    if (auto done = io::RemoveFile(paths.pgdata + "/" + std::string(kAsked)); !done)
        return Pass(done);
    return found;
}

/// Marks the server as one that is tuned, and takes back what initdb has chosen.
Result<void> BeginTuning(const std::string &directory) {
    auto conf = io::ReadFile(directory + "/postgresql.conf");
    if (!conf) return Pass(conf);
    if (auto done = WriteInto(directory, "postgresql.conf", core::WithoutInitdbChoices(*conf));
        !done)
        return done;
    const core::Machine machine = io::ReadMachine(directory + "/pg_wal");
    return WriteInto(directory, core::kDefaultsFile,
                     core::DefaultsText({.tuned = core::TunedSettings(machine)}));
}

}  // namespace

Result<void> WriteInto(const std::string &directory, std::string_view file, std::string_view text) {
    return io::WriteFile(directory + "/" + std::string(file), text, 0600);
}

Result<void> InitDb(const io::PgInstall &install, const Config &config,
                    const std::string &directory, io::Cancel *cancel) {
    const std::string &method = config.auth_method;
    const bool is_skip = method == "skip" || method.empty();
    // Certificates need encrypted sessions, and initdb writes rules for all kinds.
    const std::string host_auth = is_skip || method == "cert" ? "scram-sha-256" : method;
    const std::string local_auth = method == "trust" ? "trust" : "peer";
    auto made = io::RunChecked({.argv = {install.Tool("initdb"), "-D", directory,
                                         "--auth-local=" + local_auth, "--auth-host=" + host_auth},
                                .timeout = kToolLimit,
                                .cancel = cancel});
    if (!made)
        return Pass(made, fmt::format("could not create a database cluster in \"{}\"", directory));
    return config.tune && !config.IsMonitor() ? BeginTuning(directory) : Result<void>{};
}

namespace {

/// A server that was tuned when it was made is tuned anew: the machine may be another one, that of
/// a copy, or have grown.
core::Defaults DefaultsOf(const Config &config, const std::string &directory) {
    const core::Machine machine = io::ReadMachine(directory + "/pg_wal");
    core::Defaults defaults{.is_monitor = config.IsMonitor(),
                            .ssl = config.ssl_active,
                            .slot_wal_mb = core::SlotWalMb(machine.disk_bytes),
                            .tuned = {}};
    const auto old = io::ReadFile(directory + "/" + std::string(core::kDefaultsFile));
    if (config.tune && old && core::IsTuned(*old)) defaults.tuned = core::TunedSettings(machine);
    return defaults;
}

Result<void> WriteSettings(const core::ServerSettings &settings, const core::Defaults &defaults,
                           const std::string &directory, const std::string &conf) {
    if (auto done = WriteInto(directory, core::kSettingsFile, core::SettingsText(settings)); !done)
        return done;
    if (auto done = WriteInto(directory, core::kDefaultsFile, core::DefaultsText(defaults)); !done)
        return done;
    const std::string with_include =
        core::EnsureDefaultsInclude(core::EnsureInclude(core::WithoutKeptSettings(conf)));
    if (with_include == conf) return {};
    return WriteInto(directory, "postgresql.conf", with_include);
}

}  // namespace

Result<std::vector<std::string>> WriteNodeServerFiles(const io::PgInstall &install,
                                                      const Config &config, const Paths &paths,
                                                      const StartFacts &facts) {
    const std::string &pgdata = paths.pgdata;
    auto configured = AskAdministrator(install, paths, facts);
    if (!configured) return Pass(configured);
    if (auto done = WriteServerFiles(install, config, paths, pgdata); !done) return Pass(done);
    auto conf = ReadMainFile(pgdata);
    if (!conf) return Pass(conf);
    core::ServerSettings settings = SettingsOf(install, config, paths, pgdata, *conf);
    settings.preload_libraries = core::MergeLibraries(configured->libraries, core::kKeeperLibrary);
    settings.wal_level = configured->wal_level == "logical" ? "logical" : "replica";
    const int senders = configured->sizes.at(*core::FindSize("max_wal_senders"));
    settings.wal_senders = std::max(senders, core::kLeastWalSenders);
    settings.replication_slots = std::max(configured->replication_slots, core::kLeastSlots);
    if (auto done = WriteSettings(settings, DefaultsOf(config, pgdata), pgdata, *conf); !done)
        return Pass(done);
    return core::SafetyOptions(*configured);
}

Result<std::vector<std::string>> RecoveryOptions(const io::PgInstall &install, const Paths &paths,
                                                 const io::ControlData &control) {
    auto configured = AskAdministrator(install, paths, {.control = control, .is_standby = false});
    if (!configured) return Pass(configured);
    return core::SafetyOptions(*configured);
}

namespace {

/// ALTER SYSTEM of an earlier life, and what pg_basebackup -R has written, would beat our files.
Result<void> RemoveOwnedSettings(const std::string &directory) {
    const std::string name = "postgresql.auto.conf";
    const auto present = io::ReadFile(directory + "/" + name);
    if (!present) return {};
    const std::string wanted = core::WithoutOwnedSettings(*present);
    if (wanted == *present) return {};
    spdlog::warn(
        "Settings that pg_autoctl decides were taken out of \"{}/{}\"; they stand there as "
        "comments",
        directory, name);
    return WriteInto(directory, name, wanted);
}

}  // namespace

Result<void> WriteServerFiles(const io::PgInstall &install, const Config &config,
                              const Paths &paths, const std::string &directory) {
    if (!config.IsMonitor()) {
        if (auto done = RemoveOwnedSettings(directory); !done) return done;
    }
    if (config.ssl_active && config.ssl_self_signed && !HasOwnCertificate(config, directory)) {
        if (auto made = MakeCertificate(config, directory); !made) return made;
    }
    auto conf = ReadMainFile(directory);
    if (!conf) return Pass(conf);
    const core::ServerSettings settings = SettingsOf(install, config, paths, directory, *conf);
    if (settings.unix_socket_directory == paths.sockets) {
        if (auto made = MakeSocketDirectory(paths); !made) return made;
    }
    return WriteSettings(settings, DefaultsOf(config, directory), directory, *conf);
}

Result<void> WriteNodeHba(const core::KeeperConfig &keeper, const std::string &directory,
                          std::span<const core::Peer> peers) {
    auto hba = io::ReadFile(directory + "/pg_hba.conf");
    if (!hba && !io::Exists(directory + "/pg_hba.conf")) {
        // Made anew without the rules of applications, it would be a trap after the next failover.
        return Fail(ProblemCode::kIo,
                    "\"" + directory +
                        "/pg_hba.conf\" is missing: put it back, from another node "
                        "for instance; the lines of the group are added to it");
    }
    if (!hba) return Pass(hba);
    const std::string wanted = core::EnsureHba(*hba, keeper, peers);
    if (wanted == *hba) return {};
    return WriteInto(directory, "pg_hba.conf", wanted);
}

Result<void> WriteStandbyFiles(const core::KeeperConfig &keeper, const core::Peer &upstream,
                               const std::string &directory) {
    if (auto done = WriteInto(directory, core::kStandbyFile, core::StandbyText(keeper, &upstream));
        !done) {
        return done;
    }
    if (auto done = WriteInto(directory, core::kSyncFile, core::SyncText("")); !done) return done;
    return WriteInto(directory, "standby.signal", "");
}

std::string EnsureRoleSql(std::string_view role, std::string_view attributes) {
    const std::string body = fmt::format(
        " BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {0}) THEN "
        "CREATE ROLE {1} {2}; END IF; END ",
        io::QuoteLiteral(role), io::QuoteIdentifier(role), attributes);
    std::string quote = "$do$";  // a name may hold it
    while (body.find(quote) != body.npos)
        quote.insert(1, "d");
    return "DO " + quote + body + quote;
}

}  // namespace pgaf::node
