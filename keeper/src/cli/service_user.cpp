#include "cli/service_user.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
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

/// The words, with their secrets: sudo writes what stands in its command line to the log.
constexpr const char *kWordsVariable = "PG_AUTOCTL_ARGUMENTS";

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

/// Our variables, by name: their values stand in no command line.
std::string KeptVariables() {
    std::string names = "PGDATA";
    for (char **entry = environ; *entry != nullptr; ++entry) {
        const std::string_view text(*entry);
        if (!text.starts_with("PG_AUTOCTL_")) continue;
        names += "," + std::string(text.substr(0, text.find('=')));
    }
    return names;
}

/// Does not return when it succeeds.
Problem CallSudo(const User &user, const std::vector<std::string> &words) {
    (void)::setenv(kWordsVariable, EncodeWords(words).c_str(), 1);
    std::vector<std::string> call{"sudo", "-H", "-u", user.name,
                                  "--preserve-env=" + KeptVariables()};
    if (::isatty(STDIN_FILENO) == 0) call.emplace_back("-n");
    call.insert(call.end(), {"--", io::ProgramPath()});
    const std::vector<std::string> shown = WithoutSecrets(words);
    call.insert(call.end(), shown.begin() + 1, shown.end());
    std::vector<char *> pointers;
    pointers.reserve(call.size() + 1);
    for (std::string &word : call)
        pointers.push_back(word.data());
    pointers.push_back(nullptr);
    (void)::execvp(pointers.front(), pointers.data());
    return {ProblemCode::kBadArgument,
            fmt::format("could not act as user \"{}\", who owns PostgreSQL here", user.name),
            fmt::format("sudo: {}.", std::strerror(errno)),
            fmt::format("Log in as \"{}\".", user.name)};
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

Result<void> BecomeServiceUser(std::vector<std::string> &words) {
    if (IsOfOwnUser(words)) return {};
    const auto name = ReadUser();
    if (!name) return tl::unexpected(name.error());
    if (!*name) return {};
    const std::optional<User> user = Found(::getpwnam((*name)->c_str()));
    if (!user || user->uid == 0)
        return tl::unexpected(Untrusted("It does not name an ordinary user of this machine."));
    if (const auto handed = io::Env(kWordsVariable); handed && ::geteuid() == user->uid) {
        words = DecodeWords(*handed);
        return {};
    }
    const std::optional<User> typist = Typist();
    if (::geteuid() == user->uid || !typist) return {};
    std::array<char, PATH_MAX> here{};
    const Homes homes{::getcwd(here.data(), here.size()) != nullptr ? here.data() : "/",
                      typist->home, user->home};
    words = WordsOfService(homes, std::move(words));
    if (const auto pgdata = io::Env("PGDATA"))
        (void)::setenv("PGDATA", PathOfService(homes, *pgdata).c_str(), 1);
    // Whose home this is may not let him in.
    if (::chdir("/") != 0)
        return Fail(ProblemCode::kInternal, "could not go to the root directory");
    if (::geteuid() == 0) return Drop(*user);
    return tl::unexpected(CallSudo(*user, words));
}

}  // namespace pgaf::cli
