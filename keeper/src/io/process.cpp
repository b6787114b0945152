#include "io/process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>

#include "io/env.hpp"

extern char **environ;

namespace pgaf::io {
namespace {

constexpr std::size_t kLargestOutput = 8U << 20U;

struct Pipe {
    UniqueFd read;
    UniqueFd write;
};

Result<Pipe> MakePipe() {
    std::array<int, 2> fds{};
    if (::pipe2(fds.data(), O_CLOEXEC) != 0) return tl::unexpected(IoProblem("create", "pipe"));
    return Pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

/// Everything that the child needs, made before the fork: after it only async-signal-safe calls are
/// allowed.
struct Prepared {
    std::vector<char *> argv;
    std::vector<std::string> env_texts;
    std::vector<char *> env;
};

Prepared Prepare(const std::vector<std::string> &argv,
                 const std::vector<std::pair<std::string, std::string>> &extra) {
    Prepared prepared;
    for (const std::string &word : argv)
        prepared.argv.push_back(const_cast<char *>(word.c_str()));
    prepared.argv.push_back(nullptr);
    for (const auto &[name, value] : extra)
        prepared.env_texts.push_back(name + "=" + value);
    for (char **entry = environ; *entry != nullptr; ++entry) {
        const std::string_view text(*entry);
        const auto same = [&](const auto &pair) { return text.starts_with(pair.first + "="); };
        if (IsSecretVariable(text.substr(0, text.find('=')))) continue;
        if (std::none_of(extra.begin(), extra.end(), same)) prepared.env.push_back(*entry);
    }
    for (std::string &text : prepared.env_texts)
        prepared.env.push_back(text.data());
    prepared.env.push_back(nullptr);
    return prepared;
}

void ResetSignals() {
    struct sigaction action {};
    action.sa_handler = SIG_DFL;
    for (const int number :
         {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGCHLD, SIGUSR1, SIGUSR2}) {
        (void)sigaction(number, &action, nullptr);
    }
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, nullptr);
}

struct Wiring {
    int in = -1;
    int out = -1;
    int err = -1;
    int exec_error = -1;
    bool own_session = false;
};

[[noreturn]] void ChildMain(const Prepared &prepared, const Wiring &wiring, pid_t parent) {
    ResetSignals();
    if (wiring.own_session) {
        (void)setsid();
    } else {
        (void)setpgid(0, 0);
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent) _exit(125);
    }
    if (wiring.in >= 0) (void)dup2(wiring.in, STDIN_FILENO);
    if (wiring.out >= 0) (void)dup2(wiring.out, STDOUT_FILENO);
    if (wiring.err >= 0) (void)dup2(wiring.err, STDERR_FILENO);
    (void)execvpe(prepared.argv[0], prepared.argv.data(), prepared.env.data());
    const int error = errno;
    (void)!write(wiring.exec_error, &error, sizeof error);
    _exit(127);
}

/// Forks and execs; a failing exec is a Problem here.
Result<pid_t> Launch(const Prepared &prepared, Wiring wiring) {
    auto exec_error = MakePipe();
    if (!exec_error) return Pass(exec_error);
    wiring.exec_error = exec_error->write.Get();
    const pid_t parent = getpid();
    const pid_t pid = ::fork();
    if (pid < 0) return tl::unexpected(IoProblem("start", prepared.argv[0]));
    if (pid == 0) ChildMain(prepared, wiring, parent);
    exec_error->write.Close();
    int error = 0;
    ssize_t got = 0;
    do {
        got = ::read(exec_error->read.Get(), &error, sizeof error);
    } while (got < 0 && errno == EINTR);
    if (got == static_cast<ssize_t>(sizeof error)) {
        (void)::waitpid(pid, nullptr, 0);
        errno = error;
        return tl::unexpected(IoProblem("run", prepared.argv[0]));
    }
    return pid;
}

class Running {
 public:
    Running(const Command &command, pid_t pid, Pipe in, Pipe out, Pipe err)
        : command_(command),
          pid_(pid),
          in_(std::move(in.write)),
          out_(std::move(out.read)),
          err_(std::move(err.read)),
          input_(command.input) {
        (void)::fcntl(in_.Get(), F_SETFL, O_NONBLOCK);
    }

    Result<Outcome> Finish() {
        const core::BootTime start = BootNow();
        while (out_.IsOpen() || err_.IsOpen()) {
            Milliseconds wait{-1};
            if (command_.timeout.count() > 0) {
                wait = command_.timeout - (BootNow() - start);
                if (wait.count() <= 0) return Abort(ProblemCode::kTimeout, "timed out");
            }
            Turn(wait);
            if (command_.cancel != nullptr && command_.cancel->IsRequested()) {
                return Abort(ProblemCode::kRefused, "was cancelled");
            }
        }
        outcome_.status = Reap();
        return std::move(outcome_);
    }

 private:
    void Turn(Milliseconds wait) {
        if (in_.IsOpen() && input_.empty()) in_.Close();
        const int cancel_fd = command_.cancel != nullptr ? command_.cancel->Fd() : -1;
        std::array<pollfd, 4> fds{pollfd{out_.Get(), POLLIN, 0}, pollfd{err_.Get(), POLLIN, 0},
                                  pollfd{in_.Get(), POLLOUT, 0}, pollfd{cancel_fd, POLLIN, 0}};
        if (::poll(fds.data(), fds.size(), static_cast<int>(wait.count())) <= 0) return;
        if (fds[0].revents != 0) Receive(out_, outcome_.out);
        if (fds[1].revents != 0) {
            Receive(err_, outcome_.err);
            PassLinesOn();
        }
        if (fds[2].revents != 0) Send();
    }

    void Send() {
        const ssize_t sent = ::write(in_.Get(), input_.data(), input_.size());
        if (sent > 0) input_.remove_prefix(static_cast<std::size_t>(sent));
        if (sent < 0 && errno != EAGAIN && errno != EINTR) in_.Close();
    }

    static void Receive(UniqueFd &fd, std::string &into) {
        std::array<char, 16384> buffer{};
        const ssize_t got = ::read(fd.Get(), buffer.data(), buffer.size());
        if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
        if (got <= 0) {
            fd.Close();
            return;
        }
        if (into.size() < kLargestOutput) into.append(buffer.data(), static_cast<std::size_t>(got));
    }

    void PassLinesOn() {
        if (!command_.on_line) return;
        for (;;) {
            const std::size_t end = outcome_.err.find_first_of("\r\n", passed_);
            if (end == std::string::npos) return;
            const std::string_view line(outcome_.err.data() + passed_, end - passed_);
            if (!line.empty()) command_.on_line(line);
            passed_ = end + 1;
        }
    }

    int Reap() const {
        int status = 0;
        while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
        }
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }

    Result<Outcome> Abort(ProblemCode code, std::string_view what) const {
        (void)::kill(-pid_, SIGTERM);
        const UniqueFd pidfd = OpenPidFd(pid_);
        if (!AwaitEnd(pidfd, Milliseconds{3000})) (void)::kill(-pid_, SIGKILL);
        (void)Reap();
        (void)::kill(-pid_, SIGKILL);  // what is left of the group
        return Fail(code, fmt::format("\"{}\" {}", command_.argv[0], what));
    }

    const Command &command_;
    pid_t pid_;
    UniqueFd in_, out_, err_;
    std::string_view input_;
    Outcome outcome_;
    std::size_t passed_ = 0;
};

/// Of a program, without where it lies.
std::string NameOf(const std::string &path) { return path.substr(path.rfind('/') + 1); }

std::string LastLines(std::string_view text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r'))
        text.remove_suffix(1);
    constexpr std::size_t kShown = 1500;
    if (text.size() > kShown) text.remove_prefix(text.size() - kShown);
    return std::string(text);
}

}  // namespace

Cancel::Cancel() : event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void Cancel::Request() {
    requested_.store(true);
    const std::uint64_t one = 1;
    (void)!::write(event_.Get(), &one, sizeof one);
}

Result<Outcome> Run(const Command &command) {
    auto in = MakePipe();
    auto out = MakePipe();
    auto err = MakePipe();
    if (!in) return Pass(in);
    if (!out) return Pass(out);
    if (!err) return Pass(err);
    const Prepared prepared = Prepare(command.argv, command.env);
    auto pid =
        Launch(prepared, {.in = in->read.Get(), .out = out->write.Get(), .err = err->write.Get()});
    if (!pid) return Pass(pid);
    in->read.Close();
    out->write.Close();
    err->write.Close();
    return Running(command, *pid, std::move(*in), std::move(*out), std::move(*err)).Finish();
}

Result<std::string> RunChecked(const Command &command) {
    auto outcome = Run(command);
    if (!outcome) return Pass(outcome);
    if (outcome->status == 0) return std::move(outcome->out);
    const std::string &said = outcome->err.empty() ? outcome->out : outcome->err;
    return Fail(
        ProblemCode::kPostgres,
        fmt::format("\"{}\" ended with status {}", NameOf(command.argv[0]), outcome->status),
        LastLines(said));
}

Result<pid_t> Spawn(const std::vector<std::string> &argv) {
    const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    return Launch(Prepare(argv, {}), {.in = null.Get(), .own_session = true});
}

UniqueFd OpenPidFd(pid_t pid) {
    return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

bool SendSignal(const UniqueFd &pidfd, int number) {
    return ::syscall(SYS_pidfd_send_signal, pidfd.Get(), number, nullptr, 0) == 0;
}

bool AwaitEnd(const UniqueFd &pidfd, Milliseconds limit) {
    if (!pidfd.IsOpen()) return true;
    const core::BootTime start = BootNow();
    for (Milliseconds left = limit; left.count() >= 0; left = limit - (BootNow() - start)) {
        pollfd poll_fd{pidfd.Get(), POLLIN, 0};
        const int ready = ::poll(&poll_fd, 1, static_cast<int>(left.count()));
        if (ready > 0) return true;
        if (ready == 0 || errno != EINTR) return false;
    }
    return false;
}

ProcessInfo InspectProcess(pid_t pid) {
    ProcessInfo info;
    auto text = ReadFile(fmt::format("/proc/{}/stat", pid));
    if (!text) return info;
    const std::size_t open = text->find('(');
    const std::size_t close = text->rfind(')');
    if (open == std::string::npos || close == std::string::npos || close + 4 > text->size())
        return info;
    info.pid = pid;
    info.comm = text->substr(open + 1, close - open - 1);
    info.state = (*text)[close + 2];
    (void)std::from_chars(text->data() + close + 4, text->data() + text->size(), info.parent);
    return info;
}

void ReapOrphans() {
    std::error_code error;
    for (const auto &entry : std::filesystem::directory_iterator("/proc", error)) {
        const std::string name = entry.path().filename().string();
        pid_t pid = 0;
        (void)std::from_chars(name.data(), name.data() + name.size(), pid);
        if (pid <= 1) continue;
        const ProcessInfo info = InspectProcess(pid);
        if (info.parent != getpid() || info.state != 'Z' || !info.comm.starts_with("postgres"))
            continue;
        (void)::waitpid(pid, nullptr, WNOHANG);
    }
}

bool IsAlive(pid_t pid) {
    if (pid <= 0) return false;
    const ProcessInfo info = InspectProcess(pid);
    return info.pid == pid && info.state != 'Z' && info.state != 'X';
}

}  // namespace pgaf::io
