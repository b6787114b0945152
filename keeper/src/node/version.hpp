#pragma once

#include <string_view>

namespace pgaf::node {

/// Of the programs and of the extension: extension/pgautofailover.control.
inline constexpr std::string_view kVersion = "3.2";

}  // namespace pgaf::node
