#pragma once

#include <string_view>

#include "supervisor/facts.hpp"

/// Whether old data can follow a primary as it is. Pure.
namespace pgaf::supervisor {

enum class Kinship {
    kFollows,   ///< it holds nothing that the primary's history does not have
    kDiverged,  ///< it does, or may
    kAskWal,    ///< the control file does not say: follows if its WAL has nothing beyond `fork`
};

struct Judgement {
    Kinship kinship = Kinship::kDiverged;
    core::Lsn fork{};  ///< with kAskWal: where the primary's history left our timeline
};

/// Anything unclear counts as diverged.
Judgement JudgeKinship(const ControlFacts &ours, const SourceIdentity &primary);

/// What pg_waldump said of the records from the fork on: true when there certainly are none.
bool IsNothingThere(int exit_status, std::string_view out, std::string_view err);

}  // namespace pgaf::supervisor
