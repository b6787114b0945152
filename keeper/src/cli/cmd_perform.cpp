#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "cli/follow.hpp"

/// perform failover, switchover, promotion: ask the monitor, then follow what happens.
namespace pgaf::cli {
namespace {

struct PerformOptions {
    int wait_s = 60;
    std::string name;
    bool allow_data_loss = false;
    bool primary_is_off = false;
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

Result<io::Rows> AskFor(MonitorAccess &access, int group, const PerformOptions &options) {
    const std::string number = std::to_string(group);
    if (!options.name.empty()) {
        return Ask(access, "SELECT pgautofailover.perform_promotion($1, $2)",
                   {access.formation, options.name});
    }
    if (!options.allow_data_loss) {
        return Ask(access, "SELECT pgautofailover.perform_failover($1, $2::int)",
                   {access.formation, number});
    }
    return Ask(access, "SELECT pgautofailover.perform_failover($1, $2::int, true, $3::bool)",
               {access.formation, number, options.primary_is_off ? "true" : "false"});
}

/// Before anything is asked for.
void SayWhatMayBeLost(const MonitorAccess &access, int group, const Nodes &nodes) {
    spdlog::warn(
        "Electing a primary of formation \"{}\", group {}, although commits that were "
        "acknowledged may be lost",
        access.formation, group);
    for (const auto &[id, node] : nodes)
        spdlog::warn("DETAIL:  Node {} \"{}\" ({}:{}) has reported {}", node.id, node.name,
                     node.host, node.port, node.reported);
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
    if (options.allow_data_loss) SayWhatMayBeLost(*access, *group, *before);
    auto asked = AskFor(*access, *group, options);
    if (!asked) return Explain(asked.error());
    const std::string old_primary = PrimaryOf(*before);
    const auto is_done = [&old_primary](const Nodes &nodes) {
        for (const auto &[id, node] : nodes) {
            if (!IsNewPrimary(node, old_primary)) continue;
            spdlog::info("Node {} \"{}\" is the primary now", node.id, node.name);
            return true;
        }
        return false;
    };
    return Follow(
        *access, *before,
        {.group = *group, .wait_s = options.wait_s, .what = "no new primary", .is_done = is_done});
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
        if (std::string(name) == "failover") {
            command->add_flag("-A,--allow-data-loss", options->allow_data_loss,
                              "go on although acknowledged commits may be lost");
            command
                ->add_flag("--primary-is-off", options->primary_is_off,
                           "the machine of the old primary is off: do not wait for its lease")
                ->needs("--allow-data-loss");
        }
        if (std::string(name) == "promotion") {
            command->add_option("-a,--name", options->name, "the node to promote")->required();
        }
        command->callback([&session, options] {
            session.command = [&session, options] { return Perform(session, *options); };
        });
    }
}

}  // namespace pgaf::cli
