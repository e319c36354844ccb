#!/usr/bin/env bash
# dist.sh: what `make install` would install, as a tarball for any folder. Called by `make dist`.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$(scripts/install.sh version)
name=helio-$version-$(uname -s | tr '[:upper:]' '[:lower:]')-$(uname -m)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
PREFIX=/$name DESTDIR=$work scripts/install.sh install >/dev/null
# The same files give the same bytes.
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime='2026-01-01 00:00Z' -C "$work" -czf "build/$name.tar.gz" "$name"
echo "build/$name.tar.gz: $(stat -c %s "build/$name.tar.gz") bytes"
