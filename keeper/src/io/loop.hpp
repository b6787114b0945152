#pragma once

#include <uv.h>

#include <functional>
#include <memory>
#include <string>

#include "io/common.hpp"

/// libuv with owners: a handle lives on the heap until libuv lets it go, its owner may die at any
/// time.
namespace pgaf::io {

class Timer {
 public:
    Timer(uv_loop_t *loop, std::function<void()> callback);
    Timer(const Timer &) = delete;
    Timer &operator=(const Timer &) = delete;
    ~Timer();
    /// Fires once after `delay`; a running one is replaced.
    void Once(Milliseconds delay);
    void Every(Milliseconds period);
    void Stop();
    [[nodiscard]] bool IsActive() const;

 private:
    struct Handle;
    Handle *handle_;
};

/// Watches a file descriptor (sockets, pidfds). Destroy it before closing the descriptor.
class Poll {
 public:
    Poll(uv_loop_t *loop, int fd, int events, std::function<void(int status, int events)> callback);
    Poll(const Poll &) = delete;
    Poll &operator=(const Poll &) = delete;
    ~Poll();

 private:
    struct Handle;
    Handle *handle_;
};

class Signal {
 public:
    Signal(uv_loop_t *loop, int number, std::function<void()> callback);
    Signal(const Signal &) = delete;
    Signal &operator=(const Signal &) = delete;
    ~Signal();

 private:
    struct Handle;
    Handle *handle_;
};

/// Runs `work` in a thread of libuv's pool and `done` in the loop after it.
void RunInThread(uv_loop_t *loop, std::function<void()> work, std::function<void()> done);

/// Numeric address of a host; an empty text when there is none. The answer comes through the loop.
void Resolve(uv_loop_t *loop, const std::string &host, std::function<void(std::string)> done);

}  // namespace pgaf::io
