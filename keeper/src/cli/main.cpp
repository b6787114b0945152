#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <span>

#include "cli/postgres.hpp"
#include "cli/session.hpp"
#include "io/env.hpp"
#include "io/log.hpp"
#include "pgaf/core/pg_files.hpp"

namespace {

using pgaf::cli::Session;

void PrintTree(const CLI::App &app, int depth) {
    for (const CLI::App *command : app.get_subcommands([](const CLI::App *) { return true; })) {
        fmt::print("{:{}}{:<{}}{}\n", "", depth * 2 + 2, command->get_name(), 24 - depth * 2,
                   command->get_description());
        PrintTree(*command, depth + 1);
    }
}

void Build(CLI::App &app, Session &session) {
    using namespace pgaf::cli;
    app.name("pg_autoctl");
    // Before the command as well: "pg_autoctl -q show systemd".
    app.add_flag("-v,--verbose", session.verbose, "show more of what happens; may be repeated");
    app.add_flag("-q,--quiet", session.quiet, "show errors only");
    AddCreate(app, session);
    AddDrop(app, session);
    AddConfig(app, session);
    AddShow(app, session);
    AddEnable(app, session);
    AddGetSet(app, session);
    AddReset(app, session);
    AddPerform(app, session);
    AddRestart(app, session);
    AddRun(app, session);
    AddReinit(app, session);
    AddAzure(app, session);
    AddVersion(app, session);
    CLI::App *help = AddCommand(app, session, "help", "print all commands");
    help->callback([&] {
        session.command = [&] {
            fmt::print("pg_autoctl\n");
            PrintTree(app, 0);
            return 0;
        };
    });
}

/// `text` with stars in place of `word`'s secret part, no longer than `word` is in memory.
void Overwrite(char *word, std::string_view text) {
    const std::size_t size = std::strlen(word);
    std::memset(word, 0, size);
    std::memcpy(word, text.data(), std::min(size, text.size()));
}

/// Secrets that came as arguments must not stay visible in the process list.
void HideSecrets(std::span<char *> arguments) {
    for (std::size_t i = 1; i < arguments.size(); ++i) {
        const std::string word(arguments[i]);
        const bool is_short = word.starts_with("-w") || word.starts_with("-W");
        if (is_short && word.size() > 2) Overwrite(arguments[i], word.substr(0, 2) + "*");
        const bool follows = (is_short && word.size() == 2) || word.ends_with("-password");
        if (follows && i + 1 < arguments.size()) {
            Overwrite(arguments[++i], "****");
            continue;
        }
        const std::size_t equals = word.find("-password=");
        if (equals != std::string::npos) {
            Overwrite(arguments[i], word.substr(0, equals + 10) + "****");
        } else if (word.find("://") != std::string::npos || word.find("password") != word.npos) {
            Overwrite(arguments[i], pgaf::core::RedactConninfo(word));
        }
    }
}

/// An error names the words that it does not know.
std::string WithoutSecrets(std::string_view text) {
    std::string shown;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(' '), text.size());
        const std::string_view word = text.substr(0, end);
        const bool may_hold_one =
            word.find("://") != word.npos || word.find("password") != word.npos;
        shown += may_hold_one ? pgaf::core::RedactConninfo(word) : std::string(word);
        if (end < text.size()) shown += ' ';
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return shown;
}

/// The deepest command that was named; help is shown for that one.
const CLI::App *Deepest(const CLI::App &app) {
    const CLI::App *command = &app;
    while (!command->get_subcommands().empty())
        command = command->get_subcommands().front();
    return command;
}

int Main(int argc, char **argv) {
    Session session;
    CLI::App app("pg_auto_failover: automatic failover for PostgreSQL");
    Build(app, session);
    try {
        app.parse(argc, argv);
        pgaf::cli::ApplyEnvironment(session);
    } catch (const CLI::CallForVersion &version) {
        fmt::print("{}\n", version.what());
        return pgaf::cli::kOk;
    } catch (const CLI::Success &success) {
        return app.exit(success);
    } catch (const CLI::ParseError &error) {
        pgaf::io::SetUpLog(0);
        spdlog::error("{}", WithoutSecrets(error.what()));
        fmt::print(stderr, "{}", Deepest(app)->help());
        return pgaf::cli::kBadArguments;
    }
    pgaf::io::ForgetSecretVariables();
    HideSecrets({argv, static_cast<std::size_t>(argc)});
    pgaf::io::SetUpLog(session.quiet ? -1 : session.verbose > 1 ? session.verbose - 1 : 0);
    if (!session.command) {
        fmt::print(stderr, "{}", Deepest(app)->help());
        return pgaf::cli::kBadArguments;
    }
    return session.command();
}

}  // namespace

int main(int argc, char **argv) {
    (void)signal(SIGPIPE, SIG_IGN);
    try {
        return Main(argc, argv);
    } catch (const std::exception &error) {
        fmt::print(stderr, "pg_autoctl: internal error: {}\n", error.what());
        return pgaf::cli::kInternal;
    }
}
