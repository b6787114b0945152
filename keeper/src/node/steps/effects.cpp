#include "node/steps/effects.hpp"

#include <spdlog/spdlog.h>

#include "io/files.hpp"
#include "node/node_files.hpp"
#include "supervisor/rejoin.hpp"

namespace pgaf::node {
namespace {

using ConfigurationFiles = std::vector<std::pair<std::string, std::string>>;

/// What an administrator has written on this node, by file.
Result<ConfigurationFiles> ReadConfiguration(const std::string &directory) {
    ConfigurationFiles found;
    for (const char *name :
         {"postgresql.conf", "postgresql.auto.conf", "pg_hba.conf", "pg_ident.conf"}) {
        if (!io::Exists(directory + "/" + name)) continue;
        auto text = io::ReadFile(directory + "/" + name);
        if (!text) return Pass(text);
        found.emplace_back(name, std::move(*text));
    }
    return found;
}

void Show(std::string_view line) { spdlog::info("{}", line); }

}  // namespace

RealStepEffects::RealStepEffects(const StepContext &context)
    : context_(context), copy_(context.paths.pgdata + ".pgaf-clone"), lock_(context.paths.pgdata) {}

supervisor::DataDirectory RealStepEffects::InspectDataDirectory() {
    switch (io::InspectDataDirectory(context_.paths.pgdata)) {
        case io::DataDirectory::kAbsent:
        case io::DataDirectory::kEmpty:
            return supervisor::DataDirectory::kEmpty;
        case io::DataDirectory::kCluster:
            return supervisor::DataDirectory::kCluster;
        case io::DataDirectory::kOther:
            return supervisor::DataDirectory::kForeign;
    }
    return supervisor::DataDirectory::kForeign;
}

Result<supervisor::ControlFacts> RealStepEffects::ReadControl(supervisor::Place place) {
    const bool is_copy = place == supervisor::Place::kCopy;
    return ReadControlFacts(context_.install, is_copy ? copy_ : context_.paths.pgdata);
}

Result<void> RealStepEffects::Connect(const core::Peer &upstream) {
    auto session = Upstream::Connect(context_, upstream);
    if (!session) return Pass(session);
    session_ = std::move(*session);
    return {};
}

Result<void> RealStepEffects::RunCopying(std::vector<std::string> argv,
                                         std::function<void(std::string_view)> on_line) {
    auto done = io::RunChecked({.argv = std::move(argv),
                                .env = PasswordEnv(context_),
                                .on_line = std::move(on_line),
                                .cancel = context_.cancel});
    if (!done) return Pass(done);
    return {};
}

Result<void> RealStepEffects::RemoveCopy() {
    // A server that somebody started in it, or in PGDATA before it was renamed.
    if (auto killed = io::KillPostgres(copy_, Milliseconds{5000}); !killed) return killed;
    return io::RemoveTree(copy_);
}

Result<void> RealStepEffects::TakeBaseBackup(const core::Peer &upstream) {
    const std::string &rate = context_.config.maximum_backup_rate;
    std::vector<std::string> argv{context_.install.Tool("pg_basebackup"),
                                  "--no-password",
                                  "--dbname",
                                  UpstreamConninfo(context_, upstream),
                                  "--pgdata",
                                  copy_,
                                  "--wal-method=stream",
                                  "--slot",
                                  core::StandbyName(context_.input.record.node),
                                  "--checkpoint=fast",
                                  "--progress",
                                  "--verbose"};
    if (!rate.empty() && rate != "0") argv.push_back("--max-rate=" + rate);
    return RunCopying(std::move(argv), Show);
}

Result<void> RealStepEffects::MakeStandbyIn(const std::string &directory,
                                            const core::Peer &upstream) {
    if (auto done = WriteServerFiles(context_.install, context_.config, context_.paths, directory);
        !done)
        return done;
    if (auto done = WriteNodeHba(context_.keeper, directory, context_.Peers()); !done) return done;
    return WriteStandbyFiles(context_.keeper, upstream, directory);
}

Result<void> RealStepEffects::MakeCopyOurs(const core::Peer &upstream) {
    if (context_.config.ssl_self_signed) {
        (void)io::RemoveFile(copy_ + "/server.crt");  // a new pair is made when one is missing
        (void)io::RemoveFile(copy_ + "/server.key");
    }
    return MakeStandbyIn(copy_, upstream);
}

Result<void> RealStepEffects::ExchangeDirectories() {
    if (auto done = lock_.Take(); !done) return done;
    if (auto done = lock_.PutInto(copy_); !done) return done;
    return io::MoveInto(copy_, context_.paths.pgdata);
}

bool RealStepEffects::HasWalBeyond(int timeline, core::Lsn fork) {
    const auto outcome =
        io::Run({.argv = {context_.install.Tool("pg_waldump"), "--path",
                          context_.paths.pgdata + "/pg_wal", "--timeline", std::to_string(timeline),
                          "--start", core::ToString(fork), "--limit", "1"},
                 .env = {{"LC_ALL", "C"}},
                 .timeout = Milliseconds{60'000},
                 .cancel = context_.cancel});
    return !outcome || !supervisor::IsNothingThere(outcome->status, outcome->out, outcome->err);
}

Result<void> RealStepEffects::RemoveStandbySignal() {
    return io::RemoveFile(context_.paths.pgdata + "/standby.signal");
}

Result<void> RealStepEffects::RecoverInSingleUserMode() {
    auto out = io::RunSingleUser(context_.install,
                                 {.pgdata = context_.paths.pgdata, .database = "template1"},
                                 context_.cancel);
    if (!out) return Pass(out);
    return lock_.Take();  // the server has removed it
}

// It replaces the configuration of this node by that of the source, and removes postmaster.pid,
// with all that a base backup leaves out, when the files are in place.
Result<void> RealStepEffects::RunPgRewind(const core::Peer &upstream) {
    auto own = ReadConfiguration(context_.paths.pgdata);
    if (!own) return Pass(own);
    auto done =
        RunCopying({context_.install.Tool("pg_rewind"), "--target-pgdata", context_.paths.pgdata,
                    "--source-server", UpstreamConninfo(context_, upstream), "--no-ensure-shutdown",
                    "--progress"},
                   [this](std::string_view line) {
                       Show(line);
                       (void)lock_.Take();  // asked for again below
                   });
    if (!done) return done;
    if (auto locked = lock_.Take(); !locked) return locked;
    for (const auto &[name, text] : *own) {
        if (auto put = WriteInto(context_.paths.pgdata, name, text); !put) return put;
    }
    return {};
}

Result<void> RealStepEffects::MakeStandby(const core::Peer &upstream) {
    return MakeStandbyIn(context_.paths.pgdata, upstream);
}

}  // namespace pgaf::node
