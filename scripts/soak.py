#!/usr/bin/env python3
"""Mixed load with faults, for an hour or as long as it is told: every request gets exactly one DONE, and memory, descriptors and
threads stay as they are. tests/c/soak.c does the work; this has the servers: one that misbehaves at random, the real model's,
and nginx with TLS before one that misbehaves.

    scripts/soak.py                     an hour: `make soak`
    scripts/soak.py --seconds 300       the short form
    scripts/soak.py --seed 7            the same draws again
"""

import argparse
import collections
import contextlib
import pathlib
import random
import socket
import struct
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests" / "c"), str(ROOT / "scripts")]
import fake_server  # noqa: E402
import harness  # noqa: E402
import real_model  # noqa: E402
import rig  # noqa: E402


# How it misbehaves -----------------------------------------------------------------------------


def slowly(exchange):
    exchange.begin_stream()
    for token in fake_server.tokens_of(f"You said: {exchange.request.last_message}"):
        time.sleep(0.02)
        exchange.token(token)
    exchange.end_stream()


def broken_off(exchange):
    exchange.begin_stream()
    exchange.token("You said")
    exchange.cut()


def reset(exchange):
    exchange.begin_stream()
    exchange.token("You said")
    exchange.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    exchange.cut()


def silent(exchange):
    if exchange.client_leaves(10):
        exchange.cut()


def begun_and_silent(exchange):
    exchange.begin_stream()
    exchange.token("You said")
    silent(exchange)
    exchange.cut()


def limited(exchange):
    exchange.answer(429, "application/json", b'{"error":{"message":"slow down","type":"rate_limit_error"}}', {"Retry-After-Ms": "30"})


def broken_down(exchange):
    exchange.refuse(500, "out of order", kind="server_error")


def garbage(exchange):
    exchange.send(bytes(random.randrange(256) for _ in range(200)))
    exchange.cut()


def broken_framing(exchange):
    exchange.begin_stream()
    exchange.token("You said")
    exchange.send(b"zz\r\n")
    exchange.cut()


def commented(exchange):
    exchange.begin_stream()
    for token in fake_server.tokens_of(f"You said: {exchange.request.last_message}"):
        exchange.send(b"10\r\n: still there..\n\r\n")
        exchange.token(token)
    exchange.end_stream()


FAULTS = [slowly, broken_off, reset, silent, begun_and_silent, limited, broken_down, garbage, broken_framing, commented]


class Misbehaving(fake_server.FakeServer):
    """Answers well three times of five, and else in one of many wrong ways; forgets whom it had."""

    def __init__(self, seed):
        draws, guard = random.Random(seed), threading.Lock()

        def behaviour(exchange):
            with guard:
                chosen = fake_server.echo if draws.random() < 0.6 else draws.choice(FAULTS)
            chosen(exchange)

        super().__init__(behaviour)
        self.requests = collections.deque(maxlen=100)
        self.connections = collections.deque(maxlen=1000)

    def serve(self, connection):
        with contextlib.suppress(ValueError):  # cut off in the middle of a number
            super().serve(connection)


# All of it -------------------------------------------------------------------------------------


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=3600)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--lib", type=pathlib.Path, default=ROOT / "build" / "lib")
    parser.add_argument("--no-real-model", action="store_true")
    options = parser.parse_args()
    build = harness.build
    build.lib, build.include = options.lib.resolve(), ROOT / "include"
    build.programs = ROOT / "build" / "tests-c"
    build.programs.mkdir(parents=True, exist_ok=True)
    program = harness.compile_program(ROOT / "tests" / "c" / "soak.c", "soak")
    print(f"soak: {options.seconds} s, seed {options.seed}", file=sys.stderr)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Misbehaving(options.seed))
        servers = [f"scripted={server.base_url}"]
        if rig.find("nginx"):
            front = stack.enter_context(rig.Nginx(server.port))
            servers.append(f"tls={front.base_url},{rig.certificates() / 'root.pem'}")
        else:
            print("soak: WITHOUT TLS: nginx is not here (apt-get install nginx)", file=sys.stderr)
        if not options.no_real_model:
            try:
                servers.append(f"real={stack.enter_context(real_model.RealModel(api_key='soak')).base_url}")
            except real_model.NotAvailable as reason:
                print(f"soak: WITHOUT THE REAL MODEL: {reason}", file=sys.stderr)
        stack.callback(rig.shared.close)
        command = [str(program), str(options.seconds), str(options.seed), *servers]
        return subprocess.run(command, timeout=options.seconds + 300).returncode


if __name__ == "__main__":
    sys.exit(main())
