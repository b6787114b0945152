#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/common.hpp"

namespace pgaf::io {

/// A file descriptor that closes itself.
class UniqueFd {
 public:
    UniqueFd() = default;
    explicit UniqueFd(int fd) : fd_(fd) {}
    UniqueFd(UniqueFd &&other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    UniqueFd &operator=(UniqueFd &&other) noexcept {
        Close();
        fd_ = std::exchange(other.fd_, -1);
        return *this;
    }
    UniqueFd(const UniqueFd &) = delete;
    UniqueFd &operator=(const UniqueFd &) = delete;
    ~UniqueFd() { Close(); }
    [[nodiscard]] int Get() const { return fd_; }
    [[nodiscard]] bool IsOpen() const { return fd_ >= 0; }
    void Close();

 private:
    int fd_ = -1;
};

/// "errno" as words, with the subject: `could not open "/x": Permission denied`.
Problem IoProblem(std::string_view doing, std::string_view path);

Result<std::string> ReadFile(const std::string &path);
/// Durable and all or nothing: temporary file, fsync, rename, fsync of the directory. A link stays
/// one: what it leads to is replaced.
Result<void> WriteFile(const std::string &where, std::string_view text, mode_t mode);
/// Creates missing parents too; what exists keeps its mode.
Result<void> MakeDirectories(const std::string &path, mode_t mode);
/// Removes a tree without following links. A missing one is fine.
Result<void> RemoveTree(const std::string &path);
Result<void> RemoveFile(const std::string &path);
Result<void> SyncDirectory(const std::string &path);
/// Moves `from` to `to`; when both exist they change places.
Result<void> MoveInto(const std::string &from, const std::string &to);

/// Durable; `to` must not exist.
Result<void> CopyFile(const std::string &from, const std::string &to);
std::vector<std::string> NamesIn(const std::string &directory);

bool Exists(const std::string &path);
bool IsDirectory(const std::string &path);
bool IsEmptyDirectory(const std::string &path);
/// A directory, no link, of ours, into which nobody else can put anything.
bool IsOwnDirectory(const std::string &path);
/// The kernel says that this process has locked the file with flock.
bool HoldsLock(pid_t pid, const std::string &path);
bool IsWritable(const std::string &path);
/// Absolute and without "..", links resolved as far as the path exists.
std::string AbsolutePath(const std::string &path);
std::string ParentOf(const std::string &path);

/// An exclusive flock; released when it goes. Never inherited by children.
class FileLock {
 public:
    /// None while somebody else holds it.
    static Result<std::optional<FileLock>> Try(const std::string &path);
    [[nodiscard]] int Fd() const { return fd_.Get(); }

 private:
    UniqueFd fd_;
};

}  // namespace pgaf::io
