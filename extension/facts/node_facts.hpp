#pragma once

#include "facts/shared.hpp"

#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "pgaf/core/intake.hpp"

/// Facts about the nodes of this database. Nothing here decides.
namespace pgaf::facts {

/// Creates the entry of a node that registers now, forgetting what an earlier node of that id left.
/// It goes when this transaction, or the subtransaction, is rolled back.
/// Raises 53200 when shared memory has no room for another node.
void CreateFresh(core::NodeId node);

/// The facts of a node that has a row. Created as after a restart of the server when missing.
/// `instance`: the keeper that reported last.
NodeFacts FindOrCreate(core::NodeId node, core::OldGrant old_grant, core::Milliseconds lease,
                       std::int64_t instance);
std::optional<NodeFacts> Find(core::NodeId node);
void Forget(core::NodeId node);
/// Its row goes with this transaction.
void ForgetAtCommit(core::NodeId node);
/// The operator has seen to it that the node cannot acknowledge anything.
void VoidGrants(core::NodeId node);
/// Forgets the nodes of a database that were known before an instant.
void ForgetDatabaseUnsafe(Oid database, core::BootTime known_before);
/// InvalidOid: of any database.
bool HasNodesUnsafe(Oid database);
/// Postgres regime, once.
void InstallNodeFactsUnsafe();

/// Fills the dynamic part of a view of the node.
void FillView(const NodeFacts &facts, core::BootTime now, core::NodeView &view);

PlainReport ToPlain(const core::Report &report);

/// Runs a short function on the entry under the lock; it must not throw, allocate or raise. Returns
/// false when there is no such node.
NodeFacts *LookupLocked(core::NodeId node);
template <typename Fn>
bool Update(core::NodeId node, Fn fn) {
    static_assert(std::is_trivially_destructible_v<Fn>);
    LockScope lock(LW_EXCLUSIVE);
    NodeFacts *const entry = LookupLocked(node);
    if (entry == nullptr) return false;
    fn(*entry);
    return true;
}

/// What the worker looks at in every round.
struct Summary {
    core::NodeId node;
    std::int64_t known_since_ns;
    bool is_registering;  ///< its row is not there yet
    std::int64_t decide_at_ns;
    std::int64_t report_ns;
    std::int64_t probed_ns;
    core::SessionFact session;
    core::ProbeFact probe;
    bool session_news;
    std::int64_t session_lost_ns;
    bool probed_since_session_lost;
    int port;
    char address[64];
};
std::vector<Summary> Summaries();
std::vector<NodeFacts> All();

/// Marks this backend as the session of the node.
void NoteSession(core::NodeId node);
/// At the exit of a backend: the nodes whose session it was have lost it. Returns true if there
/// were any.
bool NoteSessionEnd() noexcept;

/// The node has a new goal since now.
void NoteGoal(core::NodeId node, const std::string &reason);

/// The group of this node must be looked at not later than `at`.
void DecideBy(core::NodeId node, core::BootTime at);

}  // namespace pgaf::facts
