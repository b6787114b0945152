#include "io/data_directory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>

#include "io/files.hpp"
#include "io/postgres.hpp"
#include "pgaf/core/wal_files.hpp"

namespace pgaf::io {
namespace {

namespace fs = std::filesystem;

/// Where a link leads, absolute; empty when `path` is none.
std::string TargetOf(const std::string &path) {
    std::error_code error;
    const fs::path target = fs::read_symlink(path, error);
    if (error) return "";
    return target.is_absolute() ? target.string() : (fs::path(ParentOf(path)) / target).string();
}

std::uint64_t SizeOfTree(const std::string &path) {
    std::uint64_t bytes = 0;
    std::error_code error;
    fs::recursive_directory_iterator at(path, fs::directory_options::skip_permission_denied, error);
    for (const fs::recursive_directory_iterator end; !error && at != end; at.increment(error)) {
        struct stat info {};
        if (::lstat(at->path().c_str(), &info) == 0)
            bytes += static_cast<std::uint64_t>(info.st_blocks) * 512;
    }
    return bytes;
}

}  // namespace

Result<void> EmptyTablespace(const std::string &tablespace, int pg_major) {
    const std::string prefix = fmt::format("PG_{}_", pg_major);
    for (const std::string &name : NamesIn(tablespace)) {
        if (!name.starts_with(prefix)) continue;
        if (auto removed = RemoveTree(tablespace + "/" + name); !removed) return removed;
    }
    return {};
}

// A bind mount, such as a container's volume, may be of the same device as its parent.
bool IsMountPoint(const std::string &path) {
    struct statx info {};
    if (::statx(AT_FDCWD, path.c_str(), 0, STATX_TYPE | STATX_INO, &info) != 0) return false;
    if (!S_ISDIR(info.stx_mode)) return false;
    if ((info.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0)
        return (info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
    struct stat here {};  // Linux before 5.8
    struct stat above {};
    if (::stat(path.c_str(), &here) != 0 || ::stat((path + "/..").c_str(), &above) != 0)
        return false;
    return here.st_dev != above.st_dev;
}

bool IsFixedDirectory(const std::string &path) {
    return IsDirectory(path) && (IsMountPoint(path) || !IsWritable(ParentOf(path)));
}

DataLayout LayoutOf(const std::string &pgdata) {
    DataLayout layout{.is_mount_point = IsMountPoint(pgdata),
                      .wal_directory = TargetOf(pgdata + "/pg_wal"),
                      .tablespaces = {}};
    for (const std::string &name : NamesIn(pgdata + "/pg_tblspc")) {
        const std::string target = TargetOf(fmt::format("{}/pg_tblspc/{}", pgdata, name));
        if (!target.empty()) layout.tablespaces.push_back(target);
    }
    return layout;
}

std::uint64_t SizeOfData(const std::string &pgdata) {
    const DataLayout layout = LayoutOf(pgdata);
    std::uint64_t bytes = SizeOfTree(pgdata);
    if (!layout.wal_directory.empty()) bytes += SizeOfTree(layout.wal_directory);
    for (const std::string &tablespace : layout.tablespaces)
        bytes += SizeOfTree(tablespace);
    return bytes;
}

std::string HumanSize(std::uint64_t bytes) {
    constexpr std::array<const char *, 5> kUnits{"bytes", "kB", "MB", "GB", "TB"};
    std::size_t unit = 0;
    while (bytes >= 10'240 && unit + 1 < kUnits.size()) {
        bytes /= 1024;
        ++unit;
    }
    return fmt::format("{} {}", bytes, kUnits.at(unit));
}

std::uint64_t FreeBytes(const std::string &path) {
    struct statvfs disk {};
    if (::statvfs(path.c_str(), &disk) != 0) return 0;
    return static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize;
}

Result<void> EmptyDirectory(const std::string &directory, std::string_view except) {
    for (const std::string &name : NamesIn(directory)) {
        if (!except.empty() && name == except) continue;
        const std::string path = directory + "/" + name;
        struct stat info {};
        const bool is_directory = ::lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
        if (is_directory && IsMountPoint(path)) {
            if (auto emptied = EmptyDirectory(path); !emptied) return emptied;
            continue;
        }
        if (auto removed = RemoveTree(path); !removed) return removed;
    }
    return SyncDirectory(directory);
}

Result<void> EmptyData(const std::string &pgdata, const DataLayout &layout, int pg_major) {
    for (const std::string &tablespace : layout.tablespaces) {
        if (auto emptied = EmptyTablespace(tablespace, pg_major); !emptied) return emptied;
    }
    if (!layout.wal_directory.empty() && IsDirectory(layout.wal_directory)) {
        if (auto emptied = EmptyDirectory(layout.wal_directory); !emptied) return emptied;
    }
    return EmptyDirectory(pgdata);
}

Result<void> RemoveData(const std::string &pgdata) {
    if (!IsDirectory(pgdata)) return RemoveTree(pgdata);
    auto emptied = EmptyData(pgdata, LayoutOf(pgdata), MajorVersionOf(pgdata));
    if (!emptied) return emptied;
    if (IsMountPoint(pgdata) || !IsWritable(ParentOf(pgdata))) return {};
    return RemoveTree(pgdata);
}

Result<std::vector<std::string>> MendCutWal(const std::string &pgdata,
                                            std::uint64_t segment_bytes) {
    std::vector<std::string> mended;
    const std::string directory = pgdata + "/pg_wal";
    for (const std::string &name : NamesIn(directory)) {
        if (segment_bytes == 0 || !core::ParseWalFile(name, segment_bytes)) continue;
        const std::string path = directory + "/" + name;
        struct stat info {};
        if (::stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
        if (static_cast<std::uint64_t>(info.st_size) >= segment_bytes) continue;
        const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
        const bool is_done = fd.IsOpen() &&
                             ::ftruncate(fd.Get(), static_cast<off_t>(segment_bytes)) == 0 &&
                             ::fsync(fd.Get()) == 0;
        if (!is_done) return tl::unexpected(IoProblem("mend", path));
        mended.push_back(name);
    }
    return mended;
}

}  // namespace pgaf::io
