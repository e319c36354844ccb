#!/usr/bin/env bash
# test.sh: builds this package and runs its tests, and the table of scenarios, against the library that `make install PREFIX=$PREFIX`
# has installed. Needs Swift 6; without it the exit code is 2.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
command -v swift >/dev/null || { echo "test.sh: there is no swift here; nothing was tested" >&2; exit 2; }
: "${PREFIX:?say where helio is installed: PREFIX=/usr/local $0}"
export PKG_CONFIG_PATH=$PREFIX/lib/pkgconfig LD_LIBRARY_PATH=$PREFIX/lib DYLD_LIBRARY_PATH=$PREFIX/lib
swift test --package-path "$here"
python3 "$here/../../tests/c/run.py" --no-real-model --only BindingSwift
