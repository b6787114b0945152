#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "io/env.hpp"
#include "io/files.hpp"
#include "io/postgres.hpp"

namespace pgaf::io {
namespace {

/// Big-endian: a message of 8 bytes, the code of an SSLRequest. Any answer will do.
constexpr std::array<unsigned char, 8> kQuestion{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f};

struct Address {
    sockaddr_storage storage{};
    socklen_t length = 0;
};

Address AddressOf(const PostmasterFile &file) {
    Address address;
    if (file.socket_directory.empty()) {
        sockaddr_in in{};
        in.sin_family = AF_INET;
        in.sin_port = htons(static_cast<std::uint16_t>(file.port));
        in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        std::memcpy(&address.storage, &in, sizeof in);
        address.length = sizeof in;
        return address;
    }
    sockaddr_un un{};
    un.sun_family = AF_UNIX;
    const std::string path = fmt::format("{}/.s.PGSQL.{}", file.socket_directory, file.port);
    if (path.size() >= sizeof un.sun_path) return address;
    std::memcpy(un.sun_path, path.c_str(), path.size() + 1);
    std::memcpy(&address.storage, &un, sizeof un);
    address.length = sizeof un;
    return address;
}

/// False when the time is over first.
bool Await(int fd, short events, core::BootTime end) {
    for (;;) {
        const Milliseconds left = end - BootNow();
        if (left <= Milliseconds{0}) return false;
        pollfd entry{.fd = fd, .events = events, .revents = 0};
        const int ready = ::poll(&entry, 1, static_cast<int>(left.count()));
        if (ready > 0) return true;
        if (ready < 0 && errno != EINTR) return false;
    }
}

}  // namespace

bool AnswersClients(const PostmasterFile &file, Milliseconds limit) {
    const core::BootTime end = BootNow() + limit;
    const Address address = AddressOf(file);
    if (address.length == 0) return true;  // it cannot be asked, and so not be accused
    const UniqueFd fd{
        ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (!fd.IsOpen()) return true;
    const auto *const to = reinterpret_cast<const sockaddr *>(&address.storage);
    if (::connect(fd.Get(), to, address.length) != 0) {
        if (errno != EINPROGRESS || !Await(fd.Get(), POLLOUT, end)) return false;
    }
    const ssize_t sent = ::send(fd.Get(), kQuestion.data(), kQuestion.size(), MSG_NOSIGNAL);
    if (sent != static_cast<ssize_t>(kQuestion.size())) return false;
    char answer = 0;
    return Await(fd.Get(), POLLIN, end) && ::recv(fd.Get(), &answer, 1, 0) == 1;
}

}  // namespace pgaf::io
