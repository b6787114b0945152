#include "node/adopt.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <filesystem>

#include "io/env.hpp"
#include "io/files.hpp"
#include "io/postgres.hpp"
#include "pgaf/core/pg_files.hpp"

namespace pgaf::node {

namespace {

namespace fs = std::filesystem;

/// The directory below /etc/postgresql/<version> whose postgresql.conf has this data_directory.
std::string FindConfiguration(const std::string &pgdata) {
    const std::string versions = io::EnvOr("PG_CLUSTER_CONF_ROOT", "/etc/postgresql");
    const std::string root = fmt::format("{}/{}", versions, io::MajorVersionOf(pgdata));
    for (const std::string &name : io::NamesIn(root)) {
        auto conf = io::ReadFile(fmt::format("{}/{}/postgresql.conf", root, name));
        if (!conf) continue;
        const std::string named = core::SettingOf(*conf, "data_directory");
        if (!named.empty() && io::AbsolutePath(named) == io::AbsolutePath(pgdata))
            return root + "/" + name;
    }
    return {};
}

}  // namespace

Result<void> LinkConfiguration(const std::string &pgdata) {
    if (io::Exists(pgdata + "/postgresql.conf")) return {};
    const std::string found = FindConfiguration(pgdata);
    if (found.empty()) return {};
    if (!io::IsWritable(found)) {
        return Fail(ProblemCode::kIo, fmt::format("directory \"{}\" is not writable", found),
                    "It has the configuration of this cluster, which gets a line of ours.");
    }
    for (const char *name : {"postgresql.conf", "pg_hba.conf", "pg_ident.conf", "conf.d"}) {
        const std::string from = fmt::format("{}/{}", found, name);
        const std::string to = fmt::format("{}/{}", pgdata, name);
        if (!io::Exists(from) || io::Exists(to)) continue;
        std::error_code error;
        fs::create_symlink(from, to, error);
        if (error) {
            return Fail(ProblemCode::kIo, fmt::format("could not link \"{}\" to \"{}\": {}", to,
                                                      from, error.message()));
        }
    }
    spdlog::info("The configuration in \"{}\" is used, through links in the data directory", found);
    return {};
}

// No hint here ever tells anybody to remove a signal file: that begins a second history under the
// numbers of the first.
Result<void> CheckAdoptable(const std::string &pgdata) {
    if (io::Exists(pgdata + "/standby.signal")) {
        return Fail(ProblemCode::kRefused,
                    fmt::format("the cluster in \"{}\" is a standby", pgdata),
                    "It would be the first node of its group, and only a primary can be that.",
                    "Make its primary the first node, and this one the second. If that primary is "
                    "gone for good, promote this one: start it, pg_ctl promote, stop it.");
    }
    const bool is_backup = io::Exists(pgdata + "/backup_label");
    if (!is_backup || io::Exists(pgdata + "/recovery.signal")) return {};
    return Fail(ProblemCode::kRefused,
                fmt::format("the cluster in \"{}\" is a backup that was not restored", pgdata),
                "It has a backup_label and no recovery.signal: what the archive holds would be "
                "ignored, and the timeline of the old server written once more.",
                "Set restore_command in its configuration, make an empty file recovery.signal, "
                "and repeat the command, which finishes the recovery.");
}

}  // namespace pgaf::node
