#pragma once

#include <string>

#include "pgaf/core/result.hpp"

namespace pgaf::http {

/// Where to listen: a numeric address, or "*" for all, and a port. IPv6 in brackets.
struct Endpoint {
    std::string address;
    int port = 0;
    friend bool operator==(const Endpoint &, const Endpoint &) = default;
};
/// kBadArgument with what is wrong. Pure.
core::Result<Endpoint> ParseEndpoint(const std::string &text);

/// The value of http.listen says that there is none.
inline bool IsOff(const std::string &listen) { return listen.empty() || listen == "off"; }

}  // namespace pgaf::http
