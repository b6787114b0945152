#include <fmt/format.h>
#include <libpq-fe.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <charconv>

#include "cli/create.hpp"
#include "cli/json.hpp"
#include "cli/session.hpp"
#include "io/env.hpp"
#include "node/pid_file.hpp"
#include "pgaf/core/lines.hpp"

/// config get, set, check; get and set of settings that the monitor keeps; version.
namespace pgaf::cli {
namespace {

int ConfigGet(const Session &session, const std::string &key) {
    auto paths = RequirePaths(session);
    if (!paths) return Explain(paths.error());
    auto config = node::LoadConfig(*paths);
    if (!config) return Explain(config.error());
    if (key.empty()) {
        const std::string ini = node::ToIni(*config);
        for (std::string_view rest = ini; !rest.empty();)
            fmt::print("{}\n", ForScreen(session, std::string(core::TakeLine(rest))));
        return kOk;
    }
    auto value = node::GetSetting(*config, key);
    if (!value) return Explain(value.error());
    const bool is_password = key.ends_with("password") && !value->empty();
    const bool hides = is_password && !session.show_secrets && ::isatty(STDOUT_FILENO) != 0;
    fmt::print("{}\n", hides ? "****" : ForScreen(session, *value));
    return kOk;
}

/// Changes `config`, when the result is valid, and tells the monitor what it has to know of it.
Result<void> Change(const node::Paths &paths, node::Config &config, const std::string &key,
                    const std::string &value) {
    for (const char *fixed :
         {"pg_autoctl.role", "pg_autoctl.group", "pg_autoctl.formation", "postgresql.pgdata"}) {
        if (key == fixed)
            return Fail(ProblemCode::kBadArgument, fmt::format("\"{}\" cannot be changed", key));
    }
    const node::Config before = config;
    if (auto set = node::SetSetting(config, key, value); !set) return set;
    if (auto texts = CheckTexts(config); !texts) return texts;
    auto valid = node::FromIni(node::ToIni(config));
    if (!valid) {
        valid.error().code = ProblemCode::kBadArgument;
        return Pass(valid);
    }
    if (config.port != before.port && node::RunningSupervisor(paths)) {
        return Fail(ProblemCode::kBadState, "the port cannot be changed while pg_autoctl runs", {},
                    "Stop it, and use pg_autoctl run --pgport.");
    }
    if (auto install = io::FindPgInstall(config.pg_ctl); !install) return Pass(install);
    if (!config.IsMonitor()) {
        if (auto monitor = io::ParseConninfo(config.monitor); !monitor) return Pass(monitor);
    }
    if (auto tried = TryConfig(paths, before, config); !tried) return tried;
    const bool is_told =
        !config.IsMonitor() && (config.name != before.name || config.hostname != before.hostname ||
                                config.port != before.port);
    return is_told ? TellMonitor(paths, config) : Result<void>{};
}

int ConfigSet(const Session &session, const std::string &key, const std::string &value) {
    auto paths = RequirePaths(session);
    if (!paths) return Explain(paths.error());
    auto config = node::LoadConfig(*paths);
    if (!config) return Explain(config.error());
    if (auto set = Change(*paths, *config, key, value); !set) return Explain(set.error());
    if (auto saved = node::SaveConfig(*paths, *config); !saved) return Explain(saved.error());
    if (!key.ends_with("password")) fmt::print("{}\n", ForScreen(session, value));
    (void)node::SignalSupervisor(*paths, SIGHUP);  // none runs: nothing to tell
    return kOk;
}

int ConfigCheck(const Session &session) {
    auto paths = RequirePaths(session);
    if (!paths) return Explain(paths.error());
    auto config = node::LoadConfig(*paths);
    if (!config) return Explain(config.error());
    const std::vector<std::string> unknown = node::UnknownSettings(*paths);
    if (!unknown.empty()) {
        return Explain(
            {ProblemCode::kBadConfig,
             fmt::format("unknown setting in \"{}\": {}", paths->config, fmt::join(unknown, ", ")),
             "It has no effect.", "pg_autoctl config get prints all that there are."});
    }
    auto install = io::FindPgInstall(config->pg_ctl);
    if (!install) return Explain(install.error());
    if (!config->IsMonitor()) {
        if (auto monitor = io::ParseConninfo(config->monitor); !monitor) {
            monitor.error().code = ProblemCode::kBadConfig;
            return Explain(monitor.error());
        }
    }
    spdlog::info("The configuration in \"{}\" is valid: PostgreSQL {}, port {}", paths->config,
                 install->version, config->port);
    return kOk;
}

int Version(const Session &session) {
    const int server = PQlibVersion();
    if (!session.json) {
        fmt::print(
            "pg_autoctl version {0}\npg_autoctl extension version {0}\ncompiled with libpq "
            "{1}.{2}\n"
            "compatible with Postgres 14, 15, 16, 17, and 18\n",
            kVersion, server / 10000, server % 10000);
        return kOk;
    }
    Json json;
    json.Text("pg_autoctl", kVersion)
        .Text("pgautofailover", kVersion)
        .Text("pg_major", std::to_string(server / 10000));
    json.Text("pg_version", fmt::format("{}.{}", server / 10000, server % 10000));
    json.Text("pg_version_str", fmt::format("PostgreSQL {}.{}", server / 10000, server % 10000));
    fmt::print("{}\n", json.Number("pg_version_num", server).Finish());
    return kOk;
}

}  // namespace

void AddConfig(CLI::App &app, Session &session) {
    CLI::App *config = AddCommand(app, session, "config", "the configuration file");
    config->require_subcommand(1);
    CLI::App *check = AddCommand(*config, session, "check", "check it");
    AddPgData(*check, session);
    check->callback([&session] { session.command = [&session] { return ConfigCheck(session); }; });
    auto key = std::make_shared<std::string>();
    auto value = std::make_shared<std::string>();
    CLI::App *get = AddCommand(*config, session, "get", "print it, or one value of it");
    AddPgData(*get, session);
    AddShowSecrets(*get, session);
    get->add_option("key", *key, "section.key");
    get->callback([&session, key] {
        session.command = [&session, key] { return ConfigGet(session, *key); };
    });
    CLI::App *set = AddCommand(*config, session, "set", "change one value");
    AddPgData(*set, session);
    set->add_option("key", *key, "section.key")->required();
    set->add_option("value", *value, "new value")->required();
    set->callback([&session, key, value] {
        session.command = [&session, key, value] { return ConfigSet(session, *key, *value); };
    });
}

void AddVersion(CLI::App &app, Session &session) {
    CLI::App *version = AddCommand(app, session, "version", "print the version");
    AddJson(*version, session);
    version->callback([&session] { session.command = [&session] { return Version(session); }; });
}

}  // namespace pgaf::cli
