#!/usr/bin/env python3
"""Compiles the examples and the C test programs and runs them against a fake server, through real servers and
proxies, and against a real model.

    tests/c/run.py [--lib FOLDER] [--include FOLDER] [--only WORD] [--no-real-model]

Needs Python 3, a C compiler and a built library (`make` puts it into build/lib). What CONTRIBUTING.md lists
besides is used where it is there. What cannot run is skipped with its reason and listed at the end.
"""

import argparse
import collections
import pathlib
import re
import signal
import subprocess
import sys
import threading
import unittest

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
sys.path[:0] = [str(HERE), str(REPOSITORY / "scripts")]
sys.dont_write_bytecode = True

import abi  # noqa: E402
import bindings  # noqa: E402
import cpp  # noqa: E402
import deliveries  # noqa: E402
import desktop  # noqa: E402
import features  # noqa: E402
import install  # noqa: E402
import engines  # noqa: E402
import fronts  # noqa: E402
import godot  # noqa: E402
import lifecycle  # noqa: E402
import openai_types  # noqa: E402
import practices  # noqa: E402
import proxies  # noqa: E402
import real_model  # noqa: E402
import rig  # noqa: E402
import sdl  # noqa: E402
import tls_proxy  # noqa: E402
from fake_server import FakeServer, begin_and_stay, echo, in_turn, stay  # noqa: E402
from harness import (  # noqa: E402
    PATIENCE,
    UNDER,
    CTest,
    Progress,
    build,
    compile_program,
    compilers,
    environment,
    free_port,
    memcheck,
    notes,
    run,
    running,
)

EXAMPLES = REPOSITORY / "examples" / "c"


def readme_program():
    """The README's first whole C program, as its reader would copy it."""
    blocks = re.findall(r"^```c\n(.*?)^```", (REPOSITORY / "README.md").read_text(), re.S | re.M)
    return next(block for block in blocks if "int main(" in block)


class Compile(CTest):
    def test_examples_and_programs_compile_without_a_warning(self):
        for source in sorted([*EXAMPLES.glob("*.c"), *HERE.glob("*.c")]):
            for compiler in compilers():
                for standard in ("c99", "c11", "c17"):
                    with self.subTest(source=source.name, compiler=compiler, standard=standard):
                        compile_program(source, "unused", compiler, standard)

    def test_the_program_in_the_readme_compiles_and_streams(self):
        source = build.programs / "readme.c"
        source.write_text(readme_program())
        compile_program(source, "readme")
        with FakeServer(echo) as server:
            outcome = run("readme", HELIO_BASE_URL=server.base_url)
        self.assertSucceeded(outcome)
        self.assertTrue(server.requests[0].json["stream"])
        self.assertIn(f"You said: {server.requests[0].last_message}", outcome.out)


class Complete(CTest):
    def test_prints_the_answer(self):
        with FakeServer(echo) as server:
            outcome = run("complete", BASE_URL=server.base_url, PROMPT="one two", MODEL="a-model")
        self.assertSucceeded(outcome)
        self.assertEqual(outcome.out, "You said: one two\n")
        self.assertEqual(outcome.err, "")
        request = server.requests[0]
        self.assertEqual((request.method, request.target), ("POST", "/v1/chat/completions"))
        self.assertEqual(request.json["model"], "a-model")
        self.assertNotIn("authorization", request.headers)

    def test_any_text_survives_the_way_there_and_back(self):
        prompt = 'quote " backslash \\ newline \n tab \t bell \a umlaut ä emoji 🙂 last'
        with FakeServer(echo) as server:
            outcome = run("complete", BASE_URL=server.base_url, PROMPT=prompt)
        self.assertSucceeded(outcome)
        self.assertEqual(server.requests[0].last_message, prompt)
        self.assertEqual(outcome.out, f"You said: {prompt}\n")

    def test_sends_the_key_it_finds_in_the_environment(self):
        with FakeServer(echo) as server:
            self.assertSucceeded(run("complete", BASE_URL=server.base_url, HELIO_API_KEY="sk-right-key"))
        self.assertEqual(server.requests[0].headers["authorization"], "Bearer sk-right-key")

    def test_never_sends_the_gateways_key_elsewhere(self):
        with FakeServer(echo) as server:
            self.assertSucceeded(run("complete", BASE_URL=server.base_url, HELICONE_API_KEY="sk-gateway-key"))
        self.assertNotIn("sk-gateway-key", str(server.requests[0].headers))

    def test_without_a_key_the_gateway_is_not_asked(self):
        outcome = run("complete")
        self.assertFailed(outcome, "AUTHENTICATION")
        self.assertIn("HELICONE_API_KEY", outcome.err)

    def test_a_wrong_key_is_named_as_the_cause_and_not_shown(self):
        key = "sk-wrong-0123456789abcdef"

        def refuse(exchange):
            sent = exchange.request.headers["authorization"].split()[1]
            exchange.refuse(401, f"Incorrect API key provided: {sent}.", code="invalid_api_key")

        with FakeServer(refuse) as server:
            outcome = run("complete", BASE_URL=server.base_url, HELIO_API_KEY=key)
        self.assertFailed(outcome, "AUTHENTICATION")
        self.assertNotIn(key, outcome.out + outcome.err)
        self.assertEqual(len(server.requests), 1)  # trying again cannot help

    def test_a_closed_port_is_named(self):
        port = free_port()
        outcome = run("complete", BASE_URL=f"http://127.0.0.1:{port}/v1", HELIO_API_KEY="sk-secret-key")
        self.assertFailed(outcome, "CONNECT")
        self.assertIn(str(port), outcome.err)
        self.assertNotIn("sk-secret-key", outcome.err)

    def test_an_unknown_host_is_named(self):
        outcome = run("complete", BASE_URL="http://no-such-host.invalid/v1", HELIO_API_KEY="sk-secret-key")
        self.assertFailed(outcome, "DNS")
        self.assertIn("no-such-host.invalid", outcome.err)
        self.assertNotIn("sk-secret-key", outcome.err)

    def test_a_url_that_is_none_is_refused_before_anything_is_sent(self):
        outcome = run("complete", BASE_URL="not a url")
        self.assertFailed(outcome, "INVALID_ARGUMENT")
        self.assertIn("base_url", outcome.err)

    def test_a_refusal_shows_what_the_server_said(self):
        with FakeServer(echo) as server:
            outcome = run("complete", BASE_URL=server.base_url, MODEL="refuse")
        self.assertFailed(outcome, "BAD_REQUEST")
        self.assertIn("this model is never served", outcome.err)


class Stream(CTest):
    def test_prints_the_tokens_in_order(self):
        words = " ".join(str(number) for number in range(500))
        with FakeServer(echo) as server:
            outcome = run("stream", BASE_URL=server.base_url, PROMPT=words)
        self.assertSucceeded(outcome)
        self.assertEqual(outcome.out, f"You said: {words}\n")
        self.assertTrue(server.requests[0].json["stream"])

    def test_prints_each_token_before_the_next_one_is_sent(self):
        seen = threading.Semaphore(0)

        def one_at_a_time(exchange):
            exchange.begin_stream()
            for number in range(5):
                exchange.token(f"<{number}>")
                if not seen.acquire(timeout=PATIENCE):
                    return exchange.cut()
            exchange.end_stream()

        with FakeServer(one_at_a_time) as server, running("stream", BASE_URL=server.base_url) as process:
            for number in range(5):
                self.assertEqual(process.stdout.read(3), b"<%d>" % number)
                seen.release()
            self.assertEqual(process.stdout.read(), b"\n")
            self.assertEqual(process.wait(PATIENCE), 0)

    def test_ctrl_c_ends_it_and_drops_the_connection(self):
        left = threading.Event()

        with FakeServer(begin_and_stay("one ", "two ", "three ", left=left)) as server:
            with running("stream", BASE_URL=server.base_url) as process:
                self.assertEqual(process.stdout.read(14), b"one two three ")
                process.send_signal(signal.SIGINT)
                # Without the cancel this would last until the idle deadline, two minutes.
                self.assertEqual(process.wait(10), 1)
                self.assertTrue(left.wait(10), "the server still has the connection")
                self.assertIn(b"(HELIO_ERR_CANCELLED)", process.stderr.read())
                self.assertEqual(process.stdout.read(), b"\n")

    def test_ctrl_c_ends_it_while_it_waits_for_the_first_byte(self):
        asked = threading.Event()

        def silence(exchange):
            asked.set()
            stay(exchange)

        with FakeServer(silence) as server, running("stream", BASE_URL=server.base_url) as process:
            self.assertTrue(asked.wait(PATIENCE))
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(10), 1)
            self.assertIn(b"(HELIO_ERR_CANCELLED)", process.stderr.read())

    def test_an_answer_that_breaks_off_is_no_success(self):
        def broken(exchange):
            exchange.begin_stream()
            exchange.token("half an ans")
            exchange.cut()

        with FakeServer(broken) as server:
            outcome = run("stream", BASE_URL=server.base_url)
        self.assertFailed(outcome, "TRUNCATED")
        self.assertEqual(outcome.out, "half an ans\n")
        self.assertEqual(len(server.requests), 1)  # half an answer is never asked for twice


def conversation(request):
    return [(message["role"], message["content"]) for message in request.json["messages"]]


class Chat(CTest):
    def test_each_turn_carries_those_before_it(self):
        with FakeServer(echo) as server:
            outcome = run("chat", stdin='first\n"second" \\ äöü\n', BASE_URL=server.base_url)
        self.assertSucceeded(outcome)
        self.assertEqual(outcome.out, '> You said: first\n> You said: "second" \\ äöü\n> \n')
        self.assertEqual(conversation(server.requests[0]), [("user", "first")])
        self.assertEqual(
            conversation(server.requests[1]),
            [("user", "first"), ("assistant", "You said: first"), ("user", '"second" \\ äöü')],
        )

    def test_a_failed_turn_is_explained_and_leaves_no_trace(self):
        def broken(exchange):
            exchange.begin_stream()
            exchange.token("half")
            exchange.cut()

        def refused(exchange):
            exchange.refuse(400, "that will not do")

        with FakeServer(in_turn(echo, refused, broken, echo)) as server:
            outcome = run("chat", stdin="one\ntwo\nthree\nfour\n", BASE_URL=server.base_url)
        self.assertEqual(outcome.code, 1, outcome)
        self.assertIn("that will not do", outcome.err)
        self.assertIn("(HELIO_ERR_BAD_REQUEST)", outcome.err)
        self.assertIn("(HELIO_ERR_TRUNCATED)", outcome.err)
        self.assertEqual(outcome.err.count("This turn is forgotten"), 2)
        self.assertEqual(
            conversation(server.requests[3]),
            [("user", "one"), ("assistant", "You said: one"), ("user", "four")],
        )

    def test_a_line_that_is_no_utf8_fails_alone(self):
        with FakeServer(echo) as server:
            with subprocess.Popen(
                [str(build.programs / "chat")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment(BASE_URL=server.base_url),
            ) as process:
                out, err = process.communicate(b"\xff\xfe\nfine\n", timeout=PATIENCE)
        self.assertIn(b"(HELIO_ERR_INVALID_UTF8)", err)
        self.assertIn(b"You said: fine", out)
        self.assertEqual([conversation(request) for request in server.requests], [[("user", "fine")]])

    def test_an_empty_line_asks_nothing(self):
        with FakeServer(echo) as server:
            self.assertSucceeded(run("chat", stdin="\n\n", BASE_URL=server.base_url))
        self.assertEqual(server.requests, [])


class Memory(CTest):
    def test_ten_thousand_calls_of_one_client_leave_memory_flat(self):
        with FakeServer(echo) as server:
            outcome = run("flat_memory", server.base_url, "10000")
        print(f"    {outcome.out.strip()}", flush=True)
        self.assertSucceeded(outcome)

    def test_valgrind_finds_nothing_in_complete(self):
        with FakeServer(echo) as server:
            memcheck(self, "complete", BASE_URL=server.base_url)

    def test_valgrind_finds_nothing_in_answers_streams_and_refusals(self):
        with FakeServer(echo) as server:
            memcheck(self, "flat_memory", server.base_url, "40", "1000000")


class Threads(CTest):
    def test_threads_share_a_client_until_it_is_shut_down_under_them(self):
        with FakeServer(echo) as server:
            self.assertSucceeded(run("threads", server.base_url))

    def test_valgrind_finds_nothing_in_threads(self):
        with FakeServer(echo) as server:
            memcheck(self, "threads", server.base_url, "4", "40")


class RealModel(features.Real, CTest):
    """The examples as their reader runs them: llama.cpp's server, a small model, real answers."""

    key = "sk-the-real-servers-key"

    @classmethod
    def setUpClass(cls):
        if build.no_real_model:
            raise unittest.SkipTest("--no-real-model")
        cls.model = real_model.RealModel(api_key=cls.key)
        try:
            cls.model.__enter__()
        except real_model.NotAvailable as reason:
            raise unittest.SkipTest(f"there is no real model here: {reason}")
        cls.addClassCleanup(cls.model.__exit__)

    def settings(self, **more):
        return {
            "BASE_URL": self.model.base_url,
            "MODEL": self.model.name,
            "HELIO_API_KEY": self.key,
            "MAX_TOKENS": "32",
            "PROMPT": "Why is the sky blue?",
            **more,
        }

    def assertIsAboutTheSky(self, answer):
        """So small a model is often wrong, but not about what it was asked."""
        self.assertRegex(answer.lower(), "sky|blue|light|colou?r|scatter", answer)

    def test_complete_prints_a_real_answer(self):
        outcome = run("complete", **self.settings())
        self.assertSucceeded(outcome)
        self.assertIsAboutTheSky(outcome.out)

    def test_stream_prints_a_real_answer(self):
        outcome = run("stream", **self.settings())
        self.assertSucceeded(outcome)
        self.assertIsAboutTheSky(outcome.out)

    def test_ctrl_c_stops_a_real_stream(self):
        settings = self.settings(PROMPT="Tell me a very long story.", MAX_TOKENS="1900")
        with running("stream", **settings) as process:
            self.assertTrue(process.stdout.read(8))
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(10), 1)
            self.assertIn(b"(HELIO_ERR_CANCELLED)", process.stderr.read())

    def test_chat_holds_a_real_conversation(self):
        outcome = run("chat", stdin="Why is the sky blue?\nAnd the grass?\n", **self.settings())
        self.assertSucceeded(outcome)
        first, second = outcome.out.split("> ")[1:3]
        self.assertIsAboutTheSky(first)
        self.assertGreater(len(second.strip()), 10, outcome)

    def test_a_wrong_key_is_refused_by_a_real_server(self):
        outcome = run("complete", **self.settings(HELIO_API_KEY="sk-wrong-key-000"))
        self.assertFailed(outcome, "AUTHENTICATION")
        self.assertNotIn("sk-wrong-key-000", outcome.err)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lib", type=pathlib.Path, default=REPOSITORY / "build" / "lib")
    parser.add_argument("--include", type=pathlib.Path, default=REPOSITORY / "include")
    parser.add_argument("--only", default="", help="tests whose name contains this")
    parser.add_argument("--no-real-model", action="store_true")
    parser.add_argument("--under", choices=UNDER, default="", help="run the programs in C, and only them, under this tool")
    parser.add_argument("--note", action="append", default=[], help="to be said again at the end")
    options = parser.parse_args()
    build.lib = options.lib.resolve()
    build.include = options.include.resolve()
    build.no_real_model = options.no_real_model
    build.under = options.under
    build.programs = build.lib.parent / (f"tests-c-{build.under}" if build.under else "tests-c")
    build.programs.mkdir(parents=True, exist_ok=True)

    try:
        for source in [*EXAMPLES.glob("*.c"), *HERE.glob("*.c")]:
            compile_program(source, source.stem)
    except AssertionError as failure:
        print(f"{failure}\nA program does not compile, so none was run.\n\n0 passed, 1 failed, 0 skipped")
        return 1

    suite = unittest.TestSuite()
    others = (*features.CASES, *practices.CASES, *openai_types.CASES, *cpp.CASES, *install.CASES, *abi.CASES, *deliveries.CASES, *sdl.CASES, *godot.CASES, *engines.CASES, *desktop.CASES, *lifecycle.CASES, *fronts.CASES, *proxies.CASES, *tls_proxy.CASES, *bindings.CASES)
    cases = (Compile, Complete, Stream, Chat, *others, Threads, Memory, RealModel)
    if build.under:
        cases = (Complete, Stream, Chat, *features.CASES, *practices.CASES, *deliveries.CASES, Threads, RealModel)
    for case in cases:
        for name in unittest.defaultTestLoader.getTestCaseNames(case):
            if options.only in f"{case.__name__}.{name}":
                suite.addTest(case(name))
    chosen = collections.Counter(type(test).__name__ for test in suite)
    result = Progress()
    try:
        suite.run(result)
    finally:
        rig.shared.close()

    skipped = 0
    for reason, tests in result.reasons.items():
        # A class that cannot be set up counts with all its tests.
        count = sum(chosen.get(test, 1) for test in tests)
        skipped += count
        print(f"\n*** SKIPPED: {count} test(s), because: {reason}\n***   {', '.join(tests)}", flush=True)
    for note in [*options.note, *notes]:
        print(f"\n*** {note}", flush=True)
    print(f"\n{result.passed} passed, {result.failed} failed, {skipped} skipped")
    return 1 if result.failed or not result.passed else 0


if __name__ == "__main__":
    sys.exit(main())
