#pragma once

#include <string>

#include "pgaf/core/group_view.hpp"
#include "pgaf/core/node_record.hpp"
#include "pgaf/core/result.hpp"

/// Numbers that only grow: terms, versions of sets, epochs, timelines. Each of them grows by one
/// at a time, and who was away for long, or was restored from a backup, has missed some. More than
/// that is a bug or a forgery, and would leave no room above, or make everybody else look old.
namespace pgaf::core {

/// A promotion in every minute of two years.
inline constexpr std::int64_t kStepMost = 1'000'000;
/// A new primary writes a history file for each number that lies between (kReservedMost), and one
/// that a standby has from elsewhere must leave room for promotions that fail.
inline constexpr int kTimelineStepMost = 500;
inline constexpr int kReservedMost = 5000;

/// Whether `number` can follow `last`.
bool IsPlausibleStep(std::int64_t number, std::int64_t last);

/// What a node says, against what the group has; to be called, under the group's lock, before
/// anything of the report is noted. kBadArgument: it says so to its log again and again, and the
/// monitor goes on as without it.
Result<void> CheckNumbers(const GroupView &view, const std::string &who, const Report &report);

/// What a monitor says, against what the node has obeyed; nothing: it is to be obeyed. Otherwise
/// the reason: such a monitor is as good as a silent one, and no number of it is kept.
std::string ImplausibleOrder(const NodeRecord &record, const Reply &reply);

}  // namespace pgaf::core
