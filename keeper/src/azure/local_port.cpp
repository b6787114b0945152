#include "azure/local_port.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <atomic>

#include "azure/script.hpp"
#include "io/env.hpp"
#include "io/files.hpp"

namespace pgaf::azure {
namespace {

constexpr Milliseconds kSummaryEvery{30'000};

// A signal handler has no other way to its object.
std::atomic<io::Cancel *> interrupted{nullptr};

void OnSignal(int /*number*/) {
    if (io::Cancel *cancel = interrupted.load()) cancel->Request();
}

void Handle(void (*handler)(int)) {
    struct sigaction action {};
    action.sa_handler = handler;
    for (const int number : {SIGINT, SIGTERM, SIGHUP})
        (void)sigaction(number, &action, nullptr);
}

winsize TerminalSize() {
    winsize size{};
    const bool is_known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0;
    if (!is_known || size.ws_col < 2 || size.ws_row < 2) {
        size.ws_row = 24;
        size.ws_col = 80;
    }
    return size;
}

}  // namespace

LocalPort::LocalPort(std::map<std::string, std::string> programs)
    : programs_(std::move(programs)),
      is_terminal_(::isatty(STDERR_FILENO) == 1 && spdlog::should_log(spdlog::level::info)) {
    interrupted.store(&cancel_);
    Handle(&OnSignal);
}

LocalPort::~LocalPort() {
    Handle(SIG_DFL);
    interrupted.store(nullptr);
}

Result<io::Outcome> LocalPort::Run(io::Command command) {
    const auto program = programs_.find(command.argv.front());
    if (program != programs_.end()) command.argv.front() = program->second;
    Say(CommandLine(command.argv));
    command.cancel = &cancel_;
    if (spdlog::should_log(spdlog::level::debug)) {
        command.on_line = [this](std::string_view line) {
            const std::lock_guard lock(mutex_);
            Erase();
            spdlog::debug("{}", line);
            Draw();
        };
    }
    return io::Run(command);
}

Result<std::string> LocalPort::ReadLocalFile(const std::string &path) { return io::ReadFile(path); }

Result<void> LocalPort::WriteLocalFile(const std::string &path, const std::string &text) {
    if (auto made = io::MakeDirectories(io::ParentOf(path), 0700); !made) return made;
    return io::WriteFile(path, text, 0600);
}

void LocalPort::Pause(Milliseconds time) {
    pollfd stop{cancel_.Fd(), POLLIN, 0};
    (void)::poll(&stop, 1, static_cast<int>(time.count()));
}

core::BootTime LocalPort::Now() const { return io::BootNow(); }

void LocalPort::Report(const Event &event) {
    const std::lock_guard lock(mutex_);
    Erase();
    const core::BootTime now = Now();
    const std::string line = progress_.Take(event, now);
    if (event.kind == Event::Kind::kStage) last_summary_ = now;
    if (event.kind == Event::Kind::kRetry) {
        spdlog::warn("{}", line);
    } else if (!line.empty()) {
        spdlog::info("{}", line);
    }
    Draw();
}

void LocalPort::Tick() {
    const std::lock_guard lock(mutex_);
    if (is_terminal_) {
        Erase();
        Draw();
        return;
    }
    const core::BootTime now = Now();
    if (now - last_summary_ < kSummaryEvery) return;
    last_summary_ = now;
    const std::string summary = progress_.Summary(now);
    if (!summary.empty()) spdlog::info("{}", summary);
}

void LocalPort::Say(const std::string &text) {
    const std::lock_guard lock(mutex_);
    Erase();
    spdlog::info("{}", text);
    Draw();
}

void LocalPort::Erase() {
    if (drawn_ == 0) return;
    fmt::print(stderr, "\x1b[{}A\r\x1b[J", drawn_);
    drawn_ = 0;
}

void LocalPort::Draw() {
    if (!is_terminal_) return;
    const winsize size = TerminalSize();
    for (const std::string &line : progress_.Lines(Now())) {
        // What is longer than the terminal could not be erased.
        if (drawn_ + 2 > size.ws_row) break;
        fmt::print(stderr, "{}\n", line.substr(0, size.ws_col - 1U));
        ++drawn_;
    }
    std::fflush(stderr);
}

Result<std::string> FindProgram(const std::string &name, const std::string &hint) {
    const auto is_program = [](const std::string &path) {
        return !io::IsDirectory(path) && ::access(path.c_str(), X_OK) == 0;
    };
    if (name.find('/') != std::string::npos) {
        if (is_program(name)) return io::AbsolutePath(name);
    } else {
        const std::string path = io::EnvOr("PATH", "/usr/local/bin:/usr/bin:/bin");
        for (std::size_t at = 0; at <= path.size();) {
            const std::size_t end = std::min(path.find(':', at), path.size());
            const std::string found = path.substr(at, end - at) + "/" + name;
            if (end > at && is_program(found)) return found;
            at = end + 1;
        }
    }
    return Fail(ProblemCode::kNotFound, fmt::format("program \"{}\" was not found", name), {},
                hint);
}

}  // namespace pgaf::azure
