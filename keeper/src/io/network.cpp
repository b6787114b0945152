#include "io/network.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <memory>

#include "io/files.hpp"

namespace pgaf::io {
namespace {

struct AddrinfoDeleter {
    void operator()(addrinfo *info) const { freeaddrinfo(info); }
};
using Addrinfo = std::unique_ptr<addrinfo, AddrinfoDeleter>;

Addrinfo Lookup(const std::string &host, const std::string &port, int type) {
    addrinfo hints{};
    hints.ai_socktype = type;
    addrinfo *found = nullptr;
    if (getaddrinfo(host.c_str(), port.empty() ? nullptr : port.c_str(), &hints, &found) != 0)
        return {};
    return Addrinfo(found);
}

std::string Numeric(const sockaddr *address, socklen_t length) {
    std::array<char, NI_MAXHOST> text{};
    if (getnameinfo(address, length, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) != 0)
        return {};
    return text.data();
}

int PrefixLength(const sockaddr *mask) {
    const auto count = [](const unsigned char *bytes, std::size_t size) {
        int bits = 0;
        for (std::size_t i = 0; i < size; ++i)
            bits += std::popcount(bytes[i]);
        return bits;
    };
    if (mask->sa_family == AF_INET) {
        const auto *v4 = reinterpret_cast<const sockaddr_in *>(mask);
        return count(reinterpret_cast<const unsigned char *>(&v4->sin_addr), 4);
    }
    const auto *v6 = reinterpret_cast<const sockaddr_in6 *>(mask);
    return count(v6->sin6_addr.s6_addr, 16);
}

std::string NetworkOf(const ifaddrs &entry) {
    const int prefix = PrefixLength(entry.ifa_netmask);
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (entry.ifa_addr->sa_family == AF_INET) {
        in_addr network = reinterpret_cast<const sockaddr_in *>(entry.ifa_addr)->sin_addr;
        network.s_addr &= reinterpret_cast<const sockaddr_in *>(entry.ifa_netmask)->sin_addr.s_addr;
        (void)inet_ntop(AF_INET, &network, text.data(), text.size());
    } else {
        in6_addr network = reinterpret_cast<const sockaddr_in6 *>(entry.ifa_addr)->sin6_addr;
        const auto &mask = reinterpret_cast<const sockaddr_in6 *>(entry.ifa_netmask)->sin6_addr;
        for (int i = 0; i < 16; ++i)
            network.s6_addr[i] &= mask.s6_addr[i];
        (void)inet_ntop(AF_INET6, &network, text.data(), text.size());
    }
    return fmt::format("{}/{}", text.data(), prefix);
}

}  // namespace

std::string ResolveNow(const std::string &host) {
    if (host.empty() || host.front() == '/') return {};
    const Addrinfo found = Lookup(host, "", SOCK_STREAM);
    return found ? Numeric(found->ai_addr, found->ai_addrlen) : std::string();
}

std::vector<std::string> ResolveAll(const std::string &host) {
    std::vector<std::string> addresses;
    const Addrinfo found = Lookup(host, "", SOCK_STREAM);
    for (const addrinfo *entry = found.get(); entry != nullptr; entry = entry->ai_next)
        addresses.push_back(Numeric(entry->ai_addr, entry->ai_addrlen));
    return addresses;
}

std::optional<std::string> OwnAddressTowards(const std::string &host, int port) {
    const Addrinfo found = Lookup(host, std::to_string(port), SOCK_DGRAM);
    if (!found) return std::nullopt;
    const io::UniqueFd fd(::socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!fd.IsOpen() || ::connect(fd.Get(), found->ai_addr, found->ai_addrlen) != 0)
        return std::nullopt;
    sockaddr_storage own{};
    socklen_t length = sizeof own;
    if (::getsockname(fd.Get(), reinterpret_cast<sockaddr *>(&own), &length) != 0)
        return std::nullopt;
    const std::string text = Numeric(reinterpret_cast<sockaddr *>(&own), length);
    return text.empty() ? std::nullopt : std::optional(text);
}

std::vector<std::string> LocalNetworks(const std::string &hostname) {
    std::vector<std::string> networks;
    const std::string wanted = ResolveNow(hostname);
    ifaddrs *list = nullptr;
    if (getifaddrs(&list) != 0) return networks;
    for (const ifaddrs *entry = list; entry != nullptr; entry = entry->ifa_next) {
        if (entry->ifa_addr == nullptr || entry->ifa_netmask == nullptr) continue;
        const int family = entry->ifa_addr->sa_family;
        if (family != AF_INET && family != AF_INET6) continue;
        const socklen_t length = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
        if (Numeric(entry->ifa_addr, length) != wanted) continue;
        const std::string network = NetworkOf(*entry);
        if (std::find(networks.begin(), networks.end(), network) == networks.end())
            networks.push_back(network);
    }
    freeifaddrs(list);
    const bool is_loopback =
        hostname == "localhost" || wanted.starts_with("127.") || wanted == "::1";
    if (is_loopback) networks = {"127.0.0.0/8", "::1/128"};
    if (networks.empty() && !wanted.empty()) {
        networks.push_back(wanted + (wanted.find(':') == std::string::npos ? "/32" : "/128"));
    }
    return networks;
}

}  // namespace pgaf::io
