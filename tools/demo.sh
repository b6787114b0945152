#!/usr/bin/env bash
# Builds, and shows two nodes on this machine: switchover, SIGKILL of the primary, return. See tools/demo.py.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/build.sh
tree=$(mktemp -d /tmp/pgaf-tree-XXXXXX)
chmod 755 "$tree"
[ "${KEEP:-}" = 1 ] || trap 'rm -rf "$tree"' EXIT
PGAF_BINDIR=$(tools/pgtree.sh "$tree")
export PGAF_BINDIR PYTHONDONTWRITEBYTECODE=1
/usr/bin/python3 tools/demo.py
