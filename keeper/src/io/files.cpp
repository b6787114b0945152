#include "io/files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <linux/fs.h>

namespace pgaf::io {

namespace fs = std::filesystem;

void UniqueFd::Close() {
    if (fd_ >= 0) (void)::close(fd_);  // nothing can be done about a failure
    fd_ = -1;
}

Problem IoProblem(std::string_view doing, std::string_view path) {
    const int error = errno;
    return Problem{ProblemCode::kIo,
                   fmt::format("could not {} \"{}\": {}", doing, path, std::strerror(error)),
                   {},
                   {}};
}

Result<std::string> ReadFile(const std::string &path) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.IsOpen()) return tl::unexpected(IoProblem("open", path));
    std::string text;
    std::array<char, 65536> buffer{};
    constexpr std::size_t kLargest = 64U << 20U;
    while (text.size() < kLargest) {
        const ssize_t got = ::read(fd.Get(), buffer.data(), buffer.size());
        if (got == 0) return text;
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return tl::unexpected(IoProblem("read", path));
        text.append(buffer.data(), static_cast<std::size_t>(got));
    }
    return Fail(ProblemCode::kIo, fmt::format("file \"{}\" is larger than 64 MB", path));
}

namespace {

bool WriteAll(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = ::write(fd, text.data(), text.size());
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return false;
        text.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
}

}  // namespace

namespace {

/// Configuration files may be links into a directory that other tools keep.
std::string ThroughLinks(const std::string &path) {
    std::error_code error;
    if (!fs::is_symlink(path, error)) return path;
    const fs::path target = fs::canonical(path, error);
    return error ? path : target.string();
}

}  // namespace

Result<void> WriteFile(const std::string &where, std::string_view text, mode_t mode) {
    const std::string path = ThroughLinks(where);
    struct stat old {};
    if (path != where && ::stat(path.c_str(), &old) == 0) mode = old.st_mode & 07777U;
    const std::string temporary = path + ".new";
    {
        // What is there is a left-over, or a link of somebody who wants another file overwritten.
        UniqueFd fd;
        for (int tries = 0; tries < 3 && !fd.IsOpen(); ++tries) {
            (void)::unlink(temporary.c_str());
            fd = UniqueFd(::open(temporary.c_str(),
                                 O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
        }
        if (!fd.IsOpen()) return tl::unexpected(IoProblem("create", temporary));
        if (::fchmod(fd.Get(), mode) != 0 || !WriteAll(fd.Get(), text) || ::fsync(fd.Get()) != 0) {
            Problem problem = IoProblem("write", temporary);
            (void)::unlink(temporary.c_str());
            return tl::unexpected(std::move(problem));
        }
    }
    if (::rename(temporary.c_str(), path.c_str()) != 0) {
        return tl::unexpected(IoProblem("replace", path));
    }
    return SyncDirectory(ParentOf(path));
}

Result<void> MakeDirectories(const std::string &path, mode_t mode) {
    if (IsDirectory(path)) return {};
    const std::string parent = ParentOf(path);
    if (parent != path && !IsDirectory(parent)) {
        if (auto made = MakeDirectories(parent, mode); !made) return made;
    }
    if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) {
        return tl::unexpected(IoProblem("create directory", path));
    }
    if (!IsDirectory(path)) {
        return Fail(ProblemCode::kIo, fmt::format("\"{}\" exists and is not a directory", path));
    }
    return {};
}

Result<void> RemoveTree(const std::string &path) {
    std::error_code error;
    fs::remove_all(path, error);
    if (error) {
        return Fail(ProblemCode::kIo,
                    fmt::format("could not remove \"{}\": {}", path, error.message()));
    }
    return {};
}

Result<void> RemoveFile(const std::string &path) {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT)
        return tl::unexpected(IoProblem("remove", path));
    return SyncDirectory(ParentOf(path));
}

Result<void> SyncDirectory(const std::string &path) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd.IsOpen() && errno == ENOENT) return {};
    if (!fd.IsOpen() || ::fsync(fd.Get()) != 0)
        return tl::unexpected(IoProblem("sync directory", path));
    return {};
}

Result<void> MoveInto(const std::string &from, const std::string &to) {
    const unsigned flags = Exists(to) ? RENAME_EXCHANGE : RENAME_NOREPLACE;
    if (::syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags) != 0) {
        return tl::unexpected(IoProblem(fmt::format("move \"{}\" to", from), to));
    }
    return SyncDirectory(ParentOf(to));
}

Result<void> CopyFile(const std::string &from, const std::string &to) {
    std::error_code error;
    fs::copy_file(from, to, error);
    if (error) {
        return Fail(ProblemCode::kIo,
                    fmt::format("could not copy \"{}\" to \"{}\": {}", from, to, error.message()));
    }
    const UniqueFd fd(::open(to.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.IsOpen() || ::fsync(fd.Get()) != 0) return tl::unexpected(IoProblem("sync", to));
    return SyncDirectory(ParentOf(to));
}

std::vector<std::string> NamesIn(const std::string &directory) {
    std::vector<std::string> names;
    std::error_code error;
    for (fs::directory_iterator at(directory, error), end; !error && at != end;
         at.increment(error)) {
        names.push_back(at->path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
}

bool Exists(const std::string &path) {
    struct stat info {};
    return ::lstat(path.c_str(), &info) == 0;
}

bool IsDirectory(const std::string &path) {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

bool IsEmptyDirectory(const std::string &path) {
    std::error_code error;
    return IsDirectory(path) && fs::is_empty(path, error) && !error;
}

bool IsWritable(const std::string &path) { return ::access(path.c_str(), W_OK | X_OK) == 0; }

std::string AbsolutePath(const std::string &path) {
    std::error_code error;
    fs::path absolute = fs::weakly_canonical(fs::absolute(path, error), error);
    if (error) absolute = fs::absolute(path).lexically_normal();
    std::string text = absolute.string();
    while (text.size() > 1 && text.back() == '/')
        text.pop_back();
    return text;
}

std::string ParentOf(const std::string &path) {
    const std::string parent = fs::path(path).parent_path().string();
    return parent.empty() ? "." : parent;
}

bool IsOwnDirectory(const std::string &path) {
    struct stat status {};
    return ::lstat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode) &&
           status.st_uid == ::geteuid() && (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

bool HoldsLock(pid_t pid, const std::string &path) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) return false;
    auto locks = ReadFile("/proc/locks");
    if (!locks) return false;
    // "1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF"; the device is not compared: file systems
    // such as btrfs show another one than stat does.
    const std::string wanted = fmt::format(" WRITE {} ", pid);
    const std::string inode = fmt::format(":{} 0 EOF", status.st_ino);
    for (std::string_view rest = *locks; !rest.empty();) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        const std::string_view line = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        if (line.find("FLOCK") != line.npos && line.find(wanted) != line.npos &&
            line.find(inode) != line.npos)
            return true;
    }
    return false;
}

Result<std::optional<FileLock>> FileLock::Try(const std::string &path) {
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd.IsOpen()) return tl::unexpected(IoProblem("open", path));
    if (::flock(fd.Get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) return std::optional<FileLock>{};
        return tl::unexpected(IoProblem("lock", path));
    }
    FileLock lock;
    lock.fd_ = std::move(fd);
    return std::optional<FileLock>(std::move(lock));
}

}  // namespace pgaf::io
