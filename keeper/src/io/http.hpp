#pragma once

#include <string>

#include "io/common.hpp"

namespace pgaf::io {

/// The body of a small answer, over IPv4 and without a proxy: the address that the other side sees
/// must be the one that our ssh comes from. kIo with the reason for anything but success.
Result<std::string> HttpGet(const std::string &url, Milliseconds limit);

}  // namespace pgaf::io
