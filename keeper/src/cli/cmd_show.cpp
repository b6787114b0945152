#include <fmt/format.h>
#include <pwd.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "cli/create.hpp"
#include "cli/json.hpp"
#include "cli/postgres.hpp"
#include "cli/session.hpp"
#include "cli/table.hpp"
#include "io/env.hpp"
#include "io/files.hpp"
#include "pgaf/core/lines.hpp"
#include "pgaf/core/names.hpp"

/// show state, events, uri, settings, standby-names, file; systemd is in show_systemd.cpp.
namespace pgaf::cli {
namespace {

using Command = int (*)(const Session &);

std::string GroupFilter(const MonitorAccess &access) {
    return access.group ? fmt::format(" WHERE group_id = {}", *access.group) : "";
}

std::string ConnectionOf(std::string_view state, std::string_view health) {
    const auto known = core::ParseNodeState(state).value_or(core::NodeState::kUnknown);
    std::string text = core::IsWritable(known)  ? "read-write"
                       : core::IsStandby(known) ? "read-only"
                                                : "none";
    if (health == "0") text += " !";
    if (health == "-1") text += " ?";
    return text;
}

/// A monitor that is from a backup, or new, and does not decide: below the table.
int ShowOldRows(MonitorAccess &access) {
    auto rows = access.client.Query(
        "SELECT group_id, reason FROM pgautofailover.failover_status($1) WHERE reason LIKE "
        "'the monitor''s rows are older than %'",
        {access.formation});
    if (!rows) return Explain(rows.error());
    for (std::size_t i = 0; i < rows->rows.size(); ++i)
        fmt::print("Group {}: {}\n", rows->At(i, 0), core::Printable(rows->At(i, 1)));
    return kOk;
}

/// What nodes say is wrong with them, below the table.
int ShowProblems(MonitorAccess &access) {
    auto rows = access.client.Query(
        "SELECT n.nodeid, n.nodename, f.problem FROM pgautofailover.node n JOIN "
        "pgautofailover.node_facts() f ON f.node_id = n.nodeid WHERE n.formationid = $1 AND "
        "f.problem <> '' ORDER BY n.nodeid",
        {access.formation});
    if (!rows) return Explain(rows.error());
    for (std::size_t i = 0; i < rows->rows.size(); ++i)
        fmt::print("Node {} \"{}\": {}\n", rows->At(i, 0), core::Printable(rows->At(i, 1)),
                   core::Printable(rows->At(i, 2)));
    return ShowOldRows(access);
}

/// Standbys that hold WAL which they have not replayed, below the table. What a healthy one replays
/// in an instant is not worth a line.
int ShowReplay(MonitorAccess &access) {
    auto rows = access.client.Query(
        "SELECT n.nodeid, n.nodename, pg_catalog.pg_size_pretty(l.replay_lag), l.replay_paused "
        "FROM pgautofailover.node n JOIN pgautofailover.node_lag() l ON l.node_id = n.nodeid "
        "WHERE n.formationid = $1 AND (l.replay_lag >= 1048576 OR l.replay_paused) ORDER BY "
        "n.nodeid",
        {access.formation});
    if (!rows) return Explain(rows.error());
    for (std::size_t i = 0; i < rows->rows.size(); ++i)
        fmt::print("Node {} \"{}\": {} of WAL not replayed yet{}\n", rows->At(i, 0),
                   core::Printable(rows->At(i, 1)), rows->At(i, 2),
                   rows->At(i, 3) == "t" ? ", replay is paused" : "");
    return ShowProblems(access);
}

/// Copies that are being made, below the table.
int ShowCopies(MonitorAccess &access) {
    auto rows = access.client.Query(
        "SELECT n.nodeid, n.nodename, c.done_kb * 100 / c.total_kb, "
        "pg_catalog.pg_size_pretty(c.done_kb * 1024), pg_catalog.pg_size_pretty(c.total_kb * "
        "1024), "
        "pg_catalog.pg_size_pretty(c.kb_per_second * 1024), "
        "(c.total_kb - c.done_kb) / nullif(c.kb_per_second, 0) "
        "FROM pgautofailover.node n JOIN pgautofailover.copy_progress() c ON c.node_id = n.nodeid "
        "WHERE n.formationid = $1 ORDER BY n.nodeid",
        {access.formation});
    if (!rows) return Explain(rows.error());
    for (std::size_t i = 0; i < rows->rows.size(); ++i) {
        const auto at = [&](std::size_t column) { return rows->At(i, column); };
        fmt::print("Node {} \"{}\": copying {} %, {} of {}, {}/s{}\n", at(0), at(1), at(2), at(3),
                   at(4), at(5), at(6).empty() ? "" : fmt::format(", about {} s left", at(6)));
    }
    return ShowReplay(access);
}

int ShowState(const Session &session) {
    auto access = ConnectToFormation(session);
    if (!access) return Explain(access.error());
    const std::string sql = "SELECT * FROM pgautofailover.current_state($1)" + GroupFilter(*access);
    const std::string with_copies =
        "SELECT s.*, CASE WHEN c.node_id IS NOT NULL THEN pg_catalog.json_build_object('done_kb', "
        "c.done_kb, 'total_kb', c.total_kb, 'kb_per_second', c.kb_per_second, 'percent', "
        "c.done_kb * 100 / c.total_kb) END AS copying, l.replay_lsn, l.replay_lag, "
        "l.replay_paused, "
        "l.cancelled_waits, l.unconfirmed_waits FROM (" +
        sql +
        ") s LEFT JOIN pgautofailover.copy_progress() c ON c.node_id = s.node_id "
        "LEFT JOIN pgautofailover.node_lag() l ON l.node_id = s.node_id " +
        "ORDER BY s.group_id, s.node_id";
    if (session.json) return PrintJson(*access, with_copies, {access->formation});
    auto rows = access->client.Query(
        "SELECT nodename, node_id, nodehost, nodeport, reported_tli, reported_lsn, "
        "current_group_state, assigned_group_state, health FROM (" +
            sql + ") s ORDER BY group_id, node_id",
        {access->formation});
    if (!rows) return Explain(rows.error());
    std::vector<std::vector<std::string>> cells;
    for (std::size_t i = 0; i < rows->rows.size(); ++i) {
        const auto at = [&](std::size_t column) { return rows->At(i, column); };
        cells.push_back({at(0), at(1), at(2) + ":" + at(3), fmt::format("{}: {}", at(4), at(5)),
                         ConnectionOf(at(6), at(8)), at(6), at(7)});
    }
    fmt::print("{}", FormatTable({"Name", "Node", "Host:Port", "TLI: LSN", "Connection",
                                  "Reported State", "Assigned State"},
                                 cells));
    return ShowCopies(*access);
}

int ShowEvents(const Session &session, int count) {
    auto access = ConnectToFormation(session);
    if (!access) return Explain(access.error());
    const std::string sql =
        "SELECT * FROM pgautofailover.last_events($1, $2::int)" +
        (access->group ? fmt::format(" WHERE groupid = {}", *access->group) : "");
    const std::vector<std::string> parameters{access->formation, std::to_string(count)};
    if (session.json) return PrintJson(*access, sql, parameters);
    auto rows = access->client.Query(
        "SELECT pg_catalog.to_char(eventtime, 'YYYY-MM-DD HH24:MI:SS.MS'), groupid || '/' "
        "|| nodeid, reportedstate, goalstate, description FROM (" +
            sql + ") e ORDER BY eventid",
        parameters);
    if (!rows) return Explain(rows.error());
    std::vector<std::vector<std::string>> cells;
    for (std::size_t i = 0; i < rows->rows.size(); ++i) {
        cells.push_back(
            {rows->At(i, 0), rows->At(i, 1), rows->At(i, 2), rows->At(i, 3), rows->At(i, 4)});
    }
    fmt::print(
        "{}",
        FormatTable({"Event Time", "Node", "Current State", "Assigned State", "Comment"}, cells));
    return kOk;
}

int ShowStandbyNames(const Session &session) {
    auto access = ConnectToFormation(session);
    if (!access) return Explain(access.error());
    const std::string group = std::to_string(access->group.value_or(0));
    auto rows = access->client.Query("SELECT pgautofailover.synchronous_standby_names($1, $2::int)",
                                     {access->formation, group});
    if (!rows) return Explain(rows.error());
    if (!session.json) {
        fmt::print("{}\n", core::Printable(rows->At(0, 0)));
        return kOk;
    }
    Json json;
    json.Text("formation", access->formation).Number("group", access->group.value_or(0));
    fmt::print("{}\n", json.Text("synchronous_standby_names", rows->At(0, 0)).Finish());
    return kOk;
}

/// Connection string of the monitor, as nodes use it.
Result<std::string> UriOfMonitor(const Session &session) {
    if (!session.monitor.empty()) return session.monitor;
    auto paths = RequirePaths(session);
    if (!paths) return Pass(paths);
    auto config = node::LoadConfig(*paths);
    if (!config) return Pass(config);
    return config->IsMonitor() ? MonitorUri(*config, "") : config->monitor;
}

struct Uri {
    std::string type, name, uri;
};

Result<std::vector<Uri>> FormationUris(MonitorAccess &access, const std::string &formation,
                                       const std::string &mode) {
    auto rows = access.client.Query(
        "SELECT formationid, pgautofailover.formation_uri(formationid, 'default', $2) "
        "FROM pgautofailover.formation WHERE $1 = '' OR formationid = $1 ORDER BY formationid",
        {formation, mode.empty() ? "prefer" : mode});
    if (!rows) return Pass(rows);
    std::vector<Uri> uris;
    for (std::size_t i = 0; i < rows->rows.size(); ++i)
        uris.push_back({"formation", rows->At(i, 0), rows->At(i, 1)});
    return uris;
}

int ShowUri(const Session &session, bool is_monitor_only) {
    auto monitor_uri = UriOfMonitor(session);
    if (!monitor_uri) return Explain(monitor_uri.error());
    const bool is_single =
        is_monitor_only || session.formation == "monitor" || !session.formation.empty();
    std::vector<Uri> uris;
    if (is_monitor_only || session.formation.empty() || session.formation == "monitor") {
        uris.push_back({"monitor", "monitor", ForScreen(session, *monitor_uri)});
    }
    if (!is_monitor_only && session.formation != "monitor") {
        auto access = ConnectMonitor(session);
        if (!access) return Explain(access.error());
        auto options = io::ParseConninfo(*monitor_uri);
        auto more = FormationUris(*access, session.formation,
                                  options ? io::OptionOf(*options, "sslmode") : "");
        if (!more) return Explain(more.error());
        uris.insert(uris.end(), more->begin(), more->end());
        if (is_single && uris.empty()) {
            return Explain({ProblemCode::kMonitor,
                            fmt::format("formation \"{}\" does not exist", session.formation),
                            {},
                            {}});
        }
    }
    if (session.json) {
        std::string text;
        for (const Uri &uri : uris) {
            Json json;
            text +=
                (text.empty() ? "" : ",\n") +
                json.Text("uri", uri.uri).Text("name", uri.name).Text("type", uri.type).Finish();
        }
        fmt::print("[{}]\n", text);
        return kOk;
    }
    if (is_single) {
        fmt::print("{}\n", uris.front().uri);
        return kOk;
    }
    std::vector<std::vector<std::string>> cells;
    for (const Uri &uri : uris)
        cells.push_back({uri.type, uri.name, uri.uri});
    fmt::print("{}", FormatTable({"Type", "Name", "Connection String"}, cells));
    return kOk;
}

struct FileOptions {
    bool all = false, config = false, state = false, init = false, pid = false, contents = false;
};

int PrintContents(const Session &session, const std::string &path) {
    auto text = io::ReadFile(path);
    if (!text) return Explain(text.error());
    for (std::string_view rest = *text; !rest.empty();)
        fmt::print("{}\n", ForScreen(session, std::string(core::TakeLine(rest))));
    return kOk;
}

int ShowFile(const Session &session, const FileOptions &options) {
    auto paths = RequirePaths(session);
    if (!paths) return Explain(paths.error());
    const std::string init = paths->unsafe_marker;
    const std::string *chosen = options.config  ? &paths->config
                                : options.state ? &paths->state
                                : options.init  ? &init
                                : options.pid   ? &paths->pid
                                                : nullptr;
    if (chosen != nullptr && options.contents) return PrintContents(session, *chosen);
    if (chosen != nullptr) {
        fmt::print("{}\n", *chosen);
        return kOk;
    }
    if (session.json) {
        Json json;
        json.Text("config", paths->config)
            .Text("state", paths->state)
            .Text("init", init)
            .Text("pid", paths->pid);
        fmt::print("{}\n", json.Finish());
        return kOk;
    }
    fmt::print("{}", FormatTable({"File", "Path"}, {{"Config", paths->config},
                                                    {"State", paths->state},
                                                    {"Init", init},
                                                    {"Pid", paths->pid}}));
    return kOk;
}

CLI::App *AddShowCommand(CLI::App &show, Session &session, const char *name, const char *help,
                         Command command) {
    CLI::App *added = AddCommand(show, session, name, help);
    AddMonitorOptions(*added, session, true);
    added->callback([&session, command] {
        session.command = [&session, command] { return command(session); };
    });
    return added;
}

void AddShowFile(CLI::App &show, Session &session) {
    auto options = std::make_shared<FileOptions>();
    CLI::App *file = AddCommand(show, session, "file", "where the files of a node are");
    AddPgData(*file, session);
    AddJson(*file, session);
    AddShowSecrets(*file, session);
    file->add_flag("-a,--all", options->all, "all of them");
    file->add_flag("-c,--config", options->config, "the configuration");
    file->add_flag("-s,--state", options->state, "the state");
    file->add_flag("-i,--init", options->init, "the mark of unfinished work");
    file->add_flag("-p,--pid", options->pid, "the pid file");
    file->add_flag("-C,--contents", options->contents, "print what is in it");
    file->callback([&session, options] {
        session.command = [&session, options] { return ShowFile(session, *options); };
    });
}

}  // namespace

int PrintJson(MonitorAccess &access, const std::string &sql,
              const std::vector<std::string> &parameters) {
    auto rows = access.client.Query(
        "SELECT pg_catalog.jsonb_pretty(coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(r)), "
        "'[]')) FROM (" +
            sql + ") r",
        parameters);
    if (!rows) return Explain(rows.error());
    fmt::print("{}\n", rows->At(0, 0));
    return kOk;
}

int ShowSettings(const Session &session) {
    auto access = ConnectToFormation(session);
    if (!access) return Explain(access.error());
    const std::string sql = "SELECT * FROM pgautofailover.formation_settings($1)";
    if (session.json) return PrintJson(*access, sql, {access->formation});
    auto rows = access->client.Query(
        "SELECT context, nodename, setting, value FROM (" + sql + ") s", {access->formation});
    if (!rows) return Explain(rows.error());
    std::vector<std::vector<std::string>> cells;
    for (std::size_t i = 0; i < rows->rows.size(); ++i) {
        cells.push_back({rows->At(i, 0), rows->At(i, 1), rows->At(i, 2), rows->At(i, 3)});
    }
    fmt::print("{}", FormatTable({"Context", "Name", "Setting", "Value"}, cells));
    return kOk;
}

void AddShow(CLI::App &app, Session &session) {
    CLI::App *show = AddCommand(app, session, "show", "show the state of the system");
    show->require_subcommand(1);
    auto uri_monitor = std::make_shared<bool>(false);
    CLI::App *uri = AddCommand(*show, session, "uri", "connection strings");
    AddMonitorOptions(*uri, session, false);
    AddShowSecrets(*uri, session);
    uri->callback([&session, uri_monitor] {
        session.command = [&session, uri_monitor] { return ShowUri(session, *uri_monitor); };
    });
    auto count = std::make_shared<int>(10);
    CLI::App *events = AddCommand(*show, session, "events", "what happened last");
    AddMonitorOptions(*events, session, true);
    events->add_option("-n,--count", *count, "how many")->check(CLI::Range(1, 100000));
    events->callback([&session, count] {
        session.command = [&session, count] { return ShowEvents(session, *count); };
    });
    AddShowCommand(*show, session, "state", "the nodes and their states", ShowState);
    AddShowCommand(*show, session, "settings", "the settings for replication", ShowSettings);
    AddShowCommand(*show, session, "standby-names", "synchronous_standby_names of the primary",
                   ShowStandbyNames);
    AddShowPostgres(*show, session);
    AddShowFile(*show, session);
    CLI::App *systemd = AddCommand(*show, session, "systemd", "a unit for systemd");
    AddPgData(*systemd, session);
    systemd->callback(
        [&session] { session.command = [&session] { return ShowSystemd(session); }; });
}

}  // namespace pgaf::cli
