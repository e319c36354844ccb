#!/usr/bin/env bash
# run.sh [--runs N | --seconds N] [TARGET ...]: the fuzz targets over their corpora, with the stable compiler and without cargo-fuzz.
#   --runs N      N new inputs each, from a fixed seed (default 2000)
#   --seconds N   so long each: by hand; what is new and worth keeping goes into build/fuzz/corpus, not into the committed one
# Prints a line for each: fuzz target=… executions=… edges=… corpus=…. With a C++ compiler; findings are kept in build/fuzz/findings.
set -euo pipefail
cd "$(dirname "$0")"
limit=-runs amount=2000
targets=()
while [ $# -gt 0 ]; do
  case $1 in
    --runs) limit=-runs amount=$2; shift ;;
    --seconds) limit=-max_total_time amount=$2; shift ;;
    -*) sed -n '2,5s/^# //p' "$0" >&2; exit 2 ;;
    *) targets+=("$1") ;;
  esac
  shift
done
[ ${#targets[@]} -gt 0 ] || targets=(sse body config check refusal http chat)

work=../build/fuzz
mkdir -p "$work/findings"
host=$(rustc -vV | sed -n 's/^host: //p')
# What cargo-fuzz sets; with a target named, the flags are not for build scripts.
flags="-Zsanitizer=address -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
flags+=" -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table"
flags+=" -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing"
RUSTC_BOOTSTRAP=1 RUSTFLAGS=$flags cargo build --locked --release --quiet --target "$host" --target-dir "$work/target"

status=0
for target in "${targets[@]}"; do
  amount_here=$amount seeds=$(find "corpus/$target" -type f | wc -l)
  # libFuzzer counts the inputs that it reads first.
  [ "$limit" = -runs ] && amount_here=$((amount + seeds + 1))
  [ "$limit" = -runs ] && [ "$target" = http ] && amount_here=$((amount / 10 + seeds + 1)) # each goes twice over a socket
  # What is new goes into the first folder: for a run of so many inputs an empty one, so that all such runs are alike.
  new=$work/corpus/$target
  if [ "$limit" = -runs ]; then
    new=$work/new/$target
    rm -rf "$new"
  fi
  mkdir -p "$new"
  if ! "$work/target/$host/release/$target" "$limit=$amount_here" -seed=1 -max_len=4096 -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="$work/findings/$target-" "$new" "corpus/$target" >"$work/$target.log" 2>&1; then
    tail -n 40 "$work/$target.log" >&2
    echo "fuzz target=$target FAILED: the input is in build/fuzz/findings" >&2
    status=1
    continue
  fi
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/$target.log")
  edges=$(sed -n 's/.*cov: \([0-9]*\) .*/\1/p' "$work/$target.log" | tail -n 1)
  echo "fuzz target=$target executions=$executions edges=${edges:-0} corpus=$seeds"
done
exit $status
