#!/usr/bin/env bash
# static_lib.sh FROM TO: a static library that gets along with others. Rust's own has the whole standard library with names that
# every other Rust library has, too; linked into one object, only helio's names are left to be seen.
set -euo pipefail
from=$1 to=$2
if ! command -v objcopy >/dev/null || ! command -v ld >/dev/null; then
  install -m 644 "$from" "$to" # where there are no GNU tools: as Rust made it
  exit
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
undefined=()
while read -r name; do undefined+=(-u "$name"); done <"$(dirname "$0")/../tests/exports.txt"
ld -r -o "$work/helio.o" --gc-sections "${undefined[@]}" "$from"
objcopy --remove-section=.llvmbc --remove-section=.llvmcmd --wildcard --keep-global-symbol='helio_*' "$work/helio.o"
rm -f "$to"
ar crs "$to" "$work/helio.o"
