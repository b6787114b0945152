#pragma once

#include "group.hpp"

namespace pgaf::api {

/// A copy that the operator has asked for is there, or is called off because the node is needed as
/// it is. The group is read again when something has changed.
void NoteCopy(Group &group, const core::Report &report);

}  // namespace pgaf::api
