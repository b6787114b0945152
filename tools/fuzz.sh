#!/usr/bin/env bash
# Runs every fuzz target for SECONDS_EACH (20) seconds, two at a time: tools/fuzz.sh [target...]
#
# The corpora in keeper/fuzz/corpus are read and not written. An input that breaks something is kept below build/fuzz,
# and belongs into the corpus together with the fix.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v clang++ >/dev/null || { echo 'error: clang++ is not installed' >&2; exit 1; }
build=build/fuzz
cmake -S . -B $build -DPGAF_FUZZ=ON -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_BUILD_TYPE=Debug >$build.log 2>&1 ||
  { tail -n 30 $build.log >&2; exit 1; }
cmake --build $build --target fuzz_targets --parallel "$(nproc)" >>$build.log 2>&1 || { tail -n 60 $build.log >&2; exit 1; }
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then mapfile -t targets < <(cd keeper/fuzz/corpus && ls); fi

run() {
  local fresh
  fresh=$(mktemp -d "/tmp/pgaf-fuzz-XXXXXX")
  if "$build/fuzz_$1" -max_total_time="${SECONDS_EACH:-20}" -max_len=8192 -rss_limit_mb=1024 -timeout=10 -print_final_stats=1 \
      -artifact_prefix="$build/$1-" "$fresh" "keeper/fuzz/corpus/$1" >"$build/$1.log" 2>&1; then
    echo "$1: $(sed -n 's/^stat::number_of_executed_units: *//p' "$build/$1.log") inputs"
    rm -rf "$fresh"
  else
    rm -rf "$fresh"
    tail -n 40 "$build/$1.log" >&2
    echo "error: the fuzz target $1 has found something" >&2
    return 1
  fi
}
export -f run
export build
printf '%s\n' "${targets[@]}" | xargs -P 2 -I{} bash -c 'run "$1"' _ {}
