#include "io/loop.hpp"

#include <netdb.h>
#include <sys/socket.h>

#include <array>
#include <stdexcept>

namespace pgaf::io {
namespace {

// A callback may destroy its owner; it runs from a copy so that its captures survive that.
template <typename Handle, typename... Args>
void Call(Handle *handle, Args... args) {
    const auto callback = handle->callback;
    if (callback) callback(args...);
}

template <typename Handle>
void CloseHandle(Handle *handle) {
    handle->callback = nullptr;
    uv_close(reinterpret_cast<uv_handle_t *>(&handle->uv),
             [](uv_handle_t *uv) { delete static_cast<Handle *>(uv->data); });
}

void Must(int status, const char *what) {
    if (status < 0) throw std::runtime_error(std::string(what) + ": " + uv_strerror(status));
}

}  // namespace

struct Timer::Handle {
    uv_timer_t uv{};
    std::function<void()> callback;
};

Timer::Timer(uv_loop_t *loop, std::function<void()> callback) : handle_(new Handle) {
    handle_->callback = std::move(callback);
    handle_->uv.data = handle_;
    Must(uv_timer_init(loop, &handle_->uv), "timer");
}

Timer::~Timer() { CloseHandle(handle_); }

namespace {
template <typename Handle>
void OnTimer(uv_timer_t *uv) {
    Call(static_cast<Handle *>(uv->data));
}
}  // namespace

void Timer::Once(Milliseconds delay) {
    uv_update_time(handle_->uv.loop);
    Must(
        uv_timer_start(&handle_->uv, OnTimer<Handle>, static_cast<std::uint64_t>(delay.count()), 0),
        "timer");
}

void Timer::Every(Milliseconds period) {
    const auto ms = static_cast<std::uint64_t>(period.count());
    Must(uv_timer_start(&handle_->uv, OnTimer<Handle>, ms, ms), "timer");
}

void Timer::Stop() { (void)uv_timer_stop(&handle_->uv); }

bool Timer::IsActive() const {
    return uv_is_active(reinterpret_cast<uv_handle_t *>(&handle_->uv)) != 0;
}

struct Poll::Handle {
    uv_poll_t uv{};
    std::function<void(int, int)> callback;
};

Poll::Poll(uv_loop_t *loop, int fd, int events, std::function<void(int, int)> callback)
    : handle_(new Handle) {
    handle_->callback = std::move(callback);
    handle_->uv.data = handle_;
    Must(uv_poll_init(loop, &handle_->uv, fd), "poll");
    const auto on_event = [](uv_poll_t *uv, int status, int ready) {
        Call(static_cast<Handle *>(uv->data), status, ready);
    };
    Must(uv_poll_start(&handle_->uv, events, on_event), "poll");
}

Poll::~Poll() { CloseHandle(handle_); }

struct Signal::Handle {
    uv_signal_t uv{};
    std::function<void()> callback;
};

Signal::Signal(uv_loop_t *loop, int number, std::function<void()> callback) : handle_(new Handle) {
    handle_->callback = std::move(callback);
    handle_->uv.data = handle_;
    Must(uv_signal_init(loop, &handle_->uv), "signal");
    const auto on_signal = [](uv_signal_t *uv, int) { Call(static_cast<Handle *>(uv->data)); };
    Must(uv_signal_start(&handle_->uv, on_signal, number), "signal");
}

Signal::~Signal() { CloseHandle(handle_); }

void RunInThread(uv_loop_t *loop, std::function<void()> work, std::function<void()> done) {
    struct Job {
        uv_work_t uv{};
        std::function<void()> work, done;
    };
    auto *job = new Job{{}, std::move(work), std::move(done)};
    job->uv.data = job;
    const int status = uv_queue_work(
        loop, &job->uv, [](uv_work_t *uv) { static_cast<Job *>(uv->data)->work(); },
        [](uv_work_t *uv, int) {
            const std::unique_ptr<Job> finished(static_cast<Job *>(uv->data));
            finished->done();
        });
    Must(status, "work queue");
}

void Resolve(uv_loop_t *loop, const std::string &host, std::function<void(std::string)> done) {
    struct Request {
        uv_getaddrinfo_t uv{};
        std::function<void(std::string)> done;
    };
    auto *request = new Request{{}, std::move(done)};
    request->uv.data = request;
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    const auto on_answer = [](uv_getaddrinfo_t *uv, int status, addrinfo *found) {
        const std::unique_ptr<Request> finished(static_cast<Request *>(uv->data));
        std::array<char, NI_MAXHOST> text{};
        if (status == 0 && found != nullptr &&
            getnameinfo(found->ai_addr, found->ai_addrlen, text.data(), text.size(), nullptr, 0,
                        NI_NUMERICHOST) != 0) {
            text[0] = '\0';
        }
        uv_freeaddrinfo(found);
        finished->done(text.data());
    };
    Must(uv_getaddrinfo(loop, &request->uv, on_answer, host.c_str(), nullptr, &hints),
         "name resolution");
}

}  // namespace pgaf::io
