#include "node/unit.hpp"

#include <fmt/format.h>

#include "pgaf/core/names.hpp"

namespace pgaf::node {
namespace {

/// '%' begins a specifier.
std::string WithoutSpecifiers(std::string_view text) {
    std::string escaped;
    for (const char c : text) {
        if (c == '%') escaped += c;
        escaped += c;
    }
    return escaped;
}

/// Between double quotes, where a backslash begins an escape.
std::string Quoted(std::string_view text) {
    std::string escaped;
    for (const char c : WithoutSpecifiers(text)) {
        if (c == '"' || c == '\\') escaped += '\\';
        escaped += c;
    }
    return escaped;
}

// Type: ready when PostgreSQL accepts connections, which may take as long as a copy of the data.
//
// KillMode: systemd signals the supervisor alone, which ends PostgreSQL in order and at the latest
// after 75 s by force. When the supervisor itself is killed, or hangs for as long as WatchdogSec
// says, the server goes on and the next supervisor takes it over; with "mixed" systemd would kill a
// healthy primary. Sockets in RuntimeDirectory must outlive the supervisor like the server.
//
// The supervisor is protected from the OOM killer and PostgreSQL's processes are not: a query that
// eats the memory must not be the last to go. They reset the value that they inherit, as the
// documentation of PostgreSQL says in 19.4.4 "Linux Memory Overcommit"; raising it needs no right.
//
// ProtectSystem=full leaves data directories writable wherever they are, and ProtectHome would hide
// those below /home. MemoryDenyWriteExecute would end PostgreSQL's JIT.
constexpr std::string_view kUnit = R"([Unit]
Description = pg_auto_failover
Documentation = man:pg_autoctl(1)
After = network-online.target
Wants = network-online.target
StartLimitIntervalSec = 0

[Service]
Type = notify
WorkingDirectory = {home}
Environment = "PGDATA={pgdata}"
Environment = PG_OOM_ADJUST_FILE=/proc/self/oom_score_adj PG_OOM_ADJUST_VALUE=0
User = {user}
ExecStart = "{program}" run
ExecReload = "{program}" reload
Restart = on-failure
RestartSec = 1
RestartPreventExitStatus = 121
KillMode = process
TimeoutStartSec = infinity
TimeoutStopSec = 120
WatchdogSec = 30
RuntimeDirectory = %N
RuntimeDirectoryMode = 0700
RuntimeDirectoryPreserve = yes
OOMPolicy = continue
OOMScoreAdjust = -900
UMask = 0077
NoNewPrivileges = yes
CapabilityBoundingSet =
AmbientCapabilities =
ProtectSystem = full
PrivateDevices = yes
ProtectClock = yes
ProtectControlGroups = yes
ProtectHostname = yes
ProtectKernelLogs = yes
ProtectKernelModules = yes
ProtectKernelTunables = yes
RestrictAddressFamilies = AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces = yes
RestrictRealtime = yes
RestrictSUIDSGID = yes
LockPersonality = yes
SystemCallArchitectures = native
SystemCallFilter = @system-service
SystemCallErrorNumber = EPERM

[Install]
WantedBy = multi-user.target
)";

Result<void> Refuse(std::string_view what, std::string_view path, std::string_view why) {
    return Fail(ProblemCode::kBadArgument,
                fmt::format("systemd cannot have {} \"{}\"", what, core::Printable(path)),
                std::string(why), "Choose another path, or a link to it.");
}

/// Lines and words end in places that no quotes reach.
Result<void> CheckPaths(const UnitFacts &facts) {
    const std::pair<std::string_view, const std::string &> paths[] = {
        {"the home directory", facts.home},
        {"the data directory", facts.pgdata},
        {"the program", facts.program}};
    for (const auto &[what, path] : paths) {
        if (core::Printable(path) != path)
            return Refuse(what, path, "It has characters that begin a line or cannot be printed.");
    }
    if (facts.program.find_first_of("\"'\\") != std::string::npos)
        return Refuse("the program", facts.program,
                      "The path of a program must not have quotes or backslashes.");
    if (facts.home.ends_with('\\') || facts.home.ends_with(' '))
        return Refuse("the home directory", facts.home,
                      "A backslash or a blank at the end of a line means something else.");
    return {};
}

}  // namespace

Result<std::string> MakeUnit(const UnitFacts &facts) {
    if (auto good = CheckPaths(facts); !good) return Pass(good);
    return fmt::format(kUnit, fmt::arg("home", WithoutSpecifiers(facts.home)),
                       fmt::arg("pgdata", Quoted(facts.pgdata)), fmt::arg("user", facts.user),
                       fmt::arg("program", Quoted(facts.program)));
}

}  // namespace pgaf::node
