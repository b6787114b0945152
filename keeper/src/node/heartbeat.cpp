#include "node/heartbeat.hpp"

#include <cstring>

#include "io/files.hpp"

namespace pgaf::node {

std::optional<supervisor::Heartbeat> ReadHeartbeat(const std::string &path) {
    auto text = io::ReadFile(path);
    if (!text || text->size() < 32) return std::nullopt;
    std::uint32_t pid = 0;
    std::uint32_t timeline = 0;
    std::int64_t at = 0;
    std::int64_t since = 0;
    std::uint64_t lsn = 0;
    std::memcpy(&pid, text->data(), sizeof pid);
    std::memcpy(&timeline, text->data() + 4, sizeof timeline);
    std::memcpy(&at, text->data() + 8, sizeof at);
    std::memcpy(&since, text->data() + 16, sizeof since);
    std::memcpy(&lsn, text->data() + 24, sizeof lsn);
    if (pid == 0 || at == 0) return std::nullopt;
    return supervisor::Heartbeat{
        static_cast<int>(pid), {at}, {since}, {lsn}, static_cast<int>(timeline)};
}

}  // namespace pgaf::node
