#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "io/data_directory.hpp"
#include "node/steps/steps.hpp"

/// Where a copy is made. Beside PGDATA, so that both change places at one stroke when it is whole;
/// or in PGDATA itself, with the marker, where that is impossible: something is mounted there, its
/// WAL or its tablespaces lie elsewhere, or there is no room for two.
namespace pgaf::node {

class CopyPlace {
 public:
    explicit CopyPlace(const StepContext &context);
    /// Chooses, and notes what an interrupted copy must know of the old data. What this node's
    /// administrator has written is set aside.
    Result<void> Choose();
    /// The tablespaces of the upstream have the same paths here. kRefused when one of them holds
    /// files that are not an earlier copy of ours.
    Result<void> ClaimTablespaces(const std::vector<std::string> &locations);
    /// In place: removes the old data.
    Result<void> MakeRoom();
    /// Puts back what Choose() has set aside, and makes what is missing.
    Result<void> RestoreConfiguration() const;
    /// The copy is whole and PGDATA.
    Result<void> Forget() const;

    [[nodiscard]] bool IsInPlace() const { return is_in_place_; }
    [[nodiscard]] const std::string &Directory() const { return directory_; }
    /// Where the WAL goes; empty: into the copy.
    [[nodiscard]] const std::string &WalDirectory() const { return layout_.wal_directory; }

 private:
    [[nodiscard]] std::string NotePath() const { return context_.paths.directory + "/layout"; }
    [[nodiscard]] std::string KeptPath() const {
        return context_.paths.directory + "/kept-configuration";
    }
    void ReadNote();
    Result<void> WriteNote() const;
    Result<void> SetConfigurationAside() const;
    [[nodiscard]] std::string WhyInPlace() const;

    const StepContext &context_;
    std::string directory_;  ///< of the copy
    io::DataLayout layout_;
    bool is_in_place_ = false;
};

/// The files in which an administrator configures a server.
inline constexpr std::array<std::string_view, 4> kConfigurationFiles{
    "postgresql.conf", "postgresql.auto.conf", "pg_hba.conf", "pg_ident.conf"};

/// Names of those in PGDATA, with what postgresql.conf includes from there and is not ours. A
/// directory that it includes comes before its files. What lies behind a link is not in PGDATA.
std::vector<std::string> ConfigurationIn(const std::string &pgdata);
/// Makes a directory that is included, and empties it of what a server would read.
Result<void> MakeIncludedDirectory(const std::string &path);

}  // namespace pgaf::node
