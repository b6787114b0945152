#!/usr/bin/env bash
# Installs what building and testing need, on Debian and its kin. Does nothing when all of it is there.
set -euo pipefail

packages=(build-essential cmake pkg-config git postgresql-15 postgresql-server-dev-15 libpq-dev libcli11-dev
  libfmt-dev libspdlog-dev libuv1-dev rapidjson-dev libsmartcols-dev libexpected-dev libgtest-dev
  libcurl4-openssl-dev libmicrohttpd-dev libssl-dev openssl python3 python3-pytest iproute2 nftables util-linux
  shellcheck clang-format-14
  # Programs that ask the HTTP port, in its tests.
  haproxy prometheus
  # The fuzz targets.
  clang libclang-rt-14-dev
  # The machines of the Azure tests, and the package for them.
  openssh-server openssh-client sudo systemd procps passwd dpkg-dev binutils curl
  ca-certificates)

missing=()
for package in "${packages[@]}"; do
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

echo "installing: ${missing[*]}" >&2
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo 'error: packages are missing and there is no sudo' >&2
    echo "HINT:  As root: apt-get install ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi
# Debian's package would create and start a cluster of its own; nothing here needs it.
"${as_root[@]}" mkdir -p /etc/postgresql-common/createcluster.d
[ -e /usr/bin/pg_createcluster ] ||
  echo 'create_main_cluster = false' |
    "${as_root[@]}" tee /etc/postgresql-common/createcluster.d/pgautofailover.conf >/dev/null
# Nothing that is installed here is started here: the tests start what they need, in namespaces.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod 755 "$policy"
  trap '"${as_root[@]}" rm -f "$policy"' EXIT
fi
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
