#pragma once

#include "store/group_store.hpp"

#include <set>

/// Events and notifications: what operators and keepers hear. Needs a Spi.
namespace pgaf::store {

/// `node 1 "a" (host:5432)`.
std::string Describe(const core::NodeView &node);

/// The rule behind an event; pos 0: none.
struct Cause {
    int rule_pos = 0;
    std::string rule;
    std::string reason;
};

/// One of the last events of the group has this description.
bool IsRecent(const GroupKey &group, const std::string &description);

/// Events of the node in the last minute.
int CountRecent(core::NodeId node);

/// An event row, and its sentence in the server's log. When the transaction has committed the
/// worker tells those who listen: the sentence on channel "log", and the state on channel "state".
void Announce(const GroupKey &group, const NodeRow &node, const std::string &description,
              const Cause &cause = {});

/// Removes some of the events that are older, the oldest first; returns how many. 0: none is left.
std::size_t PurgeEvents(core::Milliseconds age);

/// Notifies of events that were committed since the last call. One process alone does it: commits
/// with notifications wait for each other, all over the server.
class Teller {
 public:
    /// Everything up to now is old.
    void Begin();
    void Tell();

 private:
    std::int64_t begun_ = 0;  ///< the newest one when it began
    std::int64_t last_ = 0;
    std::set<std::int64_t> told_;  ///< of the last ones: they are not committed in their order
};

}  // namespace pgaf::store
