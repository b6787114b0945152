#pragma once

#include "group.hpp"

#include "pgaf/core/protocol.hpp"

/// PostgreSQL's settings of a formation, and restarts, as a report meets them.
namespace pgaf::api {

/// What the node says of the settings that it was given: accepted, refused, what is in force.
void NoteSettings(const Group &group, const core::Report &report);
/// What it is to have, and whether its server is to be restarted.
void AnswerSettings(const Group &group, const core::Report &report, core::Reply &reply);

}  // namespace pgaf::api
