#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <array>

#include "io/files.hpp"
#include "io/log.hpp"
#include "node/steps/steps.hpp"

namespace pgaf::node {
namespace {

/// The place on our timeline where the upstream's history left it; none when it did not, or is on
/// it still.
std::optional<core::Lsn> ForkOf(const Upstream::Identity &identity, int timeline) {
    for (const core::TimelineSwitch &fork : identity.history) {
        if (fork.timeline == timeline) return fork.at;
    }
    return std::nullopt;
}

/// True when nothing was written on `timeline` at or beyond `fork`. Anything unclear counts as
/// written.
bool IsNothingBeyond(const StepContext &context, const io::ControlData &control, core::Lsn fork) {
    if (control.checkpoint >= fork || control.min_recovery > fork) return false;
    auto outcome = io::Run(
        {.argv = {context.install.Tool("pg_waldump"), "--path", context.paths.pgdata + "/pg_wal",
                  "--timeline", std::to_string(control.timeline), "--start", core::ToString(fork),
                  "--limit", "1"},
         .env = {{"LC_ALL", "C"}},
         .timeout = Milliseconds{60'000},
         .cancel = context.cancel});
    if (!outcome || outcome->status == 0 || outcome->out.find("rmgr:") != std::string::npos)
        return false;
    static constexpr std::array<std::string_view, 4> kNothingThere{
        "could not find a valid record", "could not find file", "could not open file",
        "could not locate WAL file"};
    for (const std::string_view said : kNothingThere) {
        if (outcome->err.find(said) != std::string::npos) return true;
    }
    return false;
}

bool HasDiverged(const StepContext &context, const io::ControlData &control,
                 const Upstream::Identity &identity) {
    if (control.timeline == identity.timeline) {
        // Followed it already, or somebody used a number twice: only a standby has nothing of its
        // own.
        return control.state != "shut down in recovery" && control.state != "in archive recovery";
    }
    const auto fork = ForkOf(identity, control.timeline);
    return !fork || !IsNothingBeyond(context, control, *fork);
}

Result<void> MakeStandby(const StepContext &context, const core::Peer &upstream) {
    const std::string &pgdata = context.paths.pgdata;
    if (auto done = WriteServerFiles(context.install, context.config, context.paths, pgdata); !done)
        return done;
    if (auto done = WriteNodeHba(context.keeper, pgdata, context.Peers()); !done) return done;
    return WriteStandbyFiles(context.keeper, upstream, pgdata);
}

/// pg_rewind wants a cleanly stopped target, and would start the server itself, with our module in
/// it, which rightly refuses while the marker is set: hence before it, and without modules.
Result<void> Recover(const StepContext &context) {
    const std::string &pgdata = context.paths.pgdata;
    if (auto done = io::RemoveFile(pgdata + "/standby.signal"); !done) return done;
    auto control = io::ReadControlData(context.install, pgdata);
    if (!control) return Pass(control);
    if (control->IsShutDown()) return {};
    auto out = io::RunSingleUser(context.install, {.pgdata = pgdata, .database = "template1"},
                                 context.cancel);
    if (!out) return Pass(out, "could not recover before pg_rewind");
    return {};
}

/// Once, before anything is changed: an interrupted rewind goes on as a copy.
void KeepAside(const StepContext &context, const Upstream::Identity &identity) {
    auto control = io::ReadControlData(context.install, context.paths.pgdata);
    if (!control) return;
    std::string said = KeepDiscardedWal(context, identity, *control);
    if (context.note != nullptr) *context.note = std::move(said);
}

Result<void> Rewind(const StepContext &context, const core::Peer &upstream,
                    const Upstream::Identity &identity, Upstream &session) {
    if (auto done = session.EnsureCheckpoint(identity.timeline); !done) return done;
    const auto recovered = Recover(context);
    KeepAside(context, identity);
    if (!recovered) return recovered;
    if (auto done = SetMarker(context.paths, "rewind"); !done) return done;
    io::Command command{
        .argv = {context.install.Tool("pg_rewind"), "--target-pgdata", context.paths.pgdata,
                 "--source-server", UpstreamConninfo(context, upstream), "--no-ensure-shutdown",
                 "--progress"},
        .env = PasswordEnv(context),
        .on_line = [](std::string_view line) { spdlog::info("{}", line); },
        .cancel = context.cancel};
    auto rewound = io::RunChecked(command);
    if (!rewound) return Pass(rewound, "could not rewind");
    session.Checkpoint();  // an idle source would leave us waiting for a record that nobody writes
    if (auto done = MakeStandby(context, upstream); !done) return done;
    return ClearMarker(context.paths);
}

bool IsWaiting(const Problem &problem) { return problem.code == ProblemCode::kBadState; }

}  // namespace

Result<std::uint64_t> Rejoin(const StepContext &context) {
    auto upstream = FindUpstream(context);
    if (!upstream) return Pass(upstream);
    if (ReadMarker(context.paths) ||
        io::InspectDataDirectory(context.paths.pgdata) != io::DataDirectory::kCluster) {
        return Clone(context);
    }
    auto control = io::ReadControlData(context.install, context.paths.pgdata);
    if (!control) return Clone(context);
    auto session = Upstream::Connect(context, *upstream);
    if (!session) return Pass(session);
    if (auto primary = session->MustBePrimary(); !primary) return Pass(primary);
    auto identity = session->Identify();
    if (!identity) return Pass(identity);
    if (identity->system_identifier != control->system_identifier) {
        return Fail(ProblemCode::kRefused,
                    fmt::format("the primary has system identifier {} and this node {}",
                                identity->system_identifier, control->system_identifier));
    }
    ArchiveReadyWal(context);
    const bool has_diverged = HasDiverged(context, *control, *identity);
    if (!has_diverged && context.is_wal_gone) {
        spdlog::warn("Node {} \"{}\" no longer has the WAL that this node needs: making a new copy",
                     upstream->node.value, upstream->name);
        return Clone(context);
    }
    if (!has_diverged) {
        spdlog::info(
            "Nothing was written after timeline {} was left: following node {} \"{}\" as it is",
            control->timeline, upstream->node.value, upstream->name);
        if (auto done = MakeStandby(context, *upstream); !done) return Pass(done);
        return control->system_identifier;
    }
    spdlog::info("Rewinding to the history of node {} \"{}\"", upstream->node.value,
                 upstream->name);
    auto rewound = Rewind(context, *upstream, *identity, *session);
    if (rewound) return control->system_identifier;
    if (IsWaiting(rewound.error()) || context.cancel->IsRequested()) return Pass(rewound);
    io::LogProblem(spdlog::level::warn, rewound.error());
    spdlog::warn("Making a new copy instead");
    return Clone(context);
}

}  // namespace pgaf::node
