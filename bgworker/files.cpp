#include "files.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <system_error>

#include "pgaf/core/intake.hpp"

namespace pgaf::keeper {
namespace {

constexpr std::size_t kPageBytes = 4096;
constexpr std::size_t kFileBytesMax = 4 * 1024 * 1024;

tl::unexpected<core::Problem> FailErrno(std::string_view doing, const std::string &path) {
    const int code = errno;
    return core::Fail(core::ProblemCode::kIo, "could not " + std::string(doing) + " file \"" +
                                                  path +
                                                  "\": " + std::generic_category().message(code));
}

class Descriptor {
 public:
    explicit Descriptor(int fd) : fd_(fd) {}
    ~Descriptor() {
        if (fd_ >= 0) (void)::close(fd_);
    }
    Descriptor(const Descriptor &) = delete;
    Descriptor &operator=(const Descriptor &) = delete;
    [[nodiscard]] int get() const { return fd_; }

 private:
    int fd_;
};

bool WriteAll(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = ::write(fd, text.data(), text.size());
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return false;
        text.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
}

/// In clock ticks since the boot; 0 when it cannot be read. Source: proc(5), /proc/pid/stat.
std::uint64_t StartOfProcess(int pid) {
    constexpr int kFieldsAfterName = 20;  // from the state on, the start time is the 20th
    const auto text = ReadFile("/proc/" + std::to_string(pid) + "/stat");
    const std::size_t name_end = text ? text->rfind(')') : std::string::npos;
    if (name_end == std::string::npos) return 0;
    std::istringstream fields(text->substr(name_end + 1));
    std::string field;
    for (int i = 0; i < kFieldsAfterName; ++i)
        fields >> field;
    return std::strtoull(field.c_str(), nullptr, 10);
}

core::Result<void> SyncDirectoryOf(const std::string &path) {
    const std::string directory = path.substr(0, path.find_last_of('/'));
    const Descriptor fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd.get() < 0 || ::fsync(fd.get()) != 0) return FailErrno("sync", directory);
    return {};
}

}  // namespace

core::Result<std::string> ReadFile(const std::string &path) {
    const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (fd.get() < 0) return FailErrno("open", path);
    std::string text;
    char buffer[8192];
    while (text.size() < kFileBytesMax) {
        const ssize_t got = ::read(fd.get(), buffer, sizeof buffer);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return FailErrno("read", path);
        if (got == 0) return text;
        text.append(buffer, static_cast<std::size_t>(got));
    }
    return core::Fail(core::ProblemCode::kCorrupt, "file \"" + path + "\" is too large");
}

core::Result<void> WriteFileAtomic(const std::string &path, std::string_view text) {
    struct stat existing {};
    const mode_t mode = ::stat(path.c_str(), &existing) == 0 ? existing.st_mode & 07777 : 0600;
    const std::string temporary = path + ".keeper.tmp";
    {
        const Descriptor fd(
            ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode));
        if (fd.get() < 0) return FailErrno("create", temporary);
        if (::fchmod(fd.get(), mode) != 0) return FailErrno("set the mode of", temporary);
        if (!WriteAll(fd.get(), text)) return FailErrno("write", temporary);
        if (::fsync(fd.get()) != 0) return FailErrno("sync", temporary);
    }
    if (::rename(temporary.c_str(), path.c_str()) != 0) return FailErrno("replace", path);
    return SyncDirectoryOf(path);
}

bool FileExists(const std::string &path) { return ::access(path.c_str(), F_OK) == 0; }

std::int64_t FileStamp(const std::string &path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) return 0;
    return static_cast<std::int64_t>(info.st_mtim.tv_sec) * 1'000'000'000 + info.st_mtim.tv_nsec +
           static_cast<std::int64_t>(info.st_ino);
}

FlockBaton::~FlockBaton() {
    if (fd_ >= 0) (void)::close(fd_);
}

bool FlockBaton::TryTake() {
    if (held_) return true;
    if (fd_ < 0) fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd_ < 0) return false;
    held_ = ::flock(fd_, LOCK_EX | LOCK_NB) == 0;
    return held_;
}

std::int64_t FlockBaton::Instance() {
    struct stat info {};
    if (instance_ != 0 || fd_ < 0 || ::fstat(fd_, &info) != 0) return instance_;
    const auto boot = ReadFile("/proc/sys/kernel/random/boot_id");
    if (boot) instance_ = core::InstanceOf(*boot, info.st_dev, info.st_ino);
    return instance_;
}

MappedHeartbeat::~MappedHeartbeat() {
    if (page_ == nullptr) return;
    // Nobody keeps it true any more. The next worker writes it anew.
    NoteGate(worker::Fence::kClosed, {});
    (void)::munmap(page_, kPageBytes);
}

bool MappedHeartbeat::Map() {
    const Descriptor fd(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (fd.get() < 0 || ::ftruncate(fd.get(), kPageBytes) != 0) return false;
    void *const raw = ::mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    if (raw == MAP_FAILED) return false;
    page_ = static_cast<Page *>(raw);
    server_start_ = StartOfProcess(::getppid());
    return true;
}

void MappedHeartbeat::Beat(core::BootTime now) {
    if (page_ == nullptr && !Map()) return;
    page_->pid = static_cast<std::uint32_t>(::getpid());
    __atomic_store_n(&page_->boottime_ns, now.ns, __ATOMIC_RELEASE);
}

void MappedHeartbeat::NoteStream(core::BootTime since, core::Lsn lsn, int timeline) {
    if (page_ == nullptr) return;
    page_->lsn = lsn.value;
    page_->timeline = static_cast<std::uint32_t>(timeline);
    __atomic_store_n(&page_->no_stream_since_ns, since.ns, __ATOMIC_RELEASE);
}

void MappedHeartbeat::NoteStatus(const core::NodeStatus &status) {
    if (page_ == nullptr) return;
    status_.status = status;
    status_.status.postmaster_pid = ::getppid();
    status_.status.postmaster_start = server_start_;
    Write(status_.sequence + 2);
}

void MappedHeartbeat::NoteGate(worker::Fence fence, core::BootTime deadline) {
    if (page_ == nullptr || status_.sequence == 0) return;
    status_.status.fence = static_cast<std::uint32_t>(fence);
    status_.status.deadline = deadline;
    Write(status_.sequence + 2);
}

/// A sequence lock with one writer: odd while the rest changes.
void MappedHeartbeat::Write(std::uint64_t final_sequence) {
    auto *const shared =
        reinterpret_cast<core::StatusPage *>(reinterpret_cast<char *>(page_) + core::kStatusOffset);
    status_.sequence = final_sequence;
    status_.checksum = core::ChecksumOf(status_);
    __atomic_store_n(&shared->sequence, final_sequence - 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    std::memcpy(&shared->checksum, &status_.checksum,
                sizeof(core::StatusPage) - offsetof(core::StatusPage, checksum));
    __atomic_store_n(&shared->sequence, final_sequence, __ATOMIC_RELEASE);
}

}  // namespace pgaf::keeper
