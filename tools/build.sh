#!/usr/bin/env bash
# Builds both modules, pg_autoctl, its tools and the unit tests; says nothing when all goes well.
set -euo pipefail
cd "$(dirname "$0")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo 'building ...' >&2
make --no-print-directory --jobs="$(nproc)" modules pg_autoctl PROGRAMS=all >"$log" 2>&1 || { tail -n 60 "$log" >&2; exit 1; }
