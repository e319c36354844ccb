#!/usr/bin/env bash
# tools.sh TOOL... : sees to it that these are there. As root on Debian or Ubuntu it installs what is
# missing; elsewhere it names the one command that does. Exit code 1: something is still missing, and
# standard output says what.
set -uo pipefail
PATH=$PATH:/usr/sbin:/sbin # where Debian puts servers

package_of() {
  case $1 in
    gcc) echo gcc libc6-dev ;;
    sdl2-config) echo libsdl2-dev ;;
    nginx-stream) echo libnginx-mod-stream ;;
    mcs) echo mono-mcs mono-runtime libmono-system-core4.0-cil ;;
    javac) echo openjdk-17-jdk-headless ;;
    jna) echo libjna-java ;;
    gtk4) echo libgtk-4-dev fonts-dejavu-core ;;
    Xvfb) echo xvfb ;;
    import) echo imagemagick ;;
    abidiff) echo abigail-tools ;;
    llvm-cov-19) echo llvm-19 ;;
    *) echo "$1" ;;
  esac
}

is_there() {
  case $1 in
    nginx-stream) [ -e /usr/lib/nginx/modules/ngx_stream_module.so ] ;;
    gtk4) pkg-config --exists gtk4 2>/dev/null ;;
    jna) [ -e /usr/share/java/jna.jar ] ;;
    *) command -v "$1" >/dev/null ;;
  esac
}

missing() {
  local tool
  for tool in "$@"; do is_there "$tool" || echo "$tool"; done
}

mapfile -t wanted < <(missing "$@")
[ ${#wanted[@]} -eq 0 ] && exit 0
packages=()
for tool in "${wanted[@]}"; do
  read -ra more <<<"$(package_of "$tool")"
  packages+=("${more[@]}")
done

# Debian starts a server as soon as it is installed, and again at each boot, unless it is told not to: the
# tests start theirs themselves, with their own settings.
policy=/usr/sbin/policy-rc.d
start_no_service() {
  [ -e $policy ] && return
  trap 'rm -f $policy' EXIT
  printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy
}
disable_services() {
  local package
  [ -d /run/systemd/system ] || return 0
  for package in "$@"; do systemctl --quiet disable "$package.service" 2>/dev/null; done
}

if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
  echo "tools: installing ${packages[*]}" >&2
  export DEBIAN_FRONTEND=noninteractive
  start_no_service
  install_all() { apt-get -qq -y --no-install-recommends install "$@" >&2; }
  apt-get -qq update >&2
  # One that this system does not have must not keep the others away.
  install_all "${packages[@]}" || for package in "${packages[@]}"; do install_all "$package"; done
  disable_services "${packages[@]}"
fi

mapfile -t wanted < <(missing "$@")
[ ${#wanted[@]} -eq 0 ] && exit 0
echo "not installed: ${wanted[*]}. On Debian and Ubuntu: sudo apt-get install ${packages[*]}"
exit 1
