#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "io/common.hpp"
#include "io/process.hpp"
#include "pgaf/core/postgres_settings.hpp"

/// PostgreSQL from outside: its programs, its data directory, its processes.
namespace pgaf::io {

struct PgInstall {
    std::string pg_ctl;
    std::string bindir;
    std::string version;  ///< "15.20 (Debian 15.20-0+deb12u1)"
    int major = 0;
    [[nodiscard]] std::string Tool(std::string_view name) const;
};

/// `--pgctl` when given; else PG_CONFIG's bindir, else the only pg_ctl in PATH, else pg_config's
/// bindir.
Result<PgInstall> FindPgInstall(const std::string &pg_ctl_option);

enum class DataDirectory { kAbsent, kEmpty, kCluster, kOther };
DataDirectory InspectDataDirectory(const std::string &pgdata);

struct ControlData {
    std::uint64_t system_identifier = 0;
    std::string state;
    int timeline = 0;  ///< the highest that the control file knows of
    core::Lsn checkpoint;
    core::Lsn min_recovery;
    int control_version = 0;
    int catalog_version = 0;
    bool has_checksums = false;
    std::uint64_t segment_bytes = 0;  ///< of a file of WAL
    /// Of the server that wrote its WAL, as far as it was replayed.
    std::optional<core::ServerSizes> sizes{};
};
Result<ControlData> ReadControlData(const PgInstall &install, const std::string &pgdata);
/// The same's "in production", read from the file itself: it is asked for all the time.
/// Source: PostgreSQL 10 to 17, struct ControlFileData and enum DBState, where `state` follows two
/// versions and the system identifier.
bool IsInProduction(const std::string &pgdata);
/// Pure part of it, for tests: the text of pg_controldata in the C locale.
Result<ControlData> ParseControlData(std::string_view text);

struct PostmasterFile {
    pid_t pid = 0;
    std::string pgdata;
    int port = 0;
    std::string socket_directory;
    std::string status;  ///< "ready", "standby", "starting", "stopping"
};
std::optional<PostmasterFile> ReadPostmasterFile(const std::string &pgdata);
std::optional<PostmasterFile> ParsePostmasterFile(std::string_view text);
/// The postmaster starts a process for a connection to its socket, which answers the question for
/// encryption; no user is needed. Waits for at most `limit`. Source: protocol-flow, "SSL Session
/// Encryption".
bool AnswersClients(const PostmasterFile &file, Milliseconds limit);
/// The running postmaster of this data directory, if there is one. The number in the file is not
/// believed: the process must be a server, work in this very directory, whatever it is called by
/// now, and not be the child of another server. (Its start time is not asked for: the clock of the
/// file may have been set since, and a server that runs must never be taken for none.)
std::optional<PostmasterFile> FindPostmaster(const std::string &pgdata);

/// Every PostgreSQL process of ours whose working directory is `pgdata`, by device and inode.
std::vector<pid_t> PostgresProcesses(const std::string &pgdata);

/// PGDATA/postmaster.pid in our name, with which PostgreSQL refuses to start there, except as our
/// own child. Our number is negative in it, as that of a single-user server: pg_ctl sends such a
/// process no signal, and says so. One that was left by a process that has died holds nobody up.
class DirectoryLock {
 public:
    explicit DirectoryLock(std::string pgdata) : pgdata_(std::move(pgdata)) {}
    DirectoryLock(const DirectoryLock &) = delete;
    DirectoryLock &operator=(const DirectoryLock &) = delete;
    ~DirectoryLock() { Release(); }
    /// Also again, after a program of ours that has removed it: a single-user server, pg_rewind.
    /// kBadState while a server runs there. Where there is no cluster there is nothing to lock.
    Result<void> Take();
    /// Into a complete copy that is about to take the place of PGDATA.
    [[nodiscard]] Result<void> PutInto(const std::string &directory) const;
    void Release();

 private:
    std::string pgdata_;
};
/// Kills them all, waits until they are gone, and removes a postmaster.pid that names none of them.
Result<void> KillPostgres(const std::string &pgdata, Milliseconds limit);

/// The value of a setting as the files in PGDATA have it, with `config_file` in place of
/// postgresql.conf unless it is empty. Fails with what PostgreSQL says of them.
Result<std::string> ConfiguredValue(const PgInstall &install, const std::string &pgdata,
                                    const std::string &name, const std::string &config_file = {});

/// Tries the files in PGDATA and the options as a start would, memory included, and touches no
/// data; in PostgreSQL's words. Empty: they will do. The caller holds the directory's lock.
std::string WhyNotStarted(const PgInstall &install, const std::string &pgdata,
                          const std::vector<std::string> &options);

/// The major version that made the data directory; 0 when it does not say.
int MajorVersionOf(const std::string &pgdata);
/// kBadState when `install` cannot run the cluster in `pgdata`; fine when there is none.
Result<void> CheckMajorVersion(const PgInstall &install, const std::string &pgdata);

/// Runs SQL commands, one a line, in a single-user server, without any module of ours. Returns its
/// output.
struct SingleUser {
    std::string pgdata{};
    std::string database = "postgres";
    std::vector<std::string> commands{};
    std::string preload_libraries{};
    std::vector<std::string> options{};  ///< "-c", "name=value" ...; those of ours beat them
};
Result<std::string> RunSingleUser(const PgInstall &install, const SingleUser &what,
                                  Cancel *cancel = nullptr);

/// 'it''s', for SQL.
std::string QuoteLiteral(std::string_view value);
std::string QuoteIdentifier(std::string_view name);

}  // namespace pgaf::io
