#include <fmt/format.h>

#include "cli/create.hpp"
#include "io/env.hpp"

/// Options of `create monitor` and `create postgres`, as data.
namespace pgaf::cli {
namespace {

void AddServerOptions(CLI::App &command, Session &session, CreateOptions &o) {
    command.add_option("-C,--pgctl", o.pg_ctl, "path of pg_ctl");
    FromEnvironment(command, session,
                    command.add_option("-p,--pgport", o.port, "port of PostgreSQL")
                        ->check(CLI::Range(1, 65535)),
                    "PGPORT");
    command.add_option("-l,--listen", o.listen, "addresses to listen on");
    command.add_option("-n,--hostname", o.hostname, "name by which others reach this host");
    auto *auth = command.add_option("-A,--auth", o.auth, "authentication method for HBA rules");
    auto *skip_hba = command.add_flag("-S,--skip-pg-hba", o.skip_pg_hba, "never edit pg_hba.conf");
    FromEnvironment(command, session, auth, "PG_AUTOCTL_AUTH_METHOD", {skip_hba});
    auto *self_signed = command.add_flag("-s,--ssl-self-signed", o.ssl_self_signed,
                                         "SSL with a self-signed certificate");
    auto *no_ssl = command.add_flag("-N,--no-ssl", o.no_ssl, "do not use SSL");
    command.add_option("--ssl-mode", o.ssl_mode, "SSL mode of connections")
        ->check(
            CLI::IsMember({"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}));
    auto *ca =
        command.add_option("--ssl-ca-file", o.ssl_ca_file, "certificates of trusted authorities");
    auto *crl =
        command.add_option("--ssl-crl-file", o.ssl_crl_file, "certificates that were revoked");
    auto *certificate =
        command.add_option("--server-cert", o.server_cert, "certificate of this server");
    auto *key = command.add_option("--server-key", o.server_key, "private key of this server");
    FromEnvironment(command, session, self_signed, "PG_AUTOCTL_SSL_SELF_SIGNED",
                    {no_ssl, ca, crl, certificate, key});
    command.add_option("--http-listen", o.http_listen,
                       "address and port for health checks and metrics, such as 127.0.0.1:8008; "
                       "without it there is no HTTP");
    command.add_flag("--http-tls", o.http_tls, "HTTPS, with the certificate of PostgreSQL");
    command.add_flag("-x,--run", o.run, "go on running afterwards");
}

void AddNodeNames(CLI::App &command, Session &session, CreateOptions &o) {
    const auto add = [&](const char *name, std::string &into, const char *help,
                         const char *variable) {
        FromEnvironment(command, session, command.add_option(name, into, help), variable);
    };
    add("-m,--monitor", session.monitor, "connection string of the monitor", "PG_AUTOCTL_MONITOR");
    add("--monitor-fingerprint", o.monitor_fingerprint,
        "SHA-256 of the monitor's certificate, as create monitor prints it",
        "PG_AUTOCTL_MONITOR_FINGERPRINT");
    add("-H,--pghost", o.pg_host, "socket directory of PostgreSQL", "PGHOST");
    add("-a,--name", o.name, "name of the node", "PG_AUTOCTL_NODE_NAME");
    add("-U,--username", o.username, "role of the application", "PGUSER");
    add("-d,--dbname", o.dbname, "database of the application", "PGDATABASE");
    add("-w,--replication-password", o.replication_password,
        "password of the role for replication; better in the environment",
        "PG_AUTOCTL_REPLICATION_PASSWORD");
    command.add_option("--replication-cert", o.replication_cert,
                       "certificate of the role for replication, for --auth cert");
    command.add_option("--replication-key", o.replication_key, "its key");
    command.add_option("-f,--formation", session.formation, "formation");
}

void AddNodeOptions(CLI::App &command, Session &session, CreateOptions &o) {
    AddNodeNames(command, session, o);
    FromEnvironment(
        command, session,
        command
            .add_option("-P,--candidate-priority", o.candidate_priority, "priority to be promoted")
            ->check(CLI::Range(0, 100)),
        "PG_AUTOCTL_CANDIDATE_PRIORITY");
    FromEnvironment(
        command, session,
        command.add_option("-r,--replication-quorum", o.replication_quorum, "true or false")
            ->check(CLI::IsMember({"true", "false"})),
        "PG_AUTOCTL_REPLICATION_QUORUM");
    command.add_option("-R,--maximum-backup-rate", o.maximum_backup_rate,
                       "limit for copying the primary");
    command.add_flag("--no-tune", o.no_tune,
                     "leave the settings of a new server as PostgreSQL has them");
    command.add_flag("-L,--pg-hba-lan", o.pg_hba_lan,
                     "let the local network connect to the database");
    command.add_flag("--replace", o.replace,
                     "take the place of a node of the same name whose machine is lost");
}

}  // namespace

void AddCreate(CLI::App &app, Session &session) {
    CLI::App *create = AddCommand(app, session, "create", "create a monitor or a node");
    create->require_subcommand(1);
    AddCreateFormation(*create, session);
    auto monitor_options = std::make_shared<CreateOptions>();
    CLI::App *monitor = AddCommand(*create, session, "monitor", "create the monitor");
    AddPgData(*monitor, session);
    AddServerOptions(*monitor, session, *monitor_options);
    const auto add_password = [&](const char *name, std::string &into, const char *help,
                                  const char *variable) {
        FromEnvironment(*monitor, session, monitor->add_option(name, into, help), variable);
    };
    add_password("-W,--autoctl-node-password", monitor_options->node_password,
                 "password of role autoctl_node; better in the environment",
                 "PG_AUTOCTL_NODE_PASSWORD");
    add_password("--operator-password", monitor_options->operator_password,
                 "password of role autoctl_operator; better in the environment",
                 "PG_AUTOCTL_OPERATOR_PASSWORD");
    add_password("--reader-password", monitor_options->reader_password,
                 "password of role autoctl_reader; better in the environment",
                 "PG_AUTOCTL_READER_PASSWORD");
    monitor->callback([&session, monitor_options] {
        session.command = [&session, monitor_options] {
            return CreateMonitor(session, *monitor_options);
        };
    });
    auto node_options = std::make_shared<CreateOptions>();
    CLI::App *postgres = AddCommand(*create, session, "postgres", "create a PostgreSQL node");
    AddPgData(*postgres, session);
    AddServerOptions(*postgres, session, *node_options);
    AddNodeOptions(*postgres, session, *node_options);
    postgres->callback([&session, node_options] {
        session.command = [&session, node_options] {
            return CreatePostgres(session, *node_options);
        };
    });
}

}  // namespace pgaf::cli
