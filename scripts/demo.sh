#!/usr/bin/env bash
# demo.sh PROGRAM : lets the streaming example ask whoever can answer here.
#
# With a key or a BASE_URL in the environment it asks there: the Helicone gateway unless BASE_URL says
# otherwise. Without either it asks a small real model on this machine. PROMPT, MODEL and MAX_TOKENS are the
# example's own business.
set -euo pipefail
program=$1
say() { echo "demo: $*" >&2; }

if [ -n "${BASE_URL:-${HELIO_BASE_URL:-}}" ]; then
  say "asking ${BASE_URL:-$HELIO_BASE_URL}"
  if [ -n "${HELICONE_API_KEY:-}" ] && [ -z "${HELIO_API_KEY:-}" ]; then
    say "HELICONE_API_KEY goes to the Helicone gateway only; a key for another server is HELIO_API_KEY"
  fi
  exec "$program"
fi
if [ -n "${HELICONE_API_KEY:-${HELIO_API_KEY:-}}" ]; then
  say "asking the Helicone gateway, model ${MODEL:-gpt-4o-mini}"
  exec "$program"
fi
say "no HELICONE_API_KEY, so a small model on this machine answers"
exec python3 "$(dirname "$0")/real_model.py" run -- "$program"
