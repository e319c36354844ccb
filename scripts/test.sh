#!/usr/bin/env bash
# Runs every test, all of them even if some fail. Called by `make test`, which has built the library.
set -uo pipefail
cd "$(dirname "$0")/.."
status=0
notes=()

echo "== tools: a second compiler, valgrind and SDL2"
if ! lacking=$(scripts/tools.sh gcc g++ clang valgrind sdl2-config); then
  notes+=(--note "SKIPPED: what these would have checked. $lacking")
fi

echo "== cargo test: units, scenarios, header"
if ! cargo test --no-fail-fast; then
  notes+=(--note "FAILED: cargo test, see above")
  status=1
fi

echo "== C programs, and the real model"
python3 tests/c/run.py "${notes[@]}" || status=1
exit $status
