#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "io/files.hpp"
#include "node/steps/steps.hpp"

namespace pgaf::node {
namespace {

Result<void> TakeBaseBackup(const StepContext &context, const core::Peer &upstream,
                            const std::string &copy) {
    const std::string &rate = context.config.maximum_backup_rate;
    io::Command command{
        .argv = {context.install.Tool("pg_basebackup"), "--no-password", "--dbname",
                 UpstreamConninfo(context, upstream), "--pgdata", copy, "--wal-method=stream",
                 "--slot", core::StandbyName(context.record.node), "--checkpoint=fast",
                 "--progress", "--verbose"},
        .env = PasswordEnv(context),
        .on_line = [](std::string_view line) { spdlog::info("{}", line); },
        .cancel = context.cancel};
    if (!rate.empty() && rate != "0") command.argv.push_back("--max-rate=" + rate);
    auto done = io::RunChecked(command);
    if (!done)
        return Pass(
            done, fmt::format("could not copy node {} \"{}\"", upstream.node.value, upstream.name));
    return {};
}

/// The copy has the upstream's settings, certificate and rules; here they become those of this
/// node.
Result<void> MakeOurs(const StepContext &context, const core::Peer &upstream,
                      const std::string &copy) {
    if (context.config.ssl_self_signed) {
        (void)io::RemoveFile(copy + "/server.crt");  // a new pair is made when one is missing
        (void)io::RemoveFile(copy + "/server.key");
    }
    if (auto done = WriteServerFiles(context.install, context.config, context.paths, copy); !done)
        return done;
    if (auto done = WriteNodeHba(context.keeper, copy, context.Peers()); !done) return done;
    return WriteStandbyFiles(context.keeper, upstream, copy);
}

Result<std::uint64_t> MustMatch(const StepContext &context, const std::string &copy,
                                std::uint64_t expected) {
    auto control = io::ReadControlData(context.install, copy);
    if (!control) return Pass(control);
    if (control->system_identifier != expected) {
        return Fail(ProblemCode::kCorrupt,
                    fmt::format("the copy has system identifier {} and the primary {}",
                                control->system_identifier, expected));
    }
    return expected;
}

}  // namespace

Result<std::uint64_t> Clone(const StepContext &context) {
    const std::string &pgdata = context.paths.pgdata;
    const std::string copy = pgdata + ".pgaf-clone";
    if (io::InspectDataDirectory(pgdata) == io::DataDirectory::kOther &&
        !ReadMarker(context.paths)) {
        return Fail(ProblemCode::kBadState,
                    fmt::format("\"{}\" is neither empty nor a PostgreSQL data directory", pgdata));
    }
    auto upstream = FindUpstream(context);
    if (!upstream) return Pass(upstream);
    auto session = Upstream::Connect(context, *upstream);
    if (!session) return Pass(session);
    auto identity = session->Identify();
    if (!identity) return Pass(identity);
    const std::uint64_t known = context.record.system_identifier;
    if (known != 0 && known != identity->system_identifier) {
        return Fail(ProblemCode::kRefused,
                    fmt::format("the primary has system identifier {} and this node {}",
                                identity->system_identifier, known));
    }
    if (auto done = SetMarker(context.paths, "clone"); !done) return Pass(done);
    if (auto done = io::RemoveTree(copy); !done) return Pass(done);
    spdlog::info("Copying node {} \"{}\" ({}:{})", upstream->node.value, upstream->name,
                 upstream->host, upstream->port);
    if (auto done = TakeBaseBackup(context, *upstream, copy); !done) return Pass(done);
    auto matched = MustMatch(context, copy, identity->system_identifier);
    if (!matched) return matched;
    if (auto done = MakeOurs(context, *upstream, copy); !done) return Pass(done);
    if (auto done = io::MoveInto(copy, pgdata); !done) return Pass(done);
    if (auto done = io::RemoveTree(copy); !done) return Pass(done);  // what was in PGDATA before
    if (auto done = ClearMarker(context.paths); !done) return Pass(done);
    return matched;
}

}  // namespace pgaf::node
