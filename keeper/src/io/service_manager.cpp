#include "io/service_manager.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstddef>
#include <cstdlib>

#include "io/env.hpp"

namespace pgaf::io {
namespace {

std::int64_t NumberIn(const std::string &text) {
    std::int64_t number = 0;
    const char *end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    return error == std::errc{} && stop == end && number > 0 ? number : 0;
}

}  // namespace

ServiceManager ServiceManager::Take() {
    ServiceManager manager;
    const std::string address = EnvOr("NOTIFY_SOCKET", "");
    const std::int64_t limit = NumberIn(EnvOr("WATCHDOG_USEC", ""));
    const std::int64_t process = NumberIn(EnvOr("WATCHDOG_PID", ""));
    for (const char *name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"})
        (void)::unsetenv(name);
    const bool is_address = address.starts_with('/') || address.starts_with('@');
    if (!is_address || address.size() < 2 || address.size() >= sizeof(sockaddr_un::sun_path))
        return manager;
    manager.socket_ = UniqueFd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    manager.address_ = address;
    if (process == 0 || process == ::getpid()) manager.watchdog_ = Milliseconds{limit / 1000};
    return manager;
}

bool ServiceManager::Tell(std::string_view lines) const {
    if (!IsThere()) return false;
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    address_.copy(to.sun_path, sizeof(to.sun_path) - 1);
    if (address_.front() == '@') to.sun_path[0] = '\0';
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size());
    const ssize_t sent =
        ::sendto(socket_.Get(), lines.data(), lines.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                 reinterpret_cast<const sockaddr *>(&to), length);
    return sent == static_cast<ssize_t>(lines.size());
}

}  // namespace pgaf::io
