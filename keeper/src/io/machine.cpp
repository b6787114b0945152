#include "io/machine.hpp"

#include <sched.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <sstream>

#include "io/files.hpp"

namespace pgaf::io {
namespace {

/// None for "max" and for what cannot be read.
std::optional<std::uint64_t> NumberIn(const std::string &path) {
    auto text = ReadFile(path);
    if (!text) return std::nullopt;
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
    if (error != std::errc{} || end == text->data()) return std::nullopt;
    return number;
}

std::uint64_t MemoryTotal(const std::string &root) {
    constexpr std::string_view kKey = "MemTotal:";
    auto text = ReadFile(root + "/proc/meminfo");
    const std::size_t at = text ? text->find(kKey) : std::string::npos;
    if (at == std::string::npos) return 0;
    std::istringstream line(text->substr(at + kKey.size()));
    std::uint64_t kilobytes = 0;
    line >> kilobytes;
    return kilobytes * 1024;
}

/// "/a/b", "/a", "".
template <typename Visit>
void ForEachLevel(std::string path, Visit visit) {
    while (path.ends_with('/'))
        path.pop_back();
    for (;;) {
        visit(path);
        if (path.empty()) return;
        path.erase(path.rfind('/'));
    }
}

void LimitByLevel(const std::string &directory, core::Machine &machine) {
    for (const char *file : {"/memory.max", "/memory.limit_in_bytes"}) {
        if (const auto limit = NumberIn(directory + file); limit && *limit > 0)
            machine.memory_bytes = std::min(machine.memory_bytes, *limit);
    }
    // Version 2: "max 100000" or "quota period".
    if (auto text = ReadFile(directory + "/cpu.max")) {
        std::istringstream line(*text);
        double quota = 0;
        double period = 0;
        if (line >> quota >> period && period > 0)
            machine.cpus = std::min(machine.cpus, std::max(1, static_cast<int>(quota / period)));
    }
    const auto quota = NumberIn(directory + "/cpu.cfs_quota_us");
    const auto period = NumberIn(directory + "/cpu.cfs_period_us");
    if (quota && period && *quota > 0 && *period > 0)
        machine.cpus = std::min(machine.cpus, std::max(1, static_cast<int>(*quota / *period)));
}

/// Lines "number:controllers:path"; without controllers it is version 2.
void LimitByCgroups(const std::string &root, core::Machine &machine) {
    auto text = ReadFile(root + "/proc/self/cgroup");
    if (!text) return;
    std::istringstream lines(*text);
    for (std::string line; std::getline(lines, line);) {
        const std::size_t first = line.find(':');
        const std::size_t second = line.find(':', first + 1);
        if (first == std::string::npos || second == std::string::npos) continue;
        const std::string controllers = line.substr(first + 1, second - first - 1);
        const std::string base =
            root + "/sys/fs/cgroup" + (controllers.empty() ? "" : "/" + controllers);
        ForEachLevel(line.substr(second + 1),
                     [&](const std::string &level) { LimitByLevel(base + level, machine); });
    }
}

}  // namespace

core::Machine ReadMachine(const std::string &disk, const std::string &root) {
    core::Machine machine{.memory_bytes = MemoryTotal(root)};
    cpu_set_t set;
    if (::sched_getaffinity(0, sizeof set, &set) == 0) machine.cpus = CPU_COUNT(&set);
    LimitByCgroups(root, machine);
    struct statvfs file_system {};
    if (::statvfs(disk.c_str(), &file_system) == 0)
        machine.disk_bytes = file_system.f_blocks * file_system.f_frsize;
    return machine;
}

}  // namespace pgaf::io
