#include <fmt/format.h>
#include <signal.h>

#include <exception>
#include <string>
#include <vector>

#include "cli/arguments.hpp"
#include "cli/postgres.hpp"
#include "cli/service_user.hpp"
#include "cli/session.hpp"
#include "io/env.hpp"
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
    AddWhy(app, session);
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

/// The deepest command that was named; help is shown for that one.
const CLI::App *Deepest(const CLI::App &app) {
    const CLI::App *command = &app;
    while (!command->get_subcommands().empty())
        command = command->get_subcommands().front();
    return command;
}

int Main(int argc, char **argv) {
    std::vector<std::string> words(argv, argv + argc);
    pgaf::cli::HideSecrets({argv, static_cast<std::size_t>(argc)});
    const auto status = pgaf::cli::BecomeServiceUser(words);
    if (!status) {
        pgaf::io::SetUpLog(0);
        return pgaf::cli::Explain(status.error());
    }
    if (*status) return **status;
    std::vector<char *> pointers;
    pointers.reserve(words.size());
    for (std::string &word : words)
        pointers.push_back(word.data());
    Session session;
    CLI::App app("pg_auto_failover: automatic failover for PostgreSQL");
    Build(app, session);
    try {
        app.parse(static_cast<int>(pointers.size()), pointers.data());
        pgaf::cli::ApplyEnvironment(session);
    } catch (const CLI::CallForVersion &version) {
        fmt::print("{}\n", version.what());
        return pgaf::cli::kOk;
    } catch (const CLI::Success &success) {
        return app.exit(success);
    } catch (const CLI::ParseError &error) {
        pgaf::io::SetUpLog(0);
        spdlog::error("{}", pgaf::cli::WithoutSecrets(std::string_view(error.what())));
        fmt::print(stderr, "{}", Deepest(app)->help());
        return pgaf::cli::kBadArguments;
    }
    pgaf::io::ForgetSecretVariables();
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
    pgaf::io::HideMemory();
    try {
        return Main(argc, argv);
    } catch (const std::exception &error) {
        fmt::print(stderr, "pg_autoctl: internal error: {}\n", error.what());
        return pgaf::cli::kInternal;
    }
}
