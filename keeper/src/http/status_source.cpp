#include "http/status_source.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstring>

namespace pgaf::http {
namespace {

/// The worker writes for less than a microsecond; one that was stopped in the middle stays there.
constexpr int kReadsMost = 5;

}  // namespace

ProcessLine ParseProcessLine(std::string_view text) {
    constexpr int kStartField = 20;  // the state is field 1
    ProcessLine line;
    const std::size_t name_end = text.rfind(')');
    if (name_end == std::string_view::npos || name_end + 2 >= text.size()) return line;
    text.remove_prefix(name_end + 2);
    line.state = text.front();
    for (int field = 1; field < kStartField; ++field) {
        const std::size_t blank = text.find(' ');
        if (blank == std::string_view::npos) return line;
        text.remove_prefix(blank + 1);
    }
    (void)std::from_chars(text.data(), text.data() + text.size(), line.start);
    return line;
}

/// The supervisor removes the file when the server has ended, and the next worker makes its own.
bool StatusSource::Open() {
    struct stat info {};
    if (page_.IsOpen() && ::fstat(page_.Get(), &info) == 0 && info.st_nlink > 0) return true;
    // Without a time of access: to note it may have to wait for the disk.
    page_ = io::UniqueFd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOATIME));
    return page_.IsOpen();
}

std::optional<core::NodeStatus> StatusSource::ReadPage() {
    if (!Open()) return std::nullopt;
    for (int i = 0; i < kReadsMost; ++i) {
        core::StatusPage page;
        const ssize_t got = ::pread(page_.Get(), static_cast<void *>(&page), sizeof page,
                                    static_cast<off_t>(core::kStatusOffset));
        if (got != static_cast<ssize_t>(sizeof page)) return std::nullopt;
        if (auto status = core::StatusOf(page)) return status;
    }
    return std::nullopt;
}

view::ServerProcess StatusSource::LookAt(const core::NodeStatus &status) {
    if (pid_ != status.postmaster_pid || start_ != status.postmaster_start || !process_.IsOpen()) {
        const std::string path = "/proc/" + std::to_string(status.postmaster_pid) + "/stat";
        process_ = io::UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
        pid_ = status.postmaster_pid;
        start_ = status.postmaster_start;
    }
    std::array<char, 512> text{};
    const ssize_t got =
        process_.IsOpen() ? ::pread(process_.Get(), text.data(), text.size(), 0) : -1;
    if (got <= 0) {
        process_.Close();
        return view::ServerProcess::kGone;
    }
    const ProcessLine line = ParseProcessLine({text.data(), static_cast<std::size_t>(got)});
    if (line.start != start_) return view::ServerProcess::kGone;
    if (line.state == 'T' || line.state == 't') return view::ServerProcess::kFrozen;
    const bool is_gone = line.state == 'Z' || line.state == 'X' || line.state == '?';
    return is_gone ? view::ServerProcess::kGone : view::ServerProcess::kRuns;
}

void StatusSource::Read(view::LocalView &local) {
    local.status = ReadPage();
    // Without the page nobody knows which process it is.
    local.server = local.status ? LookAt(*local.status) : view::ServerProcess::kGone;
}

}  // namespace pgaf::http
