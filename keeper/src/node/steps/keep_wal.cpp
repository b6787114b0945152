#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>

#include "io/files.hpp"
#include "io/log.hpp"
#include "node/steps/steps.hpp"
#include "pgaf/core/wal_files.hpp"

/// What a rewind or a new copy is about to discard is kept beside PGDATA first.
namespace pgaf::node {
namespace {

namespace fs = std::filesystem;

/// A node that fails again and again must not fill its disk with copies.
constexpr std::size_t kKeptMost = 5;

/// Oldest first: by the time of the last change, which is that of their creation.
Result<void> RemoveOldest(const std::string &root) {
    std::vector<std::pair<fs::file_time_type, std::string>> kept;
    for (const std::string &name : io::NamesIn(root)) {
        std::error_code error;
        const auto at = fs::last_write_time(root + "/" + name, error);
        if (!error) kept.emplace_back(at, name);
    }
    std::sort(kept.begin(), kept.end());
    for (std::size_t i = 0; i + kKeptMost < kept.size(); ++i) {
        if (auto done = io::RemoveTree(root + "/" + kept.at(i).second); !done) return done;
    }
    return {};
}

Result<void> CopySegments(const std::string &from, const std::vector<std::string> &segments,
                          const std::string &to) {
    for (const std::string &name : segments) {
        if (auto done = io::CopyFile(from + "/" + name, to + "/" + name); !done) return done;
    }
    return {};
}

Result<void> Keep(const std::string &pg_wal, const std::vector<std::string> &segments,
                  const std::string &root, const std::string &name, const std::string &note) {
    const std::string fresh = root + "/.new";
    if (auto done = io::RemoveTree(fresh); !done) return done;
    if (auto done = io::MakeDirectories(fresh, 0700); !done) return done;
    if (auto done = CopySegments(pg_wal, segments, fresh); !done) return done;
    if (auto done = io::WriteFile(fresh + "/README", note, 0600); !done) return done;
    if (auto done = io::RemoveTree(root + "/" + name); !done) return done;
    if (auto done = io::MoveInto(fresh, root + "/" + name); !done) return done;
    return RemoveOldest(root);
}

}  // namespace

std::string DiscardedDirectory(const Paths &paths) {
    // Nothing can be put beside a data directory that is a volume of its own.
    return io::IsWritable(io::ParentOf(paths.pgdata)) ? paths.pgdata + ".pgaf-discarded"
                                                      : paths.directory + "/discarded";
}

std::string KeepDiscardedWal(const StepContext &context, const supervisor::SourceIdentity &identity,
                             const supervisor::ControlFacts &control) {
    const std::string pg_wal = context.paths.pgdata + "/pg_wal";
    const core::WalPosition ours{control.timeline, control.checkpoint, control.history};
    const core::Lsn from = core::PartingOf(ours, identity.timeline, identity.history);
    // Without a clean shutdown the end is not known: then everything that is there.
    const core::Lsn to = control.IsShutDown() ? control.checkpoint : core::Lsn{UINT64_MAX};
    const auto segments =
        core::SegmentsBetween(io::NamesIn(pg_wal), from, to, identity.segment_bytes);
    const std::string end = control.IsShutDown() ? core::ToString(to) : "its end";
    const std::string what = fmt::format("WAL of timeline {} from {} to {} is discarded",
                                         control.timeline, core::ToString(from), end);
    const std::string root = DiscardedDirectory(context.paths);
    std::string name = fmt::format("timeline-{}-from-{}", control.timeline, core::ToString(from));
    std::replace(name.begin(), name.end(), '/', '-');
    const std::string note = fmt::format(
        "{}: timeline {} goes on without it.\nNode {} \"{}\", system identifier {}.\nIt can be "
        "read "
        "with pg_waldump. Nothing needs these files; they may be removed.\n",
        what, identity.timeline, context.input.record.node.value, context.config.name,
        identity.system_identifier);
    std::string report =
        fmt::format("{}; {} files are kept in \"{}/{}\"", what, segments.size(), root, name);
    if (auto kept = Keep(pg_wal, segments, root, name, note); !kept) {
        // Synchronous replication never acknowledged it: no reason to stay away for ever.
        io::LogProblem(spdlog::level::warn, kept.error());
        (void)io::RemoveTree(root + "/.new");
        report = what + "; it could not be kept aside: " + kept.error().message;
    }
    spdlog::warn("{}", report);
    return report;
}

}  // namespace pgaf::node
