#!/bin/sh
# Printed by pg_autoctl do azure ... --script. Needs: az (logged in), ssh, curl.
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

# Our own public address; set own_network=ADDRESS/LENGTH to give it by hand.
find_own_network () {
  for service in https://api.ipify.org https://ipv4.icanhazip.com https://checkip.amazonaws.com https://ifconfig.me/ip; do
    address=$(curl -4 -fsS --max-time 10 "$service") || continue
    case $address in
      *[!0-9.]* | *.*.*.*.* | '') ;;
      # No host of the Internet has these.
      0.* | 10.* | 127.* | 169.254.* | 192.168.* | 22[4-9].* | 2[3-5][0-9].*) ;;
      172.1[6-9].* | 172.2[0-9].* | 172.3[01].*) ;;
      100.6[4-9].* | 100.[7-9][0-9].* | 100.1[01][0-9].* | 100.12[0-7].*) ;;
      *.*.*.*) echo "$address/32"; return 0 ;;
    esac
  done
  echo "could not find out our own public address" >&2
  return 1
}
own_network=${own_network:-$(find_own_network)}

if [ "$(az group exists --name ha-demo-paris)" = true ]; then
  echo "the resource group ha-demo-paris exists already; pg_autoctl do azure create region continues it" >&2
  exit 1
fi

# Before the machines are created at the same time: each would make its own.
[ -e /home/me/.ssh/id_rsa.pub ] || ssh-keygen -q -t rsa -b 3072 -N '' -f /home/me/.ssh/id_rsa

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
    --source-address-prefixes "$own_network" 10.11.11.0/24 \
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
(
  # ha-demo-paris-monitor: creating the machine
  az vm create \
      --resource-group ha-demo-paris \
      --name ha-demo-paris-monitor \
      --vnet-name ha-demo-paris-net \
      --subnet ha-demo-paris-subnet \
      --nsg ha-demo-paris-nsg \
      --public-ip-address ha-demo-paris-monitor-ip \
      --public-ip-sku Standard \
      --image Debian:debian-12:12:latest \
      --size Standard_DS1_v2 \
      --admin-username ha-admin \
      --ssh-key-values /home/me/.ssh/id_rsa.pub \
      --output none \
      --only-show-errors
) &
jobs="$jobs $!:ha-demo-paris-monitor"
(
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
) &
jobs="$jobs $!:ha-demo-paris-a"
(
  # ha-demo-paris-b: creating the machine
  az vm create \
      --resource-group ha-demo-paris \
      --name ha-demo-paris-b \
      --vnet-name ha-demo-paris-net \
      --subnet ha-demo-paris-subnet \
      --nsg ha-demo-paris-nsg \
      --public-ip-address ha-demo-paris-b-ip \
      --public-ip-sku Standard \
      --image Debian:debian-12:12:latest \
      --size Standard_DS1_v2 \
      --admin-username ha-admin \
      --ssh-key-values /home/me/.ssh/id_rsa.pub \
      --output none \
      --only-show-errors
) &
jobs="$jobs $!:ha-demo-paris-b"
(
  # ha-demo-paris-app: creating the machine
  az vm create \
      --resource-group ha-demo-paris \
      --name ha-demo-paris-app \
      --vnet-name ha-demo-paris-net \
      --subnet ha-demo-paris-subnet \
      --nsg ha-demo-paris-nsg \
      --public-ip-address ha-demo-paris-app-ip \
      --public-ip-sku Standard \
      --image Debian:debian-12:12:latest \
      --size Standard_DS1_v2 \
      --admin-username ha-admin \
      --ssh-key-values /home/me/.ssh/id_rsa.pub \
      --output none \
      --only-show-errors
) &
jobs="$jobs $!:ha-demo-paris-app"
finish

# 3. Installation
(
  # ha-demo-paris-monitor: installing packages
  expecting PROVISIONED-OK az vm run-command invoke \
      --output json \
      --only-show-errors \
      --resource-group ha-demo-paris \
      --name ha-demo-paris-monitor \
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
        'apt install --no-install-recommends sudo postgresql-15 postgresql-15-pgautofailover' \
        '[ -e /etc/systemd/system/pgautofailover.service ] || { echo postgres > /etc/pg_autoctl.user; chmod 644 /etc/pg_autoctl.user; }' \
        'for key in /etc/ssh/ssh_host_*_key.pub; do echo "PGAF-HOST-KEY $(cut -d '\'' '\'' -f 1,2 "$key")"; done' \
        'echo PROVISIONED-OK'
  remember ha-demo-paris-monitor
) &
jobs="$jobs $!:ha-demo-paris-monitor"
(
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
        'apt install --no-install-recommends sudo postgresql-15 postgresql-15-pgautofailover' \
        '[ -e /etc/systemd/system/pgautofailover.service ] || { echo postgres > /etc/pg_autoctl.user; chmod 644 /etc/pg_autoctl.user; }' \
        'for key in /etc/ssh/ssh_host_*_key.pub; do echo "PGAF-HOST-KEY $(cut -d '\'' '\'' -f 1,2 "$key")"; done' \
        'echo PROVISIONED-OK'
  remember ha-demo-paris-a
) &
jobs="$jobs $!:ha-demo-paris-a"
(
  # ha-demo-paris-b: installing packages
  expecting PROVISIONED-OK az vm run-command invoke \
      --output json \
      --only-show-errors \
      --resource-group ha-demo-paris \
      --name ha-demo-paris-b \
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
        'apt install --no-install-recommends sudo postgresql-15 postgresql-15-pgautofailover' \
        '[ -e /etc/systemd/system/pgautofailover.service ] || { echo postgres > /etc/pg_autoctl.user; chmod 644 /etc/pg_autoctl.user; }' \
        'for key in /etc/ssh/ssh_host_*_key.pub; do echo "PGAF-HOST-KEY $(cut -d '\'' '\'' -f 1,2 "$key")"; done' \
        'echo PROVISIONED-OK'
  remember ha-demo-paris-b
) &
jobs="$jobs $!:ha-demo-paris-b"
(
  # ha-demo-paris-app: installing packages
  expecting PROVISIONED-OK az vm run-command invoke \
      --output json \
      --only-show-errors \
      --resource-group ha-demo-paris \
      --name ha-demo-paris-app \
      --command-id RunShellScript \
      --scripts \
        'set -e' \
        'export DEBIAN_FRONTEND=noninteractive' \
        'apt () { apt-get -q -y -o DPkg::Lock::Timeout=300 "$@"; }' \
        'if command -v cloud-init >/dev/null; then cloud-init status --wait >/dev/null || true; fi' \
        'refresh () { tries=0; until said=$(apt update 2>&1); do case $said in *lists/lock*) ;; *) echo "$said"; return 1 ;; esac; tries=$((tries + 1)); [ "$tries" -lt 60 ] || { echo "$said"; return 1; }; sleep 5; done; }' \
        refresh \
        'apt install --no-install-recommends postgresql-client-15' \
        'for key in /etc/ssh/ssh_host_*_key.pub; do echo "PGAF-HOST-KEY $(cut -d '\'' '\'' -f 1,2 "$key")"; done' \
        'echo PROVISIONED-OK'
  remember ha-demo-paris-app
) &
jobs="$jobs $!:ha-demo-paris-app"
finish
