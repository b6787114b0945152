#include "pgaf/core/pg_files.hpp"
#include "rigs.hpp"
#include "world.hpp"

/// What clone, rewind and rejoin do to a data directory.
namespace pgaf::sim {

using core::Fail;
using core::ProblemCode;
using supervisor::ClusterState;
using supervisor::DataDirectory;

core::Result<void> Effects::Touch(const char *what) {
    if (machine_.server) {
        machine_.world.Violate(machine_.Who() + ": " + what + " while a server runs on it");
    }
    if (machine_.IsDiskFrozen()) return Fail(ProblemCode::kIo, "the disk does not answer");
    return {};
}

DataDirectory Effects::InspectDataDirectory() {
    return machine_.data ? DataDirectory::kCluster : DataDirectory::kEmpty;
}

core::Result<supervisor::ControlFacts> Effects::ReadControl(supervisor::Place place) {
    const auto &cluster = place == supervisor::Place::kCopy ? machine_.copy : machine_.data;
    if (!cluster) return Fail(ProblemCode::kIo, "there is no control file");
    return ControlOf(*cluster);
}

core::Result<void> Effects::LockDirectory() {
    if (machine_.server) return Fail(ProblemCode::kBadState, "PostgreSQL is running");
    if (machine_.data) machine_.data->lock = machine_.supervisor_serial;
    machine_.Effect();
    return {};
}

void Effects::UnlockDirectory() {
    if (machine_.data) machine_.data->lock = 0;
}

core::Result<void> Effects::SetMarker(std::string_view what) {
    machine_.files[kNodeDirectory + "/unsafe"] = std::string(what);
    machine_.Effect();
    return {};
}

core::Result<void> Effects::ClearMarker() {
    machine_.Effect();
    machine_.files.erase(kNodeDirectory + "/unsafe");
    return {};
}

core::Result<void> Effects::Connect(const core::Peer &upstream) {
    source_ = 0;
    const Machine *const source = machine_.world.FindByAddress(upstream.host);
    const bool is_there =
        source != nullptr && source->is_up && !source->IsFrozen() && source->server &&
        machine_.world.AreOpen(machine_.place, source->place) &&
        source->server->postmaster_frozen_until <= machine_.world.Now() &&
        (source->server->phase == Phase::kWritable || source->server->phase == Phase::kStandby);
    if (!is_there) return Fail(ProblemCode::kPostgres, "could not connect to the upstream");
    source_ = source->place;
    return {};
}

Machine *Effects::Source() {
    if (source_ == 0) return nullptr;
    Machine &source = machine_.world.At(source_);
    return source.server && source.data ? &source : nullptr;
}

core::Result<supervisor::SourceIdentity> Effects::Identify() {
    const Machine *const source = Source();
    if (source == nullptr) return Fail(ProblemCode::kPostgres, "connection lost");
    return supervisor::SourceIdentity{.system_identifier = source->data->system_identifier,
                                      .timeline = source->data->wal.timeline,
                                      .end = LsnOf(source->data->durable),
                                      .history = source->data->wal.history};
}

core::Result<void> Effects::MustBePrimary() {
    const Machine *const source = Source();
    if (source == nullptr) return Fail(ProblemCode::kPostgres, "connection lost");
    if (source->server->IsInRecovery())
        return Fail(ProblemCode::kBadState, "the node to follow is not a primary yet");
    return {};
}

core::Result<void> Effects::EnsureCheckpoint(int timeline) {
    CheckpointSource();
    const Machine *const source = Source();
    if (source == nullptr || source->data->control.timeline != timeline)
        return Fail(ProblemCode::kBadState, "the primary has not completed a checkpoint yet");
    return {};
}

void Effects::CheckpointSource() {
    Machine *const source = Source();
    if (source == nullptr || source->server->phase != Phase::kWritable) return;
    source->data->control.timeline = source->data->wal.timeline;
    source->data->control.checkpoint = source->data->durable;
    source->data->wal.units.push_back({source->world.NewRecord(SessionKind::kIdle), true});
}

core::Result<void> Effects::RemoveCopy() {
    machine_.copy.reset();
    machine_.Effect();
    return {};
}

core::Result<void> Effects::TakeBaseBackup(const core::Peer &) {
    const Machine *const source = Source();
    if (source == nullptr) return Fail(ProblemCode::kPostgres, "connection lost");
    Cluster copy = *source->data;
    // The copy is whole when it has what the source had at its end; it begins a little before.
    copy.consistent_at = copy.durable;
    const std::size_t first = copy.wal.history.empty() ? 0 : UnitsOf(copy.wal.history.back().at);
    const auto back = static_cast<std::size_t>(machine_.world.random().Below(20));
    copy.wal.units.resize(std::max(first, copy.durable - std::min(copy.durable, back)));
    copy.wal.CutIncompleteRecord();
    copy.applied = copy.durable = copy.wal.units.size();
    copy.slots.clear();
    copy.standby_signal = copy.promote_signal = false;
    copy.options.clear();
    copy.lock = 0;
    copy.is_fresh_copy = true;
    copy.control.state = ClusterState::kOther;
    copy.control.timeline = copy.wal.timeline;
    machine_.copy = std::move(copy);
    machine_.Effect();
    return {};
}

core::Result<void> Effects::WriteStandby(Cluster &cluster, const core::Peer &upstream) {
    const core::KeeperConfig config = ConfigOf(machine_);
    cluster.files[kMainFile] = core::EnsureInclude(cluster.files[kMainFile]);
    machine_.Effect();
    cluster.files[kDataDirectory + "/" + std::string(core::kStandbyFile)] =
        core::StandbyText(config, &upstream);
    cluster.files[kDataDirectory + "/" + std::string(core::kSyncFile)] = core::SyncText("");
    machine_.Effect();
    cluster.standby_signal = true;
    machine_.Effect();
    return {};
}

core::Result<void> Effects::MakeCopyOurs(const core::Peer &upstream) {
    return WriteStandby(*machine_.copy, upstream);
}

core::Result<void> Effects::ExchangeDirectories() {
    if (auto touched = Touch("the directory is exchanged"); !touched) return touched;
    machine_.copy->lock = machine_.supervisor_serial;
    std::swap(machine_.data, machine_.copy);
    machine_.Effect();
    return {};
}

std::optional<std::string> Effects::FindDamage() {
    if (!machine_.data || !machine_.data->standby_signal || !machine_.data->breaks_replay)
        return {};
    return "PANIC: unexpected timeline ID";
}

bool Effects::HasWalBeyond(int timeline, core::Lsn fork) {
    const Wal &wal = machine_.data->wal;
    if (wal.timeline == timeline) return wal.units.size() > UnitsOf(fork);
    for (const core::TimelineSwitch &s : wal.history) {
        if (s.timeline == timeline) return s.at > fork;
    }
    return false;
}

core::Result<void> Effects::RemoveStandbySignal() {
    if (auto touched = Touch("standby.signal is removed"); !touched) return touched;
    machine_.data->standby_signal = false;
    machine_.Effect();
    return {};
}

core::Result<void> Effects::RecoverInSingleUserMode() {
    if (auto touched = Touch("a server recovers in single-user mode"); !touched) return touched;
    Cluster &data = *machine_.data;
    data.EndRecovery();
    data.wal.units.push_back({machine_.world.NewRecord(SessionKind::kIdle), true});
    data.applied = data.durable = data.wal.units.size();
    data.control.state = ClusterState::kShutDown;
    data.control.checkpoint = StartOfLast(data);
    data.control.timeline = data.wal.timeline;
    machine_.Effect();
    return {};
}

core::Result<void> Effects::RunPgRewind(const core::Peer &) {
    if (auto touched = Touch("pg_rewind runs"); !touched) return touched;
    const Machine *const source = Source();
    if (source == nullptr) return Fail(ProblemCode::kPostgres, "connection lost");
    Cluster &data = *machine_.data;
    const Cluster &from = *source->data;
    if (data.control.timeline == from.control.timeline) return {};  // "no rewind required"
    machine_.Effect();
    // It goes by the numbers of timelines: where they part is where it begins.
    const core::Lsn fork = core::PartingOf({data.wal.timeline, data.wal.End(), data.wal.history},
                                           from.wal.timeline, from.wal.history);
    const std::size_t kept = std::min({UnitsOf(fork), data.wal.units.size(), from.durable});
    bool is_same = true;
    for (std::size_t i = 0; i < kept; ++i)
        is_same = is_same && data.wal.units[i].record == from.wal.units[i].record;
    const std::vector<Unit> own(data.wal.units.begin(),
                                data.wal.units.begin() + static_cast<std::ptrdiff_t>(kept));
    data.wal = from.wal;
    data.wal.units.resize(from.durable);
    data.wal.CutIncompleteRecord();
    data.is_fresh_copy = true;
    data.data_fork.reset();
    if (!is_same) data.data_fork = own;
    data.applied = kept;
    data.durable = data.wal.units.size();
    data.consistent_at = data.wal.units.size();
    for (const auto &[path, text] : from.files)
        data.files[path] = text;
    data.control = from.control;
    data.control.state = ClusterState::kInArchiveRecovery;
    machine_.Effect();
    return {};
}

core::Result<void> Effects::MakeStandby(const core::Peer &upstream) {
    if (auto touched = Touch("standby files are written"); !touched) return touched;
    return WriteStandby(*machine_.data, upstream);
}

core::Result<std::uint64_t> Effects::InitPrimary() {
    if (auto touched = Touch("initdb runs"); !touched) return tl::unexpected(touched.error());
    Cluster fresh;
    fresh.system_identifier = 7'000'000 + static_cast<std::uint64_t>(machine_.place);
    fresh.wal.units.push_back({machine_.world.NewRecord(SessionKind::kIdle), true});
    fresh.applied = fresh.durable = 1;
    fresh.files[kMainFile] = core::EnsureInclude("");
    fresh.files[kDataDirectory + "/" + std::string(core::kSettingsFile)] = "# as decided\n";
    fresh.files[kDataDirectory + "/" + std::string(core::kStandbyFile)] =
        core::StandbyText(ConfigOf(machine_), nullptr);
    fresh.files[kDataDirectory + "/" + std::string(core::kSyncFile)] = core::SyncText("");
    machine_.data = std::move(fresh);
    machine_.Effect();
    return machine_.data->system_identifier;
}

}  // namespace pgaf::sim
