#include "node/paths.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include "io/env.hpp"
#include "io/files.hpp"

namespace pgaf::node {

namespace {

bool IsOwnFile(const std::string &path) {
    struct stat status {};
    return ::lstat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
           status.st_uid == ::geteuid();
}

/// A service has no XDG_RUNTIME_DIR, and its user's session has: the session must find the
/// service's pid file.
std::string RuntimeDirectory(const std::string &tail) {
    const std::string runtime = io::EnvOr("XDG_RUNTIME_DIR", "/tmp");
    if (!io::IsDirectory(runtime)) return "/tmp";
    const std::string file = tail + "/pg_autoctl.pid";
    return !io::Exists(runtime + file) && IsOwnFile("/tmp" + file) ? "/tmp" : runtime;
}

}  // namespace

Paths PathsFor(const std::string &pgdata) {
    const std::string home = io::HomeDirectory();
    const std::string absolute = io::AbsolutePath(pgdata);
    const std::string tail = "/pg_autoctl" + absolute;
    Paths paths;
    paths.pgdata = absolute;
    paths.config = io::EnvOr("XDG_CONFIG_HOME", home + "/.config") + tail + "/pg_autoctl.cfg";
    paths.directory = io::EnvOr("XDG_DATA_HOME", home + "/.local/share") + tail;
    paths.state = paths.directory + "/pg_autoctl.state";
    paths.keeper_conf = paths.directory + "/keeper.conf";
    paths.baton = paths.directory + "/baton";
    paths.unsafe_marker = paths.directory + "/unsafe";
    paths.heartbeat = paths.directory + "/heartbeat";
    paths.run_directory = RuntimeDirectory(tail) + tail;
    paths.pid = paths.run_directory + "/pg_autoctl.pid";
    return paths;
}

Result<void> MakeNodeDirectories(const Paths &paths) {
    for (const std::string &directory :
         {io::ParentOf(paths.config), paths.directory, paths.run_directory}) {
        if (auto made = io::MakeDirectories(directory, 0700); !made) return made;
        if (!io::IsWritable(directory)) {
            return Fail(ProblemCode::kIo, "directory \"" + directory + "\" is not writable");
        }
    }
    return {};
}

}  // namespace pgaf::node
