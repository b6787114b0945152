#include "azure/host_keys.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "pgaf/core/lines.hpp"

namespace pgaf::azure {
namespace {

constexpr std::array<std::string_view, 5> kTypes{
    "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa"};
constexpr std::size_t kLongestKey = 2000;

bool IsBase64(std::string_view text) {
    return !text.empty() && text.size() <= kLongestKey &&
           std::all_of(text.begin(), text.end(), [](unsigned char c) {
               return std::isalnum(c) != 0 || c == '+' || c == '/' || c == '=';
           });
}

}  // namespace

std::string HostKeyLine() {
    return fmt::format(
        "for key in /etc/ssh/ssh_host_*_key.pub; do echo \"{} $(cut -d ' ' -f 1,2 \"$key\")\"; "
        "done",
        kHostKeyMark);
}

std::string KnownHostsOf(const Region &region, const std::string &machine) {
    return region.known_hosts + "-" + machine;
}

Result<std::string> KnownHosts(std::string_view said, const std::string &machine) {
    std::string text;
    while (!said.empty()) {
        std::string_view line = core::TakeLine(said);
        if (!line.starts_with(kHostKeyMark)) continue;
        line.remove_prefix(std::min(kHostKeyMark.size() + 1, line.size()));
        if (line.ends_with('\r')) line.remove_suffix(1);
        const std::size_t blank = line.find(' ');
        const std::string_view type = line.substr(0, blank);
        const std::string_view key = blank == line.npos ? "" : line.substr(blank + 1);
        if (std::find(kTypes.begin(), kTypes.end(), type) == kTypes.end() || !IsBase64(key))
            continue;
        text += fmt::format("{} {} {}\n", machine, type, key);
    }
    if (!text.empty()) return text;
    return Fail(ProblemCode::kBadState,
                fmt::format("machine \"{}\" has not told the keys of its ssh", machine),
                "Without them whoever answers at its address could be taken for it.",
                "The same command asks again.");
}

}  // namespace pgaf::azure
