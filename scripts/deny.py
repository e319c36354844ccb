#!/usr/bin/env python3
"""Whether the crates inside the library keep the rules of deny.toml: licences, sources, one version of each, who runs code at
build time, and a lock file that holds the checksum of each. The offline part of what `cargo deny check` looks at."""

import pathlib
import re
import sys
import tomllib

import notice

ROOT = pathlib.Path(__file__).resolve().parent.parent
CRATES_IO = "registry+https://github.com/rust-lang/crates.io-index"


def permitted(expression, allowed):
    """Whether an SPDX expression can be met with these licences. OR, AND and brackets; an old `/` is an OR."""
    tokens = re.findall(r"[()]|[^\s()]+", expression.replace("/", " OR "))
    position = 0

    def term():
        nonlocal position
        token = tokens[position]
        position += 1
        if token == "(":
            value = either()
            position += 1  # the closing bracket
            return value
        if position < len(tokens) and tokens[position] == "WITH":
            position += 2  # an exception permits more
        return token in allowed

    def joined(word, part, how):
        """Parts with this word between them."""
        nonlocal position
        values = [part()]
        while position < len(tokens) and tokens[position] == word:
            position += 1
            values.append(part())
        return how(values)

    def either():
        return joined("OR", lambda: joined("AND", term, all), any)

    return either()


def locked():
    """name, version → checksum, from the lock file."""
    packages = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    return {(package["name"], package["version"]): package.get("checksum") for package in packages}


def complaints(packages, rules, checksums):
    allowed = set(rules["licenses"]["allow"])
    twice = {one["crate"] for one in rules["bans"]["skip"]}
    by_name = {}
    for package in packages:
        name, version = package["name"], package["version"]
        by_name.setdefault(name, []).append(version)
        if not package["license"] or not permitted(package["license"], allowed):
            yield f"{name} {version}: its licence, {package['license']!r}, is not in deny.toml"
        if package["source"] != CRATES_IO:
            yield f"{name} {version}: comes from {package['source']}, not from crates.io"
        if not checksums.get((name, version)):
            yield f"{name} {version}: no checksum in Cargo.lock"
        builds = any("custom-build" in target["kind"] for target in package["targets"])
        if builds and name not in rules["bans"]["build"]["allow-build-scripts"]:
            yield f"{name} {version}: runs code at build time and is not in deny.toml"
    for name, versions in by_name.items():
        if len(versions) > 1 and name not in twice:
            yield f"{name}: {len(versions)} versions, {', '.join(versions)}"


def main():
    rules = tomllib.loads((ROOT / "deny.toml").read_text())
    packages = notice.crates()
    found = list(complaints(packages, rules, locked()))
    print("\n".join(found) or f"{len(packages)} crates keep the rules of deny.toml")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
