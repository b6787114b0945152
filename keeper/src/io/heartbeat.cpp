#include "io/heartbeat.hpp"

#include <cstring>

#include "io/files.hpp"

namespace pgaf::io {

std::optional<Heartbeat> ReadHeartbeat(const std::string &path) {
    auto text = ReadFile(path);
    if (!text || text->size() < 16) return std::nullopt;
    std::uint32_t pid = 0;
    std::int64_t at = 0;
    std::memcpy(&pid, text->data(), sizeof pid);
    std::memcpy(&at, text->data() + 8, sizeof at);
    if (pid == 0 || at == 0) return std::nullopt;
    return Heartbeat{static_cast<pid_t>(pid), {at}};
}

}  // namespace pgaf::io
