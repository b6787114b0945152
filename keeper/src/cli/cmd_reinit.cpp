#include <fmt/format.h>
#include <signal.h>
#include <spdlog/spdlog.h>

#include "cli/follow.hpp"
#include "io/process.hpp"
#include "node/pid_file.hpp"
#include "node/steps/steps.hpp"

/// reinit: a standby is copied anew from its primary.
namespace pgaf::cli {
namespace {

constexpr Milliseconds kStopLimit{60'000};

struct ReinitOptions {
    std::string name;
    int wait_s = 0;
};

struct Local {
    node::Paths paths;
    node::Config config;
    core::NodeRecord record;
    MonitorAccess access;
};

Result<Local> FindLocal(const Session &session, const ReinitOptions &options) {
    auto paths = RequirePaths(session);
    if (!paths) return Pass(paths);
    auto config = node::LoadConfig(*paths);
    if (!config) return Pass(config);
    if (config->IsMonitor()) {
        return Fail(ProblemCode::kBadArgument,
                    fmt::format("\"{}\" is a monitor and not a node", paths->pgdata));
    }
    if (!options.name.empty() && options.name != config->name) {
        return Fail(ProblemCode::kBadArgument,
                    fmt::format("the node in \"{}\" is \"{}\" and not \"{}\"", paths->pgdata,
                                config->name, options.name),
                    "A node is copied anew on its own host.",
                    "Run the command there, with --pgdata.");
    }
    auto record = node::LoadRecord(*paths);
    if (!record) return Pass(record);
    if (!node::RunningSupervisor(*paths)) {
        return Fail(ProblemCode::kBadState,
                    fmt::format("pg_autoctl is not running for \"{}\"", paths->pgdata), {},
                    "Start it with pg_autoctl run: it makes the copy.");
    }
    auto access = ConnectMonitor(session);
    if (!access) return Pass(access);
    return Local{std::move(*paths), std::move(*config), *record, std::move(*access)};
}

/// Somebody else accepts writes, and is heard: the data are not the only complete copy.
Result<void> MustHavePrimary(const Nodes &nodes, const std::string &own) {
    for (const auto &[id, node] : nodes) {
        const auto state = core::ParseNodeState(node.reported).value_or(core::NodeState::kUnknown);
        if (id != own && node.reported == node.goal && core::IsWritable(state)) return {};
    }
    return Fail(ProblemCode::kRefused, "no other node of the group accepts writes now",
                "This node may have the only complete copy of the data.",
                "See pg_autoctl show state.");
}

/// No commit may depend on it when its data go.
Result<void> MustNotCount(MonitorAccess &access, const Local &local) {
    auto rows = access.client.Query(
        "SELECT 1 FROM pgautofailover.group_state WHERE formationid = $1 AND groupid = $2::int AND "
        "($3::bigint = ANY (sync_goal) OR $3::bigint = ANY (sync_confirmed))",
        {access.formation, std::to_string(local.record.group),
         std::to_string(local.record.node.value)});
    if (!rows) return Pass(rows);
    if (rows->IsEmpty()) return {};
    return Fail(ProblemCode::kRefused, "commits still wait for this node", {},
                "Try again in a moment.");
}

std::function<bool(const Nodes &)> InState(const std::string &id, const std::string &state) {
    return [id, state](const Nodes &nodes) {
        const auto node = nodes.find(id);
        return node != nodes.end() && node->second.reported == state && node->second.goal == state;
    };
}

/// In maintenance nobody starts it again.
Result<void> StopServer(const std::string &pgdata) {
    const auto postmaster = io::FindPostmaster(pgdata);
    if (!postmaster) return {};
    const io::UniqueFd pidfd = io::OpenPidFd(postmaster->pid);
    (void)::kill(postmaster->pid, SIGINT);
    if (io::AwaitEnd(pidfd, kStopLimit)) return {};
    return Fail(ProblemCode::kTimeout,
                fmt::format("PostgreSQL, process {}, does not stop", postmaster->pid));
}

/// Out of the group first, as for maintenance: then no commit waits for its data, and no election.
Result<void> MarkForCopy(Local &local, const std::string &id, int wait_s) {
    auto before = FetchNodes(local.access, local.record.group);
    if (!before) return Pass(before);
    if (auto other = MustHavePrimary(*before, id); !other) return other;
    if (auto asked = Ask(local.access, "SELECT pgautofailover.start_maintenance($1::bigint)", {id});
        !asked)
        return Pass(asked);
    const int status = Follow(local.access, *before,
                              {.group = local.record.group,
                               .wait_s = wait_s,
                               .what = fmt::format("node {} has not left the group", id),
                               .is_done = InState(id, "maintenance")});
    if (status != kOk) return Fail(ProblemCode::kTimeout, "nothing was changed in its data");
    auto now = FetchNodes(local.access, local.record.group);
    auto may = now ? MustHavePrimary(*now, id) : Result<void>(Pass(now));
    if (may) may = MustNotCount(local.access, local);
    if (may) may = node::SetMarker(local.paths, "clone");
    if (may) may = StopServer(local.paths.pgdata);
    auto ended = Ask(local.access, "SELECT pgautofailover.stop_maintenance($1::bigint)", {id});
    if (!may) return may;
    return ended ? Result<void>{} : Result<void>(Pass(ended));
}

int Reinit(const Session &session, const ReinitOptions &options) {
    auto local = FindLocal(session, options);
    if (!local) return Explain(local.error());
    const std::string id = std::to_string(local->record.node.value);
    if (auto listening = local->access.client.Query("LISTEN state"); !listening)
        return Explain(listening.error());
    spdlog::info("Replacing the data of node {} \"{}\" in \"{}\" by a copy of its primary", id,
                 local->config.name, local->paths.pgdata);
    if (auto marked = MarkForCopy(*local, id, options.wait_s); !marked)
        return Explain(marked.error());
    auto before = FetchNodes(local->access, local->record.group);
    if (!before) return Explain(before.error());
    return Follow(local->access, *before,
                  {.group = local->record.group,
                   .wait_s = options.wait_s,
                   .what = fmt::format("node {} is not a secondary yet", id),
                   .is_done = InState(id, "secondary")});
}

}  // namespace

void AddReinit(CLI::App &app, Session &session) {
    auto options = std::make_shared<ReinitOptions>();
    CLI::App *command =
        AddCommand(app, session, "reinit", "replace the data of this standby by a new copy");
    AddPgData(*command, session);
    command->add_option("-a,--name", options->name, "name of the node, as a check");
    command->add_option("-w,--wait", options->wait_s, "how many seconds to wait; 0 waits for ever")
        ->check(CLI::Range(0, 86400));
    command->callback([&session, options] {
        session.command = [&session, options] { return Reinit(session, *options); };
    });
}

}  // namespace pgaf::cli
