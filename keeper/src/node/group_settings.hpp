#pragma once

#include <string>

#include "io/postgres.hpp"
#include "node/paths.hpp"
#include "pgaf/core/protocol.hpp"

/// PostgreSQL's settings that the monitor keeps for this node, while its server is down.
namespace pgaf::node {

class GroupSettings {
 public:
    GroupSettings(Paths paths, io::PgInstall install)
        : paths_(std::move(paths)), install_(std::move(install)) {}

    /// Remembers what the reply brings, when PostgreSQL could read it; else why not.
    void Take(const core::Reply &reply);
    /// Adds to a report what it says about settings.
    void Fill(core::Report &report);
    /// See supervisor::Files.
    void NoteStarted();
    void NoteFailedStarts();
    /// Writes the file in PGDATA for a server that is about to start. `required`: what the control
    /// file asks for. Without a reply the file keeps its sizes.
    Result<void> WriteFile(const core::Reply *reply, bool is_primary,
                           const std::optional<core::ServerSizes> &required);

 private:
    void Load();
    void LoadRefused();
    Result<void> Check(const core::PostgresSetting &item) const;

    Paths paths_;
    io::PgInstall install_;
    core::PostgresSettings settings_;
    std::int64_t refused_ = 0;
    std::string refused_name_;
    std::string refusal_;
    bool is_refused_at_start_ = false;
    std::optional<core::PostgresSettings> started_;  ///< those of the last start
};

}  // namespace pgaf::node
