#include "node/paths.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <optional>

#include "io/env.hpp"
#include "io/files.hpp"

namespace pgaf::node {

namespace {

std::optional<struct stat> Look(const std::string &path) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) return std::nullopt;
    return status;
}

bool IsOwnFile(const std::string &path) {
    const auto status = Look(path);
    return status && S_ISREG(status->st_mode) && status->st_uid == ::geteuid();
}

/// For the pid file. Not /run/user/<uid> unasked: it goes when the user's last session ends, and a
/// service does not. Not /tmp: it is everybody's.
///
/// A service has no XDG_RUNTIME_DIR, and its user's session has: the session must find the
/// service's pid file, and one of a version that kept it in /tmp.
std::string RuntimeDirectory(const std::string &home, const std::string &tail) {
    const std::string own = io::EnvOr("XDG_STATE_HOME", home + "/.local/state");
    const std::string file = tail + "/pg_autoctl.pid";
    const std::string runtime = io::EnvOr("XDG_RUNTIME_DIR", "");
    const std::string usual = io::IsOwnDirectory(runtime) ? runtime : own;
    if (IsOwnFile(usual + file)) return usual;
    if (IsOwnFile(own + file)) return own;
    if (io::IsOwnDirectory("/tmp/pg_autoctl") && IsOwnFile("/tmp" + file)) return "/tmp";
    return usual;
}

/// For servers that have no other place for their sockets. Short: a path of a socket has at most
/// 107 characters. Who looks for a socket finds its place in postmaster.pid.
std::string SocketDirectory(const std::string &home) {
    constexpr std::size_t kMost = 85;
    const std::string own = io::EnvOr("XDG_STATE_HOME", home + "/.local/state") + "/pg_autoctl";
    if (own.size() <= kMost) return own;
    const std::string service = io::EnvOr("RUNTIME_DIRECTORY", "");
    if (!service.empty() && service.size() <= kMost && io::IsOwnDirectory(service)) return service;
    return "/tmp/pg_autoctl-" + std::to_string(::geteuid());
}

std::string ConfigOf(const std::string &home, const std::string &data) {
    return io::EnvOr("XDG_CONFIG_HOME", home + "/.config") + "/pg_autoctl" + data +
           "/pg_autoctl.cfg";
}

/// The name under which a node's files are kept: the place of its data. When they were moved to
/// another disk, and a link was put where they had been, that is still their name.
std::string NameOf(const std::string &home, const std::string &pgdata, const std::string &place) {
    std::error_code problem;
    const auto given = std::filesystem::absolute(pgdata, problem).lexically_normal();
    std::string name = given.string();
    while (name.size() > 1 && name.back() == '/')
        name.pop_back();
    const bool was_there = !problem && name != place && io::Exists(ConfigOf(home, name));
    return was_there && !io::Exists(ConfigOf(home, place)) ? name : place;
}

}  // namespace

Paths PathsFor(const std::string &pgdata) {
    const std::string home = io::HomeDirectory();
    const std::string absolute = io::AbsolutePath(pgdata);
    const std::string tail = "/pg_autoctl" + NameOf(home, pgdata, absolute);
    Paths paths;
    paths.pgdata = absolute;
    paths.config = ConfigOf(home, NameOf(home, pgdata, absolute));
    paths.directory = io::EnvOr("XDG_DATA_HOME", home + "/.local/share") + tail;
    paths.state = paths.directory + "/pg_autoctl.state";
    paths.keeper_conf = paths.directory + "/keeper.conf";
    paths.baton = paths.directory + "/baton";
    paths.unsafe_marker = paths.directory + "/unsafe";
    paths.heartbeat = paths.directory + "/heartbeat";
    paths.secret = paths.directory + "/secret";
    paths.run_directory = RuntimeDirectory(home, tail) + tail;
    paths.pid = paths.run_directory + "/pg_autoctl.pid";
    paths.sockets = SocketDirectory(home);
    return paths;
}

Result<void> MakeNodeDirectories(const Paths &paths) {
    for (const std::string &directory :
         {io::ParentOf(paths.config), paths.directory, paths.run_directory}) {
        if (auto made = io::MakeDirectories(directory, 0700); !made) return made;
        if (!io::IsOwnDirectory(directory)) {
            return Fail(ProblemCode::kIo, "directory \"" + directory + "\" is not ours alone",
                        "Another user could change what is in it.",
                        "It must belong to the user who runs pg_autoctl, and nobody else may "
                        "write there: chmod go-w.");
        }
        if (!io::IsWritable(directory)) {
            return Fail(ProblemCode::kIo, "directory \"" + directory + "\" is not writable");
        }
    }
    return {};
}

Result<void> MakeSocketDirectory(const Paths &paths) {
    if (auto made = io::MakeDirectories(paths.sockets, 0700); !made) return made;
    if (io::IsOwnDirectory(paths.sockets)) return {};
    return Fail(ProblemCode::kIo, "directory \"" + paths.sockets + "\" is not ours alone",
                "Another user could pretend to be this server.",
                "Choose a directory for its sockets with --pghost.");
}

}  // namespace pgaf::node
