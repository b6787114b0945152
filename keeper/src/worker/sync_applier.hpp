#pragma once

#include <string>

#include "worker/steps.hpp"

namespace pgaf::worker {

/// Enough members of the set that PostgreSQL uses have confirmed up to there; true without a set.
bool IsHeldBySet(const ServerFacts &facts, core::Lsn end);

/// Puts the synchronous set of the reply into force and sees that it is, from PostgreSQL's shared
/// state.
class SyncApplier {
 public:
    /// Moves on towards the set of the reply. kDone when PostgreSQL uses it and, with members,
    /// enough of them hold everything that was flushed when it came into force.
    Progress Poll(const Context &context);
    /// Writes the set and waits only until settings have been read again: before a promotion.
    Progress Prepare(const Context &context);
    /// The version that is in force; 0: not known.
    [[nodiscard]] std::int64_t confirmed_version() const { return confirmed_; }
    /// The set that is in force, as text; only with confirmed_version().
    [[nodiscard]] const std::string &names() const { return names_; }
    /// What was prepared last is the first set of a term: no commit of this term went by another.
    void NoteFirst() { first_ = version_; }
    /// Its version, as long as it is the only one; 0: there were others, or it is not known.
    [[nodiscard]] std::int64_t first_version() const { return first_; }
    /// PostgreSQL no longer uses it: nothing may depend on it until it does again.
    void Withdraw();
    /// When to poll again unless an event says so.
    [[nodiscard]] core::BootTime NextWake(core::BootTime now) const;

 private:
    void Begin(const Context &context);
    Progress Write(const Context &context);
    [[nodiscard]] bool IsInForce(const Context &context) const;

    std::int64_t version_ = -1;
    std::string names_;
    core::Lsn hold_;  ///< flushed when the set came into force
    core::BootTime reload_at_;
    bool awaits_flush_ = false;  ///< in force; its members do not hold enough yet
    std::int64_t confirmed_ = 0;
    std::int64_t first_ = 0;
};

}  // namespace pgaf::worker
