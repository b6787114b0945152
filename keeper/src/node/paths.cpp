#include "node/paths.hpp"

#include "io/env.hpp"
#include "io/files.hpp"

namespace pgaf::node {

Paths PathsFor(const std::string &pgdata) {
    const std::string home = io::HomeDirectory();
    const std::string absolute = io::AbsolutePath(pgdata);
    const std::string tail = "/pg_autoctl" + absolute;
    std::string runtime = io::EnvOr("XDG_RUNTIME_DIR", "/tmp");
    if (!io::IsDirectory(runtime)) runtime = "/tmp";
    Paths paths;
    paths.pgdata = absolute;
    paths.config = io::EnvOr("XDG_CONFIG_HOME", home + "/.config") + tail + "/pg_autoctl.cfg";
    paths.directory = io::EnvOr("XDG_DATA_HOME", home + "/.local/share") + tail;
    paths.state = paths.directory + "/pg_autoctl.state";
    paths.keeper_conf = paths.directory + "/keeper.conf";
    paths.baton = paths.directory + "/baton";
    paths.unsafe_marker = paths.directory + "/unsafe";
    paths.heartbeat = paths.directory + "/heartbeat";
    paths.run_directory = runtime + tail;
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
