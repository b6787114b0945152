#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "worker/ports.hpp"

/// Files of the node directory and of PGDATA. No PostgreSQL in here: nothing can jump.
namespace pgaf::keeper {

core::Result<std::string> ReadFile(const std::string &path);
/// Replaces the file so that a crash leaves the old text or the new one: temporary file, fsync,
/// rename, fsync of the directory. An existing file keeps its mode; a new one gets 0600.
core::Result<void> WriteFileAtomic(const std::string &path, std::string_view text);
bool FileExists(const std::string &path);
/// Changes whenever the file is replaced or written; 0 without the file.
std::int64_t FileStamp(const std::string &path);

class DiskFiles final : public worker::Files {
 public:
    core::Result<std::string> Read(const std::string &path) override { return ReadFile(path); }
    core::Result<void> WriteAtomic(const std::string &path, std::string_view text) override {
        return WriteFileAtomic(path, text);
    }
    [[nodiscard]] bool Exists(const std::string &path) override { return FileExists(path); }
    [[nodiscard]] std::int64_t Stamp(const std::string &path) override { return FileStamp(path); }
};

/// The flock that says who is the keeper. Held until the process ends.
class FlockBaton final : public worker::Baton {
 public:
    explicit FlockBaton(std::string path) : path_(std::move(path)) {}
    ~FlockBaton() override;
    FlockBaton(const FlockBaton &) = delete;
    FlockBaton &operator=(const FlockBaton &) = delete;
    bool TryTake() override;
    std::int64_t Instance() override;

 private:
    std::string path_;
    int fd_ = -1;
    bool held_ = false;
    std::int64_t instance_ = 0;
};

/// Memory-mapped sign of life; a beat costs no system call.
class MappedHeartbeat final : public worker::Heartbeat {
 public:
    explicit MappedHeartbeat(std::string path) : path_(std::move(path)) {}
    ~MappedHeartbeat() override;
    MappedHeartbeat(const MappedHeartbeat &) = delete;
    MappedHeartbeat &operator=(const MappedHeartbeat &) = delete;
    void Beat(core::BootTime now) override;
    void NoteStream(core::BootTime since, core::Lsn lsn, int timeline) override;
    void NoteStatus(const core::NodeStatus &status) override;
    /// Of the status that was noted last; without one nothing is shown.
    void NoteGate(worker::Fence fence, core::BootTime deadline);

 private:
    void Write(std::uint64_t final_sequence);
    /// Layout shared with the supervisor: keeper/src/node/heartbeat.hpp.
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
    core::StatusPage status_{};  ///< as it was written last
    std::uint64_t server_start_ = 0;
};

}  // namespace pgaf::keeper
