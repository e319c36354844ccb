#!/usr/bin/env bash
# install.sh install|uninstall|list|version: header, libraries, pkg-config and CMake files under $DESTDIR$PREFIX, or away from there.
# Called by `make`. What is installed finds its own parts by where it stands, so the whole tree can be moved.
set -euo pipefail
cd "$(dirname "$0")/.."

prefix=${PREFIX:-/usr/local}
libdir=${LIBDIR:-lib}         # both below the prefix; lib/x86_64-linux-gnu on Debian
includedir=${INCLUDEDIR:-include}
root=${DESTDIR:-}$prefix
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
# What a static library of Rust wants of the system: rustc --print native-static-libs.
static_libs=$(<packaging/static-libs)

files=(
  "$includedir/helio.h"
  "$includedir/helio.hpp"
  "$libdir/libhelio.so.$version"
  "$libdir/libhelio.so.1"
  "$libdir/libhelio.so"
  "$libdir/libhelio.a"
  "$libdir/pkgconfig/helio.pc"
  "$libdir/cmake/helio/helio-config.cmake"
  "$libdir/cmake/helio/helio-config-version.cmake"
  "$libdir/cmake/helio/helio-targets.cmake"
  share/doc/helio/README.md
  share/doc/helio/CHANGELOG.md
  share/doc/helio/LICENSE-MIT
  share/doc/helio/LICENSE-APACHE
  share/doc/helio/NOTICE.md
  share/doc/helio/sbom.cdx.json
)

# As many steps up as the folder is deep.
up() { sed 's|[^/]\+|..|g' <<<"$1"; }

fill() {
  sed -e "s|@VERSION@|$version|g" -e "s|@LIBDIR@|$libdir|g" -e "s|@INCLUDEDIR@|$includedir|g" \
    -e "s|@UP_FROM_PKGCONFIG@|$(up "$libdir/pkgconfig")|g" -e "s|@UP_FROM_CMAKE@|$(up "$libdir/cmake/helio")|g" \
    -e "s|@STATIC_LIBS@|$static_libs|g" -e "s|@STATIC_LIBS_CMAKE@|${static_libs// /;}|g" "$1" >"$2"
  chmod 644 "$2"
}

case ${1:-} in
  install)
    for file in "${files[@]}"; do mkdir -p "$(dirname "$root/$file")"; done
    install -m 644 include/helio.h include/helio.hpp "$root/$includedir/"
    install -m 755 build/lib/libhelio.so.1 "$root/$libdir/libhelio.so.$version"
    ln -sf "libhelio.so.$version" "$root/$libdir/libhelio.so.1"
    ln -sf libhelio.so.1 "$root/$libdir/libhelio.so"
    install -m 644 build/lib/libhelio.a "$root/$libdir/"
    fill packaging/helio.pc.in "$root/$libdir/pkgconfig/helio.pc"
    for file in helio-config helio-config-version helio-targets; do
      fill "packaging/$file.cmake.in" "$root/$libdir/cmake/helio/$file.cmake"
    done
    install -m 644 README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE NOTICE.md sbom.cdx.json "$root/share/doc/helio/"
    echo "installed under $root"
    ;;
  uninstall)
    for file in "${files[@]}"; do
      rm -f "$root/$file"
      # Folders of our own only, and only while they are empty.
      case $(dirname "$file") in */helio) rmdir "$root/$(dirname "$file")" 2>/dev/null || true ;; esac
    done
    ;;
  version) echo "$version" ;;
  list) printf '%s\n' "${files[@]}" ;;
  *)
    sed -n '2,3s/^# //p' "$0" >&2
    exit 2
    ;;
esac
