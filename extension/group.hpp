#pragma once

#include "store/events.hpp"

#include <optional>
#include <string>
#include <vector>

#include "pgaf/core/decide.hpp"

namespace pgaf {

/// One group, locked until the end of the transaction: rows and facts as one view, and the way from
/// decisions to rows. It asks core what to do and does it. Needs a Spi.
class Group {
 public:
    /// Takes the lock, then reads. Raises 42P17 for an unknown formation, and 25000 unless the
    /// transaction is READ COMMITTED: with an older snapshot the rows could be older than the lock.
    static Group Lock(const store::GroupKey &key);

    const core::GroupView &view() const { return view_; }
    const store::GroupKey &key() const { return key_; }
    /// The node as it is now, with its stored columns; raises 42704 when it is gone.
    store::NodeRow RowOf(core::NodeId node) const;
    bool Has(core::NodeId node) const { return view_.Find(node) != nullptr; }

    /// Reads the rows again, after a change made outside of this class.
    void Reload();
    /// Reads the facts of a node again.
    void RefreshFacts(core::NodeId node);
    /// Writes what a node reported. With kAnnounce there is an event.
    enum class Announcement { kNone, kAnnounce };
    void StoreReported(const store::ReportedRow &row, Announcement announcement);
    void StoreSync(const core::SyncState &sync);
    /// Every keeper of the group is told to report, when the transaction has committed.
    void WakeKeepers() const;
    /// Writes a decision and applies it to the view.
    void Carry(const core::Decision &decision);
    /// Decides until there is nothing to decide, writes changes of health, and plans the next look.
    void Settle();

 private:
    explicit Group(store::GroupKey key) : key_(std::move(key)) {}
    void HoldDuringRestart();
    void CarryAssignment(const core::Assignment &assignment);
    void CarryRemoval(core::NodeId node, const core::Decision &decision);
    void TellNotes(const core::Decision &decision) const;
    void CarryGroup(core::Decision decision);
    void StoreHealth();
    void StoreStall();
    void PlanNextLook(core::Milliseconds again_in) const;
    void NoteBlocked(const std::string &blocked) const;
    store::NodeRow *FindRow(core::NodeId node);

    store::GroupKey key_;
    core::GroupView view_;
    std::vector<store::NodeRow> rows_;  ///< stored columns; their `view` is refreshed by RowOf
};

}  // namespace pgaf
