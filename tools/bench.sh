#!/usr/bin/env bash
# Measures our gaps against plain PostgreSQL in the same run: see bench/bench.py.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/build.sh
make --no-print-directory --silent bench-module
tree=$(mktemp -d /tmp/pgaf-tree-XXXXXX)
chmod 755 "$tree"
trap 'rm -rf "$tree"' EXIT
PGAF_BINDIR=$(tools/pgtree.sh "$tree")
export PGAF_BINDIR PYTHONDONTWRITEBYTECODE=1
/usr/bin/python3 bench/bench.py "$@"
