#include "node/steps/upstream.hpp"

#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "pgaf/core/names.hpp"

namespace pgaf::node {

Result<Upstream> Upstream::Connect(const StepContext &context, const core::Peer &peer) {
    io::ConnOptions options;
    if (!context.config.replication_password.empty()) {
        options.emplace_back("password", context.config.replication_password);
    }
    auto upstream = Connect(UpstreamConninfo(context, peer, std::string(core::kUsualDatabase)),
                            context.config.dbname, options);
    if (!upstream) {
        return Pass(upstream, fmt::format("could not connect to node {} \"{}\" ({}:{})",
                                          peer.node.value, peer.name, peer.host, peer.port));
    }
    return upstream;
}

Result<Upstream> Upstream::Connect(const std::string &conninfo, const std::string &dbname,
                                   const io::ConnOptions &options) {
    std::optional<Problem> first;
    for (const std::string &database : core::DatabasesForUs(dbname)) {
        io::ConnOptions all = options;
        all.emplace_back("replication", "database");
        all.emplace_back("dbname", database);
        all.emplace_back("application_name", "pgautofailover_copy");
        auto client = io::PgClient::Connect(conninfo, all);
        if (client) return Upstream(std::move(*client), database);
        // A server that has no such database names it, in every language.
        const Problem &problem = client.error();
        const bool is_named =
            (problem.message + problem.detail).find(database) != std::string::npos;
        if (!first) first = problem;
        if (!is_named) break;
    }
    return tl::unexpected(std::move(*first));
}

Result<core::UpstreamWal> Upstream::ListWal() {
    auto identity = Identify();
    if (!identity) return Pass(identity);
    core::UpstreamWal wal{.timeline = identity->timeline,
                          .history = identity->history,
                          .end = identity->end,
                          .segment_bytes = identity->segment_bytes};
    auto rows = client_.Simple("SELECT pg_catalog.pg_ls_dir('pg_wal', true, false)");
    if (!rows) return Pass(rows);
    for (std::size_t row = 0; row < rows->rows.size(); ++row)
        wal.files.push_back(rows->At(row, 0));
    return wal;
}

Result<std::vector<std::string>> Upstream::ListTablespaces() {
    auto rows = client_.Simple(
        "SELECT l FROM (SELECT pg_catalog.pg_tablespace_location(oid) AS l FROM "
        "pg_catalog.pg_tablespace) t WHERE l LIKE '/%'");
    if (!rows) return Pass(rows);
    std::vector<std::string> locations;
    for (std::size_t row = 0; row < rows->rows.size(); ++row)
        locations.push_back(rows->At(row, 0));
    return locations;
}

Result<supervisor::SourceIdentity> Upstream::Identify() {
    auto rows = client_.Simple("IDENTIFY_SYSTEM");
    if (!rows) return Pass(rows, "could not identify the primary");
    if (rows->IsEmpty()) return Fail(ProblemCode::kPostgres, "the primary did not identify itself");
    supervisor::SourceIdentity identity;
    const std::string id = rows->At(0, 0);
    const std::string timeline = rows->At(0, 1);
    (void)std::from_chars(id.data(), id.data() + id.size(), identity.system_identifier);
    (void)std::from_chars(timeline.data(), timeline.data() + timeline.size(), identity.timeline);
    if (identity.system_identifier == 0 || identity.timeline == 0) {
        return Fail(ProblemCode::kPostgres, "the primary's identity cannot be read");
    }
    auto size = client_.Simple(
        "SELECT setting FROM pg_catalog.pg_settings WHERE name = 'wal_segment_size'");
    if (!size) return Pass(size);
    const std::string bytes = size->IsEmpty() ? "" : size->At(0, 0);
    (void)std::from_chars(bytes.data(), bytes.data() + bytes.size(), identity.segment_bytes);
    if (const auto end = core::ParseLsn(rows->At(0, 2))) identity.end = *end;
    if (identity.timeline > 1) {
        auto history = client_.Simple(fmt::format("TIMELINE_HISTORY {}", identity.timeline));
        if (!history) return Pass(history, "could not fetch the primary's timeline history");
        identity.history = core::ParseTimelineHistory(history->At(0, 1));
    }
    return identity;
}

Result<void> Upstream::MustBePrimary() {
    auto rows = client_.Simple("SELECT pg_catalog.pg_is_in_recovery()");
    if (!rows) return Pass(rows);
    if (rows->At(0, 0) != "f")
        return Fail(ProblemCode::kBadState, "the node to follow is not a primary yet");
    return {};
}

void Upstream::Checkpoint() {
    (void)client_.Simple(
        "CHECKPOINT");  // permitted from PostgreSQL 15 on; elsewhere one comes by itself
}

Result<void> Upstream::EnsureCheckpoint(int timeline) {
    for (int attempt = 0; attempt < 2; ++attempt) {
        auto rows = client_.Simple("SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()");
        if (!rows) return Pass(rows);
        if (rows->At(0, 0) == std::to_string(timeline)) return {};
        Checkpoint();
    }
    return Fail(
        ProblemCode::kBadState,
        fmt::format("the primary has not completed a checkpoint on timeline {} yet", timeline));
}

}  // namespace pgaf::node
