#include "node/node_files.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "io/data_directory.hpp"
#include "io/log.hpp"
#include "io/network.hpp"
#include "io/pg_client.hpp"
#include "node/heartbeat.hpp"
#include "node/pg_setup.hpp"
#include "node/steps/steps.hpp"
#include "pgaf/core/intake.hpp"

namespace pgaf::node {
namespace {

supervisor::ClusterState StateOf(const std::string &text) {
    using supervisor::ClusterState;
    if (text == "shut down") return ClusterState::kShutDown;
    if (text == "shut down in recovery") return ClusterState::kShutDownInRecovery;
    if (text == "in archive recovery") return ClusterState::kInArchiveRecovery;
    return ClusterState::kOther;
}

core::TimelineHistory HistoryIn(const std::string &directory, int timeline) {
    auto text = io::ReadFile(fmt::format("{}/pg_wal/{:08X}.history", directory, timeline));
    return text ? core::ParseTimelineHistory(*text) : core::TimelineHistory{};
}

/// PostgreSQL takes the label away when it begins to use a copy. One that an exclusive backup has
/// left on a primary (before version 15) is of another method.
bool IsFreshCopy(const std::string &directory) {
    auto label = io::ReadFile(directory + "/backup_label");
    return label && (label->find("BACKUP METHOD: streamed") != std::string::npos ||
                     label->find("BACKUP METHOD: pg_rewind") != std::string::npos);
}

/// By the names of the segments.
int NewestTimelineIn(const std::string &directory) {
    int newest = 0;
    std::error_code error;
    for (const auto &entry : std::filesystem::directory_iterator(directory + "/pg_wal", error)) {
        const auto file =
            core::ParseWalFile(entry.path().filename().string(), core::kUsualSegmentBytes);
        if (file) newest = std::max(newest, file->timeline);
    }
    return newest;
}

}  // namespace

Result<supervisor::ControlFacts> ReadControlFacts(const io::PgInstall &install,
                                                  const std::string &directory) {
    auto control = io::ReadControlData(install, directory);
    if (!control) return Pass(control);
    return supervisor::ControlFacts{.system_identifier = control->system_identifier,
                                    .state = StateOf(control->state),
                                    .timeline = control->timeline,
                                    .checkpoint = control->checkpoint,
                                    .min_recovery = control->min_recovery,
                                    .history = HistoryIn(directory, control->timeline),
                                    .received_timeline = NewestTimelineIn(directory),
                                    .is_fresh_copy = IsFreshCopy(directory)};
}

NodeFiles::NodeFiles(Config config, Paths paths, io::PgInstall install)
    : config_(std::move(config)),
      paths_(std::move(paths)),
      install_(std::move(install)),
      group_settings_(paths_, install_) {
    if (auto keeper = LoadKeeperConfig(paths_)) keeper_ = *keeper;
}

std::string NodeFiles::MonitorHost() const {
    auto options = io::ParseConninfo(config_.monitor);
    return options ? io::OptionOf(*options, "host") : std::string();
}

bool NodeFiles::IsOfCurrentMonitor() const {
    return !keeper_.monitor_host.empty() && keeper_.monitor_host == MonitorHost();
}

std::string NodeFiles::MonitorAddress() const {
    auto options = io::ParseConninfo(keeper_.monitor_conninfo);
    return options ? io::OptionOf(*options, "hostaddr") : std::string();
}

Result<void> NodeFiles::SaveKeeperConfig(const core::NodeRecord &record,
                                         const std::string &hostaddr) {
    std::string address = hostaddr;
    // That of another monitor is of no use: it is looked up, once.
    if (address.empty() && IsOfCurrentMonitor()) address = MonitorAddress();
    if (address.empty()) address = io::ResolveNow(MonitorHost());
    auto keeper = MakeKeeperConfig(config_, record, address);
    if (!keeper) return Pass(keeper);
    keeper_ = std::move(*keeper);
    return node::SaveKeeperConfig(paths_, keeper_);
}

Result<supervisor::NodeSettings> NodeFiles::LoadSettings() {
    auto config = LoadConfig(paths_);
    if (!config) return Pass(config);
    config_ = std::move(*config);
    return Settings();
}

supervisor::NodeSettings NodeFiles::Settings() const {
    return {
        .formation = config_.formation, .name = config_.name, .monitor = MonitorConninfo(config_)};
}

Result<std::vector<std::string>> NodeFiles::PrepareStart(core::NodeState state,
                                                         const core::Reply *reply) {
    io::DirectoryLock lock(paths_.pgdata);
    if (auto done = lock.Take(); !done) return Pass(done);
    auto control = io::ReadControlData(install_, paths_.pgdata);
    if (!control) return Pass(control);
    const bool is_standby = core::IsStandby(state);
    if (is_standby) {
        auto mended = io::MendCutWal(paths_.pgdata, control->segment_bytes);
        if (!mended) return Pass(mended);
        for (const std::string &name : *mended)
            spdlog::warn("The file {} in pg_wal was cut off: what is missing is streamed again",
                         name);
    }
    if (auto done = group_settings_.WriteFile(reply, !is_standby, control->sizes); !done)
        return Pass(done);
    auto options = WriteNodeServerFiles(install_, config_, paths_,
                                        {.control = *control, .is_standby = is_standby});
    if (!options) return options;
    options_ = *options;
    if (core::IsStandby(state)) {
        if (auto done = WriteInto(paths_.pgdata, "standby.signal", ""); !done) return Pass(done);
    }
    if (reply == nullptr) return options;
    if (auto done = WriteNodeHba(keeper_, paths_.pgdata, reply->peers); !done) return Pass(done);
    return options;
}

std::string NodeFiles::WhyNotStarted() {
    io::DirectoryLock lock(paths_.pgdata);
    if (!lock.Take()) return {};
    const std::string said = io::WhyNotStarted(install_, paths_.pgdata, options_);
    return said.empty() ? said : "PostgreSQL cannot start: " + said + PlaceOf(paths_.pgdata, said);
}

bool NodeFiles::KeepRole(core::NodeState state) {
    const bool is_whole = io::InspectDataDirectory(paths_.pgdata) == io::DataDirectory::kCluster;
    if (!core::IsStandby(state) || !is_whole || HasMarker(paths_)) return false;
    const bool was_missing = !io::Exists(paths_.pgdata + "/standby.signal");
    if (auto done = WriteInto(paths_.pgdata, "standby.signal", ""); !done)
        io::LogProblem(spdlog::level::warn, done.error());
    if (!was_missing) return false;
    const auto control = ReadControlFacts(install_, paths_.pgdata);
    return control && control->state != supervisor::ClusterState::kShutDownInRecovery;
}

Result<void> NodeFiles::WriteSettings() {
    return WriteServerFiles(install_, config_, paths_, paths_.pgdata);
}

std::optional<std::string> NodeFiles::TakeEvent() {
    const std::string path = paths_.directory + "/" + std::string(core::kEventFile);
    auto text = io::ReadFile(path);
    if (!text) return std::nullopt;
    if (auto removed = io::RemoveFile(path); !removed)
        io::LogProblem(spdlog::level::warn, removed.error());
    return *text;
}

void NodeFiles::ForgetHeartbeat() {
    (void)::unlink(paths_.heartbeat.c_str());  // often there is none
}

std::optional<supervisor::Heartbeat> NodeFiles::ReadHeartbeat() {
    return node::ReadHeartbeat(paths_.heartbeat);
}

bool NodeFiles::IsMarked() { return HasMarker(paths_); }

std::optional<supervisor::ControlFacts> NodeFiles::ReadControl() {
    if (io::InspectDataDirectory(paths_.pgdata) != io::DataDirectory::kCluster) return std::nullopt;
    auto control = ReadControlFacts(install_, paths_.pgdata);
    return control ? std::optional(*control) : std::nullopt;
}

Result<bool> FileBaton::Take() {
    auto lock = io::FileLock::Try(path_);
    if (!lock) return Pass(lock);
    if (!lock->has_value()) return false;
    lock_ = std::move(**lock);
    return true;
}

std::int64_t FileBaton::Instance() {
    struct stat info {};
    if (!lock_ || ::fstat(lock_->Fd(), &info) != 0) return 0;
    const auto boot = io::ReadFile("/proc/sys/kernel/random/boot_id");
    return boot ? core::InstanceOf(*boot, info.st_dev, info.st_ino) : 0;
}

}  // namespace pgaf::node
