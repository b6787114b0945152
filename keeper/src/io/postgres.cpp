#include "io/postgres.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <set>
#include <sstream>

#include "io/env.hpp"
#include "io/files.hpp"
#include "pgaf/core/server_options.hpp"

namespace pgaf::io {
namespace fs = std::filesystem;
namespace {

constexpr Milliseconds kToolLimit{30'000};

template <typename Number>
Number ToNumber(std::string_view text) {
    Number number{};
    (void)std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

std::string_view Trim(std::string_view text) {
    const std::size_t first = text.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

Result<PgInstall> Describe(const std::string &pg_ctl) {
    auto version = RunChecked(
        {.argv = {pg_ctl, "--version"}, .env = {{"LC_ALL", "C"}}, .timeout = kToolLimit});
    if (!version) return Pass(version);
    PgInstall install;
    install.pg_ctl = AbsolutePath(pg_ctl);
    install.bindir = ParentOf(install.pg_ctl);
    const std::size_t mark = version->find(") ");
    if (mark == std::string::npos) {
        return Fail(ProblemCode::kBadConfig,
                    fmt::format("\"{}\" is not PostgreSQL's pg_ctl", pg_ctl));
    }
    install.version = Trim(std::string_view(*version).substr(mark + 2));
    install.major = ToNumber<int>(install.version);
    if (!Exists(install.Tool("postgres"))) {
        return Fail(ProblemCode::kBadConfig,
                    fmt::format("no server program next to \"{}\"", install.pg_ctl), {},
                    "Give the path of pg_ctl in the server's bin directory with --pgctl.");
    }
    return install;
}

std::vector<std::string> FindInPath(std::string_view program) {
    std::vector<std::string> found;
    std::set<std::string> real_paths;
    std::stringstream path(EnvOr("PATH", "/usr/local/bin:/usr/bin:/bin"));
    for (std::string directory; std::getline(path, directory, ':');) {
        const std::string candidate = directory + "/" + std::string(program);
        if (::access(candidate.c_str(), X_OK) != 0) continue;
        if (real_paths.insert(AbsolutePath(candidate)).second) found.push_back(candidate);
    }
    return found;
}

Result<PgInstall> FromPgConfig(const std::string &pg_config) {
    auto bindir = RunChecked({.argv = {pg_config, "--bindir"}, .timeout = kToolLimit});
    if (!bindir) return Pass(bindir);
    return Describe(std::string(Trim(*bindir)) + "/pg_ctl");
}

}  // namespace

std::string PgInstall::Tool(std::string_view name) const {
    return bindir + "/" + std::string(name);
}

Result<PgInstall> FindPgInstall(const std::string &pg_ctl_option) {
    if (!pg_ctl_option.empty()) {
        if (::access(pg_ctl_option.c_str(), X_OK) != 0) {
            Problem problem = IoProblem("run", pg_ctl_option);
            problem.code = ProblemCode::kBadConfig;
            problem.hint = "Give the path of PostgreSQL's pg_ctl with --pgctl.";
            return tl::unexpected(std::move(problem));
        }
        return Describe(pg_ctl_option);
    }
    if (auto pg_config = Env("PG_CONFIG")) return FromPgConfig(*pg_config);
    const std::vector<std::string> candidates = FindInPath("pg_ctl");
    if (candidates.size() == 1) return Describe(candidates.front());
    const std::vector<std::string> configs = FindInPath("pg_config");
    if (configs.size() == 1) return FromPgConfig(configs.front());
    std::string list;
    for (const std::string &candidate : candidates)
        list += " " + candidate;
    return Fail(
        ProblemCode::kBadConfig,
        candidates.empty() ? "could not find pg_ctl in PATH" : "found more than one pg_ctl in PATH",
        list.empty() ? "" : fmt::format("Found:{}.", list), "Choose one with --pgctl.");
}

DataDirectory InspectDataDirectory(const std::string &pgdata) {
    if (!Exists(pgdata)) return DataDirectory::kAbsent;
    if (IsEmptyDirectory(pgdata)) return DataDirectory::kEmpty;
    for (const char *name : {"/PG_VERSION", "/global/pg_control", "/global/pg_filenode.map",
                             "/base", "/pg_wal", "/pg_xact", "/pg_multixact"}) {
        if (!Exists(pgdata + name)) return DataDirectory::kOther;
    }
    if (MajorVersionOf(pgdata) == 0) return DataDirectory::kOther;
    return DataDirectory::kCluster;
}

int MajorVersionOf(const std::string &pgdata) {
    auto text = ReadFile(pgdata + "/PG_VERSION");
    return text ? ToNumber<int>(*text) : 0;
}

Result<void> CheckMajorVersion(const PgInstall &install, const std::string &pgdata) {
    const int major = MajorVersionOf(pgdata);
    if (major == 0 || major == install.major) return {};
    return Fail(ProblemCode::kBadState,
                fmt::format("the data directory \"{}\" was made by PostgreSQL {}", pgdata, major),
                fmt::format("\"{}\" is of version {}.", install.pg_ctl, install.version),
                fmt::format("Give the path of pg_ctl of PostgreSQL {} with --pgctl.", major));
}

namespace {

constexpr std::array<const char *, 5> kControlSizes{
    "max_connections setting", "max_worker_processes setting", "max_wal_senders setting",
    "max_prepared_xacts setting", "max_locks_per_xact setting"};

}  // namespace

Result<ControlData> ParseControlData(std::string_view text) {
    std::map<std::string, std::string, std::less<>> values;
    std::stringstream lines{std::string(text)};
    for (std::string line; std::getline(lines, line);) {
        const std::size_t colon = line.find(':');
        if (colon == std::string::npos) continue;
        values[line.substr(0, colon)] = Trim(std::string_view(line).substr(colon + 1));
    }
    ControlData data;
    data.system_identifier = ToNumber<std::uint64_t>(values["Database system identifier"]);
    data.state = values["Database cluster state"];
    data.timeline = std::max(ToNumber<int>(values["Latest checkpoint's TimeLineID"]),
                             ToNumber<int>(values["Min recovery ending loc's timeline"]));
    data.checkpoint = core::ParseLsn(values["Latest checkpoint location"]).value_or(core::Lsn{});
    data.min_recovery =
        core::ParseLsn(values["Minimum recovery ending location"]).value_or(core::Lsn{});
    data.control_version = ToNumber<int>(values["pg_control version number"]);
    data.segment_bytes = ToNumber<std::uint64_t>(values["Bytes per WAL segment"]);
    data.has_checksums = ToNumber<int>(values["Data page checksum version"]) != 0;
    data.catalog_version = ToNumber<int>(values["Catalog version number"]);
    if (values.contains(kControlSizes.front())) {
        data.sizes = core::ServerSizes{};
        for (std::size_t i = 0; i < kControlSizes.size(); ++i)
            data.sizes->at(i) = ToNumber<int>(values[kControlSizes.at(i)]);
    }
    if (data.system_identifier == 0 || data.timeline == 0) {
        return Fail(ProblemCode::kCorrupt,
                    "pg_controldata shows no system identifier and timeline");
    }
    return data;
}

Result<ControlData> ReadControlData(const PgInstall &install, const std::string &pgdata) {
    const std::string what = fmt::format("could not read the control file of \"{}\"", pgdata);
    auto outcome = Run({.argv = {install.Tool("pg_controldata"), "-D", pgdata},
                        .env = {{"LC_ALL", "C"}},
                        .timeout = kToolLimit});
    if (!outcome) return Pass(outcome, what);
    // It shows what it finds, whatever that is, and says so.
    const std::string said = outcome->out + outcome->err;
    if (said.find("CRC checksum does not match") != said.npos)
        return Fail(ProblemCode::kCorrupt, what + ": its checksum is wrong");
    if (outcome->status == 0) return ParseControlData(outcome->out);
    const bool is_forbidden = outcome->err.find("Permission denied") != std::string::npos;
    return Fail(is_forbidden ? ProblemCode::kIo : ProblemCode::kCorrupt,
                what + ": " + std::string(Trim(outcome->err)));
}

bool IsInProduction(const std::string &pgdata) {
    constexpr std::size_t kStateAt = 16;
    constexpr std::uint32_t kInProduction = 6;
    auto file = ReadFile(pgdata + "/global/pg_control");
    std::uint32_t state = 0;
    if (!file || file->size() < kStateAt + sizeof state) return false;
    std::memcpy(&state, file->data() + kStateAt, sizeof state);
    return state == kInProduction;
}

std::optional<PostmasterFile> ParsePostmasterFile(std::string_view text) {
    std::vector<std::string> lines;
    std::stringstream stream{std::string(text)};
    for (std::string line; std::getline(stream, line);)
        lines.push_back(line);
    if (lines.size() < 2) return std::nullopt;
    lines.resize(8);
    PostmasterFile file;
    file.pid = ToNumber<pid_t>(lines[0]);
    file.pgdata = lines[1];
    file.port = ToNumber<int>(lines[3]);
    file.socket_directory = lines[4];
    file.status = Trim(lines[7]);
    if (file.pid <= 0) return std::nullopt;  // a negative one is a single-user server
    return file;
}

std::optional<PostmasterFile> ReadPostmasterFile(const std::string &pgdata) {
    auto text = ReadFile(pgdata + "/postmaster.pid");
    return text ? ParsePostmasterFile(*text) : std::nullopt;
}

namespace {

/// A directory, whatever it is called.
struct DirectoryId {
    dev_t device = 0;
    ino_t inode = 0;
    friend bool operator==(const DirectoryId &, const DirectoryId &) = default;
};

std::optional<DirectoryId> IdOf(const std::string &path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) return std::nullopt;
    return DirectoryId{info.st_dev, info.st_ino};
}

bool IsServerIn(pid_t pid, const DirectoryId &directory) {
    const ProcessInfo info = InspectProcess(pid);
    return info.pid == pid && info.state != 'Z' && info.comm.starts_with("postgres") &&
           IdOf(fmt::format("/proc/{}/cwd", pid)) == directory;
}

}  // namespace

std::optional<PostmasterFile> FindPostmaster(const std::string &pgdata) {
    auto file = ReadPostmasterFile(pgdata);
    const auto directory = IdOf(pgdata);
    if (!file || !directory || !IsServerIn(file->pid, *directory)) return std::nullopt;
    if (IsServerIn(InspectProcess(file->pid).parent, *directory)) return std::nullopt;
    return file;
}

std::vector<pid_t> PostgresProcesses(const std::string &pgdata) {
    std::vector<pid_t> found;
    const auto directory = IdOf(pgdata);
    if (!directory) return found;
    std::error_code error;
    for (const fs::directory_entry &entry : fs::directory_iterator("/proc", error)) {
        const auto pid = ToNumber<pid_t>(entry.path().filename().string());
        if (pid <= 1) continue;
        struct stat owner {};
        if (::stat(entry.path().c_str(), &owner) != 0 || owner.st_uid != geteuid()) continue;
        if (IsServerIn(pid, *directory)) found.push_back(pid);
    }
    return found;
}

namespace {

/// No server is left in `pgdata`. PostgreSQL asks kill(pid, 0) only, and would take the lock file
/// of a zombie that nobody reaps, or one whose number another process has by now, for a living one.
void RemoveStaleLock(const std::string &pgdata) {
    const std::string path = pgdata + "/postmaster.pid";
    if (!Exists(path) || !PostgresProcesses(pgdata).empty()) return;
    if (const auto file = ReadPostmasterFile(pgdata)) {
        const std::string socket_lock =
            file->socket_directory + "/.s.PGSQL." + std::to_string(file->port) + ".lock";
        const bool is_zombie = InspectProcess(file->pid).state == 'Z';
        if (auto owner = ReadFile(socket_lock);
            is_zombie && owner && ToNumber<pid_t>(*owner) == file->pid) {
            (void)RemoveFile(socket_lock);
        }
    }
    (void)RemoveFile(path);
}

std::string LockText(const std::string &pgdata) {
    return fmt::format("{}\n{}\n{}\n", -::getpid(), pgdata, ::time(nullptr));
}

/// False when the file is there already.
Result<bool> CreateLock(const std::string &path, const std::string &pgdata) {
    const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!fd.IsOpen() && errno == EEXIST) return false;
    if (!fd.IsOpen()) return tl::unexpected(IoProblem("create", path));
    const std::string text = LockText(pgdata);
    if (::write(fd.Get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        return tl::unexpected(IoProblem("write", path));
    return true;
}

bool IsOurs(const std::string &path) {
    auto text = ReadFile(path);
    return text && ToNumber<pid_t>(*text) == -::getpid();
}

}  // namespace

/// PostgreSQL starts in a directory of mode 0700 or 0750 only. Whoever has changed that meant the
/// files to be read or kept, and not the server to stay down.
void MendMode(const std::string &pgdata) {
    struct stat status {};
    if (::stat(pgdata.c_str(), &status) != 0 || status.st_uid != ::geteuid()) return;
    const mode_t mode = status.st_mode & 0777U;
    if (mode == 0700 || mode == 0750) return;
    if (::chmod(pgdata.c_str(), 0700) != 0) return;
    spdlog::warn(
        "\"{}\" had mode {:04o}, with which PostgreSQL does not start: it has mode 0700 now",
        pgdata, mode);
}

Result<void> DirectoryLock::Take() {
    MendMode(pgdata_);
    const std::string path = pgdata_ + "/postmaster.pid";
    if (InspectDataDirectory(pgdata_) != DataDirectory::kCluster || IsOurs(path)) return {};
    for (int attempt = 0; attempt < 2; ++attempt) {
        auto created = CreateLock(path, pgdata_);
        if (!created) return Pass(created);
        if (*created) return {};
        RemoveStaleLock(pgdata_);
    }
    return Fail(
        ProblemCode::kBadState,
        fmt::format("PostgreSQL is running in \"{}\", and nobody may work on its files", pgdata_));
}

Result<void> DirectoryLock::PutInto(const std::string &directory) const {
    auto created = CreateLock(directory + "/postmaster.pid", pgdata_);
    if (!created) return Pass(created);
    if (*created) return {};
    return Fail(ProblemCode::kBadState, fmt::format("\"{}\" is in use", directory));
}

void DirectoryLock::Release() {
    const std::string path = pgdata_ + "/postmaster.pid";
    if (IsOurs(path)) (void)RemoveFile(path);
}

Result<void> KillPostgres(const std::string &pgdata, Milliseconds limit) {
    const core::BootTime start = BootNow();
    for (;;) {
        const std::vector<pid_t> left = PostgresProcesses(pgdata);
        if (left.empty()) {
            RemoveStaleLock(pgdata);
            return {};
        }
        if (BootNow() - start > limit) {
            return Fail(ProblemCode::kTimeout,
                        fmt::format("{} processes of PostgreSQL in \"{}\" cannot be killed",
                                    left.size(), pgdata));
        }
        for (const pid_t pid : left) {
            const UniqueFd pidfd = OpenPidFd(pid);
            (void)::kill(pid, SIGKILL);
            (void)AwaitEnd(pidfd, Milliseconds{1000});
            (void)::waitpid(pid, nullptr, WNOHANG);  // ours when we are the subreaper
        }
    }
}

Result<std::string> ConfiguredValue(const PgInstall &install, const std::string &pgdata,
                                    const std::string &name, const std::string &config_file) {
    std::vector<std::string> argv{install.Tool("postgres"), "-D", pgdata, "-C", name};
    if (!config_file.empty()) argv.insert(argv.end(), {"-c", "config_file=" + config_file});
    auto outcome = Run({.argv = std::move(argv), .env = {{"LC_ALL", "C"}}, .timeout = kToolLimit});
    if (!outcome) return Pass(outcome);
    if (outcome->status == 0) return std::string(Trim(outcome->out));
    // "2026-... LOG:  syntax error in file ...", and what it could not do for that reason.
    std::string said;
    std::stringstream lines(outcome->err);
    for (std::string line; std::getline(lines, line);) {
        const std::size_t mark = line.find(":  ");
        // A file that may be missing keeps nothing from starting.
        const bool is_noise = line.find("skipping missing configuration file") != std::string::npos;
        if (mark == std::string::npos || is_noise) continue;
        said += (said.empty() ? "" : "; ") + line.substr(mark + 3);
    }
    return Fail(ProblemCode::kPostgres, "PostgreSQL refuses its configuration: " + said);
}

namespace {

/// A library of shared_preload_libraries that is not where ours is; empty: none is missing, or the
/// place is not known.
std::string MissingLibrary(const PgInstall &install, const std::vector<std::string> &options) {
    constexpr std::string_view kOption = "shared_preload_libraries=";
    const std::string place = ParentOf(ParentOf(install.Tool("postgres"))) + "/lib/";
    const auto option = std::find_if(options.begin(), options.end(), [](const std::string &one) {
        return one.starts_with(kOption);
    });
    const std::string ours(core::kKeeperLibrary);
    if (option == options.end() || !Exists(place + ours + ".so")) return {};
    std::istringstream names(option->substr(kOption.size()));
    for (std::string name; std::getline(names, name, ',');) {
        std::string path(Trim(name));
        std::erase(path, '"');
        if (path.starts_with("$libdir/")) path.erase(0, std::string_view("$libdir/").size());
        const std::string whole = path.starts_with('/') ? path : place + path;
        if (!Exists(whole) && !Exists(whole + ".so")) return path;
    }
    return {};
}

}  // namespace

std::string WhyNotStarted(const PgInstall &install, const std::string &pgdata,
                          const std::vector<std::string> &options) {
    std::vector<std::string> argv{install.Tool("postgres"), "--check", "-D", pgdata};
    argv.insert(argv.end(), options.begin(), options.end());
    argv.insert(argv.end(), {"-c", "lc_messages=C", "-c", "log_line_prefix=", "-c",
                             "log_min_messages=fatal", "-c", "log_destination=stderr"});
    const auto outcome =
        Run({.argv = std::move(argv), .env = {{"LC_ALL", "C"}}, .timeout = kToolLimit});
    if (!outcome) return {};
    if (outcome->status == 0) {
        const std::string missing = MissingLibrary(install, options);
        return missing.empty()
                   ? missing
                   : "could not access file \"" + missing + "\" of shared_preload_libraries";
    }
    constexpr std::string_view kFatal = "FATAL:  ";
    const std::size_t at = outcome->err.find(kFatal);
    if (at == std::string::npos) return {};
    std::string said(Trim(std::string_view(outcome->err).substr(at + kFatal.size())));
    std::replace(said.begin(), said.end(), '\n', ' ');
    return said;
}

Result<std::string> RunSingleUser(const PgInstall &install, const SingleUser &what,
                                  Cancel *cancel) {
    std::string input;
    for (const std::string &command : what.commands)
        input += command + "\n";
    std::vector<std::string> argv{install.Tool("postgres"), "--single", "-D", what.pgdata};
    argv.insert(argv.end(), what.options.begin(), what.options.end());
    for (const std::string &setting :
         {std::string("exit_on_error=on"), "shared_preload_libraries=" + what.preload_libraries,
          std::string("synchronous_standby_names="), std::string("logging_collector=off"),
          std::string("shared_buffers=16MB"), std::string("log_min_messages=warning"),
          std::string("log_min_error_statement=panic"), std::string("log_destination=stderr")}) {
        argv.emplace_back("-c");
        argv.push_back(setting);
    }
    argv.push_back(what.database);
    const Command command{.argv = std::move(argv),
                          .env = {{"LC_ALL", "C"}},
                          .input = std::move(input),
                          .cancel = cancel};
    auto out = RunChecked(command);
    if (!out) return Pass(out, "could not set up the database");
    return out;
}

std::string QuoteLiteral(std::string_view value) {
    const bool escape = value.find('\\') != std::string_view::npos;
    std::string quoted = escape ? " E'" : "'";
    for (const char c : value) {
        if (c == '\'' || c == '\\') quoted += c;
        quoted += c;
    }
    return quoted + "'";
}

std::string QuoteIdentifier(std::string_view name) {
    std::string quoted = "\"";
    for (const char c : name) {
        if (c == '"') quoted += c;
        quoted += c;
    }
    return quoted + "\"";
}

}  // namespace pgaf::io
