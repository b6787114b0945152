#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "cli/follow.hpp"
#include "cli/postgres.hpp"
#include "io/env.hpp"
#include "pgaf/core/node_state.hpp"

/// restart: PostgreSQL of one node, or of all, one after the other.
namespace pgaf::cli {
namespace {

struct RestartOptions {
    std::string name;
    bool is_all = false;
    bool only_if_pending = false;
    int wait_s = 120;
};

struct Server {
    int group = 0;
    std::string name;
    std::string start;  ///< empty: it is down
    core::NodeState reported = core::NodeState::kUnknown;
    core::NodeState goal = core::NodeState::kUnknown;
    int priority = 0;
    bool is_healthy = false;
    bool is_pending = false;
    bool is_lowered = false;  ///< a size that the primary must use first waits for its restart
    bool is_written = true;   ///< its files say what they are to say
    bool is_streaming = false;
    std::string problem;
    [[nodiscard]] bool IsPrimary() const { return core::IsWritable(goal); }
    [[nodiscard]] bool IsStable() const { return is_healthy && reported == goal && !start.empty(); }
    /// It is where it should be, and a standby receives WAL.
    [[nodiscard]] bool IsCalm() const {
        return reported == goal && (goal != core::NodeState::kSecondary || is_streaming);
    }
    [[nodiscard]] bool CouldTakeOver() const {
        return IsStable() && goal == core::NodeState::kSecondary && priority > 0;
    }
};
using Servers = std::vector<Server>;

Result<Servers> FetchServers(MonitorAccess &access) {
    auto rows = access.client.Query(
        "SELECT group_id, node_name, server_start, current_group_state, assigned_group_state, "
        "candidate_priority, health, is_pending, is_lowered, is_written, is_streaming, "
        "problem "
        "FROM pgautofailover.restart_status($1)",
        {access.formation});
    if (!rows) return Pass(rows);
    Servers servers;
    for (std::size_t i = 0; i < rows->rows.size(); ++i) {
        const auto at = [&](std::size_t column) { return rows->At(i, column); };
        const auto state = [&](std::size_t column) {
            return core::ParseNodeState(at(column)).value_or(core::NodeState::kUnknown);
        };
        servers.push_back({.group = std::stoi(at(0)),
                           .name = at(1),
                           .start = at(2),
                           .reported = state(3),
                           .goal = state(4),
                           .priority = std::stoi(at(5)),
                           .is_healthy = at(6) == "1",
                           .is_pending = at(7) == "t",
                           .is_lowered = at(8) == "t",
                           .is_written = at(9) == "t",
                           .is_streaming = at(10) == "t",
                           .problem = at(11)});
    }
    return servers;
}

const Server *Find(const Servers &servers, const std::string &name) {
    const auto found = std::find_if(servers.begin(), servers.end(),
                                    [&name](const Server &one) { return one.name == name; });
    return found == servers.end() ? nullptr : &*found;
}

/// The restarts of one group, in order. Each ends with a healthy group, or everything ends.
class Rolling {
 public:
    Rolling(MonitorAccess &access, int group, const RestartOptions &options)
        : access_(access), group_(group), options_(options) {}

    int Run(const std::vector<std::string> &names);

 private:
    int RestartOne(const std::string &name);
    int InPlace(const Server &server);
    int ByHandingOver(const Server &primary);
    int Await(const Nodes &before, const Server &old);
    [[nodiscard]] bool IsBack(const Server &old) const;
    void AwaitFiles(const std::string &name);
    void SayWhatIsLeft(const std::string &name);
    [[nodiscard]] Result<std::pair<std::string, std::string>> Refusals();
    [[nodiscard]] Result<Nodes> Before() { return FetchNodes(access_, group_); }

    MonitorAccess &access_;
    int group_;
    const RestartOptions &options_;
    std::string refusals_;  ///< how many there were before
};

/// How many changes of settings were taken back so far, and why the last one.
Result<std::pair<std::string, std::string>> Rolling::Refusals() {
    auto rows = access_.client.Query(
        "SELECT count(*), (pg_catalog.array_agg(problem ORDER BY version DESC))[1] "
        "FROM pgautofailover.postgres_setting_change WHERE formationid = $1 AND state = 'refused'",
        {access_.formation});
    if (!rows) return Pass(rows);
    return std::pair(rows->At(0, 0), rows->At(0, 1));
}

/// The server is another one, and everybody in its group is where he should be.
bool Rolling::IsBack(const Server &old) const {
    auto servers = FetchServers(access_);
    if (!servers) return false;
    const Server *const now = Find(*servers, old.name);
    if (now == nullptr || now->start.empty() || now->start == old.start) return false;
    const bool is_placed = now->goal == core::NodeState::kSecondary || now->goal == old.goal;
    const bool is_calm = std::all_of(servers->begin(), servers->end(), [this](const Server &one) {
        return one.group != group_ || !one.is_healthy || one.IsCalm();
    });
    return now->IsStable() && is_placed && is_calm;
}

int Rolling::Await(const Nodes &before, const Server &old) {
    const int status = Follow(access_, before,
                              {.group = group_,
                               .wait_s = options_.wait_s,
                               .what = fmt::format("node \"{}\" is not back", old.name),
                               .is_done = [&](const Nodes &) { return IsBack(old); }});
    if (status == kOk) {
        auto refusals = Refusals();
        if (refusals && refusals->first != refusals_)
            return Explain({ProblemCode::kPostgres,
                            fmt::format("node \"{}\" could not start with a new setting", old.name),
                            "It was taken back: " + refusals->second,
                            "See pg_autoctl show events."});
        spdlog::info("PostgreSQL of node \"{}\" was restarted", old.name);
        SayWhatIsLeft(old.name);
        return kOk;
    }
    auto servers = FetchServers(access_);
    const Server *const now = servers ? Find(*servers, old.name) : nullptr;
    if (now != nullptr && !now->problem.empty()) spdlog::error("DETAIL:  {}", now->problem);
    return status;
}

/// The new server says a moment after its start what it uses.
void Rolling::SayWhatIsLeft(const std::string &name) {
    constexpr Milliseconds kPatience{3000};
    const core::BootTime start = io::BootNow();
    while (io::BootNow() - start < kPatience) {
        auto servers = FetchServers(access_);
        const Server *const now = servers ? Find(*servers, name) : nullptr;
        if (now == nullptr || !now->is_pending || !now->is_written) return;
        (void)access_.client.AwaitNotification(Milliseconds{100});
    }
    spdlog::warn("Settings of node \"{}\" still wait for a restart", name);
    spdlog::warn("HINT:  See pg_autoctl show postgres.");
}

int Rolling::InPlace(const Server &server) {
    auto before = Before();
    if (!before) return Explain(before.error());
    spdlog::info("Restarting PostgreSQL of node \"{}\" ({})", server.name,
                 core::ToString(server.goal));
    auto asked = Ask(access_, "SELECT pgautofailover.restart_node($1, $2)",
                     {access_.formation, server.name});
    if (!asked) return Explain(asked.error());
    Server old = server;
    old.start = asked->At(0, 0);
    return Await(*before, old);
}

int Rolling::ByHandingOver(const Server &primary) {
    auto before = Before();
    if (!before) return Explain(before.error());
    spdlog::info("Node \"{}\" is the primary: it hands over to a standby and restarts as one",
                 primary.name);
    auto asked = Ask(access_, "SELECT pgautofailover.perform_failover($1, $2::int)",
                     {access_.formation, std::to_string(group_)});
    if (!asked) return Explain(asked.error());
    return Await(*before, primary);
}

/// The keeper writes what a restart is to bring into force as soon as its neighbours allow it.
void Rolling::AwaitFiles(const std::string &name) {
    constexpr Milliseconds kPatience{5000};
    const core::BootTime start = io::BootNow();
    while (io::BootNow() - start < kPatience) {
        auto servers = FetchServers(access_);
        const Server *const now = servers ? Find(*servers, name) : nullptr;
        if (now == nullptr || now->is_written) return;
        (void)access_.client.AwaitNotification(Milliseconds{100});
    }
}

int Rolling::RestartOne(const std::string &name) {
    AwaitFiles(name);
    auto servers = FetchServers(access_);
    if (!servers) return Explain(servers.error());
    const Server *const server = Find(*servers, name);
    if (server == nullptr)
        return Explain({ProblemCode::kMonitor, fmt::format("node \"{}\" is gone", name), "", ""});
    if (options_.only_if_pending && !server->is_pending) {
        spdlog::info("Nothing waits for a restart of node \"{}\"", name);
        return kOk;
    }
    if (!server->IsPrimary()) return InPlace(*server);
    if (server->is_lowered) {
        spdlog::info(
            "Node \"{}\" is the primary, and is to use a lower value before its standbys do: it is "
            "restarted in place, and clients are disconnected",
            name);
        return InPlace(*server);
    }
    const bool has_heir = std::any_of(servers->begin(), servers->end(), [&](const Server &one) {
        return one.group == group_ && one.CouldTakeOver();
    });
    if (has_heir) return ByHandingOver(*server);
    spdlog::info(
        "Node \"{}\" is the primary, and no standby could take its place: it is restarted in "
        "place, and clients are disconnected",
        name);
    return InPlace(*server);
}

int Rolling::Run(const std::vector<std::string> &names) {
    auto refusals = Refusals();
    if (!refusals) return Explain(refusals.error());
    refusals_ = refusals->first;
    auto servers = FetchServers(access_);
    if (!servers) return Explain(servers.error());
    const auto rank = [&](const std::string &name) {
        const Server *const server = Find(*servers, name);
        if (server == nullptr || !server->IsPrimary()) return 1;
        return server->is_lowered ? 0 : 2;
    };
    std::vector<std::string> ordered = names;
    std::stable_sort(ordered.begin(), ordered.end(),
                     [&](const auto &a, const auto &b) { return rank(a) < rank(b); });
    for (const std::string &name : ordered) {
        if (const int status = RestartOne(name); status != kOk) return status;
    }
    return kOk;
}

Result<std::vector<std::string>> ChooseNames(const Session &session, const RestartOptions &options,
                                             const Servers &servers) {
    std::vector<std::string> names;
    if (options.is_all) {
        for (const Server &server : servers)
            names.push_back(server.name);
        return names;
    }
    std::string name = options.name;
    if (name.empty() && session.monitor.empty()) {
        auto paths = RequirePaths(session);
        if (!paths) return Pass(paths);
        auto config = node::LoadConfig(*paths);
        if (!config) return Pass(config);
        if (!config->IsMonitor()) name = config->name;
    }
    if (name.empty())
        return Fail(ProblemCode::kBadArgument, "no node is chosen", {}, "Use --name or --all.");
    if (Find(servers, name) == nullptr)
        return Fail(ProblemCode::kMonitor, fmt::format("node \"{}\" does not exist", name), {},
                    "List the nodes: pg_autoctl show state.");
    return std::vector<std::string>{name};
}

/// Whoever is down would stay so, or come up in the middle of it.
Result<void> CheckHealth(const Servers &servers, const std::vector<std::string> &names) {
    for (const std::string &name : names) {
        const Server *const server = Find(servers, name);
        if (server == nullptr || server->IsStable()) continue;
        return Fail(ProblemCode::kBadState, fmt::format("node \"{}\" is not well", name),
                    fmt::format("It reports {} and is assigned {}; PostgreSQL {}.",
                                core::ToString(server->reported), core::ToString(server->goal),
                                server->start.empty() ? "is down" : "runs"),
                    "See pg_autoctl show state, or choose nodes with --name.");
    }
    return {};
}

int Restart(const Session &session, const RestartOptions &options) {
    auto access = ConnectMonitor(session);
    if (!access) return Explain(access.error());
    if (auto listening = access->client.Query("LISTEN state"); !listening)
        return Explain(listening.error());
    auto servers = FetchServers(*access);
    if (!servers) return Explain(servers.error());
    auto names = ChooseNames(session, options, *servers);
    if (!names) return Explain(names.error());
    if (auto healthy = CheckHealth(*servers, *names); !healthy) return Explain(healthy.error());
    std::map<int, std::vector<std::string>> groups;
    for (const std::string &name : *names)
        groups[Find(*servers, name)->group].push_back(name);
    for (const auto &[group, members] : groups) {
        if (const int status = Rolling(*access, group, options).Run(members); status != kOk)
            return status;
    }
    return kOk;
}

}  // namespace

void AddRestart(CLI::App &app, Session &session) {
    auto options = std::make_shared<RestartOptions>();
    CLI::App *command =
        AddCommand(app, session, "restart", "restart PostgreSQL, one node after the other");
    AddMonitorOptions(*command, session, false);
    auto *name = command->add_option("-a,--name", options->name, "name of the node");
    command->add_flag("--all", options->is_all, "every node, standbys first")->excludes(name);
    command->add_flag("--only-if-pending", options->only_if_pending,
                      "only nodes with settings that wait for it");
    command->add_option("-w,--wait", options->wait_s, "how many seconds to wait for each node")
        ->check(CLI::Range(1, 86400));
    command->callback([&session, options] {
        session.command = [&session, options] { return Restart(session, *options); };
    });
}

}  // namespace pgaf::cli
