#!/usr/bin/env bash
# Makes a private PostgreSQL with our modules in it: tools/pgtree.sh DIR
#
# PostgreSQL finds its files relative to its own binary, so a copy of the installed trees below DIR is a
# server of its own, and the system's PostgreSQL is never touched. Prints the bin directory.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=${1:?usage: tools/pgtree.sh DIR}
pg_config=${PG_CONFIG:-pg_config}
bindir=$("$pg_config" --bindir)
sharedir=$("$pg_config" --sharedir)
mkdir -p "$dir$bindir" "$dir$sharedir"
dir=$(cd "$dir" && pwd)
if [ ! -x "$dir$bindir/postgres" ]; then
  cp -a "$(dirname "$bindir")/." "$dir$(dirname "$bindir")/"
  cp -a "$sharedir/." "$dir$sharedir/"
fi
# Its translations, where they are installed.
localedir=$("$pg_config" --localedir)
if [ -d "$localedir" ] && [ ! -e "$dir$localedir" ]; then
  mkdir -p "$(dirname "$dir$localedir")"
  ln -s "$localedir" "$dir$localedir"
fi
make --no-print-directory install DESTDIR="$dir" PG_CONFIG="$pg_config" >"$dir/install.log" 2>&1 ||
  { cat "$dir/install.log" >&2; exit 1; }
for tool in build/cmake/pgaf_*; do
  [ ! -f "$tool" ] || [ ! -x "$tool" ] || install -m 755 "$tool" "$dir$bindir/"
done
chmod -R a+rX "$dir"
echo "$dir$bindir"
