#include "cli/follow.hpp"

#include <fmt/format.h>

#include <ctime>

#include "cli/table.hpp"
#include "io/env.hpp"

namespace pgaf::cli {
namespace {

/// The live table: one row for each change, as it is seen.
class Progress {
 public:
    explicit Progress(const Nodes &nodes) : last_(nodes) {
        for (const auto &[id, node] : nodes) {
            widths_[1] = std::max(widths_[1], node.name.size());
            widths_[3] = std::max(widths_[3], node.host.size() + node.port.size() + 1);
        }
        fmt::print("{}{}",
                   FormatRow(widths_, {"Time", "Name", "Node", "Host:Port", "Current State",
                                       "Assigned State"}),
                   FormatRule(widths_));
        (void)std::fflush(stdout);
    }

    void Show(const Nodes &nodes) {
        for (const auto &[id, node] : nodes) {
            NodeRow &last = last_[id];
            if (last.reported == node.reported && last.goal == node.goal) continue;
            last = node;
            const std::time_t now = std::time(nullptr);
            std::tm local{};
            (void)localtime_r(&now, &local);
            fmt::print("{}", FormatRow(widths_, {fmt::format("{:02}:{:02}:{:02}", local.tm_hour,
                                                             local.tm_min, local.tm_sec),
                                                 node.name, node.id, node.host + ":" + node.port,
                                                 node.reported, node.goal}));
            (void)std::fflush(stdout);
        }
    }

 private:
    Nodes last_;
    std::vector<std::size_t> widths_{8, 5, 6, 15, 19, 19};
};

}  // namespace

Result<Nodes> FetchNodes(MonitorAccess &access, int group) {
    auto rows = access.client.Query(
        "SELECT node_id, nodename, nodehost, nodeport, current_group_state, "
        "assigned_group_state FROM pgautofailover.current_state($1) WHERE group_id = $2::int",
        {access.formation, std::to_string(group)});
    if (!rows) return Pass(rows);
    Nodes nodes;
    for (std::size_t i = 0; i < rows->rows.size(); ++i) {
        nodes[rows->At(i, 0)] = {rows->At(i, 0), rows->At(i, 1), rows->At(i, 2),
                                 rows->At(i, 3), rows->At(i, 4), rows->At(i, 5)};
    }
    return nodes;
}

Result<ChosenNode> FindChosen(const Session &session, const std::string &name) {
    Session own = session;
    std::string id;
    if (name.empty()) {
        own.monitor.clear();  // who names a directory means that node's monitor
        auto paths = RequirePaths(session);
        if (!paths) return Pass(paths);
        auto config = node::LoadConfig(*paths);
        if (!config) return Pass(config);
        if (config->IsMonitor()) {
            return Fail(ProblemCode::kBadArgument,
                        fmt::format("\"{}\" is a monitor and not a node", paths->pgdata), {},
                        "Choose a node with --name.");
        }
        auto record = node::LoadRecord(*paths);
        if (!record) return Pass(record);
        id = std::to_string(record->node.value);
    }
    auto access = ConnectMonitor(own);
    if (!access) return Pass(access);
    auto rows = access->client.Query(
        "SELECT node_id, nodename, nodehost, nodeport, current_group_state, assigned_group_state, "
        "group_id FROM pgautofailover.current_state($1) WHERE CASE WHEN $3 = '' THEN nodename = $2 "
        "ELSE node_id::text = $3 END",
        {access->formation, name, id});
    if (!rows) return Pass(rows);
    if (rows->IsEmpty()) {
        return Fail(ProblemCode::kMonitor,
                    name.empty() ? fmt::format("node {} does not exist", id)
                                 : fmt::format("node \"{}\" does not exist", name),
                    {},
                    name.empty() ? "It was dropped from the monitor."
                                 : "List the nodes: pg_autoctl show state.");
    }
    NodeRow node{rows->At(0, 0), rows->At(0, 1), rows->At(0, 2),
                 rows->At(0, 3), rows->At(0, 4), rows->At(0, 5)};
    const int group = std::stoi(rows->At(0, 6));
    return ChosenNode{std::move(*access), std::move(node), group};
}

Result<int> ChooseGroup(MonitorAccess &access) {
    if (access.group) return *access.group;
    auto rows = access.client.Query(
        "SELECT DISTINCT group_id FROM pgautofailover.current_state($1)", {access.formation});
    if (!rows) return Pass(rows);
    if (rows->rows.size() > 1) {
        return Fail(ProblemCode::kBadArgument,
                    fmt::format("formation \"{}\" has several groups", access.formation), {},
                    "Choose one with --group.");
    }
    return 0;
}

Result<io::Rows> Ask(MonitorAccess &access, const std::string &sql,
                     const std::vector<std::string> &parameters) {
    for (int attempt = 0;; ++attempt) {
        auto rows = access.client.Query(sql, parameters);
        if (rows) return rows;
        if (attempt >= 10 || !io::IsTransient(access.client.SqlState())) return Pass(rows);
        (void)access.client.AwaitNotification(Milliseconds{50} * (attempt + 1));
    }
}

int Follow(MonitorAccess &access, const Nodes &before, const FollowOptions &options) {
    Progress progress(before);
    const core::BootTime start = io::BootNow();
    const Milliseconds limit{options.wait_s * 1000LL};
    for (;;) {
        auto nodes = FetchNodes(access, options.group);
        if (!nodes) return Explain(nodes.error());
        progress.Show(*nodes);
        if (options.is_done(*nodes)) return kOk;
        const Milliseconds waited = io::BootNow() - start;
        if (options.wait_s > 0 && waited >= limit) {
            return Explain(
                {ProblemCode::kTimeout, fmt::format("{} after {} s", options.what, options.wait_s),
                 "The monitor goes on with it.", "See pg_autoctl show state and show events."});
        }
        // The look at the tables is a safety net for a notification that is lost.
        const Milliseconds left = options.wait_s > 0 ? limit - waited : Milliseconds{1000};
        auto notified = access.client.AwaitNotification(std::min(left, Milliseconds{1000}));
        if (!notified) return Explain(notified.error());
    }
}

}  // namespace pgaf::cli
