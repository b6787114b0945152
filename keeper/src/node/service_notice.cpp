#include "node/service_notice.hpp"

#include "pgaf/core/names.hpp"

namespace pgaf::node {
namespace {

constexpr Milliseconds kLookPeriod{1000};

}  // namespace

void ServiceNotice::OnTurn(core::BootTime now, supervisor::ServerLoop &machine) {
    if (!manager_.IsThere()) return;
    // A third of the limit: two may be lost.
    const Milliseconds limit = manager_.WatchdogLimit();
    if (limit.count() > 0 && now >= next_sign_ && manager_.Tell("WATCHDOG=1"))
        next_sign_ = now + limit / 3;
    if (machine.IsStopping()) OnEnd();
    if (now < next_look_) return;
    next_look_ = now + kLookPeriod;
    TellStatus(machine.Describe());
}

void ServiceNotice::TellStatus(const supervisor::Condition &condition) {
    if (condition.is_serving && !is_ready_said_ && !is_stop_said_)
        is_ready_said_ = manager_.Tell("READY=1");
    if (condition.text == said_) return;
    if (manager_.Tell("STATUS=" + core::Printable(condition.text))) said_ = condition.text;
}

void ServiceNotice::OnEnd() {
    if (!is_stop_said_) is_stop_said_ = manager_.Tell("STOPPING=1");
}

}  // namespace pgaf::node
