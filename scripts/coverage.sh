#!/usr/bin/env bash
# coverage.sh [--quick]: which lines and branches of src/ the units and scenarios reach. --quick: in one delivery instead of four.
# Needs LLVM's own tools of version 19 or later, which read what the compiler writes: on Debian and Ubuntu `apt-get install llvm-19`.
# Prints: coverage lines=…% branches=…% functions=…%. What is missed, line by line: build/coverage/missed.txt
set -euo pipefail
cd "$(dirname "$0")/.."
deliveries=(complete poll pull thread)
[ "${1:-}" != --quick ] || deliveries=(complete)
scripts/tools.sh llvm-cov-19 >/dev/null || true # perhaps another version is here
for version in -22 -21 -20 -19 ""; do
  if command -v "llvm-profdata$version" >/dev/null && command -v "llvm-cov$version" >/dev/null; then break; fi
  version=none
done
if [ "$version" = none ]; then
  echo "coverage: needs llvm-profdata and llvm-cov. On Debian and Ubuntu: sudo apt-get install llvm-19" >&2
  exit 1
fi
work=$PWD/build/coverage
rm -rf "$work/raw"
mkdir -p "$work/raw"
export RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Cinstrument-coverage -Zcoverage-options=branch" LLVM_PROFILE_FILE="$work/raw/%m-%p.profraw"
programs=$(cargo test --locked --target-dir "$work/target" --no-run --lib --test scenarios --message-format=json 2>"$work/build.log" |
  python3 -c 'import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable") and message["profile"]["test"]: print(message["executable"])')
for program in $programs; do
  for delivery in "${deliveries[@]}"; do
    case $program in *scenarios-*) ;; *) [ "$delivery" = complete ] || continue ;; esac
    # What is covered counts here; whether all hold is what the tests are for. Figures of memory and threads differ in such a build.
    HELIO_TEST_DELIVERY=$delivery "$program" --quiet >"$work/$delivery.log" 2>&1 || echo "coverage: some tests failed in $delivery, see build/coverage" >&2
  done
done
find "$work/raw" -name '*.profraw' >"$work/raw.list"
"llvm-profdata$version" merge --sparse --failure-mode=all -f "$work/raw.list" -o "$work/all.profdata"
objects=()
for program in $programs; do objects+=(${objects[@]:+--object} "$program"); done # the first needs no option, and none may be before it
"llvm-cov$version" export --summary-only --instr-profile="$work/all.profdata" "${objects[@]}" --sources "$PWD/src" >"$work/summary.json"
"llvm-cov$version" show --instr-profile="$work/all.profdata" "${objects[@]}" --show-branches=count --sources "$PWD/src" >"$work/missed.txt" 2>/dev/null || true
python3 - "$work/summary.json" <<'END'
import json, sys
totals = json.load(open(sys.argv[1]))["data"][0]["totals"]
print("coverage " + " ".join(f"{kind}={totals[kind]['percent']:.1f}%" for kind in ("lines", "branches", "functions")))
END
