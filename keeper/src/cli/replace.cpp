#include "cli/replace.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace pgaf::cli {
namespace {

std::string Described(const Namesake &namesake) {
    return fmt::format("node {} \"{}\" ({}:{})", namesake.id, namesake.name, namesake.host,
                       namesake.port);
}

std::string SilenceOf(const Namesake &namesake) {
    return namesake.silent_s.empty()
               ? "It has not reported since the monitor was started."
               : fmt::format("Its last report came {} s ago; its state is {}.", namesake.silent_s,
                             namesake.state);
}

}  // namespace

Result<std::optional<Namesake>> FindNamesake(io::PgClient &monitor, const node::Config &config) {
    auto rows = monitor.Query(
        "SELECT n.nodeid, n.nodename, n.nodehost, n.nodeport, n.reportedstate,"
        " (extract(epoch FROM pg_catalog.clock_timestamp() - f.report_time))::bigint,"
        " CASE WHEN f.session = 'connected' THEN 'Its session with the monitor is open.'"
        "      WHEN f.probe IN ('alive', 'starting') THEN 'PostgreSQL answers on its port.'"
        "      WHEN f.lease_left_ms > 0 THEN 'Its lease has not run out.' END,"
        " f.node_id IS NOT NULL AND f.lease_left_ms IS NULL"
        " FROM pgautofailover.node n LEFT JOIN pgautofailover.node_facts() f ON f.node_id = "
        "n.nodeid"
        " WHERE (n.formationid = $1 AND n.nodename = $2) OR (n.nodehost = $3 AND n.nodeport = "
        "$4::int) ORDER BY n.nodename <> $2 LIMIT 1",
        {config.formation, config.name, config.hostname, std::to_string(config.port)});
    if (!rows) return Pass(rows);
    if (rows->IsEmpty()) return std::optional<Namesake>{};
    return std::optional(Namesake{.id = std::stoll(rows->At(0, 0)),
                                  .name = rows->At(0, 1),
                                  .host = rows->At(0, 2),
                                  .port = rows->At(0, 3),
                                  .state = rows->At(0, 4),
                                  .silent_s = rows->At(0, 5),
                                  .sign = rows->At(0, 6),
                                  .is_unlimited = rows->At(0, 7) == "t"});
}

Problem ExplainNamesake(const Namesake &namesake) {
    return {
        ProblemCode::kMonitor, Described(namesake) + " is registered already",
        SilenceOf(namesake) + (namesake.sign.empty() ? "" : " " + namesake.sign),
        "For a node beside it, choose another --name and --pgport. If its machine is lost, this "
        "one takes its place with: pg_autoctl create postgres --replace, which is refused as "
        "long as the old one gives a sign of life."};
}

Result<void> Replace(io::PgClient &monitor, const Namesake &namesake) {
    const std::string refused = "cannot replace " + Described(namesake);
    if (!namesake.sign.empty()) {
        return Fail(ProblemCode::kMonitor, refused + ": it is alive",
                    SilenceOf(namesake) + " " + namesake.sign,
                    "Stop it first; or drop it with pg_autoctl drop node --name, which waits for "
                    "its consent.");
    }
    if (namesake.is_unlimited) {
        return Fail(ProblemCode::kMonitor, refused + ": it may still accept writes",
                    SilenceOf(namesake) +
                        " It was alone, and needed no lease: it has the only "
                        "copy of the data.",
                    "Start it again. Only when its machine is off and its data are lost: "
                    "pg_autoctl drop node --name, with --force, which says what else must be done "
                    "when the group has other nodes.");
    }
    spdlog::info("Replacing {}, in state {}", Described(namesake), namesake.state);
    auto removed = monitor.Query("SELECT pgautofailover.remove_node($1::bigint, true)",
                                 {std::to_string(namesake.id)});
    if (!removed) return Pass(removed, refused);
    return {};
}

}  // namespace pgaf::cli
