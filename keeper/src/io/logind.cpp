#include "io/logind.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <optional>

#include "io/files.hpp"

namespace pgaf::io {
namespace {

constexpr uid_t kFirstOrdinaryUser = 1000;
constexpr uid_t kNobody = 65534;

std::string Plain(std::string_view text) {
    std::string plain;
    for (const char c : text) {
        if (c != ' ' && c != '\t' && c != '\r')
            plain += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    return plain;
}

/// The last RemoveIPC of a file.
std::optional<bool> SettingIn(const std::string &path) {
    auto text = ReadFile(path);
    if (!text) return std::nullopt;
    std::optional<bool> found;
    std::string_view rest = *text;
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        const std::string line = Plain(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
        constexpr std::string_view kKey = "removeipc=";
        if (!line.starts_with(kKey)) continue;
        const std::string value = line.substr(kKey.size());
        static constexpr std::array<std::string_view, 6> kNo{"no", "n", "false", "f", "0", "off"};
        found = std::find(kNo.begin(), kNo.end(), value) == kNo.end();
    }
    return found;
}

}  // namespace

bool RemovesSharedMemory(const std::string &root, const std::string &user, uid_t uid) {
    if (uid < kFirstOrdinaryUser || uid == kNobody) return false;
    if (!Exists(root + "/run/systemd/system")) return false;  // another init
    if (Exists(root + "/var/lib/systemd/linger/" + user)) return false;
    bool removes = SettingIn(root + "/etc/systemd/logind.conf").value_or(true);
    // By name, whatever the directory; of two of the same name the one of the administrator counts.
    std::map<std::string, std::string> files;
    for (const char *directory : {"/usr/lib/systemd/logind.conf.d", "/run/systemd/logind.conf.d",
                                  "/etc/systemd/logind.conf.d"}) {
        std::error_code error;
        for (const auto &entry : std::filesystem::directory_iterator(root + directory, error)) {
            if (entry.path().extension() == ".conf")
                files[entry.path().filename().string()] = entry.path().string();
        }
    }
    for (const auto &[name, path] : files)
        removes = SettingIn(path).value_or(removes);
    return removes;
}

}  // namespace pgaf::io
