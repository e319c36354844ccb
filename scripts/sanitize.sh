#!/usr/bin/env bash
# sanitize.sh [--quick] [asan|asan-c|valgrind|tsan-c ...]: the tests under tools that find what tests do not see.
#   asan      all scenarios, all Rust code of ours and of the crates under AddressSanitizer with its leak check; std itself is not instrumented
#   asan-c    the C programs, with ours and the library under AddressSanitizer and UndefinedBehaviorSanitizer (C side)
#   valgrind  the C programs under memcheck, with the library as it is shipped
#   tsan-c    the C programs' own code under ThreadSanitizer
# --quick: scenarios in one delivery instead of four, and C programs without the real model. What tests print goes to build/sanitize.
# Prints a line for each: sanitizer=… tests=… findings=… seconds=…
set -uo pipefail
cd "$(dirname "$0")/.."
quick=0
tools=()
for word in "$@"; do
  case $word in
    --quick) quick=1 ;;
    asan | asan-c | valgrind | tsan-c) tools+=("$word") ;;
    *) sed -n '2,9s/^# //p' "$0" >&2; exit 2 ;;
  esac
done
[ ${#tools[@]} -gt 0 ] || tools=(asan asan-c valgrind tsan-c)
work=build/sanitize
mkdir -p $work
host=$(rustc -vV | sed -n 's/^host: //p')
status=0

# NAME LOG SECONDS EXIT_CODE: a finding is what the tool reports; a test that fails by itself is one, too.
report() {
  local tests findings
  tests=$(sed -n 's/^test result: .* \([0-9]*\) passed.*/\1/p; s/^\([0-9]*\) passed, .*/\1/p' "$2" | awk '{ n += $1 } END { print n + 0 }')
  findings=$(grep -cE 'ERROR: (Address|Leak|Thread)Sanitizer|WARNING: ThreadSanitizer|runtime error:|==[0-9]+== [1-9][0-9]* errors? in context|^FAILED |\.\.\. FAILED' "$2")
  [ "$4" -eq 0 ] || [ "$findings" -gt 0 ] || findings=1
  echo "sanitizer=$1 tests=$tests findings=$findings seconds=$3"
  if [ "$findings" -gt 0 ]; then
    grep -nE 'Sanitizer|runtime error:|^FAILED |FAILED$|panicked|error\[' "$2" | head -n 40 >&2
    echo "sanitize: see $2" >&2
    status=1
  fi
}

# With a target named, build scripts and macros are not instrumented.
instrumented() { RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address" "$@"; }

c_programs() { # ARGUMENT...: the tests in C that run a program of ours by run(); not those that start compilers, engines or bindings
  local rest=()
  [ $quick = 0 ] || rest=(--no-real-model)
  CC=gcc python3 tests/c/run.py "${rest[@]}" "$@" # whose runtime is installed with it
}

for tool in "${tools[@]}"; do
  log=$work/$tool.log
  began=$SECONDS
  code=0
  case $tool in
    asan)
      deliveries=(complete)
      [ $quick = 1 ] || deliveries+=(poll pull thread)
      : >$log
      for delivery in "${deliveries[@]}"; do
        # A test of memory growth would measure the sanitizer's allocator: it is left out.
        HELIO_TEST_DELIVERY=$delivery \
          instrumented cargo test --locked --target "$host" --target-dir $work/target --no-fail-fast --test scenarios \
          -- --skip a_thousand_calls_need_no_more_memory_than_a_hundred >>$log 2>&1 || code=1
      done
      ;;
    asan-c)
      instrumented cargo rustc --locked --target "$host" --target-dir $work/target --lib --crate-type cdylib -- -Zexternal-clangrt >$log 2>&1 || code=1
      mkdir -p $work/asan-lib
      cp "$work/target/$host/debug/libhelio.so" $work/asan-lib/libhelio.so.1 2>/dev/null && ln -sf libhelio.so.1 $work/asan-lib/libhelio.so
      c_programs --lib $work/asan-lib --under asan >>$log 2>&1 || code=1
      ;;
    valgrind) c_programs --under valgrind >$log 2>&1 || code=1 ;;
    tsan-c) c_programs --under tsan >$log 2>&1 || code=1 ;;
  esac
  report "$tool" "$log" $((SECONDS - began)) $code
done
exit $status
