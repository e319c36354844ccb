#!/usr/bin/env python3
"""The benchmark: helio beside libcurl, async-openai, openai for Python and for Node.js, and a bare recv loop, in turn, on
the same loopback servers, in one run. See README.md.

    benches/run.py             all of it, then docs/performance.md and its plots anew: `make bench`
    benches/run.py --quick     every part once, as small as it can be: shows that all parts work, its figures mean nothing
    benches/run.py --guard     only whether a request and a chunk still cost what instructions.json says; HELIO_BLESS=1 writes it
    benches/run.py --only paced,cold
"""

import argparse
import contextlib
import datetime
import fcntl
import functools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

BENCHES = pathlib.Path(__file__).resolve().parent
ROOT = BENCHES.parent
WORK = ROOT / "build" / "bench"
BIN = WORK / "bin"
PEERS = BENCHES / "peers"
GUARD = BENCHES / "instructions.json"
GUARD_TOLERANCE = 0.03
GUARD_ALLOCATIONS = 0.1  # a chunk: what lies between two reads that find nothing is given back, and how often one does differs from run to run
sys.path.insert(0, str(ROOT / "scripts"))
import python_package  # noqa: E402
import real_model  # noqa: E402

DELIVERIES = ["complete", "thread", "poll", "pull"]
ALONE = ["curl_socket", *(f"helio_{delivery}" for delivery in DELIVERIES), "async_openai"]  # who can read many streams at once


class Lacking(Exception):
    """Something that a peer needs is not here."""


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def output(*command, env=None, timeout=600, **settings):
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"} | (env or {})
    command = [str(word) for word in command]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=timeout, stdin=subprocess.DEVNULL, **settings)
    if done.returncode != 0:
        raise SystemExit(f"bench: {' '.join(command)}: exit code {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done


def fields(line):
    """`a=1 b=x` as a dictionary, numbers as numbers."""
    found = {}
    for word in line.split():
        name, _, value = word.partition("=")
        try:
            found[name] = float(value)
        except ValueError:
            found[name] = value
    return found


# ---- the programs ---------------------------------------------------------------------------------------------------


class Client:
    """One of those that are compared: how it is started, and how much work makes a round of a second or less."""

    def __init__(self, name, command, env=None, requests=3000, streams=50, chunks=10000, native=True):
        self.name, self.command, self.env, self.native = name, command, env or {}, native
        self.requests, self.streams, self.chunks = requests, streams, chunks

    def run(self, port, mode, *numbers, env=None, before=()):
        """Its line of results; `before`: a tool that it runs under."""
        done = output(*before, *self.command, port, mode, *numbers, env={**self.env, **(env or {})})
        return {**fields(done.stdout), "client": self.name}, done.stderr

    def version(self):
        return output(*self.command, "--version", env=self.env).stdout.strip()


@functools.cache
def compile_c(name, *sources, libraries=(), flags=()):
    BIN.mkdir(parents=True, exist_ok=True)
    command = [os.environ.get("CC", "cc"), "-std=c11", "-O2", "-Wall", "-Wextra", "-D_GNU_SOURCE", f"-I{ROOT / 'include'}", *flags]
    output(*command, "-o", BIN / name, *(BENCHES / source for source in sources), *libraries)
    return BIN / name


def has_curl():
    probe = "#include <curl/curl.h>\nint main(void) { return curl_easy_init() == 0; }"
    command = [os.environ.get("CC", "cc"), "-x", "c", "-", "-o", str(WORK / "has_curl"), "-lcurl"]
    return subprocess.run(command, input=probe, text=True, stderr=subprocess.DEVNULL).returncode == 0


def need_curl():
    install = ["apt-get", "install", "-y", "libcurl4-openssl-dev"]
    if not has_curl() and os.geteuid() == 0 and shutil.which("apt-get"):
        say(f"libcurl's headers are missing: {' '.join(install)}")
        subprocess.run(["apt-get", "update", "-qq"], stdout=subprocess.DEVNULL)
        subprocess.run([*install, "-qq"], stdout=subprocess.DEVNULL, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    if not has_curl():
        raise Lacking(f"libcurl's headers. On Debian and Ubuntu, as root: {' '.join(install)}")


def library_folder(lib):
    """A folder of links in which the library is found by its soname, wherever it was built."""
    library = lib / "libhelio.so"
    if not library.exists():
        raise SystemExit(f"bench: no {library}: build it with `make lib`, or name its folder with --lib")
    folder = WORK / "lib"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in ("libhelio.so", "libhelio.so.1"):
        (folder / name).symlink_to(library.resolve())
    return folder


def helio_clients(lib):
    folder = library_folder(lib)
    program = compile_c("helio_bench", "helio_bench.c", libraries=(f"-L{folder}", "-lhelio", f"-Wl,-rpath,{folder}", "-pthread"))
    return [Client(f"helio_{delivery}", [program], {"HELIO_DELIVERY": delivery}) for delivery in DELIVERIES]


def native_clients(lib):
    clients = [Client("floor", [compile_c("floor_bench", "floor_bench.c")])]
    need_curl()
    clients.append(Client("curl_easy", [compile_c("curl_bench", "curl_bench.c", libraries=("-lcurl",))]))
    multi = compile_c("curl_multi_bench", "curl_multi_bench.c", libraries=("-lcurl", "-pthread"))
    clients += [Client(f"curl_{name}", [multi], {"CURL_INTERFACE": name}) for name in ("poll", "socket")]
    return clients + helio_clients(lib)


def async_openai(quick):
    profile = [] if quick else ["--release"]
    say("building async-openai's program")
    target = WORK / "async_openai"
    output("cargo", "build", "--locked", *profile, "--target-dir", target, cwd=PEERS / "async_openai", timeout=1200)
    program = target / ("debug" if quick else "release") / "async_openai_bench"
    return Client("async_openai", [program], requests=1000, streams=10, chunks=2000)


def openai_python():
    try:
        interpreter = python_package.interpreter_with("openai==3.57.0", "openai")
    except real_model.NotAvailable as reason:
        raise Lacking(f"the openai package for Python: {reason}")
    return Client("openai_python", [interpreter, PEERS / "openai_bench.py"], requests=100, streams=2, chunks=500, native=False)


def openai_npm():
    if not shutil.which("npm"):
        raise Lacking("npm. On Debian and Ubuntu: sudo apt-get install npm")
    folder = WORK / "openai_npm"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", "bench.mjs"):
        shutil.copy(PEERS / "openai_npm" / name, folder)
    output("npm", "ci", "--no-audit", "--no-fund", cwd=folder)
    return Client("openai_npm", ["node", folder / "bench.mjs"], requests=100, streams=4, chunks=2000, native=False)


@functools.cache
def streams_program(quick):
    """benches/streams.rs: the server of paced streams, and what it measures itself."""
    say("building the server of paced streams")
    command = ["cargo", "build", "--locked"] if quick else ["cargo", "bench", "--locked", "--no-run"]
    done = output(*command, "--bench", "streams", "--message-format=json", cwd=ROOT, timeout=1200)
    messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return next(one["executable"] for one in messages if one.get("executable") and one["target"]["name"] == "streams")


# ---- the servers ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def server(*command):
    """Its ports and what else it says; it ends with its standard input."""
    process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process.stdout
    finally:
        process.stdin.close()
        process.wait(60)
        process.stdout.close()


@contextlib.contextmanager
def fast_server():
    with server(compile_c("server", "server.c")) as said:
        yield said.readline().strip()


@contextlib.contextmanager
def paced_server(program, rate, streams, chunks, tls):
    """Its port, and the environment of who asks it."""
    with server(program, "serve", rate, streams + 1, chunks) as said:
        ports = said.readline().split()
        certificate = WORK / "server.pem"
        certificate.write_text(said.readline().strip().replace("|", "\n") + "\n")
        yield ports[1 if tls else 0], {"BENCH_CA": str(certificate)} if tls else {}


# ---- what is measured -----------------------------------------------------------------------------------------------


def answers(run):
    """Warm requests and unpaced streams, one after the other on one connection."""
    with fast_server() as port:
        for number in range(run.rounds(27)):
            say(f"answers: round {number + 1}")
            for mode in ("requests", "stream", "plain"):
                for client in run.clients:
                    if mode == "requests":
                        numbers = (50, 5) if run.quick else (client.requests, max(client.requests // 10, 10))
                    else:
                        numbers = (2, 1, 200) if run.quick else (client.streams, 1, client.chunks)
                    if client.native or number < 3:
                        run.add("answers", number, client.run(port, mode, *numbers)[0])


def total_of(client, port, mode, figure, numbers, env=None, before=()):
    """A figure of a whole run, start and end included."""
    _, stderr = client.run(port, mode, *numbers, env={**(env or {}), "BENCH_BARE": "1"}, before=before)
    return int(re.findall(figure, stderr)[-1])


# Under valgrind "rep movsb" counts once per byte; glibc then does without it, for every client.
WITHOUT_REP = {"GLIBC_TUNABLES": "glibc.cpu.x86_rep_stosb_threshold=1000000000:glibc.cpu.x86_rep_movsb_threshold=1000000000"}


def sizes_of(mode, quick):
    return (20, 60) if quick else (100, 500) if mode == "requests" else (2000, 8000)


def numbers_of(mode, size):
    return (size, 20) if mode == "requests" else (1, 0, size)


def instructions_of(client, port, mode, quick=False):
    """What one more request or chunk adds: the difference between two sizes."""
    sizes = sizes_of(mode, quick)
    before = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    totals = [total_of(client, port, mode, r"Collected\s*:\s*(\d+)", numbers_of(mode, size), WITHOUT_REP, before) for size in sizes]
    return (totals[1] - totals[0]) / (sizes[1] - sizes[0])


def total_heap_calls_of(client, port, mode, numbers, env=None):
    counter = compile_c("count_malloc.so", "count_malloc.c", libraries=("-ldl",), flags=("-shared", "-fPIC"))
    return total_of(client, port, mode, r"calls=(\d+)", numbers, {**(env or {}), "LD_PRELOAD": str(counter)})


def heap_calls_of(client, port, mode, quick=False):
    """The same of heap calls; a chunk of a later stream, for the first ones fill POLL's and PULL's queue, whose events are used again from then on."""

    def total(*numbers):
        return total_heap_calls_of(client, port, mode, numbers)

    if mode == "requests":
        few, many = (20, 60) if quick else (200, 1200)
        return (total(many, 20) - total(few, 20)) / (many - few)
    few, many = (20, 60) if quick else (2000, 20000)
    first, last = (1, 2) if quick else (20, 40)
    later = {size: total(last, 0, size) - total(first, 0, size) for size in (few, many)}
    return (later[many] - later[few]) / (last - first) / (many - few)


def heap_calls_alone(client, program, quick=False):
    """The same of a chunk that comes alone, as over a network: the stream has nothing to read before and after it."""
    streams, rate, few, many = (5, 50, 10, 20) if quick else (20, 500, 200, 800)

    def total(chunks):
        with paced_server(program, rate, streams, chunks, False) as (port, env):
            return total_heap_calls_of(client, port, "paced", (streams, 1, chunks), env)

    return (total(many) - total(few)) / (streams + 1) / (many - few)


GROUPS = {"ureq_proto": "ureq", "http": "ureq", "httparse": "ureq", "bytes": "ureq", "core": "std", "alloc": "std", "hashbrown": "std"}
WORTH_SHOWING = ("helio", "ureq", "memchr", "std", "serde_json", "tokio", "the C library")


def shares_of(client, port, mode, quick=False):
    """Whose code the instructions of one more request or chunk are."""
    sizes, found = sizes_of(mode, quick), []
    for size in sizes:
        out = WORK / "callgrind.out"
        output("valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", *client.command, port, mode, *numbers_of(mode, size), env={**client.env, **WITHOUT_REP, "BENCH_BARE": "1"})
        whose = {}
        for line in output("callgrind_annotate", "--threshold=100", out).stdout.splitlines():
            function = re.match(r"\s*([\d,]+) \(\s*[\d.]+%\)\s+[^ :]*:(.*?)(?: \[(.*)\])?$", line)
            if function:
                crate = CRATE.match(function.group(2)) if "libhelio" in (function.group(3) or "") else None
                name = crate.group(1) if crate else "helio" if function.group(2).startswith("helio_") else "the C library"
                name = GROUPS.get(name, name)
                name = name if name in WORTH_SHOWING else "others"
                whose[name] = whose.get(name, 0) + int(function.group(1).replace(",", ""))
        found.append(whose)
    return {name: (found[1][name] - found[0].get(name, 0)) / (sizes[1] - sizes[0]) for name in found[1]}


def counts(run):
    """Heap calls and user-space instructions for one more request or chunk."""
    if not shutil.which("valgrind"):
        raise SystemExit("bench: needs valgrind. On Debian and Ubuntu: sudo apt-get install valgrind")
    with fast_server() as port:
        for client in (client for client in run.clients if client.native):
            say(f"counts: {client.name}")
            for mode in ("requests", "stream", "plain"):
                row = {"client": client.name, "mode": mode, "heap_calls": heap_calls_of(client, port, mode, run.quick)}
                if client.name == "helio_complete":
                    row["shares"] = shares_of(client, port, mode, run.quick)
                    row["instructions"] = sum(row["shares"].values())
                elif not run.quick or client.name == "curl_easy":
                    row["instructions"] = instructions_of(client, port, mode, run.quick)
                run.add("counts", 0, row)
            if client.name in ALONE:
                run.add("counts", 0, {"client": client.name, "mode": "alone", "heap_calls": heap_calls_alone(client, streams_program(run.quick), run.quick)})


# How many streams, how many chunks a second on each, how many chunks.
PACES = {1: (50, 150), 10: (50, 150), 100: (20, 80), 1000: (10, 40), 10000: (1, 10)}


def paced(run):
    """Many streams at once: how soon a chunk is there, memory, threads, processor time; plain and TLS."""
    program = streams_program(run.quick)
    plain = {client: [1, 100, 1000] for client in ("helio_complete", "helio_thread", "helio_pull", "curl_poll")}
    plain |= {client: [1, 10, 100, 1000, 10000] for client in ("helio_poll", "curl_socket", "async_openai")}
    plain |= {client: [1, 100] for client in ("openai_python", "openai_npm")}
    tls = {client: [1, 10, 100, 1000, 10000] for client in ("helio_poll", "curl_socket", "async_openai")}
    for number in range(run.rounds(2)):
        say(f"paced: round {number + 1}")
        for is_tls, plan in ((False, plain), (True, tls)):
            for streams in [2] if run.quick else PACES:
                if streams == 10000 and number > 0:
                    continue
                rate, chunks = (50, 10) if run.quick else PACES[streams]
                for client in run.clients:
                    if streams in plan.get(client.name, []) or (run.quick and client.name in plan):
                        with paced_server(program, rate, streams, chunks, is_tls) as (port, env):
                            row, _ = client.run(port, "paced", streams, 1, chunks, env=env)
                        run.add("paced", number, row)


def together(run):
    """Requests for JSON, sent at once, each answered after a second."""
    program = streams_program(run.quick)
    for number in range(run.rounds(2)):
        for requests in [2] if run.quick else [1, 10, 100, 1000, 10000]:
            if requests == 10000 and number > 0:
                continue
            for client in run.clients:
                if client.name in ("helio_poll", "curl_socket", "async_openai"):
                    say(f"together: {requests} by {client.name}")
                    with paced_server(program, 1, requests, 0, False) as (port, env):
                        row, _ = client.run(port, "paced", requests, 1, 0, env=env)
                    run.add("together", number, row)


def cold(run):
    """From dlopen to the first answer, and from the start of a process to its end with one answer."""
    program = compile_c("cold_bench", "cold_bench.c", libraries=("-ldl",))
    libraries = {"helio": WORK / "lib" / "libhelio.so", "curl": "libcurl.so.4"}
    with fast_server() as port:
        for number in range(run.rounds(21)):
            for name, library in libraries.items():
                run.add("cold", number, fields(output(program, name, library, port).stdout))
            for client in run.clients:
                if number >= 5 and not client.native:
                    continue
                began = time.monotonic()
                client.run(port, "requests", 1, 0)
                run.add("cold", number, {"client": client.name, "mode": "process", "wall_us": (time.monotonic() - began) * 1e6})


def cancel(run):
    """From helio_cancel to DONE, in each phase; the frame of a game."""
    program = streams_program(run.quick)
    for line in output(program, "cancel", 3 if run.quick else 101, timeout=300).stdout.splitlines():
        run.add("cancel", 0, fields(line))
    if not run.quick:
        run.facts["frame"] = output(program, "poll", 100, timeout=300).stdout.strip()


CRATE = re.compile(r"[<&\[(*]*(?:dyn |mut |const )*([a-z_][a-z0-9_]*)::")
OURS_OF_C = re.compile(r"^(ring_core|aes_|aesni|gcm_|ghash|p256|bn_|bn_mul|ecp_|sha\d+_|vpaes|x25519|chacha|poly1305|OPENSSL|CRYPTO|LIMBS?_|fiat_|ChaCha)", re.I)


def size(run):
    """The shared object by what its bytes come from."""
    library = (WORK / "lib" / "libhelio.so").resolve()
    stripped = WORK / "stripped.so"
    output("strip", "-o", stripped, library)
    run.facts["size_bytes"] = stripped.stat().st_size
    by_crate = {}
    for line in output("nm", "--defined-only", "-S", "-C", library).stdout.splitlines():
        words = line.split(None, 3)
        if len(words) < 4 or words[2] not in "tTwW":
            continue
        name = words[3]
        found = CRATE.match(name)
        crate = found.group(1) if found else "ring (C and assembler)" if OURS_OF_C.match(name) else "helio" if name.startswith("helio_") else "other"
        crate = "std" if crate in ("core", "alloc", "std", "compiler_builtins", "gimli", "addr2line", "miniz_oxide", "rustc_demangle", "object", "hashbrown") else crate
        by_crate[crate] = by_crate.get(crate, 0) + int(words[1], 16)
    for crate, count in by_crate.items():
        run.add("size", 0, {"what": crate, "kind": "code", "bytes": count})
    sections = [line.split() for line in output("size", "-A", stripped).stdout.splitlines()]
    for section in sections:
        if len(section) == 3 and section[0].startswith(".") and section[0] != ".text" and int(section[1]) > 2000:
            run.add("size", 0, {"what": section[0], "kind": "section", "bytes": int(section[1])})


PARTS = {part.__name__: part for part in (answers, counts, paced, together, cold, cancel, size)}


class Run:
    def __init__(self, quick):
        self.quick, self.rows, self.facts, self.clients = quick, [], {}, []

    def rounds(self, count):
        return 1 if self.quick else count

    def add(self, part, number, row):
        self.rows.append({"part": part, "round": number, **row})


def machine():
    model = re.search(r"^model name\s*:\s*(.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    commit = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
        "commit": commit or "unknown",
        "cpu": model.group(1) if model else "unknown",
        "cores": os.cpu_count(),
        "system": f"{os.uname().sysname} {os.uname().release} {os.uname().machine}",
        "rustc": output("rustc", "--version").stdout.strip(),
        "compiler": output(os.environ.get("CC", "cc"), "--version").stdout.splitlines()[0],
        "load": os.getloadavg()[0],
    }


# ---- the guard ------------------------------------------------------------------------------------------------------


def guard(lib):
    """Whether a request and a chunk still take the instructions on record. They hardly depend on the machine, so a slip is seen on a busy one, too."""
    if not shutil.which("valgrind"):
        say("SKIPPED: the guard needs valgrind")
        return 0
    clients, worse = helio_clients(lib), 0
    with fast_server() as port:
        now = {mode: round(instructions_of(clients[0], port, mode)) for mode in ("requests", "stream", "plain")}
        for client in clients:
            calls, alone = heap_calls_of(client, port, "stream"), heap_calls_alone(client, streams_program(True))
            print(f"guard {client.name}: {calls:.4f} allocations per chunk, {alone:.4f} if it comes alone")
            worse |= max(calls, alone) > GUARD_ALLOCATIONS
    if os.environ.get("HELIO_BLESS"):
        GUARD.write_text(json.dumps(now, indent=2) + "\n")
        return int(worse)
    recorded = json.loads(GUARD.read_text())
    for mode, count in now.items():
        change = count / recorded[mode] - 1
        print(f"guard {mode}: {count} instructions, {recorded[mode]} on record, {change:+.1%}")
        worse |= change > GUARD_TOLERANCE
        if change < -GUARD_TOLERANCE:
            print("  better than on record: HELIO_BLESS=1 benches/run.py --guard writes that down")
    if worse:
        print(f"guard FAILED: more than {GUARD_TOLERANCE:.0%} above the record (if that is meant: HELIO_BLESS=1 benches/run.py --guard), or memory is asked for in steady streaming")
    return int(worse)


# ---- all of it ------------------------------------------------------------------------------------------------------


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--guard", action="store_true")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, with commas between: " + ", ".join(PARTS))
    parser.add_argument("--lib", type=pathlib.Path, default=ROOT / "build" / "lib", help="folder of the release library")
    parser.add_argument("--out", type=pathlib.Path, help="folder for the page and its plots (docs; with --quick build/bench/page)")
    options = parser.parse_args()
    if sys.platform != "linux":
        raise SystemExit("bench: needs Linux (epoll, processor affinity, /proc)")
    WORK.mkdir(parents=True, exist_ok=True)
    lock = open(WORK / "lock", "w")
    fcntl.flock(lock, fcntl.LOCK_EX)  # two runs at once would measure each other
    if options.guard:
        return guard(options.lib)
    run = Run(options.quick)
    run.facts |= machine()
    lacking = []
    try:
        run.clients += native_clients(options.lib)
    except Lacking as reason:
        raise SystemExit(f"bench: needs {reason}")
    for peer in (lambda: async_openai(options.quick), openai_python, openai_npm):
        try:
            run.clients.append(peer())
        except Lacking as reason:
            if not options.quick:
                raise SystemExit(f"bench: needs {reason}")
            lacking.append(str(reason))
            say(f"SKIPPED: a peer that needs {reason}")
    run.facts["versions"] = {client.name: client.version() for client in run.clients}
    for name in options.only.split(","):
        began = time.monotonic()
        PARTS[name](run)
        say(f"{name}: {time.monotonic() - began:.0f} s")
    results = WORK / ("quick.json" if options.quick else "results.json")
    results.write_text(json.dumps({"facts": run.facts, "rows": run.rows}, indent=1) + "\n")
    if set(options.only.split(",")) != set(PARTS):
        return 0
    try:
        interpreter = python_package.interpreter_with("matplotlib==3.10.6", "plots")
    except real_model.NotAvailable as reason:
        raise SystemExit(f"bench: the page needs matplotlib: {reason}")
    out = options.out or (WORK / "page" if options.quick else ROOT / "docs")
    print(output(interpreter, BENCHES / "page.py", results, out).stdout, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
