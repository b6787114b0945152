#!/usr/bin/env bash
# Runs every test, fast ones first. TESTS="style unit sql cli sanitize fuzz proof azure cluster" chooses layers.
set -euo pipefail
cd "$(dirname "$0")/.."
layers=${TESTS:-style unit sql cli sanitize fuzz proof azure cluster}
export PYTHONDONTWRITEBYTECODE=1
tools/build.sh

scratch=$(mktemp -d /tmp/pgaf-test-XXXXXX)
chmod 755 "$scratch"
pid=  # of the mutants, which run beside other tests
end() {
  if [ -n "$pid" ]; then kill -- "-$pid" 2>/dev/null; wait "$pid"; fi
  rm -rf "$scratch"
}
trap end EXIT
bindir=$(tools/pgtree.sh "$scratch/tree")
export PGAF_BINDIR=$bindir PG_AUTOCTL=$bindir/pg_autoctl
as_user=()
if [ "$(id -u)" -eq 0 ]; then as_user=(setpriv --reuid=postgres --regid=postgres --init-groups); fi

has() { [[ " $layers " == *" $1 "* ]]; }
run_pytest() { /usr/bin/python3 -m pytest -q -p no:cacheprovider "$@"; }

if has style; then
  echo '=== style'
  /usr/bin/python3 tools/style_check.py
fi

if has unit; then
  echo '=== unit tests'
  (cd build/cmake && ctest --output-on-failure --timeout 60 | tail -n 5)
  run_pytest keeper/tests/tools
fi

# pg_regress refuses root, and looks for expected/ where it writes results/.
run_regress() {  # program, temp directory name, options and tests
  local program=$1 name=$2; shift 2
  local dir="$scratch/$name"
  mkdir -p "$dir"
  cp -r sql_tests expected "$dir/"
  if [ "$(id -u)" -eq 0 ]; then chown -R postgres: "$dir"; fi
  (cd "$dir" && "${as_user[@]}" env LC_ALL=C.UTF-8 PATH="$bindir:$PATH" "$program" --inputdir=sql_tests --outputdir=. \
    --bindir="$bindir" --temp-instance="$dir/instance" --temp-config="$dir/sql_tests/regress.conf" "$@") || {
    head -n 200 "$dir/regression.diffs" 2>/dev/null || tail -n 40 "$dir/log/"* ; return 1; }
}

if has sql; then
  echo '=== pg_regress'
  pgxs=$(dirname "$(pg_config --pgxs)")/../..
  mapfile -t tests < <(cd sql_tests/sql && printf '%s\n' *.sql | sed 's/\.sql$//' | sort)
  run_regress "$pgxs/src/test/regress/pg_regress" regress "${tests[@]}"
  mapfile -t specs < <(cd sql_tests/specs && printf '%s\n' *.spec | sed 's/\.spec$//' | sort)
  echo '=== isolation'
  run_regress "$pgxs/src/test/isolation/pg_isolation_regress" isolation "${specs[@]}"
fi

if has cli; then
  echo '=== command line'
  run_pytest keeper/tests/cli
fi

if has sanitize; then
  echo '=== core, worker and supervisor under the address and undefined behaviour sanitizers'
  log="$scratch/sanitize.log"
  { cmake -S . -B build/sanitize -DPGAF_SANITIZE=ON && cmake --build build/sanitize --parallel "$(nproc)" \
      --target core_tests worker_tests supervisor_tests pgaf_conversation pgaf_simulate; } >"$log" 2>&1 ||
    { tail -n 60 "$log" >&2; exit 1; }
  build/sanitize/core_tests --gtest_brief=1 --gtest_filter=-Closure.*  # the enumeration takes minutes here
  build/sanitize/worker_tests --gtest_brief=1
  build/sanitize/supervisor_tests --gtest_brief=1
  build/sanitize/pgaf_conversation keeper/tests/conversation/scenarios
  build/sanitize/pgaf_simulate --known keeper/sim/known_faults.txt --seeds 100
  build/sanitize/pgaf_simulate --known keeper/sim/known_faults.txt --scenarios
fi

if has fuzz; then
  echo '=== fuzz targets'
  tools/fuzz.sh
fi

if has proof; then
  # New seeds with every change of what is simulated, and the same ones whenever this state of it is tested.
  first=$(cat keeper/include/pgaf/core/*.hpp keeper/src/{core,worker,supervisor}/*.[ch]pp keeper/sim/*.[ch]pp | cksum)
  echo '=== simulation with the seeds of these sources'
  build/cmake/pgaf_simulate --known keeper/sim/known_faults.txt --first "${first%% *}000" --seeds "${SIMULATE_SEEDS:-6000}"
fi

mutants='/usr/bin/python3 tools/mutate.py && /usr/bin/python3 tools/mutate.py --count 12 --seconds "${MUTATE_SECONDS:-180}"'
if has proof && ! has cluster; then
  echo '=== mutants'
  bash -c "$mutants"
elif has proof; then
  # With what the tests of real servers leave of the processors: those wait more than they compute. The kernel shares between
  # sessions first (autogroup), and within them by the class.
  setsid bash -c 'echo 19 >/proc/self/autogroup; exec chrt --idle 0 bash -c "$0"' "$mutants" >"$scratch/mutants.log" 2>&1 &
  pid=$!
fi

failed=
real=()
if has azure; then real+=(keeper/tests/azure); fi
if has cluster; then real+=(keeper/tests/cluster/test_*.py); fi
if [ ${#real[@]} -gt 0 ]; then
  echo '=== real servers: the tutorial on machines of our own, clusters'
  /usr/bin/python3 tools/lanes.py --lanes 2 "${real[@]}" || failed=1
fi
if [ -n "$pid" ]; then
  echo '=== mutants'
  wait "$pid" || failed=1
  pid=
  cat "$scratch/mutants.log"
fi
if [ -n "$failed" ]; then exit 1; fi
echo 'all tests passed'
