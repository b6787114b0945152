#pragma once

#include <sys/types.h>

#include <atomic>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "io/common.hpp"
#include "io/files.hpp"

namespace pgaf::io {

/// Ends a running command from another thread.
class Cancel {
 public:
    Cancel();
    void Request();
    [[nodiscard]] bool IsRequested() const { return requested_.load(); }
    [[nodiscard]] int Fd() const { return event_.Get(); }

 private:
    std::atomic<bool> requested_ = false;
    UniqueFd event_;
};

struct Command {
    std::vector<std::string> argv{};
    /// Added to our environment; no secrets, which its owner and root could read all the while.
    std::vector<std::pair<std::string, std::string>> env{};
    std::string input{};
    /// Each line of stderr as it comes.
    std::function<void(std::string_view)> on_line{};
    Milliseconds timeout{0};  ///< 0: none
    Cancel *cancel = nullptr;
};

struct Outcome {
    int status = -1;  ///< exit status, or 128 + signal
    std::string out;
    std::string err;
};

/// Runs a program to its end. It is killed, with its process group, at the timeout, on cancel, and
/// when we die. A non-zero status is an Outcome; not being able to run it, a timeout and a cancel
/// are Problems.
Result<Outcome> Run(const Command &command);

/// As Run, and a non-zero status is a Problem with the last lines of stderr as its detail.
Result<std::string> RunChecked(const Command &command);

/// Starts a program in its own session that outlives us.
Result<pid_t> Spawn(const std::vector<std::string> &argv);

/// Opens a pidfd; not open when the process is gone.
UniqueFd OpenPidFd(pid_t pid);
/// False with errno when it could not.
bool SendSignal(const UniqueFd &pidfd, int number);
/// Waits until the process behind `pidfd` has ended.
bool AwaitEnd(const UniqueFd &pidfd, Milliseconds limit);
/// True for a process that exists and is not a zombie.
bool IsAlive(pid_t pid);
/// A process's name and parent; pid 0 when there is none.
struct ProcessInfo {
    pid_t pid = 0;
    pid_t parent = 0;
    char state = '?';
    std::string comm;
};
ProcessInfo InspectProcess(pid_t pid);
/// Reaps PostgreSQL processes that became our children when their parent died. Not while a step
/// runs: its processes are waited for by their own thread.
void ReapOrphans();

}  // namespace pgaf::io
