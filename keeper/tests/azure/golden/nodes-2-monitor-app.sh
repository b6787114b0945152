#!/bin/sh
# Printed by pg_autoctl do azure ... --script. Needs: az (logged in), ssh.
set -eu

# Public and private address of a machine.
vm_ip () {
  az vm list-ip-addresses --resource-group ha-demo-paris --name "ha-demo-paris-$1" --output tsv \
    --query '[] [] .virtualMachine.network.publicIpAddresses[0].ipAddress'
}
vm_private_ip () {
  az vm list-ip-addresses --resource-group ha-demo-paris --name "ha-demo-paris-$1" --output tsv \
    --query '[] [] .virtualMachine.network.privateIpAddresses[0]'
}

# Jobs in the background, "process:name"; finish waits for all of them and stops when one failed.
jobs=
finish () {
  failed=
  for job in $jobs; do
    wait "${job%%:*}" || failed="$failed ${job#*:}"
  done
  jobs=
  [ -z "$failed" ] || { echo "failed:$failed" >&2; exit 1; }
}

# az vm run-command ends with 0 even if its script failed: look for the last line of the script.
expecting () {
  marker=$1; shift
  output=$("$@")
  case $output in
    *"$marker"*) ;;
    *) printf '%s\n' "$output" >&2; return 1 ;;
  esac
}

# The keys of a machine as it has told az, not as somebody at its address shows them.
remember () {
  keys=$(printf '%s\n' "$output" | grep -o 'PGAF-HOST-KEY [a-z0-9-]* [A-Za-z0-9+/=]*' |
    sed "s/^PGAF-HOST-KEY/$1/")
  [ -n "$keys" ] || { echo "$1 has not told the keys of its ssh" >&2; return 1; }
  (
    umask 077
    mkdir -p "$(dirname /home/me/.local/share/pg_autoctl/azure/ha-demo-paris/known_hosts)"
    printf '%s\n' "$keys" > /home/me/.local/share/pg_autoctl/azure/ha-demo-paris/known_hosts-"$1".new
    mv /home/me/.local/share/pg_autoctl/azure/ha-demo-paris/known_hosts-"$1".new /home/me/.local/share/pg_autoctl/azure/ha-demo-paris/known_hosts-"$1"
  )
}

# A new machine may refuse for some seconds; 255 is ssh itself.
patiently () {
  tries=1
  while status=0; "$@" </dev/null || status=$?; [ "$status" -eq 255 ] && [ "$tries" -lt 12 ]; do
    tries=$((tries + 1))
    sleep 5
  done
  return "$status"
}

# Passwords, made once; only this user can read them.
secrets=/home/me/secrets
if [ ! -s "$secrets" ]; then
  (
    umask 077
    mkdir -p "$(dirname "$secrets")"
    for name in PG_AUTOCTL_NODE_PASSWORD PG_AUTOCTL_REPLICATION_PASSWORD PG_AUTOCTL_APP_PASSWORD; do
      echo "export $name='$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')'"
    done > "$secrets.new"
    mv "$secrets.new" "$secrets"
  )
fi
secret () {
  for name in "$@"; do
    grep "^export $name=" "$secrets"
  done
}

# A command in a machine: the name for its host key, its address, the command.
on () {
  machine=$1 address=$2; shift 2
  ssh \
    -o BatchMode=yes \
    -i /home/me/.ssh/id_rsa \
    -o StrictHostKeyChecking=yes \
    -o UserKnownHostsFile=/home/me/.local/share/pg_autoctl/azure/ha-demo-paris/known_hosts-"$machine" \
    -o HostKeyAlias="$machine" \
    -o ConnectTimeout=10 \
    -o ServerAliveInterval=15 \
    -o LogLevel=ERROR \
    -l ha-admin "$address" -- "$@"
}

# 1. Monitor
# For creating the monitor.
script_1 () {
  cat <<'SCRIPT'
set -eu
umask 077
PATH=$PATH:/usr/lib/postgresql/15/bin
main () {
  cd
  # An earlier run whose connection was lost may still be at work.
  exec 9> .pgautofailover.lock
  flock -w 600 9
  unit=/etc/systemd/system/pgautofailover.service
  if [ ! -e "$unit" ]; then
    pg_autoctl create monitor --pgdata monitor --hostname "$1" \
      --auth scram-sha-256 --ssl-self-signed --pgctl /usr/lib/postgresql/15/bin/pg_ctl
    pg_autoctl -q show systemd --pgdata "$HOME/monitor" > pgautofailover.service
    chmod 644 pgautofailover.service
    sudo chown root:root pgautofailover.service
    sudo mv pgautofailover.service "$unit"
  fi
  sudo systemctl daemon-reload
  sudo systemctl enable pgautofailover
  sudo systemctl start pgautofailover
}
main "$@" </dev/null
SCRIPT
}
public_ip_monitor=$(vm_ip monitor); : "${public_ip_monitor:?ha-demo-paris-monitor has no address}"
private_ip_monitor=$(vm_private_ip monitor); : "${private_ip_monitor:?ha-demo-paris-monitor has no address}"
# ha-demo-paris-monitor: creating the monitor
patiently on ha-demo-paris-monitor "$public_ip_monitor" true
{ secret PG_AUTOCTL_NODE_PASSWORD; script_1; } | on ha-demo-paris-monitor "$public_ip_monitor" sh -s "$private_ip_monitor"

# 2. First node
# For creating the node.
script_2 () {
  cat <<'SCRIPT'
set -eu
umask 077
PATH=$PATH:/usr/lib/postgresql/15/bin
main () {
  cd
  # An earlier run whose connection was lost may still be at work.
  exec 9> .pgautofailover.lock
  flock -w 600 9
  unit=/etc/systemd/system/pgautofailover.service
  if [ ! -e "$unit" ]; then
    # From the environment: a password must not stand in a process list.
    export PG_AUTOCTL_MONITOR="postgres://autoctl_node:${PG_AUTOCTL_NODE_PASSWORD}@$2:5432/pg_auto_failover?sslmode=require&channel_binding=require"
    pg_autoctl create postgres --pgdata ha --name "$3" --hostname "$1" \
      --username appuser --dbname appdb --pg-hba-lan \
      --auth scram-sha-256 --ssl-self-signed --pgctl /usr/lib/postgresql/15/bin/pg_ctl
    pg_autoctl -q show systemd --pgdata "$HOME/ha" > pgautofailover.service
    chmod 644 pgautofailover.service
    sudo chown root:root pgautofailover.service
    sudo mv pgautofailover.service "$unit"
  fi
  sudo systemctl daemon-reload
  sudo systemctl enable pgautofailover
  sudo systemctl start pgautofailover
}
main "$@" </dev/null
SCRIPT
}
public_ip_a=$(vm_ip a); : "${public_ip_a:?ha-demo-paris-a has no address}"
private_ip_a=$(vm_private_ip a); : "${private_ip_a:?ha-demo-paris-a has no address}"
# ha-demo-paris-a: creating the node
patiently on ha-demo-paris-a "$public_ip_a" true
{ secret PG_AUTOCTL_NODE_PASSWORD PG_AUTOCTL_REPLICATION_PASSWORD; script_2; } | on ha-demo-paris-a "$public_ip_a" sh -s "$private_ip_a" "$private_ip_monitor" paris-a

# 3. Other nodes
public_ip_b=$(vm_ip b); : "${public_ip_b:?ha-demo-paris-b has no address}"
private_ip_b=$(vm_private_ip b); : "${private_ip_b:?ha-demo-paris-b has no address}"
# ha-demo-paris-b: creating the node
patiently on ha-demo-paris-b "$public_ip_b" true
{ secret PG_AUTOCTL_NODE_PASSWORD PG_AUTOCTL_REPLICATION_PASSWORD; script_2; } | on ha-demo-paris-b "$public_ip_b" sh -s "$private_ip_b" "$private_ip_monitor" paris-b

# 4. Primary and secondaries
# ha-demo-paris-monitor: waiting for the group
tries=0
until state=$(on ha-demo-paris-monitor "$public_ip_monitor" pg_autoctl show state --pgdata monitor </dev/null) &&
    [ "$(echo "$state" | grep -cE ' (primary|single) \| +(primary|single)$')" -eq 1 ] &&
    [ "$(echo "$state" | grep -cE ' (primary|single|secondary) \| +(primary|single|secondary)$')" -ge 2 ]; do
  tries=$((tries + 1))
  [ "$tries" -lt 100 ] || { echo "$state" >&2; exit 1; }
  sleep 3
done
echo "$state"

# 5. Application
# For giving the application its password.
script_3 () {
  cat <<'SCRIPT'
set -eu
umask 077
PATH=$PATH:/usr/lib/postgresql/15/bin
main () {
  cd
  # Whose PostgreSQL is.
  user=$(cat /etc/pg_autoctl.user 2>/dev/null || id -un)
  home=$(getent passwd "$user" | cut -d : -f 6)
  as () { sudo -n -u "$user" "$@"; }
  as test -e "$home/ha/postmaster.pid" || return 0
  socket=$(as sed -n 5p "$home/ha/postmaster.pid")
  sql () { as /usr/lib/postgresql/15/bin/psql -X -A -t -q -v ON_ERROR_STOP=1 -h "$socket" -d appdb "$@"; }
  # A standby has what the primary has.
  [ "$(sql -c 'SELECT pg_is_in_recovery()')" = f ] || return 0
  sql <<SQL
SET log_statement = 'none';
SET log_min_error_statement = 'panic';
ALTER ROLE appuser PASSWORD '$PG_AUTOCTL_APP_PASSWORD';
SQL
}
main "$@" </dev/null
SCRIPT
}
# For telling the application where the nodes are.
script_4 () {
  cat <<'SCRIPT'
set -eu
umask 077
PATH=$PATH:/usr/lib/postgresql/15/bin
main () {
  cd
  echo "*:5432:appdb:appuser:$PG_AUTOCTL_APP_PASSWORD" > .pgpass.new
  mv .pgpass.new .pgpass
  ports=$(echo "$1" | sed 's/[^,][^,]*/5432/g')
  cat > .pg_service.conf.new <<SERVICE
[appdb]
host=$1
port=$ports
dbname=appdb
user=appuser
sslmode=require
channel_binding=require
target_session_attrs=read-write
connect_timeout=3
SERVICE
  mv .pg_service.conf.new .pg_service.conf
  tries=0
  until psql -X -q 'service=appdb' -c 'SELECT 1' >/dev/null; do
    tries=$((tries + 1))
    [ "$tries" -lt 20 ] || return 1
    sleep 1
  done
}
main "$@" </dev/null
SCRIPT
}
public_ip_app=$(vm_ip app); : "${public_ip_app:?ha-demo-paris-app has no address}"
# ha-demo-paris-a: giving the application its password
patiently on ha-demo-paris-a "$public_ip_a" true
{ secret PG_AUTOCTL_APP_PASSWORD; script_3; } | on ha-demo-paris-a "$public_ip_a" sh -s
# ha-demo-paris-b: giving the application its password
patiently on ha-demo-paris-b "$public_ip_b" true
{ secret PG_AUTOCTL_APP_PASSWORD; script_3; } | on ha-demo-paris-b "$public_ip_b" sh -s
# ha-demo-paris-app: telling the application where the nodes are
patiently on ha-demo-paris-app "$public_ip_app" true
{ secret PG_AUTOCTL_APP_PASSWORD; script_4; } | on ha-demo-paris-app "$public_ip_app" sh -s "$private_ip_a","$private_ip_b"
