#pragma once

#include <optional>
#include <string>

#include "io/files.hpp"
#include "node/config.hpp"
#include "node/group_settings.hpp"
#include "node/leave.hpp"
#include "supervisor/ports.hpp"

namespace pgaf::node {

/// What pg_controldata, and the history of the timeline, say of the cluster in `directory`.
Result<supervisor::ControlFacts> ReadControlFacts(const io::PgInstall &install,
                                                  const std::string &directory);

/// The files of a data node, and what is known of them.
class NodeFiles final : public supervisor::Files {
 public:
    NodeFiles(Config config, Paths paths, io::PgInstall install);
    Result<core::NodeRecord> LoadRecord() override { return node::LoadRecord(paths_); }
    Result<void> SaveRecord(const core::NodeRecord &record) override {
        return node::SaveRecord(paths_, record);
    }
    Result<void> SaveKeeperConfig(const core::NodeRecord &record,
                                  const std::string &hostaddr) override;
    Result<supervisor::NodeSettings> LoadSettings() override;
    Result<std::vector<std::string>> PrepareStart(core::NodeState state,
                                                  const core::Reply *reply) override;
    bool KeepRole(core::NodeState state) override;
    Result<void> WriteSettings() override;
    Result<void> LeaveOrdinary() override { return node::LeaveOrdinary(paths_); }
    void TakeSettings(const core::Reply &reply) override { group_settings_.Take(reply); }
    void FillSettings(core::Report &report) override { group_settings_.Fill(report); }
    void NoteStarted() override { group_settings_.NoteStarted(); }
    void NoteFailedStarts() override { group_settings_.NoteFailedStarts(); }
    std::string WhyNotStarted() override;
    std::optional<std::string> TakeEvent() override;
    void ForgetHeartbeat() override;
    std::optional<supervisor::Heartbeat> ReadHeartbeat() override;
    bool IsMarked() override;
    bool HasNoData() override {
        return io::InspectDataDirectory(paths_.pgdata) != io::DataDirectory::kCluster;
    }
    std::optional<supervisor::ControlFacts> ReadControl() override;

    [[nodiscard]] supervisor::NodeSettings Settings() const;
    [[nodiscard]] const Config &CurrentConfig() const { return config_; }
    [[nodiscard]] const core::KeeperConfig &Keeper() const { return keeper_; }
    /// The numeric address of the monitor that the worker uses; empty when none is known.
    [[nodiscard]] std::string MonitorAddress() const;
    [[nodiscard]] const Paths &AllPaths() const { return paths_; }
    [[nodiscard]] const io::PgInstall &Install() const { return install_; }

 private:
    [[nodiscard]] std::string MonitorHost() const;
    [[nodiscard]] bool IsOfCurrentMonitor() const;

    Config config_;
    Paths paths_;
    io::PgInstall install_;
    core::KeeperConfig keeper_;  ///< as it was last saved
    GroupSettings group_settings_;
    std::vector<std::string> options_;  ///< of the last start
};

/// The lock file between the supervisor and the worker.
class FileBaton final : public supervisor::Baton {
 public:
    explicit FileBaton(std::string path) : path_(std::move(path)) {}
    Result<bool> Take() override;
    void Release() override { lock_.reset(); }
    std::int64_t Instance() override;

 private:
    std::string path_;
    std::optional<io::FileLock> lock_;
};

}  // namespace pgaf::node
