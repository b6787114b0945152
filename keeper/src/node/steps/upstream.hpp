#pragma once

#include <string>

#include "io/pg_client.hpp"
#include "node/steps/steps.hpp"
#include "pgaf/core/wal_files.hpp"

namespace pgaf::node {

/// A replication connection to the upstream that can also run SQL.
class Upstream {
 public:
    static Result<Upstream> Connect(const StepContext &context, const core::Peer &peer);
    /// With a whole connection string, such as a standby's primary_conninfo.
    static Result<Upstream> Connect(const std::string &conninfo, const std::string &dbname,
                                    const io::ConnOptions &options = {});
    /// The one in which SQL runs: users may drop "postgres".
    [[nodiscard]] const std::string &Database() const { return database_; }
    Result<supervisor::SourceIdentity> Identify();
    /// What it has to send.
    Result<core::UpstreamWal> ListWal();
    /// Where its tablespaces are.
    Result<std::vector<std::string>> ListTablespaces();
    /// Fails unless it accepts writes, or will once it is granted: it is not in recovery.
    Result<void> MustBePrimary();
    /// Makes sure that its control file shows its own timeline, without which pg_rewind compares
    /// the wrong histories.
    Result<void> EnsureCheckpoint(int timeline);
    void Checkpoint();

 private:
    Upstream(io::PgClient client, std::string database)
        : client_(std::move(client)), database_(std::move(database)) {}
    io::PgClient client_;
    std::string database_;
};

}  // namespace pgaf::node
