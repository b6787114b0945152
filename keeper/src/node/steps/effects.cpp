#include "node/steps/effects.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <cstring>
#include <filesystem>

#include "io/files.hpp"
#include "node/node_files.hpp"
#include "node/steps/progress.hpp"
#include "supervisor/rejoin.hpp"

namespace pgaf::node {
namespace {

/// What an administrator has written on this node, as files or links. For the time of a rewind
/// links are files: pg_rewind refuses a link where the source has a file.
struct OwnFile {
    std::string path;
    std::string text;
    std::string link;  ///< where it leads; empty: it is a file
    bool is_directory = false;
};

Result<std::vector<OwnFile>> TakeConfiguration(const std::string &directory) {
    std::vector<OwnFile> found;
    for (const std::string &name : ConfigurationIn(directory)) {
        const std::string path = directory + "/" + name;
        if (io::IsDirectory(path)) {
            found.push_back({path, "", "", true});
            continue;
        }
        auto text = io::ReadFile(path);
        if (!text) return Pass(text);
        std::error_code no_link;
        const auto link = std::filesystem::read_symlink(path, no_link);
        found.push_back({path, std::move(*text), no_link ? "" : link.string()});
        if (no_link) continue;
        if (auto removed = io::RemoveFile(path); !removed) return Pass(removed);
        if (auto put = io::WriteFile(path, found.back().text, 0600); !put) return Pass(put);
    }
    // Debian's directory of included files, outside. The source has none.
    const std::string included = directory + "/conf.d";
    std::error_code no_link;
    const auto link = std::filesystem::read_symlink(included, no_link);
    if (!no_link) found.push_back({included, "", link.string()});
    return found;
}

bool HasPartsOfCluster(const std::string &pgdata) {
    return io::MajorVersionOf(pgdata) > 0 ||
           (io::Exists(pgdata + "/base") && io::Exists(pgdata + "/global"));
}

Result<void> PutBack(const OwnFile &file) {
    if (file.is_directory) return MakeIncludedDirectory(file.path);
    if (auto made = io::MakeDirectories(io::ParentOf(file.path), 0700); !made) return made;
    if (file.link.empty()) return io::WriteFile(file.path, file.text, 0600);
    if (auto removed = io::RemoveFile(file.path); !removed) return removed;
    std::error_code error;
    std::filesystem::create_symlink(file.link, file.path, error);
    if (!error) return {};
    return Fail(ProblemCode::kIo,
                fmt::format("could not link \"{}\": {}", file.path, error.message()));
}

}  // namespace

RealStepEffects::RealStepEffects(const StepContext &context)
    : context_(context), place_(context), lock_(context.paths.pgdata) {}

supervisor::DataDirectory RealStepEffects::InspectDataDirectory() {
    switch (io::InspectDataDirectory(context_.paths.pgdata)) {
        case io::DataDirectory::kAbsent:
        case io::DataDirectory::kEmpty:
            return supervisor::DataDirectory::kEmpty;
        case io::DataDirectory::kCluster:
            return supervisor::DataDirectory::kCluster;
        case io::DataDirectory::kOther:
            return HasPartsOfCluster(context_.paths.pgdata) ? supervisor::DataDirectory::kDamaged
                                                            : supervisor::DataDirectory::kForeign;
    }
    return supervisor::DataDirectory::kForeign;
}

Result<supervisor::ControlFacts> RealStepEffects::ReadControl(supervisor::Place place) {
    const bool is_copy = place == supervisor::Place::kCopy;
    return ReadControlFacts(context_.install, is_copy ? place_.Directory() : context_.paths.pgdata);
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
                                .env = CopyEnv(context_),
                                .on_line = std::move(on_line),
                                .cancel = context_.cancel});
    if (!done) return Pass(done);
    return {};
}

Result<void> RealStepEffects::ClearMarker() {
    if (auto forgotten = place_.Forget(); !forgotten) return forgotten;
    return node::ClearMarker(context_.paths);
}

Result<void> RealStepEffects::RemoveCopy() {
    // A server that somebody started in it, or in PGDATA before it was renamed.
    if (auto killed = io::KillPostgres(CopyBeside(), Milliseconds{5000}); !killed) return killed;
    return io::RemoveTree(CopyBeside());
}

Result<void> RealStepEffects::MakeRoomForCopy() {
    auto tablespaces = session_.value().ListTablespaces();
    if (!tablespaces) return Pass(tablespaces);
    if (auto chosen = place_.Choose(); !chosen) return chosen;
    if (auto claimed = place_.ClaimTablespaces(*tablespaces); !claimed) return claimed;
    // pg_basebackup wants an empty directory. There is no server in it that could be started.
    if (place_.IsInPlace()) lock_.Release();
    return place_.MakeRoom();
}

Result<void> RealStepEffects::TakeBaseBackup(const core::Peer &upstream) {
    if (auto made = MakeRoomForCopy(); !made) return made;
    const std::string &rate = context_.config.maximum_backup_rate;
    std::vector<std::string> argv{context_.install.Tool("pg_basebackup"),
                                  "--no-password",
                                  "--dbname",
                                  UpstreamConninfo(context_, upstream, session_.value().Database()),
                                  "--pgdata",
                                  place_.Directory(),
                                  "--wal-method=stream",
                                  "--slot",
                                  core::StandbyName(context_.input.record.node),
                                  "--checkpoint=fast",
                                  "--progress",
                                  "--verbose"};
    if (!rate.empty() && rate != "0") argv.push_back("--max-rate=" + rate);
    if (!place_.WalDirectory().empty()) argv.push_back("--waldir=" + place_.WalDirectory());
    CopyProgress progress(context_.progress);
    auto done =
        RunCopying(std::move(argv), [&progress](std::string_view line) { progress.Take(line); });
    if (!done) return done;
    if (auto emptied = io::RemoveTree(place_.Directory() + "/log"); !emptied) return emptied;
    return place_.IsInPlace() ? lock_.Take() : Result<void>{};
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
    const std::string &copy = place_.Directory();
    if (context_.config.ssl_self_signed) {
        (void)io::RemoveFile(copy + "/server.crt");  // a new pair is made when one is missing
        (void)io::RemoveFile(copy + "/server.key");
    }
    if (auto restored = place_.RestoreConfiguration(); !restored) return restored;
    return MakeStandbyIn(copy, upstream);
}

Result<void> RealStepEffects::ExchangeDirectories() {
    if (auto done = lock_.Take(); !done) return done;
    if (place_.IsInPlace()) return {};
    if (auto done = lock_.PutInto(place_.Directory()); !done) return done;
    return io::MoveInto(place_.Directory(), context_.paths.pgdata);
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

std::vector<supervisor::StepEffects::UsersSlot> RealStepEffects::ListUsersSlots() {
    const std::string directory = context_.paths.pgdata + "/pg_replslot";
    std::vector<UsersSlot> slots;
    for (const std::string &name : io::NamesIn(directory)) {
        if (core::ParseStandbyName(name)) continue;
        // A physical slot belongs to no database.
        constexpr std::size_t kDatabaseAt = 80;
        auto state = io::ReadFile(fmt::format("{}/{}/state", directory, name));
        std::uint32_t database = 0;
        if (state && state->size() >= kDatabaseAt + sizeof database)
            std::memcpy(&database, state->data() + kDatabaseAt, sizeof database);
        slots.push_back({name, database != 0});
    }
    return slots;
}

Result<void> RealStepEffects::RemoveStandbySignal() {
    return io::RemoveFile(context_.paths.pgdata + "/standby.signal");
}

Result<void> RealStepEffects::RecoverInSingleUserMode() {
    auto control = io::ReadControlData(context_.install, context_.paths.pgdata);
    if (!control) return Pass(control);
    auto options = RecoveryOptions(context_.install, context_.paths, *control);
    if (!options) return Pass(options);
    auto out = io::RunSingleUser(
        context_.install,
        {.pgdata = context_.paths.pgdata, .database = "template1", .options = std::move(*options)},
        context_.cancel);
    if (!out) return Pass(out);
    return lock_.Take();  // the server has removed it
}

// It replaces the configuration of this node by that of the source, and removes postmaster.pid,
// with all that a base backup leaves out, when the files are in place.
Result<void> RealStepEffects::RunPgRewind(const core::Peer &upstream) {
    auto own = TakeConfiguration(context_.paths.pgdata);
    if (!own) return Pass(own);
    CopyProgress progress(context_.progress);
    bool has_connected = false;
    auto done = RunCopying(
        {context_.install.Tool("pg_rewind"), "--target-pgdata", context_.paths.pgdata,
         "--source-server", UpstreamConninfo(context_, upstream, session_.value().Database()),
         "--no-ensure-shutdown", "--progress"},
        [this, &progress, &has_connected](std::string_view line) {
            has_connected = has_connected || line.find("connected to server") != line.npos;
            progress.Take(line);
            (void)lock_.Take();  // asked for again below
        });
    // Our own session was let in the same way just before: a refusal now does not last.
    if (!done && !has_connected) done.error().code = ProblemCode::kBadState;
    auto locked = lock_.Take();
    // Also after a failure: the copy that follows takes them from here.
    core::Result<void> kept;
    for (const OwnFile &file : *own) {
        if (auto put = PutBack(file); !put) kept = put;
    }
    if (!done) return done;
    if (!locked) return locked;
    return kept;
}

Result<void> RealStepEffects::MakeStandby(const core::Peer &upstream) {
    return MakeStandbyIn(context_.paths.pgdata, upstream);
}

}  // namespace pgaf::node
