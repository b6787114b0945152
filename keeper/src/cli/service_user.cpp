#include "cli/service_user.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "cli/arguments.hpp"
#include "io/env.hpp"
#include "io/files.hpp"

extern char **environ;

namespace pgaf::cli {
namespace {

/// The name of the socket from which the words come.
constexpr const char *kHandedVariable = "PG_AUTOCTL_HANDED";
/// The usual status of a program that is not there.
constexpr int kNoSudo = 127;

Problem Untrusted(std::string_view why) {
    return {ProblemCode::kBadArgument,
            fmt::format("\"{}\" cannot be trusted", io::kServiceUserFile), std::string(why),
            "It must belong to root, and nobody else may write it."};
}

/// Nothing where there is no such file.
Result<std::optional<std::string>> ReadUser() {
    const io::UniqueFd file(
        ::open(io::kServiceUserFile, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (!file.IsOpen() && errno == ENOENT) return std::optional<std::string>{};
    if (!file.IsOpen()) return tl::unexpected(Untrusted(std::strerror(errno)));
    struct stat status {};
    if (::fstat(file.Get(), &status) != 0 || !S_ISREG(status.st_mode) || status.st_uid != 0 ||
        (status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return tl::unexpected(Untrusted("Somebody else than root may have written it."));
    std::array<char, 256> text{};
    const ssize_t size = ::read(file.Get(), text.data(), text.size() - 1);
    std::string name(text.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
    name.erase(std::min(name.find_first_of(" \t\r\n"), name.size()));
    return std::optional<std::string>(std::move(name));
}

struct User {
    std::string name;
    std::string home;
    uid_t uid = 0;
    gid_t gid = 0;
};

std::optional<User> Found(const passwd *entry) {
    if (entry == nullptr) return std::nullopt;
    return User{entry->pw_name, entry->pw_dir, entry->pw_uid, entry->pw_gid};
}

/// Who types: behind sudo, the one who called it.
std::optional<User> Typist() {
    if (const auto uid = ::geteuid() == 0 ? io::Env("SUDO_UID") : std::nullopt) {
        if (auto user =
                Found(::getpwuid(static_cast<uid_t>(std::strtoul(uid->c_str(), nullptr, 10)))))
            return user;
    }
    return Found(::getpwuid(::geteuid()));
}

Result<void> Drop(const User &user) {
    const bool is_done = ::initgroups(user.name.c_str(), user.gid) == 0 &&
                         ::setgid(user.gid) == 0 && ::setuid(user.uid) == 0;
    if (!is_done)
        return Fail(ProblemCode::kInternal, fmt::format("could not become user \"{}\"", user.name),
                    std::strerror(errno));
    (void)::setenv("HOME", user.home.c_str(), 1);
    (void)::setenv("USER", user.name.c_str(), 1);
    (void)::setenv("LOGNAME", user.name.c_str(), 1);
    return {};
}

/// The words and our variables. sudo writes its command line and the variables that it hands on to
/// its log, so they come through a socket.
std::string Payload(const std::vector<std::string> &words) {
    std::vector<std::string> all{std::to_string(words.size())};
    all.insert(all.end(), words.begin(), words.end());
    for (char **entry = environ; *entry != nullptr; ++entry) {
        const std::string_view text(*entry);
        if (text.starts_with("PG_AUTOCTL_") || text.starts_with("PGDATA=")) all.emplace_back(text);
    }
    return EncodeWords(all);
}

/// A name that the kernel has chosen, of no file.
struct Address {
    sockaddr_un address{};
    socklen_t size = sizeof(sa_family_t);
};

io::UniqueFd Listen(Address &own) {
    own.address.sun_family = AF_UNIX;
    io::UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    auto *const address = reinterpret_cast<sockaddr *>(&own.address);
    if (!listener.IsOpen() || ::bind(listener.Get(), address, own.size) != 0) return {};
    own.size = sizeof own.address;
    if (::getsockname(listener.Get(), address, &own.size) != 0 || ::listen(listener.Get(), 8) != 0)
        return {};
    return listener;
}

void SendAll(int peer, std::string_view text) {
    while (!text.empty()) {
        const ssize_t sent = ::send(peer, text.data(), text.size(), MSG_NOSIGNAL);
        if (sent <= 0) return;
        text.remove_prefix(static_cast<std::size_t>(sent));
    }
}

/// Only the user himself hears it, who could read what comes of it anyway.
bool Serve(int listener, uid_t uid, const std::string &payload) {
    const io::UniqueFd peer(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    ucred who{};
    socklen_t size = sizeof who;
    if (!peer.IsOpen() || ::getsockopt(peer.Get(), SOL_SOCKET, SO_PEERCRED, &who, &size) != 0 ||
        who.uid != uid)
        return false;
    SendAll(peer.Get(), payload);
    return true;
}

/// Waits for the end of sudo, and hands the words over meanwhile.
int Attend(pid_t sudo, const io::UniqueFd &listener, uid_t uid, const std::string &payload) {
    bool is_told = false;
    int status = 0;
    for (;;) {
        const pid_t ended = ::waitpid(sudo, &status, is_told ? 0 : WNOHANG);
        if (ended == sudo || (ended < 0 && errno != EINTR)) break;
        constexpr int kLookAgainMs = 50;
        pollfd waiting{listener.Get(), POLLIN, 0};
        if (!is_told && ::poll(&waiting, 1, kLookAgainMs) > 0)
            is_told = Serve(listener.Get(), uid, payload);
    }
    constexpr int kBySignal = 128;
    return WIFEXITED(status) ? WEXITSTATUS(status) : kBySignal + WTERMSIG(status);
}

std::vector<std::string> SudoCall(const User &user, const std::vector<std::string> &words) {
    std::vector<std::string> call{"sudo", "-H", "-u", user.name,
                                  std::string("--preserve-env=") + kHandedVariable};
    if (::isatty(STDIN_FILENO) == 0) call.emplace_back("-n");
    call.insert(call.end(), {"--", io::ProgramPath()});
    const std::vector<std::string> shown = WithoutSecrets(words);
    call.insert(call.end(), shown.begin() + 1, shown.end());
    return call;
}

/// The status of what was done.
Result<int> CallSudo(const User &user, const std::vector<std::string> &words) {
    const std::string payload = Payload(words);
    io::ForgetSecretVariables();
    Address own;
    const io::UniqueFd listener = Listen(own);
    if (!listener.IsOpen())
        return Fail(ProblemCode::kInternal, "could not open a socket", std::strerror(errno));
    const std::string name(own.address.sun_path + 1, own.size - sizeof(sa_family_t) - 1);
    std::vector<std::string> call = SudoCall(user, words);
    std::vector<char *> pointers;
    pointers.reserve(call.size() + 1);
    for (std::string &word : call)
        pointers.push_back(word.data());
    pointers.push_back(nullptr);
    (void)::setenv(kHandedVariable, name.c_str(), 1);
    const pid_t sudo = ::fork();
    if (sudo == 0) {
        (void)::execvp(pointers.front(), pointers.data());
        ::_exit(kNoSudo);
    }
    // Ctrl-C is for whoever does the work.
    (void)::signal(SIGINT, SIG_IGN);
    (void)::signal(SIGQUIT, SIG_IGN);
    const int status = sudo > 0 ? Attend(sudo, listener, user.uid, payload) : kNoSudo;
    if (status != kNoSudo) return status;
    return Fail(ProblemCode::kBadArgument,
                fmt::format("could not act as user \"{}\", who owns PostgreSQL here", user.name),
                "sudo could not be started.", fmt::format("Log in as \"{}\".", user.name));
}

std::string ReadAll(int peer) {
    std::string text;
    std::array<char, 4096> part{};
    for (ssize_t got = 0; (got = ::read(peer, part.data(), part.size())) > 0;)
        text.append(part.data(), static_cast<std::size_t>(got));
    return text;
}

/// The one who called sudo, and nobody who has taken the name of his socket after his end.
bool IsOfCaller(int peer) {
    ucred who{};
    socklen_t size = sizeof who;
    const auto caller = io::Env("SUDO_UID");
    return caller && ::getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 &&
           std::to_string(who.uid) == *caller;
}

/// What CallSudo sends.
Result<void> TakeHanded(const std::string &name, std::vector<std::string> &words) {
    (void)::unsetenv(kHandedVariable);
    Address theirs;
    theirs.address.sun_family = AF_UNIX;
    const std::size_t room = sizeof theirs.address.sun_path - 1;
    (void)name.copy(theirs.address.sun_path + 1, room);
    theirs.size = static_cast<socklen_t>(sizeof(sa_family_t) + 1 + std::min(name.size(), room));
    const io::UniqueFd peer(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const bool is_connected =
        peer.IsOpen() &&
        ::connect(peer.Get(), reinterpret_cast<sockaddr *>(&theirs.address), theirs.size) == 0;
    std::vector<std::string> all;
    if (is_connected && IsOfCaller(peer.Get())) all = DecodeWords(ReadAll(peer.Get()));
    const std::size_t count = all.empty() ? 0 : std::strtoul(all.front().c_str(), nullptr, 10);
    if (count == 0 || all.size() <= count)
        return Fail(ProblemCode::kInternal, "the words of the command did not arrive");
    words.assign(all.begin() + 1, all.begin() + 1 + static_cast<std::ptrdiff_t>(count));
    for (auto it = all.begin() + 1 + static_cast<std::ptrdiff_t>(count); it != all.end(); ++it) {
        const std::size_t equals = it->find('=');
        if (equals != it->npos)
            (void)::setenv(it->substr(0, equals).c_str(), it->c_str() + equals + 1, 1);
    }
    return {};
}

}  // namespace

std::string PathOfService(const Homes &homes, const std::string &path) {
    if (path.empty()) return path;
    const auto whole = (std::filesystem::path(homes.here) / path).lexically_normal();
    const auto below =
        whole.lexically_relative(std::filesystem::path(homes.own).lexically_normal());
    const bool is_below = homes.own.size() > 1 && !below.empty() && *below.begin() != "..";
    return is_below ? (std::filesystem::path(homes.theirs) / below).lexically_normal().string()
                    : whole.string();
}

std::vector<std::string> WordsOfService(const Homes &homes, std::vector<std::string> words) {
    for (std::size_t i = 1; i < words.size(); ++i) {
        std::string &word = words.at(i);
        constexpr std::string_view kLong = "--pgdata=";
        if (word == "--") break;
        if ((word == "--pgdata" || word == "-D") && i + 1 < words.size()) {
            ++i;
            words.at(i) = PathOfService(homes, words.at(i));
        } else if (word.starts_with(kLong)) {
            word = std::string(kLong) + PathOfService(homes, word.substr(kLong.size()));
        } else if (word.starts_with("-D") && word.size() > 2) {
            word = "-D" + PathOfService(homes, word.substr(2));
        }
    }
    return words;
}

bool IsOfOwnUser(const std::vector<std::string> &words) {
    const auto is_option = [](const std::string &word) { return word.starts_with('-'); };
    const auto command = std::find_if_not(words.begin() + 1, words.end(), is_option);
    const bool asks = std::any_of(words.begin() + 1, words.end(), [](const std::string &word) {
        return word == "--help" || word == "-h" || word == "--version";
    });
    return asks || command == words.end() || *command == "do" || *command == "version" ||
           *command == "help";
}

Result<std::optional<int>> BecomeServiceUser(std::vector<std::string> &words) {
    std::optional<int> none;
    if (IsOfOwnUser(words)) return none;
    const auto name = ReadUser();
    if (!name) return tl::unexpected(name.error());
    if (!*name) return none;
    const std::optional<User> user = Found(::getpwnam((*name)->c_str()));
    if (!user || user->uid == 0)
        return tl::unexpected(Untrusted("It does not name an ordinary user of this machine."));
    if (const auto handed = io::Env(kHandedVariable); handed && ::geteuid() == user->uid) {
        if (auto taken = TakeHanded(*handed, words); !taken) return Pass(taken);
        return none;
    }
    const std::optional<User> typist = Typist();
    if (::geteuid() == user->uid || !typist) return none;
    std::array<char, PATH_MAX> here{};
    const Homes homes{::getcwd(here.data(), here.size()) != nullptr ? here.data() : "/",
                      typist->home, user->home};
    words = WordsOfService(homes, std::move(words));
    if (const auto pgdata = io::Env("PGDATA"))
        (void)::setenv("PGDATA", PathOfService(homes, *pgdata).c_str(), 1);
    // Whose home this is may not let him in.
    if (::chdir("/") != 0)
        return Fail(ProblemCode::kInternal, "could not go to the root directory");
    if (::geteuid() == 0) {
        if (auto dropped = Drop(*user); !dropped) return Pass(dropped);
        return none;
    }
    const auto status = CallSudo(*user, words);
    if (!status) return tl::unexpected(status.error());
    return *status;
}

}  // namespace pgaf::cli
