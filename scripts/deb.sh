#!/usr/bin/env bash
# deb.sh: two Debian packages of what is here, in build/: libhelio1 (the shared library) and libhelio-dev (header, static library,
# pkg-config, CMake). For machines of your own; Debian's archive would want its sources. DEBFULLNAME and DEBEMAIL say who made
# them. lintian then only misses the bug that a first upload closes. Needs dpkg-deb; called by `make deb`.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$(scripts/install.sh version)-1
arch=$(dpkg --print-architecture)
triplet=$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || cc -print-multiarch)
maintainer=${DEBFULLNAME:-helio developers}" <${DEBEMAIL:-helio@localhost.localdomain}>"
description="chat completions from large language models"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022

PREFIX=/usr DESTDIR=$work/all LIBDIR=lib/$triplet scripts/install.sh install >/dev/null
strip --strip-unneeded "$work/all/usr/lib/$triplet"/libhelio.so.*.*
chmod 644 "$work/all/usr/lib/$triplet"/libhelio.so.*.* # Debian's rule
strip --strip-debug "$work/all/usr/lib/$triplet/libhelio.a"

# NOTICE.md, but for the Apache licence, which Debian has: a section of the file begins with ##.
short_notice() {
  awk -v RS='\n## ' -v ORS='' '
    NR > 1 { print "\n## " }
    /TERMS AND CONDITIONS FOR USE, REPRODUCTION/ {
      sub(/\n.*/, "")
      print $0 "\n\nThe Apache License 2.0: /usr/share/common-licenses/Apache-2.0\n"
      next
    }
    { print }
  ' NOTICE.md
}

# $1: the package; then what is moved into it, by its path below usr/
package() {
  local name=$1 root=$work/$1 path
  shift
  mkdir -p "$root/DEBIAN" "$root/usr/share/doc/$name"
  for path in "$@"; do
    mkdir -p "$root/usr/$(dirname "$path")"
    mv "$work/all/usr/"$path "$root/usr/$(dirname "$path")/"
  done
  {
    echo "Upstream: helio. Licence: MIT or Apache-2.0, at your option. On Debian systems the Apache-2.0 licence is in"
    echo "/usr/share/common-licenses/Apache-2.0. What else is inside follows the MIT licence below."
    echo
    cat LICENSE-MIT
    echo
    short_notice
  } >"$root/usr/share/doc/$name/copyright"
  printf 'helio (%s) unstable; urgency=medium\n\n  * See the changelog of helio.\n\n -- %s  %s\n' \
    "$version" "$maintainer" "$(date -R -d "@${SOURCE_DATE_EPOCH:-1767225600}")" |
    gzip -9n >"$root/usr/share/doc/$name/changelog.Debian.gz"
}

control() {
  local name=$1
  shift
  {
    echo "Package: $name"
    echo "Source: helio"
    echo "Version: $version"
    echo "Architecture: $arch"
    echo "Multi-Arch: same"
    echo "Maintainer: $maintainer"
    echo "Installed-Size: $(du -sk "$work/$name/usr" | cut -f1)"
    printf '%s\n' "$@"
  } >"$work/$name/DEBIAN/control"
  (cd "$work/$name" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$work/$name/DEBIAN/md5sums"
  dpkg-deb --root-owner-group --build "$work/$name" build/ >/dev/null
  echo "build/${name}_${version}_$arch.deb"
}

package libhelio1 "lib/$triplet/libhelio.so.*"
printf 'libhelio 1 libhelio1 (>= %s)\n' "${version%-*}" >"$work/libhelio1/DEBIAN/shlibs"
printf 'activate-noawait ldconfig\n' >"$work/libhelio1/DEBIAN/triggers"
control libhelio1 "Section: libs" "Priority: optional" "Depends: libc6 (>= 2.34), libgcc-s1 (>= 4.2)" \
  "Description: $description" \
  " helio gives native programs chat completions through a small C interface:" \
  " one whole answer, or its tokens as they come. This is the shared library."
package libhelio-dev include/helio.h include/helio.hpp "lib/$triplet/libhelio.so" "lib/$triplet/libhelio.a" \
  "lib/$triplet/pkgconfig" "lib/$triplet/cmake"
control libhelio-dev "Section: libdevel" "Priority: optional" "Depends: libhelio1 (= $version)" \
  "Description: $description (development)" \
  " helio gives native programs chat completions through a small C interface:" \
  " one whole answer, or its tokens as they come. Header files, the static" \
  " library, and what pkg-config and CMake want."
