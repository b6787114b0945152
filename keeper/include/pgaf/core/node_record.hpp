#pragma once

#include <string>
#include <string_view>

#include "pgaf/core/node_state.hpp"
#include "pgaf/core/result.hpp"
#include "pgaf/core/types.hpp"

namespace pgaf::core {

/// What a node remembers across restarts: the content of `pg_autoctl.state`.
struct NodeRecord {
    NodeId node;
    int group = 0;
    NodeState state = NodeState::kInit;  ///< reached; what the next report says
    NodeState goal = NodeState::kInit;   ///< last goal from the monitor
    std::int64_t term = 0;
    std::int64_t keeper_epoch = 0;
    std::int64_t sync_version = 0;  ///< last synchronous set that was written
    /// The newest set of the group that an answer named: a monitor that names an older one in the
    /// same term has come back from a backup.
    std::int64_t known_sync_version = 0;
    /// The group has had another node: a restart waits for a grant even in state single.
    bool had_peer = false;
    std::uint64_t system_identifier = 0;
    std::int64_t copies = 0;  ///< how often the data were copied anew
    /// Of the last keeper: the machine has not been started anew since while it is the same.
    std::int64_t instance = 0;
    /// The server was started as a primary although the monitor was away, and the monitor has not
    /// been told that anything had ended: it opens when its synchronous standbys still follow.
    bool resumes = false;
    /// The server was out of recovery although the node was a standby: what it holds may not be
    /// what the group holds on a timeline of the same number. Until it was compared, or copied.
    bool has_own_writes = false;
    /// The newest term in which the node has begun to promote itself: its gate may have been open
    /// since, although the state that was reached says nothing of it.
    std::int64_t promotion_term = 0;
    friend bool operator==(const NodeRecord &, const NodeRecord &) = default;
};

/// Beside the record: what the worker of a server that it has stopped wants the monitor to hear.
/// The supervisor tells it, and removes the file.
inline constexpr std::string_view kEventFile = "event";

/// Lines "key = value", the first names the format and version, the last carries a CRC-32C of the
/// others.
std::string Encode(const NodeRecord &record);
/// kCorrupt with the reason when the text is cut, changed, or of a newer version.
Result<NodeRecord> DecodeNodeRecord(std::string_view text);

}  // namespace pgaf::core
