"""helio.hpp: it compiles everywhere it should, keeps its promises (tests/cpp/behaviour.cpp), and its examples do what the C
ones do."""

import os
import pathlib
import re
import shutil
import subprocess

import tools
from fake_server import FakeServer, echo, in_turn
from features import tool_call
from harness import CTest, build, compiled, compilers, run

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = REPOSITORY / "examples" / "cpp"
STRICT = ["-pedantic", "-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Werror"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
PROMISES = ["whole", "refused", "callback", "range", "polled", "talked", "logged"]


def cpp_compilers():
    return [{"gcc": "g++", "clang": "clang++"}[name] for name in compilers() if shutil.which({"gcc": "g++", "clang": "clang++"}[name])]


def compile_cpp(source, name, compiler=None, standard=17, more=()):
    command = [compiler or os.environ.get("CXX") or "c++", f"-std=c++{standard}", *STRICT]
    return compiled(command, source, name, more, ["-lhelio"])


def run_cpp(program, *arguments, **settings):
    done = run(program, *arguments, **settings)
    return done.code, done.out, done.err


class CppHeader(CTest):
    def test_it_compiles_alone_twice_and_in_two_units_of_one_program(self):
        one, two = build.programs / "one.cpp", build.programs / "two.cpp"
        one.write_text('#include <helio.hpp>\n#include <helio.hpp>\nint other();\nint main() { return other(); }\n')
        two.write_text('#include <helio.hpp>\nint other() { return helio::name(HELIO_OK) == "HELIO_OK" ? 0 : 1; }\n')
        for compiler in cpp_compilers():
            for standard in (17, 20, "2b"):
                with self.subTest(compiler=compiler, standard=standard):
                    program = compile_cpp(one, "twice", compiler, standard, [str(two)])
                    self.assertEqual(run_cpp(program)[0], 0)

    def test_streaming_an_answer_takes_twelve_lines(self):
        page = (REPOSITORY / "docs" / "cpp.md").read_text()
        program = re.search(r"^```cpp\n(.*?)^```", page, re.S | re.M).group(1)
        self.assertLessEqual(len(program.splitlines()), 12)
        source = build.programs / "twelve.cpp"
        source.write_text(program)
        with FakeServer(echo) as server:
            code, out, err = run_cpp(compile_cpp(source, "twelve"), HELIO_BASE_URL=server.base_url)
        self.assertEqual((code, err), (0, ""))
        self.assertIn("You said: ", out)
        self.assertTrue(server.requests[0].json["stream"])


class CppBehaviour(CTest):
    def keeps(self, promises, **options):
        program = compile_cpp(REPOSITORY / "tests" / "cpp" / "behaviour.cpp", "behaviour", **options)
        for promise in promises:
            with self.subTest(promise=promise), FakeServer(echo) as server:
                code, out, err = run_cpp(program, server.base_url, promise)
                self.assertEqual((code, out, err), (0, f"{promise}\n", ""))

    def test_in_each_standard_by_each_compiler(self):
        for compiler in cpp_compilers():
            for standard, promises in ((17, [*PROMISES, "thrown"]), (20, [*PROMISES, "thrown", "awaited"])):
                with self.subTest(compiler=compiler, standard=standard):
                    self.keeps(promises, compiler=compiler, standard=standard)

    def test_without_exceptions_and_rtti(self):
        for compiler in cpp_compilers():
            for standard, promises in ((17, PROMISES), (20, [*PROMISES, "awaited"])):
                with self.subTest(compiler=compiler, standard=standard):
                    self.keeps(promises, compiler=compiler, standard=standard, more=["-fno-exceptions", "-fno-rtti"])

    def test_under_the_address_and_undefined_behaviour_sanitizers(self):
        self.keeps([*PROMISES, "thrown", "awaited"], standard=20, more=SANITIZERS)
        self.keeps(PROMISES, standard=17, more=[*SANITIZERS, "-fno-exceptions"])


class CppExamples(CTest):
    @classmethod
    def setUpClass(cls):
        cls.programs = {}
        for source in sorted(EXAMPLES.glob("*.cpp")):
            cls.programs[source.stem] = compile_cpp(source, f"cpp_{source.stem}", standard=20)

    def example(self, name, server, stdin="", **settings):
        return run_cpp(self.programs[name], stdin=stdin, BASE_URL=server.base_url, PROMPT="Hi", **settings)

    def test_complete_and_stream_print_the_answer(self):
        for name, streams in (("complete", None), ("stream", True)):
            with self.subTest(name), FakeServer(echo) as server:
                self.assertEqual(self.example(name, server), (0, "You said: Hi\n", ""))
                self.assertEqual(server.requests[0].json.get("stream"), streams)

    def test_each_says_what_went_wrong(self):
        for name in ("complete", "stream", "tools", "poll"):
            with self.subTest(name), FakeServer(echo) as server:
                code, _, err = self.example(name, server, MODEL="refuse")
                self.assertEqual(code, 1)
                self.assertIn("this model is never served", err)
                self.assertIn("(HELIO_ERR_BAD_REQUEST)", err)

    def test_an_answer_that_breaks_off_is_no_success(self):
        def broken(exchange):
            exchange.begin_stream()
            exchange.token("half")
            exchange.cut()

        with FakeServer(broken) as server:
            code, out, err = self.example("stream", server)
        self.assertEqual((code, out), (1, "half"))
        self.assertIn("(HELIO_ERR_TRUNCATED)", err)

    def test_chat_forgets_a_turn_that_failed(self):
        def refused(exchange):
            exchange.refuse(400, "that will not do")

        with FakeServer(in_turn(echo, refused, echo)) as server:
            code, out, err = self.example("chat", server, stdin="one\ntwo\nthree\n")
        self.assertEqual(code, 0)
        self.assertIn("that will not do", err)
        said = [message["content"] for message in server.requests[2].json["messages"]]
        self.assertEqual(said, ["one", "You said: one", "three"])

    def test_tools_are_called_and_answered(self):
        calls = [tool_call("c1", "add", '{"a":1,"b":2}'), tool_call("c2", "add", "{"), tool_call("c3", "sub", "{}")]

        def ask(exchange):
            exchange.reply({"tool_calls": calls}, "tool_calls")

        with FakeServer(in_turn(ask, lambda exchange: exchange.reply({"content": "3"}))) as server:
            self.assertEqual(self.example("tools", server), (0, "3\n", ""))
        results = [message["content"] for message in server.requests[1].json["messages"][2:]]
        self.assertEqual(results[0], "3.000000")
        self.assertIn("must be JSON", results[1])
        self.assertIn("no such function", results[2])

    def test_json_is_taken_apart_and_what_was_cut_is_told(self):
        def tell(content, finish_reason):
            return lambda exchange: exchange.reply({"content": content}, finish_reason)

        with FakeServer(tell('{"name":"T\\u014dky\\u014d","population":37}', "stop")) as server:
            self.assertEqual(self.example("json", server), (0, "T\u014dky\u014d: 37\n", ""))
        self.assertEqual(server.requests[0].json["response_format"]["type"], "json_schema")
        with FakeServer(tell('{"name":"T', "length")) as server:
            self.assertEqual(self.example("json", server), (1, "", 'length: {"name":"T\n'))

    def test_poll_and_coroutine_go_on_side_by_side(self):
        with FakeServer(echo) as server:
            code, out, err = self.example("poll", server)
            self.assertEqual((code, err), (0, ""))
            self.assertEqual(sorted(out.split()), sorted("0:You 0: said: 0: Hi 1:You 1: said: 1: Hi".split()))
            code, out, err = self.example("coroutine", server)
        self.assertEqual((code, err), (0, ""))
        for number in (1, 2):
            self.assertIn(f"{number}: You said: Name a river.\n", out)
            self.assertIn(f"{number}: You said: And where does it end?\n", out)


class CrossCompile(CTest):
    """Both headers for systems that are not here, by a compiler that has their headers."""

    targets = ["x86_64-windows-gnu", "aarch64-windows-gnu", "aarch64-macos", "x86_64-macos", "aarch64-linux-gnu", "aarch64-linux-musl"]

    # How libc++ is told what it stands on; zig's own c++ does it by itself.
    libcxx = """ABI_VERSION=1 ABI_NAMESPACE=__1 HAS_THREADS=1 HAS_THREAD_API_PTHREAD=1 HAS_THREAD_API_EXTERNAL=0
        HAS_THREAD_API_WIN32=0 HAS_THREAD_API_C11=0 HAS_MONOTONIC_CLOCK=1 HAS_TERMINAL=1 HAS_MUSL_LIBC=1
        HAS_VENDOR_AVAILABILITY_ANNOTATIONS=0 HAS_FILESYSTEM=1 HAS_RANDOM_DEVICE=1 HAS_LOCALIZATION=1 HAS_UNICODE=1
        HAS_WIDE_CHARACTERS=1 HAS_TIME_ZONE_DATABASE=1 INSTRUMENTED_WITH_ASAN=0 PSTL_BACKEND_SERIAL
        HARDENING_MODE=_LIBCPP_HARDENING_MODE_NONE ASSERTION_SEMANTIC_DEFAULT=_LIBCPP_ASSERTION_SEMANTIC_IGNORE""".split()

    def test_both_headers_compile_for_other_systems(self):
        python = tools.python_with("ziglang==0.17.1", "ziglang")
        c, cpp = build.programs / "cross.c", build.programs / "cross.cpp"
        c.write_text("#include <helio.h>\nint main(void) { return helio_abi_version() != HELIO_ABI_VERSION; }\n")
        cpp.write_text((REPOSITORY / "tests" / "cpp" / "behaviour.cpp").read_text())
        home = pathlib.Path(python).parents[1]
        env = {**os.environ, "ZIG_GLOBAL_CACHE_DIR": str(home / "cache"), "ZIG_LOCAL_CACHE_DIR": str(home / "cache")}

        def compile_for(target, source, *command):
            whole = [python, "-m", "ziglang", *command, *STRICT, f"-I{build.include}", str(source)]
            with self.subTest(target=target, source=source.name):
                done = subprocess.run(whole, capture_output=True, text=True, env=env)
                self.assertEqual(done.returncode, 0, done.stderr)

        object_file = str(build.programs / "cross.o")
        for target in self.targets:
            compile_for(target, c, "cc", "-std=c99", "-target", target, "-c", "-o", object_file)
            compile_for(target, cpp, "c++", "-std=c++20", "-target", target, "-c", "-o", object_file)
        compile_for("x86_64-windows-gnu", cpp, "c++", "-std=c++17", "-target", "x86_64-windows-gnu", "-c", "-o", object_file)
        # For Android it has no C library: helio.h needs none, and helio.hpp gets musl's headers below libc++'s.
        where = [python, "-c", "import ziglang, os; print(os.path.dirname(ziglang.__file__))"]
        lib = subprocess.run(where, capture_output=True, text=True, check=True).stdout.strip() + "/lib"
        android = ["clang", "--target=aarch64-linux-android24", "-fsyntax-only"]
        compile_for("android", c, *android, "-std=c99", "-ffreestanding", "-isystem", f"{lib}/include")
        folders = ["libcxx/include", "libcxxabi/include", "include"]
        folders += [f"libc/include/{name}" for name in ("aarch64-linux-musl", "generic-musl", "any-linux-any")]
        system = [part for folder in folders for part in ("-isystem", f"{lib}/{folder}")]
        system += ["-nostdinc", "-nostdinc++", "-fexceptions", "-fcxx-exceptions"]
        system += [f"-D_LIBCPP_{name}" for name in self.libcxx]
        for standard in (17, 20):
            compile_for("android", cpp, *android, "-x", "c++", f"-std=c++{standard}", *system)


CASES = (CppHeader, CppBehaviour, CppExamples, CrossCompile)
