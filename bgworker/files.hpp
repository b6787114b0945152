#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "pgaf/core/result.hpp"
#include "pgaf/core/types.hpp"

/// Files of the node directory and of PGDATA. No PostgreSQL in here: nothing can jump.
namespace pgaf::keeper {

core::Result<std::string> ReadFile(const std::string &path);
/// Replaces the file so that a crash leaves the old text or the new one: temporary file, fsync,
/// rename, fsync of the directory. An existing file keeps its mode; a new one gets 0600.
core::Result<void> WriteFileAtomic(const std::string &path, std::string_view text);
bool FileExists(const std::string &path);
/// Changes whenever the file is replaced or written; 0 without the file.
std::int64_t FileStamp(const std::string &path);

/// The flock that says who is the keeper. Held until the process ends.
class Baton {
 public:
    explicit Baton(std::string path) : path_(std::move(path)) {}
    ~Baton();
    Baton(const Baton &) = delete;
    Baton &operator=(const Baton &) = delete;
    /// True when it is held, now or before.
    bool TryTake();
    [[nodiscard]] bool IsHeld() const { return held_; }

 private:
    std::string path_;
    int fd_ = -1;
    bool held_ = false;
};

/// Memory-mapped sign of life; a beat costs no system call.
class Heartbeat {
 public:
    explicit Heartbeat(std::string path) : path_(std::move(path)) {}
    ~Heartbeat();
    Heartbeat(const Heartbeat &) = delete;
    Heartbeat &operator=(const Heartbeat &) = delete;
    void Beat(core::BootTime now);
    /// A standby that should stream and has not since `since` (0: all is well), and where its WAL
    /// ends.
    void NoteStream(core::BootTime since, core::Lsn lsn, int timeline);

 private:
    /// Layout shared with the supervisor: keeper/src/io/heartbeat.hpp.
    struct Page {
        std::uint32_t pid;
        std::uint32_t timeline;
        std::int64_t boottime_ns;
        std::int64_t no_stream_since_ns;
        std::uint64_t lsn;
    };
    bool Map();
    std::string path_;
    Page *page_ = nullptr;
};

}  // namespace pgaf::keeper
