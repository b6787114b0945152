#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "io/loop.hpp"
#include "io/pg_client.hpp"
#include "supervisor/ports.hpp"

namespace pgaf::node {

/// The keeper's session with the monitor, in the event loop: never blocks. It connects when there
/// is something to report, every wait has a limit, and after a failure it tries again after a
/// growing pause.
class MonitorLink final : public supervisor::Link {
 public:
    struct Events {
        /// `tag` is that of the report which was answered.
        std::function<void(const core::Reply &reply, int tag)> on_reply;
        std::function<void()> on_notify;
        std::function<void(const Problem &problem)> on_problem;
        /// The numeric address that the monitor's name stands for now.
        std::function<void(const std::string &hostaddr)> on_resolved;
    };
    MonitorLink(uv_loop_t *loop, std::string monitor, std::string node_name, Events events);

    void Send(core::Report report, int tag) override;
    [[nodiscard]] int SentTag() const override { return sent_tag_; }
    void Close() override;
    void SetMonitor(std::string monitor) override;

 private:
    enum class Phase { kClosed, kResolving, kConnecting, kIdle, kBusy, kListening };
    void Advance();
    void StartResolve();
    void StartConnect(const std::string &hostaddr);
    void PollConnect();
    void Watch(int events);
    void OnReadable();
    void TakeResults();
    void HandleResult(PGresult *result);
    void TakeNotifications();
    void SendNext();
    void Fail(const std::string &message);
    void Drop();

    uv_loop_t *loop_;
    std::string monitor_;
    std::string node_name_;
    Events events_;
    Phase phase_ = Phase::kClosed;
    io::PgConn connection_;
    std::unique_ptr<io::Poll> poll_;
    io::Timer limit_;
    io::Timer retry_;
    Milliseconds pause_{100};
    struct Item {
        core::Report report;
        int tag = 0;
    };
    std::optional<Item> pending_;
    int sent_tag_ = -1;
    std::string wanted_channel_;
    std::string channel_;
    bool is_sick_ = false;
    int resolve_round_ = 0;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace pgaf::node
