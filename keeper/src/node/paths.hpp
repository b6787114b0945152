#pragma once

#include <string>

#include "io/common.hpp"

namespace pgaf::node {

/// Where the files of a node are; all of it follows from the absolute path of PGDATA.
struct Paths {
    std::string pgdata;
    std::string config;     ///< pg_autoctl.cfg
    std::string directory;  ///< the node directory
    std::string state;      ///< pg_autoctl.state
    std::string keeper_conf;
    std::string baton;
    std::string unsafe_marker;
    std::string heartbeat;
    std::string secret;  ///< what the node proves itself with to the monitor
    std::string pid;     ///< pg_autoctl.pid
    std::string run_directory;
    std::string sockets;  ///< for a server whose usual directory is somebody else's
};

Paths PathsFor(const std::string &pgdata);
/// Makes the directories, mode 0700.
Result<void> MakeNodeDirectories(const Paths &paths);
/// The directory for sockets; it must be this user's alone.
Result<void> MakeSocketDirectory(const Paths &paths);

}  // namespace pgaf::node
