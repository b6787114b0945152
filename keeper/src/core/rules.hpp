#pragma once

#include <optional>
#include <span>

#include "evidence.hpp"

namespace pgaf::core {

/// What a guard looks at.
struct RuleContext {
    const GroupView &view;
    const NodeView &node;         ///< the node that the rule is about
    const NodeView *primary;      ///< FindPrimary; may be the node itself, may be null
    const NodeView *old_primary;  ///< who must be fenced before another node may write; may be null
    std::string *why;             ///< facts for the reason
};

enum class Extra {
    kNone,
    kRemoveNode,      ///< the row goes
    kShrinkSync,      ///< replication becomes asynchronous
    kGrowSync,        ///< every healthy quorum standby becomes a member
    kRecordTarget,    ///< the standby must hold the sealed position of the old primary
    kNewTerm,         ///< a promotion is decided: next term, no synchronous standby yet
};

/// One row: for a node in such a situation, these goals.
struct Rule {
    int pos;
    std::string_view name;
    std::string_view section;
    std::string_view reason;
    bool (*when)(const RuleContext &);
    NodeState node_goal = NodeState::kUnknown;     ///< kUnknown: unchanged
    NodeState primary_goal = NodeState::kUnknown;  ///< of `old_primary`; kUnknown: unchanged
    Extra extra = Extra::kNone;
};

/// In order of precedence.
std::span<const Rule> RuleTable();

/// The node that must be proved fenced before `standby` may write: the primary, else one being dropped.
const NodeView *FindOldPrimary(const GroupView &view, const NodeView &standby);

/// Synchronous standbys that the group should have now.
SyncSet WantedSyncSet(const GroupView &view);

}  // namespace pgaf::core
