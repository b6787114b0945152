#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <ctime>
#include <map>

#include "cli/session.hpp"
#include "cli/table.hpp"
#include "io/env.hpp"

/// perform failover, switchover, promotion: ask the monitor, then follow what happens.
namespace pgaf::cli {
namespace {

struct NodeRow {
    std::string id, name, host, port, reported, goal;
};
using Nodes = std::map<std::string, NodeRow>;

struct PerformOptions {
    int wait_s = 60;
    std::string name;
};

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

bool IsNewPrimary(const NodeRow &node, const std::string &old_primary) {
    const auto state = core::ParseNodeState(node.reported).value_or(core::NodeState::kUnknown);
    return node.id != old_primary && node.reported == node.goal && core::IsWritable(state);
}

std::string PrimaryOf(const Nodes &nodes) {
    for (const auto &[id, node] : nodes) {
        const auto goal = core::ParseNodeState(node.goal).value_or(core::NodeState::kUnknown);
        if (core::IsWritable(goal)) return id;
    }
    return {};
}

int Follow(MonitorAccess &access, int group, const Nodes &before, int wait_s) {
    const std::string old_primary = PrimaryOf(before);
    Progress progress(before);
    const core::BootTime start = io::BootNow();
    const Milliseconds limit{wait_s * 1000LL};
    for (;;) {
        auto nodes = FetchNodes(access, group);
        if (!nodes) return Explain(nodes.error());
        progress.Show(*nodes);
        for (const auto &[id, node] : *nodes) {
            if (IsNewPrimary(node, old_primary)) {
                spdlog::info("Node {} \"{}\" is the primary now", node.id, node.name);
                return kOk;
            }
        }
        const Milliseconds waited = io::BootNow() - start;
        if (wait_s > 0 && waited >= limit) {
            return Explain({ProblemCode::kTimeout, fmt::format("no new primary after {} s", wait_s),
                            "The monitor goes on with it.",
                            "See pg_autoctl show state and show events."});
        }
        // The look at the tables is a safety net for a notification that is lost.
        const Milliseconds left = wait_s > 0 ? limit - waited : Milliseconds{1000};
        auto notified = access.client.AwaitNotification(std::min(left, Milliseconds{1000}));
        if (!notified) return Explain(notified.error());
    }
}

/// `sql` asks for it; a deadlock or serialization failure is tried again.
Result<void> Ask(MonitorAccess &access, const std::string &sql,
                 const std::vector<std::string> &parameters) {
    for (int attempt = 0;; ++attempt) {
        auto rows = access.client.Query(sql, parameters);
        if (rows) return {};
        if (attempt >= 10 || !io::IsTransient(access.client.SqlState())) return Pass(rows);
        (void)access.client.AwaitNotification(Milliseconds{50} * (attempt + 1));
    }
}

int Perform(const Session &session, const PerformOptions &options) {
    auto access = ConnectMonitor(session);
    if (!access) return Explain(access.error());
    auto group = ChooseGroup(*access);
    if (!group) return Explain(group.error());
    if (auto listening = access->client.Query("LISTEN state"); !listening)
        return Explain(listening.error());
    auto before = FetchNodes(*access, *group);
    if (!before) return Explain(before.error());
    const bool is_promotion = !options.name.empty();
    if (is_promotion) {
        const std::string primary = PrimaryOf(*before);
        if (!primary.empty() && before->at(primary).name == options.name) {
            spdlog::warn("Node \"{}\" is the primary already", options.name);
            return kOk;
        }
    }
    auto asked = is_promotion ? Ask(*access, "SELECT pgautofailover.perform_promotion($1, $2)",
                                    {access->formation, options.name})
                              : Ask(*access, "SELECT pgautofailover.perform_failover($1, $2::int)",
                                    {access->formation, std::to_string(*group)});
    if (!asked) return Explain(asked.error());
    return Follow(*access, *group, *before, options.wait_s);
}

}  // namespace

void AddPerform(CLI::App &app, Session &session) {
    CLI::App *perform = AddCommand(app, session, "perform", "fail over, switch over, promote");
    perform->require_subcommand(1);
    for (const char *name : {"failover", "switchover", "promotion"}) {
        auto options = std::make_shared<PerformOptions>();
        CLI::App *command = AddCommand(*perform, session, name, "make a standby the primary");
        AddMonitorOptions(*command, session, true);
        command
            ->add_option("-w,--wait", options->wait_s, "how many seconds to wait; 0 waits for ever")
            ->check(CLI::Range(0, 86400));
        if (std::string(name) == "promotion") {
            command->add_option("-a,--name", options->name, "the node to promote")->required();
        }
        command->callback([&session, options] {
            session.command = [&session, options] { return Perform(session, *options); };
        });
    }
}

}  // namespace pgaf::cli
