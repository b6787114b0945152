#pragma once

#include <string>
#include <vector>

#include "pgaf/core/postgres_settings.hpp"
#include "worker/steps.hpp"

namespace pgaf::worker {

/// PostgreSQL's settings that the monitor keeps for this node: taken when this server could read
/// them, written to one file in PGDATA, reloaded, and compared with what the server uses.
class GroupSettings {
 public:
    explicit GroupSettings(std::string directory) : directory_(std::move(directory)) {}
    /// Returns what it could not do; empty: all well.
    std::string Poll(const Context &context);
    /// Adds to a report what it says about settings. `known_mark`: of the state that the monitor
    /// knows.
    void Fill(core::Report &report, std::int64_t known_mark) const;

 private:
    void Load(const Ports &ports);
    void Take(const Context &context);
    void Write(const Context &context);
    void Observe(const Context &context);

    std::string directory_;
    bool is_loaded_ = false;
    core::PostgresSettings settings_;
    std::vector<core::PostgresSetting> allowed_;  ///< as the file has them
    std::string written_;                         ///< content of the file
    core::BootTime written_at_;
    core::BootTime observe_at_;
    std::int64_t refused_ = 0;
    std::string refused_name_;
    std::string refusal_;
    bool is_refused_at_start_ = false;
    std::string states_;  ///< encoded
    std::string problem_;
};

/// The file of the node directory in which both keepers remember them.
std::string GroupSettingsPath(const std::string &directory);
/// The sizes around this node, as far as `reply` says.
core::SizeView SizesAround(const core::Reply &reply, bool is_primary);

}  // namespace pgaf::worker
