"""How a C program is compiled, run and reported on; what it must do stands in run.py."""

import contextlib
import os
import pathlib
import random
import shutil
import socket
import subprocess
import threading
import time
import unittest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
STRICT = ["-D_POSIX_C_SOURCE=200809L", "-pedantic", "-Wall", "-Wextra", "-Werror"]
PATIENCE = 120  # seconds until a program that hangs is ended; no test depends on being faster


# Tools that C programs can be run under, and what a compiler is told for them. They say what they find in their exit code, which no test
# expects, and in a file.
UNDER = {
    "asan": ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer"],
    "tsan": ["-fsanitize=thread"],
    "valgrind": [],
}
FOUND = "99"
# It runs one thread at a time. Without the fair turn a thread that draws frames all the time starves the library's.
VALGRIND = ["valgrind", "--fair-sched=yes", "--leak-check=full", "--errors-for-leak-kinds=definite,indirect", f"--error-exitcode={FOUND}"]


class Build:
    """Which library is tested, and where its programs go."""

    lib = include = programs = pathlib.Path()
    no_real_model = False
    under = ""  # a tool that looks on while C programs run: one of UNDER


build = Build()
notes = []  # what is to be said again at the end


# Compiling -------------------------------------------------------------------------------------


def compilers():
    return [name for name in ("gcc", "clang") if shutil.which(name)]


def compile_program(source, name, compiler=None, standard="c99", more=(), libraries=("-lhelio", "-lm")):
    return compiled([compiler or os.environ.get("CC") or "cc", f"-std={standard}"], source, name, more, libraries)


def compiled(compiler, source, name, more, libraries):
    """The program that this compiler makes of a source, without a warning."""
    output = build.programs / name
    command = [*compiler, "-O1", "-g", *UNDER.get(build.under, ()), *STRICT, f"-I{build.include}", str(source), *more, "-o", str(output)]
    command += [f"-L{build.lib}", *libraries, f"-Wl,-rpath,{build.lib}", "-pthread"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}\n{done.stderr}")
    return output


# What a test needs ----------------------------------------------------------------------------


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            raise unittest.SkipTest(f"{program} is not here (CONTRIBUTING.md lists what the tests install)")


def need_own_library():
    """For what the project's own scripts build: they take the library that they have built."""
    if build.lib != REPOSITORY / "build" / "lib":
        raise unittest.SkipTest("another library is tested than the one that the project's scripts take")


# Running ---------------------------------------------------------------------------------------


def call(*command, **settings):
    """What a command prints, which must succeed; `settings` are those of subprocess.run."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **settings)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def make(*arguments, **settings):
    env = {**os.environ, **{name: str(value) for name, value in settings.items()}}
    return call("make", "-s", *arguments, cwd=REPOSITORY, env=env)


class Outcome:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def __str__(self):
        return f"exit {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


def environment(**settings):
    """The caller's environment without anything that helio or the examples read, plus `settings`."""
    ours = {"HELIO_BASE_URL", "HELIO_API_KEY", "HELICONE_API_KEY", "BASE_URL", "MODEL", "PROMPT", "MAX_TOKENS"}
    ours |= {"REQUESTS", "STOP_AFTER", "CHOICES", "RPM", "QUESTIONS", "BUDGET"}
    ours |= {name for name in os.environ if name.lower().endswith("_proxy")}
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return {**kept, **{name: str(value) for name, value in settings.items()}}


def watched(under=()):
    """What goes before a program, and into its environment, so that the tool sees it."""
    log = build.programs / "found"
    options = f"exitcode={FOUND}:log_path={log}"
    if build.under == "valgrind" and not under:
        under = [*VALGRIND, "-q", f"--log-file={log}.%p"]
    suppressions = REPOSITORY / "tests" / "sanitize" / "threads.supp"
    settings = {"asan": {"ASAN_OPTIONS": options}, "tsan": {"TSAN_OPTIONS": f"{options}:suppressions={suppressions}"}}
    return under, settings.get(build.under, {})


def run(program, *arguments, stdin="", under=(), **settings):
    before, of_tool = watched(under)
    command = [*before, str(build.programs / program), *arguments]
    done = subprocess.run(
        command, input=stdin.encode(), capture_output=True, timeout=PATIENCE, env=environment(**of_tool, **settings)
    )
    return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())


@contextlib.contextmanager
def running(program, *arguments, stdin=subprocess.DEVNULL, **settings):
    """The program with pipes; it is gone when the block ends."""
    before, of_tool = watched()
    process = subprocess.Popen(
        [*before, str(build.programs / program), *arguments],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(**of_tool, **settings),
    )
    # A blocked read below ends with the process, so this bounds every wait of the test.
    watchdog = threading.Timer(PATIENCE, process.kill)
    watchdog.start()
    try:
        yield process
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe:
                pipe.close()


def free_port():
    """Nobody has it now, and nobody gets it by chance: systems hand out ports from above these."""
    while True:
        port = random.randrange(16384, 32768)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


class CTest(unittest.TestCase):
    def assertSucceeded(self, outcome):
        self.assertEqual(outcome.code, 0, outcome)

    def assertFailed(self, outcome, status):
        """One clear message, with the status, and an exit code that scripts can use."""
        self.assertEqual(outcome.code, 1, outcome)
        self.assertIn(f"(HELIO_ERR_{status})", outcome.err, outcome)
        message = outcome.err.split(": ", 1)[1].split(" (HELIO_ERR_")[0]
        self.assertGreater(len(message), 15, outcome)

    def eventually(self, holds):
        """Waits until it does."""
        deadline = time.monotonic() + PATIENCE
        while not holds():
            self.assertLess(time.monotonic(), deadline, "it never happened")
            time.sleep(0.01)


def memcheck(test, *command, exits=0, **settings):
    """Runs a program under valgrind: no bad access, no block that is lost. Also where it must fail: `exits` 1."""
    if build.under in ("asan", "tsan"):
        test.skipTest(f"a program of {build.under} cannot run under valgrind, too")
    if not shutil.which("valgrind"):
        test.skipTest("valgrind is not here (apt-get install valgrind)")
    outcome = run(*command, under=VALGRIND, **settings)
    test.assertEqual(outcome.code, exits, outcome)
    test.assertIn("ERROR SUMMARY: 0 errors", outcome.err)


# Reporting -------------------------------------------------------------------------------------


class Progress(unittest.TestResult):
    """One line per test, and the reasons of what did not run."""

    def __init__(self):
        super().__init__()
        self.passed = 0
        self.failed = 0
        self.reasons = {}

    def startTest(self, test):
        super().startTest(test)
        self.began = time.monotonic()
        self.broken = False

    def say(self, test, verdict):
        name = test.id().split(".", 1)[1].replace(".test_", ": ").replace("_", " ")
        print(f"{verdict:7} {name} ({time.monotonic() - self.began:.1f} s)", flush=True)

    def addSuccess(self, test):
        self.passed += 1
        self.say(test, "ok")

    def fail(self, test, error):
        self.failed += 1
        if hasattr(self, "began"):
            self.say(test, "FAILED")
        print(self._exc_info_to_string(error, test), flush=True)

    def addFailure(self, test, error):
        self.fail(test, error)

    addError = addFailure

    def addSubTest(self, test, subtest, error):
        if error is not None:
            print(subtest)
            self.fail(test, error)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        name, _, place = str(test).rstrip(")").partition(" (")
        # A class that cannot be set up goes by its own name.
        self.reasons.setdefault(reason, []).append(place.rpartition(".")[2] if name == "setUpClass" else name)
