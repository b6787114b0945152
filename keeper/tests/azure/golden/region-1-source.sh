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

# Before the machines are created at the same time: each would make its own.
[ -e /home/me/.ssh/id_rsa.pub ] || ssh-keygen -q -t rsa -b 3072 -N '' -f /home/me/.ssh/id_rsa

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

# 1. Network
# ha-demo-paris: creating the resource group
az group create \
    --name ha-demo-paris \
    --location francecentral \
    --output none \
    --only-show-errors
# ha-demo-paris-net: creating the virtual network
az network vnet create \
    --resource-group ha-demo-paris \
    --name ha-demo-paris-net \
    --address-prefixes 10.11.0.0/16 \
    --output none \
    --only-show-errors
# ha-demo-paris-nsg: creating the network security group
az network nsg create \
    --resource-group ha-demo-paris \
    --name ha-demo-paris-nsg \
    --output none \
    --only-show-errors
# ha-demo-paris-ssh-and-pg: opening ports 22 and 5432 for us and for the machines
az network nsg rule create \
    --resource-group ha-demo-paris \
    --nsg-name ha-demo-paris-nsg \
    --name ha-demo-paris-ssh-and-pg \
    --access allow \
    --protocol Tcp \
    --direction Inbound \
    --priority 100 \
    --source-address-prefixes 203.0.113.7/32 10.11.11.0/24 \
    --source-port-ranges '*' \
    --destination-address-prefixes '*' \
    --destination-port-ranges 22 5432 \
    --output none \
    --only-show-errors
# ha-demo-paris-subnet: creating the subnet
az network vnet subnet create \
    --resource-group ha-demo-paris \
    --vnet-name ha-demo-paris-net \
    --name ha-demo-paris-subnet \
    --address-prefixes 10.11.11.0/24 \
    --network-security-group ha-demo-paris-nsg \
    --output none \
    --only-show-errors

# 2. Machines
# ha-demo-paris-a: creating the machine
az vm create \
    --resource-group ha-demo-paris \
    --name ha-demo-paris-a \
    --vnet-name ha-demo-paris-net \
    --subnet ha-demo-paris-subnet \
    --nsg ha-demo-paris-nsg \
    --public-ip-address ha-demo-paris-a-ip \
    --public-ip-sku Standard \
    --image Debian:debian-12:12:latest \
    --size Standard_DS1_v2 \
    --admin-username ha-admin \
    --ssh-key-values /home/me/.ssh/id_rsa.pub \
    --output none \
    --only-show-errors

# 3. Installation
# For building and installing pg_autoctl.
script_1 () {
  cat <<'SCRIPT'
set -eu
main () {
  file=pgautofailover-source.tar
  sum=$(sha256sum "$file")
  installed=$(cat .pgautofailover-installed 2>/dev/null || true)
  if [ "$installed" = "$sum" ]; then echo 'installed already'; return 0; fi
  rm -rf pgautofailover-source
  mkdir pgautofailover-source
  tar -xf "$file" -C pgautofailover-source
  # A release has all in one directory.
  cd "$(dirname "$(ls pgautofailover-source/Makefile pgautofailover-source/*/Makefile 2>/dev/null | head -n 1)")"
  make -s -j "$(nproc)" PG_CONFIG=/usr/lib/postgresql/15/bin/pg_config
  sudo make -s PG_CONFIG=/usr/lib/postgresql/15/bin/pg_config install
  sudo ln -sf /usr/lib/postgresql/15/bin/pg_autoctl /usr/local/bin/pg_autoctl
  cd
  echo "$sum" > .pgautofailover-installed
}
main </dev/null
SCRIPT
}
public_ip_a=$(vm_ip a); : "${public_ip_a:?ha-demo-paris-a has no address}"
# ha-demo-paris-a: installing packages
expecting PROVISIONED-OK az vm run-command invoke \
    --output json \
    --only-show-errors \
    --resource-group ha-demo-paris \
    --name ha-demo-paris-a \
    --command-id RunShellScript \
    --scripts \
      'set -e' \
      'export DEBIAN_FRONTEND=noninteractive' \
      'apt () { apt-get -q -y -o DPkg::Lock::Timeout=300 "$@"; }' \
      'if command -v cloud-init >/dev/null; then cloud-init status --wait >/dev/null || true; fi' \
      'refresh () { tries=0; until said=$(apt update 2>&1); do case $said in *lists/lock*) ;; *) echo "$said"; return 1 ;; esac; tries=$((tries + 1)); [ "$tries" -lt 60 ] || { echo "$said"; return 1; }; sleep 5; done; }' \
      refresh \
      'mkdir -p /etc/postgresql-common/createcluster.d' \
      'echo '\''create_main_cluster = false'\'' > /etc/postgresql-common/createcluster.d/pgautofailover.conf' \
      'apt install --no-install-recommends sudo postgresql-15 build-essential cmake pkg-config libpq-dev libcli11-dev libfmt-dev libspdlog-dev libuv1-dev rapidjson-dev libsmartcols-dev libexpected-dev libcurl4-openssl-dev libmicrohttpd-dev libssl-dev postgresql-server-dev-15' \
      '[ -e /etc/systemd/system/pgautofailover.service ] || { echo postgres > /etc/pg_autoctl.user; chmod 644 /etc/pg_autoctl.user; }' \
      'for key in /etc/ssh/ssh_host_*_key.pub; do echo "PGAF-HOST-KEY $(cut -d '\'' '\'' -f 1,2 "$key")"; done' \
      'echo PROVISIONED-OK'
remember ha-demo-paris-a
# ha-demo-paris-a: sending the sources
patiently on ha-demo-paris-a "$public_ip_a" true
on ha-demo-paris-a "$public_ip_a" 'cat > pgautofailover-source.tar' < '/home/me/it'\''s here.tar.gz'
# ha-demo-paris-a: building and installing pg_autoctl
patiently on ha-demo-paris-a "$public_ip_a" true
script_1 | on ha-demo-paris-a "$public_ip_a" sh -s
