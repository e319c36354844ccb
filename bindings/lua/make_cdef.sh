#!/usr/bin/env bash
# make_cdef.sh: writes helio_cdef.lua anew from include/helio.h, as LuaJIT's FFI has no preprocessor. With --print it only shows it.
set -euo pipefail
cd "$(dirname "$0")"
made=$(
  echo "-- Made from include/helio.h by make_cdef.sh."
  echo "return [["
  grep -v '^#include' ../../include/helio.h | "${CC:-cc}" -E -P -U__GNUC__ -x c -
  echo "]]"
)
if [ "${1:-}" = --print ]; then echo "$made"; else echo "$made" >helio_cdef.lua; fi
