#!/usr/bin/env bash
# make_wheel.sh LIBRARY [FOLDER]: a wheel of this package with that shared object inside, into FOLDER (default: here).
# The object needs glibc 2.34 on Linux (docs/embedding.md), which the wheel's tag says.
set -euo pipefail
[ $# -ge 1 ] || { sed -n '2,3s/^# //p' "$0" >&2; exit 2; }
library=$(realpath "$1")
out=$(realpath "${2:-.}")
python=${PYTHON:-python3}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

case $(uname -s) in
  Darwin) name=libhelio.dylib platform=$("$python" -c 'import sysconfig; print(sysconfig.get_platform())') ;;
  *) name=libhelio.so.1 platform=manylinux_2_34_$(uname -m) ;;
esac
cp -r "$here/src" "$here/pyproject.toml" "$here/README.md" "$work"
install -m 755 "$library" "$work/src/helio/$name"
strip -S "$work/src/helio/$name" 2>/dev/null || true
"$python" -m pip --disable-pip-version-check wheel --quiet --no-deps --wheel-dir "$out" \
  --config-settings="--build-option=--plat-name=${platform//[.-]/_}" "$work"
