#pragma once

#include <functional>
#include <map>

#include "cli/session.hpp"

/// What commands share that ask the monitor for something and then watch it happen.
namespace pgaf::cli {

struct NodeRow {
    std::string id, name, host, port, reported, goal;
};
/// By id.
using Nodes = std::map<std::string, NodeRow>;

Result<Nodes> FetchNodes(MonitorAccess &access, int group);

/// The node of that name, on whatever host; without a name the one of --pgdata.
struct ChosenNode {
    MonitorAccess access;
    NodeRow node;
    int group = 0;
};
Result<ChosenNode> FindChosen(const Session &session, const std::string &name);

/// --group, or the only one that there is.
Result<int> ChooseGroup(MonitorAccess &access);

/// A deadlock or serialization failure is tried again, a bounded number of times. The monitor's
/// warnings are logged.
Result<io::Rows> Ask(MonitorAccess &access, const std::string &sql,
                     const std::vector<std::string> &parameters);

struct FollowOptions {
    int group = 0;
    int wait_s = 60;  ///< 0: for ever
    /// Said when the time is over: "no new primary".
    std::string what;
    std::function<bool(const Nodes &)> is_done;
};
/// Prints the live table of transitions until it is done. LISTEN state must have been said before
/// `before` was fetched. Returns the exit status.
int Follow(MonitorAccess &access, const Nodes &before, const FollowOptions &options);

}  // namespace pgaf::cli
