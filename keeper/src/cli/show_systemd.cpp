#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "cli/session.hpp"
#include "io/env.hpp"
#include "node/unit.hpp"

/// show systemd.
namespace pgaf::cli {

int ShowSystemd(const Session &session) {
    auto paths = RequirePaths(session);
    if (!paths) return Explain(paths.error());
    auto unit = node::MakeUnit({.home = io::HomeDirectory(),
                                .pgdata = paths->pgdata,
                                .user = io::OsUser(),
                                .program = io::ProgramPath()});
    if (!unit) return Explain(unit.error());
    fmt::print("{}", *unit);
    std::fflush(stdout);
    for (const char *hint :
         {"to complete a systemd integration, run the following commands (as root):",
          "pg_autoctl -q show systemd --pgdata ... | tee "
          "/etc/systemd/system/pgautofailover.service",
          "systemctl daemon-reload", "systemctl enable pgautofailover",
          "systemctl start pgautofailover"}) {
        spdlog::info("HINT: {}", hint);
    }
    WarnAboutSharedMemory();
    return kOk;
}

}  // namespace pgaf::cli
