#!/bin/sh
# The benchmark: helio beside libcurl and a bare recv loop, on one loopback server, in one run. See README.md.
set -eu

usage() {
  cat <<'END'
usage: benches/run.sh [--quick] [--rounds N] [--instructions] [--lib DIR] [--peers-only]
  --quick         seconds: every part runs once, the figures mean nothing
  --rounds N      measured rounds (default 11)
  --instructions  also count user-space instructions with valgrind (a minute or two more)
  --lib DIR       folder of the release libhelio.so (default: build/lib, then cargo's target/release)
  --peers-only    without helio
END
}

rounds=11 quick=0 instructions=0 helio=1 lib=
while [ $# -gt 0 ]; do
  case $1 in
    --quick) quick=1 ;;
    --rounds) rounds=${2:?--rounds needs a number}; shift ;;
    --instructions) instructions=1 ;;
    --lib) lib=${2:?--lib needs a folder}; shift ;;
    --peers-only) helio=0 ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done
case $rounds in '' | *[!0-9]* | 0) echo "bench: --rounds needs a number of at least 1" >&2; exit 2 ;; esac

say() { echo "bench: $*" >&2; }
fail() { say "$*"; exit 1; }

[ "$(uname -s)" = Linux ] || fail "needs Linux (epoll, processor affinity)"
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname -- "$here")
work=$root/build/bench
CC=${CC:-cc}
mkdir -p "$work"

# Two runs at once would measure each other, and write to the same files.
if command -v flock >/dev/null; then
  exec 8>"$work/lock"
  if ! flock -n 8; then
    say "another run is under way: waiting for its end"
    flock 8
  fi
fi

if [ $quick = 1 ]; then
  rounds=1 requests=50 warm_requests=5 streams=2 warm_streams=1 chunks=200
  slope_requests_a=20 slope_requests_b=60 slope_chunks_a=200 slope_chunks_b=600
else
  requests=3000 warm_requests=300 streams=50 warm_streams=3 chunks=10000
  slope_requests_a=200 slope_requests_b=1200 slope_chunks_a=2000 slope_chunks_b=12000
fi

# ---- what is needed -------------------------------------------------------------------------------------------------

command -v "$CC" >/dev/null || fail "needs a C compiler (CC=...)"

clients=floor
has_curl() { echo '#include <curl/curl.h>
int main(void) { return curl_easy_init() == 0; }' | "$CC" -x c - -o "$work/has_curl" -lcurl 2>/dev/null; }
install_curl='apt-get install -y libcurl4-openssl-dev'
if ! has_curl && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  say "libcurl's headers are missing: $install_curl"
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive $install_curl -qq; } >"$work/install.log" 2>&1 ||
    say "that failed, see build/bench/install.log"
fi
if has_curl; then
  clients="$clients curl"
elif [ $quick = 1 ]; then
  say "SKIPPED: libcurl, whose headers are missing. On Debian, as root: $install_curl"
else
  fail "needs libcurl's headers. On Debian, as root: $install_curl"
fi

if [ $helio = 1 ]; then
  if [ -z "$lib" ]; then
    for folder in "$root/build/lib" "${CARGO_TARGET_DIR:-$root/target}/release"; do
      if [ -e "$folder/libhelio.so" ]; then lib=$folder; break; fi
    done
  fi
  [ -n "$lib" ] && [ -e "$lib/libhelio.so" ] || fail "no libhelio.so: build it with 'cargo build --release' (or --lib DIR)"
  lib=$(CDPATH='' cd -- "$lib" && pwd)
  clients="$clients helio"
  # A copy of links in which the library is also found by its soname, wherever it was built.
  rm -rf "${work:?}/lib"
  mkdir -p "$work/lib"
  ln -s "$lib/libhelio.so" "$work/lib/libhelio.so"
  soname=$(readelf -d "$lib/libhelio.so" 2>/dev/null | sed -n 's/.*(SONAME).*\[\(.*\)\].*/\1/p')
  [ -z "$soname" ] || [ "$soname" = libhelio.so ] || ln -s "$lib/libhelio.so" "$work/lib/$soname"
fi

if [ $instructions = 1 ] && ! command -v valgrind >/dev/null; then
  say "SKIPPED: --instructions needs valgrind. On Debian, as root: apt-get install -y valgrind"
  instructions=0
fi

# ---- build ----------------------------------------------------------------------------------------------------------

compile() { "$CC" -std=c11 -O2 -Wall -Wextra -D_GNU_SOURCE "$@"; }
compile -o "$work/server" "$here/server.c"
compile -o "$work/floor_bench" "$here/floor_bench.c"
compile -shared -fPIC -o "$work/count_malloc.so" "$here/count_malloc.c" -ldl
case $clients in *curl*) compile -o "$work/curl_bench" "$here/curl_bench.c" -lcurl ;; esac
case $clients in *helio*)
  compile -I"$root/include" -o "$work/helio_bench" "$here/helio_bench.c" \
    -L"$work/lib" -lhelio -Wl,-rpath,"$work/lib"
  ;;
esac

# ---- the server: ends when descriptor 9, its standard input, is closed, and so with this script, however that ends ---

rm -f "$work/stdin" "$work/port"
mkfifo "$work/stdin"
"$work/server" <"$work/stdin" >"$work/port" 8>&- &
exec 9>"$work/stdin"
rm -f "$work/stdin"
tries=0
while [ ! -s "$work/port" ]; do
  tries=$((tries + 1))
  [ $tries -le 100 ] || fail "the server did not start"
  sleep 0.1
done
port=$(cat "$work/port")

# ---- measure --------------------------------------------------------------------------------------------------------

results=$work/results.txt
: >"$results"
unset LD_PRELOAD
export BENCH_MAX_SECONDS=60

wrap= # a tool to run the client under: words without spaces in them, hence the cd
cd "$work"
run() { # CLIENT MODE COUNT WARMUP [CHUNKS]
  program=./${1}_bench
  shift
  # shellcheck disable=SC2086
  timeout 300 $wrap "$program" "$port" "$@" 8>&- 9>&-
}

round=0
while [ $round -lt "$rounds" ]; do
  round=$((round + 1))
  say "round $round of $rounds"
  for client in $clients; do
    line=$(run "$client" requests $requests $warm_requests) || fail "$client, requests: failed"
    echo "round=$round $line" >>"$results"
  done
  for mode in stream plain; do
    for client in $clients; do
      line=$(run "$client" $mode $streams $warm_streams $chunks) || fail "$client, $mode: failed"
      echo "round=$round $line" >>"$results"
    done
  done
done

# What one more request or chunk costs: the difference between two sizes, which leaves out start and end.
slope() { # KIND CLIENT MODE FIGURES, each FIGURE as the tool names it on standard error
  if [ "$3" = requests ]; then
    a=$slope_requests_a b=$slope_requests_b
    set -- "$@" "requests $a 20" "requests $b 20"
  else
    a=$slope_chunks_a b=$slope_chunks_b
    set -- "$@" "$3 1 0 $a" "$3 1 0 $b"
  fi
  # shellcheck disable=SC2086
  { run "$2" $5 2>a.txt && run "$2" $6 2>b.txt; } >/dev/null || fail "$1 of $2, $3: failed: $(tail -n 3 a.txt b.txt)"
  for what in $4; do
    total_a=$(total "$what" <a.txt)
    total_b=$(total "$what" <b.txt)
    if [ -z "$total_a" ] || [ -z "$total_b" ]; then fail "$1 of $2, $3: no figure for $what"; fi
    awk -v kind="$1" -v client="$2" -v mode="$3" -v what="$what" -v d=$((total_b - total_a)) -v n=$((b - a)) \
      'BEGIN { printf "%s client=%s mode=%s what=%s per_op=%.4f\n", kind, client, mode, what, d / n }' >>"$results"
  done
}

# The last number that is named so: "calls=12", "Collected : 12".
total() { sed -n "s/.*$1 *[=:] *\([0-9][0-9]*\).*/\1/p" | tail -n 1; }

export BENCH_BARE=1
say "heap"
wrap="env LD_PRELOAD=./count_malloc.so"
for client in $clients; do
  for mode in requests stream plain; do
    slope heap "$client" $mode "calls bytes"
  done
done
if [ $instructions = 1 ]; then
  # Under valgrind "rep stosb" counts once per byte; glibc then does without it, for every client.
  export GLIBC_TUNABLES=glibc.cpu.x86_rep_stosb_threshold=1000000000:glibc.cpu.x86_rep_movsb_threshold=1000000000
  wrap="valgrind --tool=callgrind --callgrind-out-file=/dev/null"
  for client in $clients; do
    say "instructions: $client"
    for mode in requests stream plain; do
      slope instructions "$client" $mode Collected
    done
  done
fi

exec 9>&-

# ---- report ---------------------------------------------------------------------------------------------------------

{
  echo "fact date $(date -u +%Y-%m-%dT%H:%M:%SZ)"
  echo "fact cpu $(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1)"
  echo "fact cores $(nproc)"
  echo "fact system $(uname -srm)"
  echo "fact load_average $(cut -d' ' -f1-3 /proc/loadavg)"
  echo "fact compiler $("$CC" --version | head -n 1)"
  for client in $clients; do
    [ "$client" = floor ] || echo "fact $client $("$work/${client}_bench" --version)"
  done
  echo "fact quick $quick"
  echo "fact rounds $rounds"
  echo "fact requests_per_round $requests"
  echo "fact chunks_per_round $((streams * chunks))"
} >>"$results"
awk -v json="$root/build/bench.json" -f "$here/report.awk" "$results"
[ $quick = 0 ] || echo "(--quick: every part ran; the figures mean nothing)"
