#include "health/probe.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

extern "C" {
#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>
}

namespace pgaf::health {
namespace {

using core::ProbeFact;

constexpr std::size_t kAnswerMax = 4096;

void Append32(std::string &to, std::uint32_t value) {
    const std::uint32_t network = htonl(value);
    to.append(reinterpret_cast<const char *>(&network), sizeof network);
}

void AppendOption(std::string &to, std::string_view name, std::string_view value) {
    to.append(name).push_back('\0');
    to.append(value).push_back('\0');
}

/// StartupMessage, protocol 3.0.
std::string StartupMessage() {
    std::string body;
    Append32(body, 196608);
    AppendOption(body, "user", core::kHealthRole);
    AppendOption(body, "database", "postgres");
    AppendOption(body, "application_name", "pgautofailover health check");
    body.push_back('\0');
    std::string message;
    Append32(message, static_cast<std::uint32_t>(body.size() + 4));
    return message + body;
}

/// The field of an error: after 'E' and the length, a letter and a string each; the last one is a
/// zero byte. None while the answer is cut before it.
std::optional<std::string_view> FieldOf(std::string_view answer, char field) {
    std::size_t at = 5;
    while (at < answer.size() && answer[at] != '\0') {
        const std::size_t end = answer.find('\0', at + 1);
        if (end == std::string_view::npos) return std::nullopt;
        if (answer[at] == field) return answer.substr(at + 1, end - at - 1);
        at = end + 1;
    }
    if (at >= answer.size() && answer.size() < kAnswerMax) return std::nullopt;
    return std::string_view();
}

/// Before the user is looked at a session reads the maps and catalogs that all databases share.
/// 58: an error of the system, a missing file too. XX: data that cannot be right.
ProbeFact FactOfState(std::string_view state) {
    if (state == "57P03") return ProbeFact::kStarting;
    return state.starts_with("58") || state.starts_with("XX") ? ProbeFact::kBroken
                                                              : ProbeFact::kAlive;
}

}  // namespace

std::optional<ProbeFact> Classify(std::string_view answer) {
    if (answer.empty()) return std::nullopt;
    if (answer.front() != 'E') return ProbeFact::kAlive;
    const auto state = FieldOf(answer, 'C');
    // For people; it comes after the state.
    if (!state || !FieldOf(answer, 'M')) return std::nullopt;
    return FactOfState(*state);
}

Probe::Probe(core::NodeId node, const std::string &address, int port, core::BootTime deadline)
    : node_(node), deadline_(deadline) {
    addrinfo hints{};
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;  // never asks a resolver
    hints.ai_socktype = SOCK_STREAM;
    addrinfo *found = nullptr;
    if (getaddrinfo(address.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) {
        Finish(ProbeFact::kUnknown);
        return;
    }
    socket_ = ::socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (socket_ < 0) {
        Finish(ProbeFact::kUnknown);
    } else if (::connect(socket_, found->ai_addr, found->ai_addrlen) == 0) {
        SendStartup();
    } else if (errno != EINPROGRESS) {
        FinishWithError(errno);
    }
    freeaddrinfo(found);
}

Probe::~Probe() {
    if (socket_ >= 0) (void)::close(socket_);
}

Probe::Probe(Probe &&other) noexcept { *this = std::move(other); }

Probe &Probe::operator=(Probe &&other) noexcept {
    if (this == &other) return *this;
    if (socket_ >= 0) (void)::close(socket_);
    node_ = other.node_;
    deadline_ = other.deadline_;
    socket_ = std::exchange(other.socket_, -1);
    phase_ = other.phase_;
    answer_ = std::move(other.answer_);
    result_ = other.result_;
    return *this;
}

std::string Probe::said() const {
    if (result() != ProbeFact::kBroken) return {};
    return std::string(FieldOf(answer_, 'M').value_or(std::string_view()));
}

int Probe::events() const {
    return phase_ == Phase::kConnecting ? WL_SOCKET_CONNECTED : WL_SOCKET_READABLE;
}

void Probe::Finish(ProbeFact result) {
    result_ = result;
    if (socket_ >= 0) (void)::close(socket_);
    socket_ = -1;
}

void Probe::FinishWithError(int error) {
    switch (error) {
        case ECONNREFUSED:
            return Finish(ProbeFact::kRefused);
        // Somebody was there: a server that goes down, or a crash restart. Not the proof that
        // nobody is.
        case ECONNRESET:
        case EPIPE:
            return Finish(ProbeFact::kStarting);
        // Unreachable hosts and networks say nothing about the process: that is silence.
        default:
            return Finish(ProbeFact::kSilent);
    }
}

void Probe::Advance() {
    if (IsFinished()) return;
    if (phase_ == Phase::kReading) return Read();
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
    if (error != 0) return FinishWithError(error);
    SendStartup();
}

void Probe::SendStartup() {
    const std::string message = StartupMessage();
    const ssize_t sent = ::send(socket_, message.data(), message.size(), MSG_NOSIGNAL);
    if (sent < 0) return FinishWithError(errno);
    phase_ = Phase::kReading;  // a fresh socket's buffer takes these few bytes at once
}

void Probe::Read() {
    std::array<char, 1024> buffer{};
    const ssize_t got = ::recv(socket_, buffer.data(), buffer.size(), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got < 0) return FinishWithError(errno);
    // Closed without a word: the postmaster is there but cannot serve (out of memory, or going
    // down).
    if (got == 0) return Finish(answer_.empty() ? ProbeFact::kStarting : ProbeFact::kAlive);
    answer_.append(buffer.data(), static_cast<std::size_t>(got));
    if (const auto result = Classify(answer_)) Finish(*result);
}

void Probe::CheckDeadline(core::BootTime now) {
    if (!IsFinished() && now >= deadline_) Finish(ProbeFact::kSilent);
}

}  // namespace pgaf::health
