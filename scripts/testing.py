#!/usr/bin/env python3
"""docs/testing.md: how helio is tested, in figures of one run. What the parts print lies in build/testing.

    scripts/testing.py all           run all parts, the soak beside the others, and write the page: `make testing`
    scripts/testing.py run PART      run a part and keep what it prints: test, asan, asan-c, tsan-c, valgrind, fuzz, soak, coverage
    scripts/testing.py run PART --quick
    scripts/testing.py page          write the page of what was kept
"""

import datetime
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
KEPT = ROOT / "build" / "testing"
PAGE = ROOT / "docs" / "testing.md"
SANITIZERS = {
    "asan": "scenarios through the C functions by `helio_complete` (without `--quick` in all deliveries), our code and that of the crates under AddressSanitizer and its leak check; std is not instrumented",
    "asan-c": "the programs in C and the library under AddressSanitizer, the programs also under UndefinedBehaviorSanitizer",
    "tsan-c": "the programs' own code under ThreadSanitizer; what the library does is left out (`tests/sanitize/threads.supp` says why)",
    "valgrind": "the programs in C under memcheck, with the library as it is shipped",
}
COMMANDS = {
    "test": (["scripts/test.sh"], ["scripts/test.sh"]),
    **{name: (["scripts/sanitize.sh", name], ["scripts/sanitize.sh", "--quick", name]) for name in SANITIZERS},
    # The other deliveries would take a quarter of an hour more: `scripts/sanitize.sh asan`.
    "asan": (["scripts/sanitize.sh", "--quick", "asan"],) * 2,
    "fuzz": (["fuzz/run.sh", "--seconds", "45"], ["fuzz/run.sh", "--runs", "3000"]),
    "soak": (["scripts/soak.py", "--seconds", "3600"], ["scripts/soak.py", "--seconds", "300"]),
    "coverage": (["scripts/coverage.sh", "--quick"], ["scripts/coverage.sh", "--quick"]),
}


def run(part, quick):
    """Shows what a part prints, and keeps it with how long it took and whether it held."""
    KEPT.mkdir(parents=True, exist_ok=True)
    began, command = time.monotonic(), COMMANDS[part][1 if quick else 0]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process, open(KEPT / part, "w") as kept:
        for line in process.stdout:
            kept.write(line)
            print(line, end="", flush=True)
        code = process.wait()
        kept.write(f"part={part} command={' '.join(command)!r} seconds={time.monotonic() - began:.0f} code={code}\n")
    return code


def run_all():
    """All parts, also behind one that has failed. The soak goes on beside the others, which come first."""
    subprocess.run(["scripts/tools.sh", "gcc", "g++", "valgrind", "nginx", "nginx-stream", "openssl", "llvm-cov-19"], cwd=ROOT)
    soak = subprocess.Popen(["nice", "-n", "15", sys.executable, __file__, "run", "soak"], cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        codes = {part: run(part, False) for part in COMMANDS if part != "soak"}
        codes["soak"] = soak.wait()
    finally:
        soak.terminate()
    PAGE.write_text(page())
    failed = [part for part, code in codes.items() if code != 0]
    print(f"testing: {'FAILED: ' + ', '.join(failed) if failed else 'all parts hold'}; the page is docs/testing.md")
    return 1 if failed else 0


def kept(part):
    path = KEPT / part
    return path.read_text() if path.exists() else ""


def ended(part):
    """The command, seconds and exit code of a part; None for one that was not run to its end."""
    found = re.search(r"^part=\S+ command='(.*)' seconds=(\d+) code=(-?\d+)$", kept(part), re.M)
    return found and (found.group(1), int(found.group(2)), int(found.group(3)))


def took(part):
    _, seconds, _ = ended(part)
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds} s"


def fields(line):
    return dict(word.split("=", 1) for word in line.split() if "=" in word)


def not_run(part):
    return f"Not in this run: `scripts/testing.py run {part}`."


def tests():
    text = kept("test")
    if not text:
        return not_run("test")
    sections = re.split(r"^== ", text, flags=re.M)[1:]
    rows = []
    for section in sections:
        title, _, body = section.partition("\n")
        rust = re.findall(r"^test result: \w+\. (\d+) passed; (\d+) failed", body, re.M)
        other = re.findall(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", body, re.M)
        guard = re.findall(r"^guard .*", body, re.M)
        passed, failed = sum(int(one[0]) for one in rust + other), sum(int(one[1]) for one in rust + other)
        skipped = f", {other[0][2]} skipped" if other and other[0][2] != "0" else ""
        if rust or other:
            rows.append(f"| {title} | {passed:,} passed, {failed} failed{skipped} |")
        elif guard:
            rows.append(f"| {title} | {'; '.join(line.removeprefix('guard ') for line in guard)} |")
    return "| | |\n| --- | --- |\n" + "\n".join(rows)


def faults():
    page = (ROOT / "docs" / "faults.md").read_text()
    count = re.search(r"these (\d+) faults", page).group(1)
    return f"{count} faults, each without retries and with two, in 4 ways to receive: {int(count) * 8:,} runs ([faults.md](faults.md))"


def sanitizers():
    rows = []
    for name, what in SANITIZERS.items():
        found = re.search(r"^sanitizer=.*", kept(name), re.M)
        if found and ended(name):
            one = fields(found.group(0))
            command = " ".join(COMMANDS[name][0])
            rows.append(f"| `{command}` | {what} | {one['tests']} | {one['findings']} | {took(name)} |")
        else:
            rows.append(f"| `scripts/sanitize.sh {name}` | {what} | not in this run | | |")
    return "| command | what | tests | findings | took |\n| --- | --- | ---: | ---: | ---: |\n" + "\n".join(rows)


def fuzzing():
    rows = []
    for line in re.findall(r"^fuzz target=.*", kept("fuzz"), re.M):
        one = fields(line)
        rows.append(f"| {one['target']} | {int(one.get('executions', 0)):,} | {int(one.get('edges', 0)):,} | {one.get('corpus', '–')} |")
    return "| target | executions | edges | committed inputs |\n| --- | ---: | ---: | ---: |\n" + "\n".join(rows) if rows else not_run("fuzz")


def soak():
    found = re.search(r"^soak seconds=.*", kept("soak"), re.M)
    if not found:
        return not_run("soak")
    one = fields(found.group(0))
    return (
        f"{int(one['seconds']) / 3600:.2f} hours: {int(one['requests']):,} requests, of which {int(one['well']):,} ended well, {int(one['cancelled']):,} were cancelled, "
        f"{int(one['failed']):,} failed; {one['forks']} forks; **{one['lost']} lost, {one['doubled']} doubled, {one['behind_done']} behind a DONE, {one['mixed_up']} mixed up**. Memory {one['rss_kib_begin']} KiB after "
        f"the warm-up, {one['rss_kib_end']} KiB at the end; descriptors {one['fds_begin']} and {one['fds_end']}, threads {one['threads_begin']} and {one['threads_end']}."
    )


def coverage():
    found = re.search(r"^coverage .*", kept("coverage"), re.M)
    if not found:
        return not_run("coverage")
    one = fields(found.group(0))
    return f"Units and scenarios reach {one['lines']} of the lines of `src/`, {one['branches']} of the branches, {one['functions']} of the functions."


def page():
    commit = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    rustc = subprocess.run(["rustc", "--version"], capture_output=True, text=True).stdout.strip()
    commands = "\n".join(f"| {part} | `{ended(part)[0]}` | {took(part)}{'' if ended(part)[2] == 0 else ' **FAILED**'} |" for part in COMMANDS if ended(part))
    today = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")
    return f"""# How helio is tested

The figures are those of one run on {today} at commit {commit}, {os.cpu_count()} cores, {rustc}. `make testing` runs all parts anew, an hour of soak beside the others, and writes this page of what they print;
`scripts/testing.py run PART` runs one, `scripts/testing.py page` writes the page of what was run.

| part | command | took |
| --- | --- | ---: |
{commands}

## Tests

{tests()}

Faults: {faults()}.

Random answers: 300 completions in each delivery, cut into random chunks and random reads, add up to the answer in one piece (`tests/scenarios/assembly.rs`).

Orders of threads: loom runs the mailroom's real source, by which events, cancels, notifications, receivers and destroy meet, through all orders of its locks (`tests/model.rs`). That std's futex locks flood helgrind with
false findings is why races on the Rust side are looked for there.

The interface: exported names, layouts, constants and types against their record, and a program compiled against the first header (`tests/c/abi.py`, `tests/exports.rs`).

## Coverage

{coverage()}

## Sanitizers

{sanitizers()}

Suppressions: one, `tests/sanitize/threads.supp`.

## Fuzzing

Built with AddressSanitizer, debug assertions and overflow checks. Every target holds its input against something that must be so (the same however it is split; JSON; one DONE); `fuzz/README.md` lists what.

{fuzzing()}

## Soak

{soak()}
"""


def main():
    if sys.argv[1:2] == ["run"] and len(sys.argv) >= 3 and sys.argv[2] in COMMANDS:
        return run(sys.argv[2], "--quick" in sys.argv)
    if sys.argv[1:] == ["all"]:
        return run_all()
    if sys.argv[1:] == ["page"]:
        PAGE.write_text(page())
        return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
