#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "cli/follow.hpp"
#include "io/data_directory.hpp"
#include "node/pid_file.hpp"

/// reinit: a standby is copied anew from its primary.
namespace pgaf::cli {
namespace {

struct ReinitOptions {
    std::string name;
    int wait_s = 0;
    bool no_wait = false;
};

/// The node here must be looked after by somebody who makes the copy.
Result<void> CheckLocal(const Session &session, const ReinitOptions &options) {
    if (!options.name.empty()) return {};
    auto paths = RequirePaths(session);
    if (!paths) return Pass(paths);
    if (!node::RunningSupervisor(*paths)) {
        return Fail(ProblemCode::kBadState,
                    fmt::format("pg_autoctl is not running for \"{}\"", paths->pgdata), {},
                    "Start it with pg_autoctl run: it makes the copy.");
    }
    spdlog::info("The data in \"{}\" ({}) are replaced", paths->pgdata,
                 io::HumanSize(io::SizeOfData(paths->pgdata)));
    return {};
}

/// Whoever is silent would begin with it at some time or other.
Result<void> MustBeHeard(ChosenNode &chosen) {
    auto rows = chosen.access.client.Query(
        "SELECT 1 FROM pgautofailover.node_facts() WHERE node_id = $1::bigint AND report_time > "
        "pg_catalog.now() - interval '10 s'",
        {chosen.node.id});
    if (!rows) return Pass(rows);
    if (!rows->IsEmpty()) return {};
    return Fail(ProblemCode::kRefused,
                fmt::format("node {} \"{}\" does not report", chosen.node.id, chosen.node.name), {},
                "Start it on its host: pg_autoctl run. A machine that is lost is replaced: "
                "pg_autoctl create postgres --replace.");
}

/// Somebody else accepts writes: the data are not the only complete copy.
Result<void> MustHavePrimary(const Nodes &nodes, const std::string &own) {
    for (const auto &[id, node] : nodes) {
        const auto writes = [](const std::string &name) {
            return core::IsWritable(core::ParseNodeState(name).value_or(core::NodeState::kUnknown));
        };
        // On the way from one of these states to another it writes all the time.
        if (id != own && writes(node.reported) && writes(node.goal)) return {};
    }
    return Fail(ProblemCode::kRefused, "no other node of the group accepts writes now",
                "This node may have the only complete copy of the data.",
                "See pg_autoctl show state.");
}

std::function<bool(const Nodes &)> InState(const std::string &id, const std::string &state) {
    return [id, state](const Nodes &nodes) {
        const auto node = nodes.find(id);
        return node != nodes.end() && node->second.reported == state && node->second.goal == state;
    };
}

/// Out of the group first, as for maintenance: then no commit waits for its data, and no election.
/// The monitor looks at that once more. The number of the copy.
Result<std::string> AskForCopy(ChosenNode &chosen, const ReinitOptions &options) {
    MonitorAccess &access = chosen.access;
    const std::string &id = chosen.node.id;
    auto before = FetchNodes(access, chosen.group);
    if (!before) return Pass(before);
    if (auto other = MustHavePrimary(*before, id); !other) return Pass(other);
    if (auto asked = Ask(access, "SELECT pgautofailover.start_maintenance($1::bigint)", {id});
        !asked)
        return Pass(asked);
    const int status = Follow(access, *before,
                              {.group = chosen.group,
                               .wait_s = options.wait_s,
                               .what = fmt::format("node {} has not left the group", id),
                               .is_done = InState(id, "maintenance")});
    auto copy =
        status == kOk
            ? Ask(access, "SELECT pgautofailover.copy_node($1::bigint)", {id})
            : Result<io::Rows>(Fail(ProblemCode::kTimeout, "nothing was changed in its data"));
    if (copy) return copy->At(0, 0);
    (void)Ask(access, "SELECT pgautofailover.stop_maintenance($1::bigint)", {id});
    return Pass(copy);
}

/// It may be needed as it is, and come back with its old data.
int CheckCopied(ChosenNode &chosen, const std::string &copy) {
    auto rows = chosen.access.client.Query(
        "SELECT pgautofailover.node_copies($1::bigint) >= $2::bigint", {chosen.node.id, copy});
    if (!rows) return Explain(rows.error());
    if (rows->At(0, 0) == "t") return kOk;
    return Explain({ProblemCode::kRefused,
                    fmt::format("node {} has kept its data", chosen.node.id),
                    {},
                    "See pg_autoctl show events."});
}

int Reinit(const Session &session, const ReinitOptions &options) {
    if (auto local = CheckLocal(session, options); !local) return Explain(local.error());
    auto chosen = FindChosen(session, options.name);
    if (!chosen) return Explain(chosen.error());
    const NodeRow node = chosen->node;
    if (auto heard = MustBeHeard(*chosen); !heard) return Explain(heard.error());
    if (auto listening = chosen->access.client.Query("LISTEN state"); !listening)
        return Explain(listening.error());
    spdlog::info("Replacing the data of node {} \"{}\" ({}:{}, {}) by a copy of its primary",
                 node.id, node.name, node.host, node.port, node.reported);
    auto copy = AskForCopy(*chosen, options);
    if (!copy) return Explain(copy.error());
    if (options.no_wait) {
        spdlog::info("Node {} makes the copy; see pg_autoctl show state", node.id);
        return kOk;
    }
    auto before = FetchNodes(chosen->access, chosen->group);
    if (!before) return Explain(before.error());
    const int status = Follow(chosen->access, *before,
                              {.group = chosen->group,
                               .wait_s = options.wait_s,
                               .what = fmt::format("node {} is not a secondary yet", node.id),
                               .is_done = InState(node.id, "secondary")});
    return status == kOk ? CheckCopied(*chosen, *copy) : status;
}

}  // namespace

void AddReinit(CLI::App &app, Session &session) {
    auto options = std::make_shared<ReinitOptions>();
    CLI::App *command =
        AddCommand(app, session, "reinit", "replace the data of a standby by a new copy");
    AddMonitorOptions(*command, session, false);
    command->add_option("-a,--name", options->name,
                        "name of the node, from any host; else the node of --pgdata");
    auto *wait = command->add_option("-w,--wait", options->wait_s,
                                     "how many seconds to wait; 0 waits for ever");
    wait->check(CLI::Range(0, 86400));
    command
        ->add_flag("--no-wait", options->no_wait,
                   "end as soon as the node has left the group and the copy begins")
        ->excludes(wait);
    command->callback([&session, options] {
        session.command = [&session, options] { return Reinit(session, *options); };
    });
}

}  // namespace pgaf::cli
