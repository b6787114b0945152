#pragma once

#include <string_view>

#include "supervisor/facts.hpp"

/// Whether old data can follow a primary as it is. Pure.
namespace pgaf::supervisor {

enum class Kinship {
    kFollows,   ///< it holds nothing that the primary's history does not have
    kDiverged,  ///< it does, or may
    kAskWal,    ///< the control file does not say: follows if its WAL has nothing beyond `fork`
    kMustCopy,  ///< it may have diverged, and pg_rewind could not see it: it goes by numbers
};

struct Judgement {
    Kinship kinship = Kinship::kDiverged;
    core::Lsn fork{};  ///< with kAskWal: where the primary's history left our timeline
    /// Where the primary left the newest timeline of which WAL has been received: what is beyond
    /// that would be read by recovery, and pg_rewind does not look at it. 0: none was received.
    core::Lsn received_fork{};
};

/// A server that was shut down out of recovery, as recovery before a rewind does it, wrote a record
/// at the end of its WAL. When the others have the timeline beyond that place from somewhere, it
/// was from this node, which has lost it and has written something else there; pg_rewind would see
/// nothing of it.
bool HasLostItsEnd(const ControlFacts &ours, const SourceIdentity &primary);

/// Anything unclear counts as diverged, and on the primary's own timeline as kMustCopy. Timelines
/// are compared by what came before them: two servers may have given the same number.
Judgement JudgeKinship(const ControlFacts &ours, const SourceIdentity &primary);

/// What pg_waldump said of the records from the fork on: true when there certainly are none.
bool IsNothingThere(int exit_status, std::string_view out, std::string_view err);

}  // namespace pgaf::supervisor
