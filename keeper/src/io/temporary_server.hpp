#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/pg_client.hpp"
#include "io/postgres.hpp"

namespace pgaf::io {

/// For the socket of a server that nobody else may reach: a directory of mode 0700 in `parent`,
/// which is ours alone and has one such server at a time, or in /tmp when that path is too long for
/// a socket. What an earlier one has left is removed.
Result<std::string> MakePrivateDirectory(const std::string &parent);

/// A server that nobody but this program reaches: it listens on a socket in a directory of ours
/// only, and on no network. For objects that PostgreSQL's tools must take for a user's: single-user
/// mode, right after initdb, gives them the numbers of built-in ones, which pg_dump leaves out.
class TemporaryServer {
 public:
    struct Options {
        std::string libraries{};              ///< shared_preload_libraries
        std::vector<std::string> settings{};  ///< "name=value"
        bool has_sessions = true;             ///< Connect() will be called
        Cancel *cancel = nullptr;
        std::string parent{};  ///< see MakePrivateDirectory
    };
    /// Returns when recovery, of whatever kind, has ended.
    static Result<std::unique_ptr<TemporaryServer>> Start(const PgInstall &install,
                                                          const std::string &pgdata,
                                                          const Options &options);
    TemporaryServer(const TemporaryServer &) = delete;
    TemporaryServer &operator=(const TemporaryServer &) = delete;
    ~TemporaryServer();
    /// A session of a superuser.
    [[nodiscard]] Result<PgClient> Connect(const std::string &database) const;
    Result<void> Stop();

 private:
    TemporaryServer(PgInstall install, std::string pgdata, std::string directory)
        : install_(std::move(install)),
          pgdata_(std::move(pgdata)),
          directory_(std::move(directory)) {}
    PgInstall install_;
    std::string pgdata_;
    std::string directory_;  ///< of the socket
    std::string superuser_;
    bool is_running_ = false;
};

}  // namespace pgaf::io
