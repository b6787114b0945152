#include <fmt/format.h>

#include "cli/json.hpp"
#include "cli/session.hpp"
#include "view/why.hpp"

/// why: the state of nodes in words, and what the death of one would mean.
namespace pgaf::cli {
namespace {

/// The rule behind a state may be some time ago.
constexpr int kEvents = 2000;

struct WhyOptions {
    std::string name;
    std::string if_dead;
};

Result<view::ClusterView> FetchView(MonitorAccess &access) {
    auto made =
        access.client.Query(view::kClusterViewSql, {access.formation, std::to_string(kEvents)});
    if (!made) return Pass(made);
    auto read = access.client.Query(view::kReadViewSql);
    if (!read) return Pass(read);
    return view::ParseClusterView(read->At(0, 0));
}

int Why(const Session &session, const WhyOptions &options) {
    auto access = ConnectToFormation(session);
    if (!access) return Explain(access.error());
    auto cluster = FetchView(*access);
    if (!cluster) return Explain(cluster.error());
    const std::string &name = options.if_dead.empty() ? options.name : options.if_dead;
    Json json;
    json.BeginArray("nodes");
    bool is_found = false;
    bool is_healthy = true;
    for (const view::NodeRow &node : cluster->nodes) {
        const bool is_meant =
            (name.empty() || node.name == name) && (!access->group || node.group == *access->group);
        if (!is_meant) continue;
        const view::Explanation said = options.if_dead.empty() ? view::ExplainNode(*cluster, node)
                                                               : view::ExplainDeath(*cluster, node);
        if (session.json) {
            json.BeginItem().Text("name", node.name).Number("group", node.group);
            json.Bool("is_healthy", said.is_healthy).Text("text", said.text).End();
        } else {
            fmt::print("{}{}", is_found ? "\n" : "", said.text);
        }
        is_found = true;
        is_healthy = is_healthy && said.is_healthy;
    }
    if (is_found && session.json) fmt::print("{}\n", json.EndArray().Finish());
    if (is_found) return is_healthy ? kOk : kBadState;
    return Explain(
        {ProblemCode::kBadArgument,
         name.empty() ? fmt::format("formation \"{}\" has no nodes", access->formation)
                      : fmt::format("formation \"{}\" has no node \"{}\"", access->formation, name),
         {},
         "pg_autoctl show state lists the nodes."});
}

}  // namespace

void AddWhy(CLI::App &app, Session &session) {
    auto options = std::make_shared<WhyOptions>();
    CLI::App *why = AddCommand(app, session, "why",
                               "say why nodes are in their states, and what stands in the way of a "
                               "failover; status 3 when something does");
    AddMonitorOptions(*why, session, true);
    auto *name = why->add_option("-a,--name", options->name, "this node alone; without it all");
    why->add_option("--if", options->if_dead, "what would happen if this node died now")
        ->excludes(name);
    why->callback([&session, options] {
        session.command = [&session, options] { return Why(session, *options); };
    });
}

}  // namespace pgaf::cli
