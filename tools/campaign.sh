#!/usr/bin/env bash
# Random faults on three real nodes for a long time: see keeper/tests/cluster/test_campaign.py. ROUNDS, and SEED to repeat one.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/build.sh
tree=$(mktemp -d /tmp/pgaf-tree-XXXXXX)
chmod 755 "$tree"
trap 'rm -rf "$tree"' EXIT
PGAF_BINDIR=$(tools/pgtree.sh "$tree")
export PGAF_BINDIR PG_AUTOCTL=$PGAF_BINDIR/pg_autoctl PYTHONDONTWRITEBYTECODE=1
export PGAF_CAMPAIGN_ROUNDS=${ROUNDS:-300}
if [ -n "${SEED:-}" ]; then export PGAF_CAMPAIGN_SEED=$SEED; fi
/usr/bin/python3 -m pytest -q -s -p no:cacheprovider keeper/tests/cluster/test_campaign.py
