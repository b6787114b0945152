#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "cli/follow.hpp"
#include "cli/json.hpp"
#include "cli/postgres.hpp"
#include "cli/table.hpp"
#include "io/env.hpp"
#include "pgaf/core/names.hpp"

/// set, get, reset and show postgres: PostgreSQL's settings, which the monitor keeps.
namespace pgaf::cli {
namespace {

constexpr const char *kRows =
    "SELECT setting_name, setting_value, source, node_name, in_force, in_file, overridden_by, "
    "pending_restart FROM pgautofailover.postgres_settings($1)";

struct Row {
    std::string name, value, source, node, in_force, in_file, overridden_by;
    bool is_pending = false;
};

Result<std::vector<Row>> FetchRows(MonitorAccess &access, const std::string &name) {
    auto rows = access.client.Query(
        std::string(kRows) + " WHERE $2 IN ('', setting_name) ORDER BY 1, node_id",
        {access.formation, name});
    if (!rows) return Pass(rows);
    std::vector<Row> found;
    for (std::size_t i = 0; i < rows->rows.size(); ++i) {
        const auto at = [&](std::size_t column) { return rows->At(i, column); };
        found.push_back({at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7) == "t"});
    }
    return found;
}

std::string NoteOf(const Row &row) {
    if (!row.overridden_by.empty()) return "overridden by " + row.overridden_by;
    if (row.in_file != row.value && !row.in_file.empty()) return "waits for other nodes";
    if (row.is_pending) return "waits for a restart";
    if (!row.value.empty() && row.in_file.empty()) return "not heard yet";
    return "";
}

/// Waits until every node that is heard has answered.
Result<void> AwaitNodes(MonitorAccess &access, const std::string &name, const std::string &version,
                        int wait_s) {
    const core::BootTime start = io::BootNow();
    for (;;) {
        auto rows = access.client.Query(
            "SELECT state, problem, waits_for, absent FROM "
            "pgautofailover.postgres_setting_progress($1::bigint)",
            {version});
        if (!rows) return Pass(rows);
        if (rows->IsEmpty() || rows->At(0, 0) == "refused")
            return Fail(ProblemCode::kMonitor, fmt::format("\"{}\" was not changed", name),
                        rows->IsEmpty() ? "" : "The change was taken back: " + rows->At(0, 1));
        const std::string waits_for = rows->At(0, 2);
        if (waits_for.empty()) {
            if (const std::string absent = rows->At(0, 3); !absent.empty())
                spdlog::warn("Not heard, and told when they return: {}", absent);
            return {};
        }
        if (wait_s > 0 && io::BootNow() - start >= Milliseconds{wait_s * 1000LL})
            return Fail(
                ProblemCode::kTimeout,
                fmt::format("not all nodes have answered after {} s: {}", wait_s, waits_for),
                "The setting stays, and they are told when they report.",
                "See pg_autoctl show postgres and show state.");
        auto notified = access.client.AwaitNotification(Milliseconds{100});
        if (!notified) return Pass(notified);
    }
}

/// What the operator has to know besides: a moment later nodes have said what they use.
void SayWhatIsLeft(MonitorAccess &access, const std::string &name) {
    constexpr int kLooks = 30;
    Result<std::vector<Row>> rows = FetchRows(access, name);
    for (int look = 0; look < kLooks && rows; ++look) {
        const bool is_told = std::none_of(rows->begin(), rows->end(), [](const Row &row) {
            return NoteOf(row) == "not heard yet" || (NoteOf(row).empty() && row.in_force.empty());
        });
        if (is_told && look >= 10) break;  // the reload takes a moment, too
        (void)access.client.AwaitNotification(Milliseconds{100});
        rows = FetchRows(access, name);
    }
    if (!rows) return;
    bool needs_restart = false;
    for (const Row &row : *rows) {
        const std::string note = NoteOf(row);
        needs_restart = needs_restart || row.is_pending;
        if (note.empty() || note == "not heard yet") continue;
        if (row.overridden_by.empty())
            spdlog::info("Node \"{}\" uses \"{}\": {}", row.node, row.in_force, note);
        else
            spdlog::warn("Node \"{}\" uses \"{}\": {}", row.node, row.in_force, note);
    }
    if (needs_restart) spdlog::info("HINT:  pg_autoctl restart --all --only-if-pending");
}

struct Assignment {
    std::string name;
    std::string value;
    bool is_reset = false;
};

int Change(const Session &session, const Assignment &what, const PostgresOptions &options) {
    auto access = ConnectMonitor(session);
    if (!access) return Explain(access.error());
    auto changed =
        Ask(*access,
            fmt::format("SELECT pgautofailover.set_postgres_setting($1, $2, {}, nullif($4, ''))",
                        what.is_reset ? "nullif($3::text, $3)" : "$3"),
            {access->formation, what.name, what.value, options.node});
    if (!changed) return Explain(changed.error());
    const std::string version = changed->At(0, 0);
    const std::string where = options.node.empty()
                                  ? fmt::format("formation \"{}\"", access->formation)
                                  : fmt::format("node \"{}\"", options.node);
    if (version == "0") {
        spdlog::info("\"{}\" of {} is {} already", what.name, where,
                     what.is_reset ? "not set" : "\"" + what.value + "\"");
        return kOk;
    }
    if (auto done = AwaitNodes(*access, what.name, version, options.wait_s); !done)
        return Explain(done.error());
    if (what.is_reset)
        spdlog::info("\"{}\" of {} is no longer set", what.name, where);
    else
        spdlog::info("\"{}\" of {} is \"{}\"", what.name, where, what.value);
    SayWhatIsLeft(*access, core::FoldName(what.name));
    return kOk;
}

int Set(const Session &session, const PostgresOptions &options) {
    for (const std::string &word : options.words) {
        const std::size_t equals = word.find('=');
        if (equals == std::string::npos || equals == 0)
            return Explain({ProblemCode::kBadArgument, "not of the form NAME=VALUE: " + word, "",
                            "Example: pg_autoctl set postgres work_mem=64MB."});
    }
    for (const std::string &word : options.words) {
        const std::size_t equals = word.find('=');
        const int status = Change(
            session, {.name = word.substr(0, equals), .value = word.substr(equals + 1)}, options);
        if (status != kOk) return status;
    }
    return kOk;
}

int Reset(const Session &session, const PostgresOptions &options) {
    for (const std::string &name : options.words) {
        const int status = Change(session, {.name = name, .value = "", .is_reset = true}, options);
        if (status != kOk) return status;
    }
    return kOk;
}

int Get(const Session &session, const PostgresOptions &options) {
    auto access = ConnectMonitor(session);
    if (!access) return Explain(access.error());
    const std::string name = core::FoldName(options.words.front());
    auto rows = access->client.Query(
        "SELECT s.value, CASE WHEN s.nodeid IS NULL THEN 'formation' ELSE 'node' END "
        "FROM pgautofailover.postgres_setting s LEFT JOIN pgautofailover.node n USING (nodeid) "
        "WHERE s.formationid = $1 AND s.name = $2 AND (s.nodeid IS NULL OR n.nodename = $3) "
        "ORDER BY s.nodeid NULLS LAST LIMIT 1",
        {access->formation, name, options.node});
    if (!rows) return Explain(rows.error());
    if (rows->IsEmpty())
        return Explain({ProblemCode::kNotFound, fmt::format("\"{}\" is not set", name),
                        "The nodes use what their own configuration says.",
                        "See what is set: pg_autoctl show postgres."});
    if (!session.json) {
        fmt::print("{}\n", core::Printable(rows->At(0, 0)));
        return kOk;
    }
    Json json;
    json.Text("name", name).Text("value", rows->At(0, 0));
    fmt::print("{}\n", json.Text("source", rows->At(0, 1)).Finish());
    return kOk;
}

int Show(const Session &session) {
    auto access = ConnectMonitor(session);
    if (!access) return Explain(access.error());
    if (session.json) return PrintJson(*access, kRows, {access->formation});
    auto rows = FetchRows(*access, "");
    if (!rows) return Explain(rows.error());
    std::vector<std::vector<std::string>> cells;
    for (const Row &row : *rows) {
        const bool is_ours = !row.source.empty();
        cells.push_back({row.name, row.value, is_ours ? row.source : "its own files", row.node,
                         row.in_force, NoteOf(row)});
    }
    fmt::print("{}", FormatTable({"Name", "Value", "Source", "Node", "In force", "Note"}, cells));
    return kOk;
}

std::shared_ptr<PostgresOptions> AddOptions(CLI::App &command, Session &session) {
    auto options = std::make_shared<PostgresOptions>();
    AddMonitorOptions(command, session, false);
    command.add_option("-n,--node", options->node, "only this node");
    return options;
}

void AddWait(CLI::App &command, PostgresOptions &options) {
    command.add_option("-w,--wait", options.wait_s, "how many seconds to wait; 0 waits for ever")
        ->check(CLI::Range(0, 86400));
}

}  // namespace

void AddSetPostgres(CLI::App &set, Session &session) {
    CLI::App *command = AddCommand(set, session, "postgres", "settings of PostgreSQL, everywhere");
    auto options = AddOptions(*command, session);
    AddWait(*command, *options);
    command->add_option("setting", options->words, "NAME=VALUE")->required();
    command->callback([&session, options] {
        session.command = [&session, options] { return Set(session, *options); };
    });
}

void AddGetPostgres(CLI::App &get, Session &session) {
    CLI::App *command = AddCommand(get, session, "postgres", "a setting of PostgreSQL");
    auto options = AddOptions(*command, session);
    command->add_option("setting", options->words, "NAME")->required()->expected(1);
    command->callback([&session, options] {
        session.command = [&session, options] { return Get(session, *options); };
    });
}

void AddReset(CLI::App &app, Session &session) {
    CLI::App *reset = AddCommand(app, session, "reset", "remove settings from the monitor");
    reset->require_subcommand(1);
    CLI::App *command = AddCommand(*reset, session, "postgres",
                                   "settings of PostgreSQL: the nodes' own count again");
    auto options = AddOptions(*command, session);
    AddWait(*command, *options);
    command->add_option("setting", options->words, "NAME")->required();
    command->callback([&session, options] {
        session.command = [&session, options] { return Reset(session, *options); };
    });
}

void AddShowPostgres(CLI::App &show, Session &session) {
    CLI::App *command =
        AddCommand(show, session, "postgres", "PostgreSQL's settings, node by node");
    AddMonitorOptions(*command, session, false);
    command->callback([&session] { session.command = [&session] { return Show(session); }; });
}

}  // namespace pgaf::cli
