#!/usr/bin/env bash
# The packages' unit: tools/package_unit.sh PG_AUTOCTL BINDIR
#
# What PG_AUTOCTL prints, made a template for the user postgres and any data directory:
# systemctl enable pgautofailover-15@$(systemd-escape --path PGDATA)
set -euo pipefail
program=${1:?} bindir=${2:?}
"$program" -q show systemd --pgdata /PGDATA |
  sed -e 's|^WorkingDirectory = .*|WorkingDirectory = ~|' -e 's|^User = .*|User = postgres|' \
    -e 's|^Environment = "PGDATA=/PGDATA"$|Environment = "PGDATA=%f"|' \
    -e "s|\"[^\"]*/pg_autoctl\"|\"$bindir/pg_autoctl\"|" -e 's|^Description = .*|& for %f|'
