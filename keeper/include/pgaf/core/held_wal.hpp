#pragma once

#include <cstdint>

#include "pgaf/core/protocol.hpp"

namespace pgaf::core {

/// The furthest WAL that a node is known to have had on its disk, from its own reports. A disk that
/// was set back, or that lost what it had confirmed, is known by a report of less.
struct HeldWal {
    int timeline = 0;
    Lsn lsn;
    Lsn begun_at;             ///< Report::begun_at of its last server
    std::int64_t copies = 0;  ///< NodeRecord::copies of the node when it had it
    /// What others had when the last report of `epoch` was answered. The next one is sent later: a
    /// primary that says less then does not have what they got from it, or from its former life.
    Lsn others_had;
    std::int64_t epoch = 0;
    /// Valid: what was beyond this position is gone.
    Lsn lost_from;
    /// It was out of recovery when that was seen, and others had what is gone: what it has beyond
    /// that position is not what they have there, and it must be copied anew.
    bool is_behind_others = false;
};

/// Whether `report.lsn` is all that the node has on `report.timeline`. The supervisor reads a
/// control file, and a standby that has just started has not read its own WAL yet.
constexpr bool TellsItsEnd(const Report &report) {
    if (report.holder != KeeperHolder::kWorker || !report.pg_running) return false;
    if (report.timeline == 0 || !report.lsn.IsValid()) return false;
    return !report.in_recovery || report.receiver.sealed || report.receiver.streaming;
}

/// Where the last whole record ends that the node is known to have. What a standby has received may
/// end within a record, and after a restart it begins again before that: nothing is lost by it. Nor
/// does it replay what it does not have: who says so is about to leave recovery.
constexpr Lsn WholeRecords(const Report &report) {
    const Lsn replayed = report.receiver.replay_lsn;
    return report.in_recovery && replayed < report.lsn ? replayed : report.lsn;
}

/// With every report of the node that counts, before decisions. `others_hold`: what other nodes are
/// known to have had on the report's timeline.
constexpr void NoteHeld(HeldWal &held, const Report &report, Lsn others_hold) {
    if (report.copies > held.copies) {
        held = {};
        held.copies = report.copies;
    }
    // Who has so much has at least so much.
    const Lsn whole = WholeRecords(report);
    const bool has_more = report.holder == KeeperHolder::kWorker && report.pg_running &&
                          report.timeline == held.timeline && whole > held.lsn;
    if (has_more && report.in_recovery) held.lsn = whole;
    if (!TellsItsEnd(report)) return;
    if (report.timeline < held.timeline) {
        held.lost_from = report.lsn;
        held.is_behind_others = held.is_behind_others || !report.in_recovery;
        return;
    }
    if (report.timeline > held.timeline) {
        // It has followed somebody to another timeline: what it must hold is told anew.
        held.timeline = report.timeline;
        held.lsn = whole;
        held.begun_at = report.begun_at;
        held.others_had = {};
        held.lost_from = {};
        return;
    }
    // What a server writes first after its start may take the place of what is lost.
    const bool is_new =
        !report.in_recovery && report.begun_at.IsValid() && report.begun_at != held.begun_at;
    const Lsn end = is_new && report.begun_at < report.lsn ? report.begun_at : report.lsn;
    const Lsn known = is_new && held.lsn < others_hold ? others_hold : held.lsn;
    const bool is_next = !report.in_recovery && report.keeper_epoch == held.epoch;
    const bool is_short = is_next && report.lsn < held.others_had;
    held.others_had = report.in_recovery ? Lsn{} : others_hold;
    held.epoch = report.keeper_epoch;
    if (!report.in_recovery && report.begun_at.IsValid()) held.begun_at = report.begun_at;
    if (is_short || (end < known && (report.in_recovery || end < others_hold))) {
        if (!held.lost_from.IsValid() || end < held.lost_from) held.lost_from = end;
        held.is_behind_others = held.is_behind_others || !report.in_recovery;
        return;
    }
    if (whole > held.lsn || !report.in_recovery) held.lsn = whole;
    // A standby that streams has got back what it had lost, and what nobody has is gone; a primary
    // that lacks what others have goes on lacking it.
    if (!held.is_behind_others) held.lost_from = {};
}

}  // namespace pgaf::core
