#include "http/endpoint.hpp"

#include <arpa/inet.h>

#include <array>
#include <charconv>

namespace pgaf::http {

core::Result<Endpoint> ParseEndpoint(const std::string &text) {
    const auto bad = [&] {
        return core::Fail(core::ProblemCode::kBadArgument,
                          "\"" + text + "\" is not an address and a port to listen on",
                          "It must be a numeric address or *, a colon, and a port.",
                          "Examples: 127.0.0.1:8008, *:8008, [::1]:8008.");
    };
    const std::size_t colon = text.rfind(':');
    if (colon == std::string::npos) return bad();
    Endpoint endpoint;
    const char *const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data() + colon + 1, end, endpoint.port);
    if (error != std::errc{} || rest != end || endpoint.port < 1 || endpoint.port > 65535)
        return bad();
    endpoint.address = text.substr(0, colon);
    std::array<unsigned char, sizeof(in6_addr)> binary{};
    if (endpoint.address == "*") return endpoint;
    if (endpoint.address.starts_with('[') && endpoint.address.ends_with(']')) {
        endpoint.address = endpoint.address.substr(1, endpoint.address.size() - 2);
        if (::inet_pton(AF_INET6, endpoint.address.c_str(), binary.data()) == 1) return endpoint;
        return bad();
    }
    if (::inet_pton(AF_INET, endpoint.address.c_str(), binary.data()) != 1) return bad();
    return endpoint;
}

}  // namespace pgaf::http
