#pragma once

#include <csignal>
#include <functional>
#include <thread>

namespace pgaf::http {

/// A thread that gets no signals: they are for the supervisor's loop.
inline std::thread QuietThread(std::function<void()> work) {
    sigset_t all;
    sigset_t before;
    (void)::sigfillset(&all);
    (void)::pthread_sigmask(SIG_SETMASK, &all, &before);
    std::thread thread(std::move(work));
    (void)::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return thread;
}

}  // namespace pgaf::http
