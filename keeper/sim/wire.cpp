#include "wire.hpp"

#include <algorithm>

#include "machine.hpp"
#include "world.hpp"

namespace pgaf::sim {

namespace {
constexpr Milliseconds kLimit{2000};
constexpr Milliseconds kBackoffMin{20};
constexpr Milliseconds kBackoffMax{500};
}  // namespace

void Wire::Poll(BootTime now, bool wants_session) {
    if (state_ == State::kClosed) {
        if (!wants_session || now < retry_at_) return;
        session_ = machine_.world.NewSession();
        state_ = State::kConnecting;
        limit_ = now + kLimit;
        Packet packet(Packet::Kind::kConnect, machine_.place, kMonitorPlace, session_);
        machine_.world.Send(std::move(packet));
        return;
    }
    if (state_ != State::kIdle && now >= limit_) {
        Drop(state_ == State::kConnecting ? "no connection within 2 s" : "no answer within 2 s",
             now);
    }
}

void Wire::SendReport(const core::Report &report, BootTime now) {
    state_ = State::kBusy;
    sent_at_ = now;
    limit_ = now + kLimit;
    Packet packet(Packet::Kind::kReport, machine_.place, kMonitorPlace, session_);
    packet.report = report;
    machine_.world.Send(std::move(packet));
}

void Wire::SendEnd() {
    if (session_ == 0) return;
    Packet packet(Packet::Kind::kEnd, machine_.place, kMonitorPlace, session_);
    machine_.world.Send(std::move(packet));
}

void Wire::Drop(const std::string &why, BootTime now) {
    SendEnd();
    session_ = 0;
    state_ = State::kClosed;
    problem_ = why;
    answer.reset();
    backoff_ = std::clamp(backoff_ * 2, kBackoffMin, kBackoffMax);
    retry_at_ = now + backoff_;
}

void Wire::End() {
    SendEnd();
    session_ = 0;
    state_ = State::kClosed;
}

bool Wire::Takes(const Packet &packet) {
    if (session_ == 0 || packet.session != session_) return false;
    const BootTime now = machine_.Clock();
    switch (packet.kind) {
        case Packet::Kind::kAccepted:
            if (state_ == State::kConnecting) state_ = State::kIdle;
            is_woken = true;
            break;
        case Packet::Kind::kReply:
            if (state_ != State::kBusy) break;
            state_ = State::kIdle;
            problem_.clear();
            backoff_ = {};
            answer = Answer{packet.reply, sent_at_};
            break;
        case Packet::Kind::kWakeUp:
            is_woken = true;
            break;
        default:
            Drop(packet.text.empty() ? "connection reset" : packet.text, now);
            break;
    }
    return true;
}

BootTime Wire::NextDeadline() const {
    if (state_ == State::kClosed) return retry_at_;
    return state_ == State::kIdle ? core::kForever : limit_;
}

}  // namespace pgaf::sim
