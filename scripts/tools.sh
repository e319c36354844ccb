#!/usr/bin/env bash
# tools.sh TOOL... : sees to it that these are there. As root on Debian or Ubuntu it installs what is
# missing; elsewhere it names the one command that does. Exit code 1: something is still missing, and
# standard output says what.
set -uo pipefail

package_of() {
  case $1 in
    gcc) echo gcc libc6-dev ;;
    sdl2-config) echo libsdl2-dev ;;
    *) echo "$1" ;;
  esac
}

missing() {
  local tool
  for tool in "$@"; do command -v "$tool" >/dev/null || echo "$tool"; done
}

mapfile -t wanted < <(missing "$@")
[ ${#wanted[@]} -eq 0 ] && exit 0
packages=()
for tool in "${wanted[@]}"; do
  read -ra more <<<"$(package_of "$tool")"
  packages+=("${more[@]}")
done

if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
  echo "tools: installing ${packages[*]}" >&2
  export DEBIAN_FRONTEND=noninteractive
  { apt-get -qq update && apt-get -qq -y --no-install-recommends install "${packages[@]}"; } >&2
fi

mapfile -t wanted < <(missing "$@")
[ ${#wanted[@]} -eq 0 ] && exit 0
echo "not installed: ${wanted[*]}. On Debian and Ubuntu: sudo apt-get install ${packages[*]}"
exit 1
