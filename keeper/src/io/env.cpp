#include "io/env.hpp"

#include <pwd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <vector>

extern char **environ;

namespace pgaf::io {

std::optional<std::string> Env(const char *name) {
    const char *value = std::getenv(name);
    if (value == nullptr || *value == '\0') return std::nullopt;
    return std::string(value);
}

std::string EnvOr(const char *name, std::string_view otherwise) {
    return Env(name).value_or(std::string(otherwise));
}

bool IsSecretVariable(std::string_view name) {
    return name == "PG_AUTOCTL_MONITOR" ||
           (name.starts_with("PG_AUTOCTL_") && name.ends_with("PASSWORD"));
}

void ForgetSecretVariables() {
    std::vector<std::string> names;
    for (char **entry = environ; *entry != nullptr; ++entry) {
        const std::string_view text(*entry);
        const std::size_t equals = text.find('=');
        if (equals == text.npos || !IsSecretVariable(text.substr(0, equals))) continue;
        names.emplace_back(text.substr(0, equals));
        std::memset(*entry + equals + 1, '*', text.size() - equals - 1);
    }
    for (const std::string &name : names)
        (void)::unsetenv(name.c_str());
}

void HideMemory() {
    if (EnvOr("PG_AUTOCTL_CORE_FILES", "0") != "1") (void)::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

std::string OsUser() {
    const passwd *entry = getpwuid(geteuid());
    return entry != nullptr ? entry->pw_name : std::to_string(geteuid());
}

std::string HomeDirectory() {
    if (auto home = Env("HOME")) return *home;
    const passwd *entry = getpwuid(geteuid());
    return entry != nullptr ? entry->pw_dir : "/";
}

std::string LocalHostname() {
    std::array<char, HOST_NAME_MAX + 1> name{};
    if (gethostname(name.data(), name.size() - 1) != 0) return "localhost";
    return name.data();
}

std::string ProgramPath() {
    std::array<char, PATH_MAX> path{};
    const ssize_t length = readlink("/proc/self/exe", path.data(), path.size() - 1);
    return length > 0 ? std::string(path.data(), static_cast<std::size_t>(length)) : "pg_autoctl";
}

core::BootTime BootNow() {
    timespec now{};
    (void)clock_gettime(CLOCK_BOOTTIME, &now);  // cannot fail on Linux
    return {static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec};
}

}  // namespace pgaf::io
