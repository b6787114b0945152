#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "io/pg_client.hpp"
#include "node/config.hpp"
#include "node/version.hpp"

/// What the families of commands share.
namespace pgaf::cli {

using node::kVersion;

/// Exit statuses are part of the interface.
inline constexpr int kOk = 0;
inline constexpr int kBadArguments = 1;
inline constexpr int kBadConfig = 2;
inline constexpr int kBadState = 3;
inline constexpr int kPgSql = 4;
inline constexpr int kPgCtl = 5;
inline constexpr int kMonitorFailed = 6;
inline constexpr int kKeeperInit = 8;
inline constexpr int kInternal = 12;

int ExitCodeOf(ProblemCode code);
/// Logs the problem and returns its exit status.
int Explain(const Problem &problem);

/// An option that a variable of the environment stands for where the command line does not say.
struct EnvironmentOption {
    CLI::App *command = nullptr;
    CLI::Option *option = nullptr;
    std::string variable;
    /// Options that decide the same: with one of them the variable does not count either.
    std::vector<CLI::Option *> rivals;
};

/// Options that most commands have, and the command that was chosen.
struct Session {
    std::string pgdata;
    std::string monitor;
    std::string formation;
    std::optional<int> group;
    bool show_secrets = false;  ///< also on a terminal
    bool json = false;
    int verbose = 0;
    bool quiet = false;
    std::function<int()> command;
    std::vector<EnvironmentOption> environment;
};

/// Lets `variable` stand for `option` of `command`. Not CLI11's envname(): that reads the
/// environment also for commands that were not chosen, after the command line, and many commands
/// share a variable.
CLI::Option *FromEnvironment(CLI::App &command, Session &session, CLI::Option *option,
                             const std::string &variable, std::vector<CLI::Option *> rivals = {});
/// After the command line was read: variables for the options of the chosen command that it lacks.
/// Throws CLI::ParseError for a value that does not fit.
void ApplyEnvironment(const Session &session);

/// A command `name` below `parent`, with the options that all have.
CLI::App *AddCommand(CLI::App &parent, Session &session, const std::string &name,
                     const std::string &help);
void AddPgData(CLI::App &command, Session &session);
void AddShowSecrets(CLI::App &command, Session &session);
/// For people: with **** in place of passwords when it goes to a terminal, unless they are wanted.
std::string ForScreen(const Session &session, const std::string &text);
void AddJson(CLI::App &command, Session &session);
/// --monitor, --formation and optionally --group.
void AddMonitorOptions(CLI::App &command, Session &session, bool with_group);

/// Paths of --pgdata; kBadArgument without one.
Result<node::Paths> RequirePaths(const Session &session);
/// Refuses root, for whom PostgreSQL does not run.
Result<void> RequireOrdinaryUser();

/// Warns when logind would take the shared memory of this user's PostgreSQL away.
void WarnAboutSharedMemory();

/// Connects to the monitor, and makes sure that it is one; kMonitor with a hint when not.
Result<io::PgClient> ConnectTo(const std::string &monitor);

/// Connected to the monitor that --monitor names or the local configuration knows; formation filled
/// in.
struct MonitorAccess {
    io::PgClient client;
    std::string formation;
    std::optional<int> group;
    std::string uri;
};
Result<MonitorAccess> ConnectMonitor(const Session &session);
/// The same; fails when the monitor does not know the formation, or it has no such group.
Result<MonitorAccess> ConnectToFormation(const Session &session);
/// Tells the monitor the node's name, host and port; the node must be registered.
Result<void> TellMonitor(const node::Paths &paths, const node::Config &config);
/// Connection string of the monitor itself when it is local: through its socket, as its owner.
Result<std::string> LocalMonitorConninfo(const node::Config &config);

/// Prints what the monitor makes of `sql` as one JSON document.
int PrintJson(MonitorAccess &access, const std::string &sql,
              const std::vector<std::string> &parameters);

/// `show settings`, which is also `get formation settings`.
int ShowSettings(const Session &session);
/// `show systemd`.
int ShowSystemd(const Session &session);

void AddCreate(CLI::App &app, Session &session);
void AddRun(CLI::App &app, Session &session);
void AddReinit(CLI::App &app, Session &session);
void AddShow(CLI::App &app, Session &session);
void AddPerform(CLI::App &app, Session &session);
void AddDrop(CLI::App &app, Session &session);
void AddConfig(CLI::App &app, Session &session);
void AddEnable(CLI::App &app, Session &session);
/// Below `enable`.
void AddEnableMonitor(CLI::App &enable, Session &session);
/// Below `create` and `drop`.
void AddCreateFormation(CLI::App &create, Session &session);
void AddDropFormation(CLI::App &drop, Session &session);
void AddGetSet(CLI::App &app, Session &session);
void AddAzure(CLI::App &app, Session &session);
void AddVersion(CLI::App &app, Session &session);
void AddWhy(CLI::App &app, Session &session);

}  // namespace pgaf::cli
