#!/usr/bin/env bash
# Runs every test, all of them even if some fail. Called by `make test`, which has built the library.
set -uo pipefail
cd "$(dirname "$0")/.."
status=0
notes=()

echo "== tools: a second compiler, valgrind, SDL2, real servers and proxies"
if ! lacking=$(scripts/tools.sh gcc g++ clang valgrind cmake pkg-config sdl2-config nginx nginx-stream tinyproxy microsocks openssl luajit mcs javac jna npm godot3-server gtk4 Xvfb xdotool import abidiff); then
  notes+=(--note "SKIPPED: what these would have checked. $lacking")
fi

echo "== cargo test: units, scenarios by helio_complete, the model, header"
if ! cargo test --no-fail-fast; then
  notes+=(--note "FAILED: cargo test, see above")
  status=1
fi
for delivery in poll pull thread; do
  echo "== the same scenarios by helio_submit: $delivery"
  if ! HELIO_TEST_DELIVERY=$delivery cargo test --no-fail-fast --test scenarios; then
    notes+=(--note "FAILED: scenarios in $delivery, see above")
    status=1
  fi
done

echo "== benchmarks: every part works, and a request and a chunk cost what they did"
for part in --quick --guard; do
  if ! benches/run.py $part; then
    notes+=(--note "FAILED: benches/run.py $part, see above")
    status=1
  fi
done

echo "== C programs, and the real model"
python3 tests/c/run.py "${notes[@]}" || status=1
exit $status
