#pragma once

#include "store/group_store.hpp"

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

/// An event row, its sentence in the server's log and on channel "log", and the state on channel
/// "state".
void Announce(const GroupKey &group, const NodeRow &node, const std::string &description,
              const Cause &cause = {});

/// Removes some of the events that are older, the oldest first; returns how many. 0: none is left.
std::size_t PurgeEvents(core::Milliseconds age);

/// The state on channel "state" only.
void NotifyState(const GroupKey &group, const NodeRow &node);

/// The channel on which keepers of the group listen: at most 63 bytes.
std::string ChannelOf(const GroupKey &group);
/// Tells the keepers of the group to report now.
void NotifyKeepers(const GroupKey &group);

}  // namespace pgaf::store
