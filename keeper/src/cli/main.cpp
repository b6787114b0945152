#include <fmt/format.h>
#include <signal.h>

#include <cstring>
#include <exception>
#include <span>

#include "cli/session.hpp"
#include "io/log.hpp"

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
    AddCreate(app, session);
    AddDrop(app, session);
    AddConfig(app, session);
    AddShow(app, session);
    AddGetSet(app, session);
    AddPerform(app, session);
    AddRun(app, session);
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

/// Secrets that came as arguments must not stay visible in the process list.
void HideSecrets(std::span<char *> arguments) {
    for (std::size_t i = 1; i < arguments.size(); ++i) {
        const std::string_view word(arguments[i]);
        const bool follows = i + 1 < arguments.size() && word.ends_with("-password");
        if (follows) std::memset(arguments[i + 1], '*', std::strlen(arguments[i + 1]));
        const std::size_t equals = word.find("-password=");
        if (equals != std::string_view::npos) {
            char *value = arguments[i] + equals + 10;
            std::memset(value, '*', std::strlen(value));
        }
        const std::size_t scheme = word.find("://");
        const std::size_t at = word.find('@');
        if (scheme == std::string_view::npos || at == std::string_view::npos) continue;
        const std::size_t colon = word.find(':', scheme + 3);
        if (colon < at) std::memset(arguments[i] + colon + 1, '*', at - colon - 1);
    }
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
    } catch (const CLI::CallForVersion &version) {
        fmt::print("{}\n", version.what());
        return pgaf::cli::kOk;
    } catch (const CLI::Success &success) {
        return app.exit(success);
    } catch (const CLI::ParseError &error) {
        pgaf::io::SetUpLog(0);
        spdlog::error("{}", error.what());
        fmt::print(stderr, "{}", Deepest(app)->help());
        return pgaf::cli::kBadArguments;
    }
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
