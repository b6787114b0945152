#include "node/leave.hpp"

#include <spdlog/spdlog.h>

#include "io/files.hpp"
#include "io/postgres.hpp"
#include "pgaf/core/hba.hpp"
#include "pgaf/core/leave.hpp"

namespace pgaf::node {
namespace {

constexpr std::string_view kOurFiles = "postgresql-auto-failover";
constexpr std::string_view kOurSlots = "pgautofailover_standby_";

Result<void> Rewrite(const std::string &path, const std::string &before, const std::string &after) {
    return before == after ? Result<void>{} : io::WriteFile(path, after, 0600);
}

/// The settings first, which the configuration takes over, and which go last: an interruption
/// leaves nothing that is read without the rest.
Result<void> LeaveFiles(const std::string &pgdata) {
    std::vector<std::string> ours;
    std::string settings;
    for (const std::string &name : io::NamesIn(pgdata)) {
        if (!name.starts_with(kOurFiles)) continue;
        ours.push_back(pgdata + "/" + name);
        if (auto text = io::ReadFile(ours.back())) settings += *text + "\n";
    }
    const std::string conf = pgdata + "/postgresql.conf";
    auto text = io::ReadFile(conf);
    if (!text) return Pass(text);
    if (auto done = Rewrite(conf, *text, core::LeaveConfiguration(*text, settings)); !done)
        return done;
    const std::string hba = pgdata + "/pg_hba.conf";
    if (auto rules = io::ReadFile(hba)) {
        if (auto done = Rewrite(hba, *rules, core::LeaveHba(*rules)); !done) return done;
    }
    // "pg_ctl restart" would start it with what stood on its command line.
    ours.push_back(pgdata + "/postmaster.opts");
    ours.push_back(pgdata + "/standby.signal");
    for (const std::string &path : ours) {
        if (auto removed = io::RemoveFile(path); !removed) return removed;
    }
    return {};
}

}  // namespace

Result<void> LeaveOrdinary(const Paths &paths) {
    const std::string &pgdata = paths.pgdata;
    if (io::InspectDataDirectory(pgdata) != io::DataDirectory::kCluster) return {};
    if (io::Exists(paths.unsafe_marker)) {
        spdlog::warn("The data in \"{}\" are incomplete: a copy of the primary was interrupted",
                     pgdata);
        return {};
    }
    io::DirectoryLock lock(pgdata);
    if (auto taken = lock.Take(); !taken) return taken;
    if (auto done = LeaveFiles(pgdata); !done) return done;
    // They would hold WAL back for peers that never come.
    for (const std::string &name : io::NamesIn(pgdata + "/pg_replslot")) {
        if (!name.starts_with(kOurSlots)) continue;
        if (auto removed = io::RemoveTree(pgdata + "/pg_replslot/" + name); !removed)
            return removed;
    }
    return io::SyncDirectory(pgdata + "/pg_replslot");
}

}  // namespace pgaf::node
