#include "io/env.hpp"

#include <pwd.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <cstdlib>
#include <ctime>

namespace pgaf::io {

std::optional<std::string> Env(const char *name) {
    const char *value = std::getenv(name);
    if (value == nullptr || *value == '\0') return std::nullopt;
    return std::string(value);
}

std::string EnvOr(const char *name, std::string_view otherwise) {
    return Env(name).value_or(std::string(otherwise));
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
