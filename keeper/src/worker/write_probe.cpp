#include "worker/write_probe.hpp"

namespace pgaf::worker {
namespace {

constexpr core::Milliseconds kQuiet{3000};

}  // namespace

void WriteProbe::Poll(Server &server, const ServerFacts &facts, core::BootTime now) {
    if (facts.in_recovery) {
        *this = {};
        return;
    }
    if (facts.lsn != flushed_ || moved_at_.ns == 0) {
        flushed_ = facts.lsn;
        moved_at_ = now;
    }
    if (awaited_.IsValid() && facts.lsn >= awaited_) awaited_ = {};
    if (awaited_.IsValid() || now - moved_at_ < kQuiet) return;
    awaited_ = server.WriteMarker();
    due_at_ = now + facts.flush_delay;
}

core::Milliseconds WriteProbe::Age(core::BootTime now) const {
    const bool is_late = awaited_.IsValid() && now > due_at_;
    return is_late ? now - due_at_ : core::Milliseconds{0};
}

core::BootTime WriteProbe::NextWake() const {
    return moved_at_.ns == 0 || awaited_.IsValid() ? core::kForever : moved_at_ + kQuiet;
}

}  // namespace pgaf::worker
