#include "azure/remote.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "azure/install.hpp"
#include "io/env.hpp"

namespace pgaf::azure {
namespace {

// The whole script is read before its first command runs: the commands must not eat it.
constexpr std::string_view kFrame =
    "set -eu\n"
    "umask 077\n"
    "PATH=$PATH:{}\n"
    "main () {{\n"
    "{}"
    "}}\n"
    "main \"$@\" </dev/null\n";

std::string Framed(int pg_major, std::string_view body) {
    return fmt::format(kFrame, PgBinDirectory(pg_major), body);
}

/// The unit is installed last: where it is, the node was created.
std::string CreateAndServe(std::string_view pgdata, std::string_view create) {
    return fmt::format(
        "  cd\n"
        "  # An earlier run whose connection was lost may still be at work.\n"
        "  exec 9> .pgautofailover.lock\n"
        "  flock -w 600 9\n"
        "  unit=/etc/systemd/system/pgautofailover.service\n"
        "  if [ ! -e \"$unit\" ]; then\n"
        "{1}"
        "    pg_autoctl -q show systemd --pgdata \"$HOME/{0}\" > pgautofailover.service\n"
        "    chmod 644 pgautofailover.service\n"
        "    sudo chown root:root pgautofailover.service\n"
        "    sudo mv pgautofailover.service \"$unit\"\n"
        "  fi\n"
        "  sudo systemctl daemon-reload\n"
        "  sudo systemctl enable pgautofailover\n"
        "  sudo systemctl start pgautofailover\n",
        pgdata, create);
}

std::string_view AuthName(Auth auth) { return auth == Auth::kTrust ? "trust" : "scram-sha-256"; }

}  // namespace

std::vector<std::string> SecretNames() {
    return {kNodePassword, kReplicationPassword, kAppPassword};
}

std::string MonitorScript(Auth auth, int pg_major) {
    const std::string create = fmt::format(
        "    pg_autoctl create monitor --pgdata monitor --hostname \"$1\" \\\n"
        "      --auth {} --ssl-self-signed --pgctl {}/pg_ctl\n",
        AuthName(auth), PgBinDirectory(pg_major));
    return Framed(pg_major, CreateAndServe("monitor", create));
}

std::string NodeScript(Auth auth, int pg_major) {
    const std::string password = auth == Auth::kTrust ? "" : fmt::format(":${{{}}}", kNodePassword);
    const std::string create = fmt::format(
        "    # From the environment: a password must not stand in a process list.\n"
        "    export PG_AUTOCTL_MONITOR=\"postgres://autoctl_node{}@$2:5432/pg_auto_failover"
        "?sslmode=require{}\"\n"
        "    pg_autoctl create postgres --pgdata ha --name \"$3\" --hostname \"$1\" \\\n"
        "      --username {} --dbname {} --pg-hba-lan \\\n"
        "      --auth {} --ssl-self-signed --pgctl {}/pg_ctl\n",
        password, auth == Auth::kScram ? "&channel_binding=require" : "", kAppUser, kAppDatabase,
        AuthName(auth), PgBinDirectory(pg_major));
    return Framed(pg_major, CreateAndServe("ha", create));
}

std::string AppRoleScript(int pg_major) {
    return Framed(pg_major,
                  fmt::format("  cd\n"
                              "  # Whose PostgreSQL is.\n"
                              "  user=$(cat {4} 2>/dev/null || id -un)\n"
                              "  home=$(getent passwd \"$user\" | cut -d : -f 6)\n"
                              "  as () {{ sudo -n -u \"$user\" \"$@\"; }}\n"
                              "  as test -e \"$home/ha/postmaster.pid\" || return 0\n"
                              "  socket=$(as sed -n 5p \"$home/ha/postmaster.pid\")\n"
                              "  sql () {{ as {0}/psql -X -A -t -q -v ON_ERROR_STOP=1 "
                              "-h \"$socket\" -d {1} \"$@\"; }}\n"
                              "  # A standby has what the primary has.\n"
                              "  [ \"$(sql -c 'SELECT pg_is_in_recovery()')\" = f ] || return 0\n"
                              "  sql <<SQL\n"
                              "SET log_statement = 'none';\n"
                              "SET log_min_error_statement = 'panic';\n"
                              "ALTER ROLE {2} PASSWORD '${3}';\n"
                              "SQL\n",
                              PgBinDirectory(pg_major), kAppDatabase, kAppUser, kAppPassword,
                              io::kServiceUserFile));
}

std::string AppScript(Auth auth, int pg_major) {
    std::string password;
    if (auth == Auth::kScram) {
        password = fmt::format(
            "  echo \"*:5432:{}:{}:${}\" > .pgpass.new\n"
            "  mv .pgpass.new .pgpass\n",
            kAppDatabase, kAppUser, kAppPassword);
    }
    return Framed(pg_major,
                  fmt::format("  cd\n"
                              "{0}"
                              "  ports=$(echo \"$1\" | sed 's/[^,][^,]*/5432/g')\n"
                              "  cat > .pg_service.conf.new <<SERVICE\n"
                              "[{1}]\n"
                              "host=$1\n"
                              "port=$ports\n"
                              "dbname={1}\n"
                              "user={2}\n"
                              "sslmode=require\n"
                              "{3}"
                              "target_session_attrs=read-write\n"
                              "connect_timeout=3\n"
                              "SERVICE\n"
                              "  mv .pg_service.conf.new .pg_service.conf\n"
                              "  tries=0\n"
                              "  until psql -X -q 'service={1}' -c 'SELECT 1' >/dev/null; do\n"
                              "    tries=$((tries + 1))\n"
                              "    [ \"$tries\" -lt 20 ] || return 1\n"
                              "    sleep 1\n"
                              "  done\n",
                              password, kAppDatabase, kAppUser,
                              auth == Auth::kScram ? "channel_binding=require\n" : ""));
}

}  // namespace pgaf::azure
