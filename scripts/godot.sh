#!/usr/bin/env bash
# godot.sh: builds the node of examples/godot and puts the project with it into build/godot. Called by `make godot`. Godot's C headers
# come with a crate that cargo fetches; $GODOT_HEADERS may name others.
set -euo pipefail
cd "$(dirname "$0")/.."
home=build/godot

if [ -z "${GODOT_HEADERS:-}" ]; then
  mkdir -p $home/headers
  cat >$home/headers/Cargo.toml <<'TOML'
[package]
name = "headers"
version = "0.0.0"
edition = "2021"
[lib]
path = "nothing.rs"
[dependencies]
gdnative-sys = "=0.9.3"
[workspace]
TOML
  touch $home/headers/nothing.rs
  GODOT_HEADERS=$(${CARGO:-cargo} metadata --quiet --format-version 1 --manifest-path $home/headers/Cargo.toml |
    python3 -c 'import json, os, sys
packages = json.load(sys.stdin)["packages"]
print(next(os.path.dirname(one["manifest_path"]) for one in packages if one["name"] == "gdnative-sys"))')/godot_headers
fi

rm -rf $home/project
cp -r examples/godot/project $home/project
mkdir -p $home/project/bin
"${CC:-cc}" -std=c99 -Wall -Wextra -Werror -O2 -fPIC -shared -isystem "$GODOT_HEADERS" -Iinclude examples/godot/helio_node.c \
  -o $home/project/bin/libhelio_godot.so -Lbuild/lib -lhelio -Wl,-rpath,"$PWD/build/lib"
echo "build/godot/project"
