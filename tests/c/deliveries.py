"""The examples that do not block: poll, epoll, notify, pull and thread, against the fake server.

Nothing here waits for time to pass. Where an order matters, the server or the test holds one side back until the
other has been seen.
"""

import os
import re
import subprocess
import threading

from fake_server import FakeServer, begin_and_stay, by_question, echo, tokens_of
from harness import PATIENCE, CTest, build, memcheck, run, running


def refuse(exchange):
    exchange.refuse(400, "that will not do")


def break_off(exchange):
    exchange.begin_stream()
    exchange.token("half an ans")
    exchange.cut()


def every_other(first, second):
    """Requests are answered one way and the other in turn."""
    count = 0
    lock = threading.Lock()

    def behaviour(exchange):
        nonlocal count
        with lock:
            count += 1
            chosen = first if count % 2 else second
        chosen(exchange)

    return behaviour


def together(count, tokens):
    """Nobody gets a token before so many are being answered."""
    barrier = threading.Barrier(count)

    def behaviour(exchange):
        exchange.begin_stream()
        try:
            barrier.wait(PATIENCE)
        except threading.BrokenBarrierError:
            return exchange.cut()
        for token in tokens:
            exchange.token(token)
        exchange.end_stream()

    return behaviour


class EachExample(CTest):
    """What the five have in common."""

    programs = ("poll", "epoll", "notify", "pull", "thread")

    def test_ends_when_submit_fails(self):
        for program in self.programs:
            with self.subTest(program=program):
                self.assertFailed(run(program, stdin="any\n"), "AUTHENTICATION")

    def test_ends_when_there_is_no_client(self):
        for program in self.programs:
            with self.subTest(program=program):
                self.assertFailed(run(program, BASE_URL="not a url"), "INVALID_ARGUMENT")

    def test_says_what_a_server_that_refuses_said(self):
        with FakeServer(refuse) as server:
            for program in self.programs:
                with self.subTest(program=program):
                    outcome = run(program, stdin="any\n", BASE_URL=server.base_url, REQUESTS="3")
                    self.assertFailed(outcome, "BAD_REQUEST")
                    self.assertIn("that will not do", outcome.err)

    def test_takes_no_answer_that_breaks_off_for_a_success(self):
        with FakeServer(break_off) as server:
            for program in self.programs:
                with self.subTest(program=program):
                    outcome = run(program, stdin="any\n", BASE_URL=server.base_url, REQUESTS="3")
                    self.assertFailed(outcome, "TRUNCATED")

    def test_takes_an_answer_without_text(self):
        with FakeServer(lambda exchange: exchange.stream([])) as server:
            for program in self.programs:
                with self.subTest(program=program):
                    outcome = run(program, stdin="any\n", BASE_URL=server.base_url, REQUESTS="3")
                    self.assertSucceeded(outcome)

    def test_takes_an_answer_that_is_no_stream(self):
        with FakeServer(lambda exchange: exchange.complete("in one piece")) as server:
            for program in self.programs:
                with self.subTest(program=program):
                    outcome = run(program, stdin="any\n", BASE_URL=server.base_url, REQUESTS="3")
                    self.assertSucceeded(outcome)
                    if program != "poll":  # which prints figures only
                        self.assertIn("in one piece", outcome.out)

    def test_valgrind_finds_nothing_in_what_ends_well(self):
        with FakeServer(echo) as server:
            for program in self.programs:
                with self.subTest(program=program):
                    memcheck(self, program, stdin="one\ntwo\n", BASE_URL=server.base_url, REQUESTS="10")

    def test_valgrind_finds_nothing_in_what_fails(self):
        with FakeServer(every_other(refuse, break_off)) as server:
            for program in self.programs:
                with self.subTest(program=program):
                    settings = {"BASE_URL": server.base_url, "REQUESTS": "4"}
                    memcheck(self, program, stdin="one\ntwo\n", exits=1, **settings)

    def test_valgrind_finds_nothing_when_submit_fails(self):
        for program in self.programs:
            with self.subTest(program=program):
                memcheck(self, program, stdin="one\ntwo\n", exits=1)


class Poll(CTest):
    report = re.compile(
        r"(?P<well>\d+) of (?P<requests>\d+) requests ended well\n"
        r"(?P<tokens>\d+) tokens in (?P<chunks>\d+) chunks, (?P<callbacks>\d+) callbacks\n"
        r"(?P<frames>\d+) frames, (?P<late>\d+) of them late\n"
        r"worst helio_poll: (?P<worst_poll>\d+\.\d{3}) ms\n"
        r"worst frame: (?P<worst_frame>\d+\.\d{3}) ms of 16\.667\n"
    )

    def figures(self, output):
        match = self.report.fullmatch(output)
        self.assertIsNotNone(match, output)
        return {name: float(value) if "." in value else int(value) for name, value in match.groupdict().items()}

    def test_a_hundred_requests_stream_at_once_and_lose_nothing(self):
        with FakeServer(together(100, tokens_of("the same for all"))) as server:
            outcome = run("poll", BASE_URL=server.base_url, PROMPT="Greet the player.")
        self.assertSucceeded(outcome)
        self.assertEqual({request.last_message for request in server.requests}, {"Greet the player."})
        figures = self.figures(outcome.out)
        self.assertEqual((figures["well"], figures["requests"]), (100, 100))
        self.assertEqual((figures["tokens"], figures["chunks"]), (400, 500))
        self.assertEqual(figures["callbacks"], 500 + 2 * 100)  # a RESPONSE and a DONE each
        self.assertGreaterEqual(figures["frames"], 1)
        self.assertGreaterEqual(figures["frames"], figures["late"])
        self.assertGreaterEqual(figures["worst_frame"], figures["worst_poll"])

    def test_failures_are_counted_and_stop_nobody_else(self):
        with FakeServer(every_other(echo, refuse)) as server:
            outcome = run("poll", BASE_URL=server.base_url, REQUESTS="10")
        self.assertFailed(outcome, "BAD_REQUEST")
        self.assertEqual(outcome.err.count("that will not do"), 5, outcome)
        self.assertEqual(self.figures(outcome.out)["well"], 5)

    def test_what_was_begun_before_a_refusal_comes_to_its_end(self):
        refused = threading.Event()

        def held_back(exchange):
            refused.wait(PATIENCE)
            echo(exchange)

        with FakeServer(held_back) as server:
            with running("poll", BASE_URL=server.base_url, REQUESTS="2000") as process:
                self.assertIn(b"(HELIO_ERR_BUSY)", process.stderr.readline())
                refused.set()
                out, _ = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 1)
        figures = self.figures(out.decode())
        self.assertEqual((figures["well"], figures["requests"]), (256 + 1024, 2000))

    def test_no_requests_are_no_failure(self):
        outcome = run("poll", REQUESTS="0")
        self.assertSucceeded(outcome)
        self.assertEqual(self.figures(outcome.out)["frames"], 0)


class Epoll(CTest):
    def test_a_line_is_answered_while_another_answer_streams(self):
        first_may_end = threading.Event()

        def half_then_wait(exchange):
            exchange.begin_stream()
            exchange.token("the first")
            first_may_end.wait(PATIENCE)
            exchange.token(" is whole")
            exchange.end_stream()

        behaviour = by_question({"one": half_then_wait, "two": echo, "three": echo})
        with FakeServer(behaviour) as server:
            with running("epoll", stdin=subprocess.PIPE, BASE_URL=server.base_url) as process:
                process.stdin.write(b"one\ntwo\n")
                process.stdin.flush()
                self.assertEqual(process.stdout.readline(), b"[2] You said: two\n")
                process.stdin.write(b"three\n")
                process.stdin.flush()
                self.assertEqual(process.stdout.readline(), b"[3] You said: three\n")
                process.stdin.close()  # the first is still to be waited for
                first_may_end.set()
                self.assertEqual(process.stdout.readline(), b"[1] the first is whole\n")
                self.assertEqual(process.stdout.read(), b"")
                self.assertEqual(process.wait(PATIENCE), 0)

    def test_a_line_may_come_in_pieces(self):
        with FakeServer(echo) as server:
            with running("epoll", stdin=subprocess.PIPE, BASE_URL=server.base_url) as process:
                process.stdin.write(b"one\ntwo and")
                process.stdin.flush()
                self.assertEqual(process.stdout.readline(), b"[1] You said: one\n")
                process.stdin.write(b" a half\n")
                process.stdin.flush()
                self.assertEqual(process.stdout.readline(), b"[2] You said: two and a half\n")
                process.stdin.close()
                self.assertEqual(process.wait(PATIENCE), 0)

    def test_a_file_is_input_like_any_other(self):
        lines = [f"line {number}" for number in range(1, 1001)]
        path = build.programs / "epoll-input"
        path.write_text("\n\n".join(lines))  # empty ones between them, and no end of line at the end
        with FakeServer(echo) as server, path.open() as file:
            with running("epoll", stdin=file, BASE_URL=server.base_url) as process:
                out, err = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 0, err)
        expected = [f"[{number}] You said: {line}" for number, line in enumerate(lines, 1)]
        self.assertEqual(sorted(out.decode().splitlines()), sorted(expected))

    def test_no_input_asks_nothing(self):
        with FakeServer(echo) as server:
            for nothing in (subprocess.DEVNULL, subprocess.PIPE):
                with running("epoll", stdin=nothing, BASE_URL=server.base_url) as process:
                    out, err = process.communicate(timeout=PATIENCE)
                self.assertEqual((process.returncode, out, err), (0, b"", b""))
        self.assertEqual(server.requests, [])

    def test_a_failure_is_numbered_and_stops_nobody_else(self):
        with FakeServer(by_question({"one": echo, "two": refuse, "three": echo})) as server:
            outcome = run("epoll", stdin="one\ntwo\nthree\n", BASE_URL=server.base_url)
        self.assertFailed(outcome, "BAD_REQUEST")
        self.assertIn("[2] epoll: ", outcome.err)
        expected = ["[1] You said: one", "[3] You said: three"]
        self.assertEqual(sorted(outcome.out.splitlines()), expected)

    def test_a_line_that_is_no_utf8_fails_alone(self):
        with FakeServer(echo) as server:
            with running("epoll", stdin=subprocess.PIPE, BASE_URL=server.base_url) as process:
                out, err = process.communicate(b"\xff\xfe\nfine\n", timeout=PATIENCE)
        self.assertEqual(process.returncode, 1)
        self.assertIn(b"(HELIO_ERR_INVALID_UTF8)", err)
        self.assertEqual(out, b"[2] You said: fine\n")


class Notify(CTest):
    report = re.compile(
        r"(\d+) of (\d+) requests ended well\n(\d+) events in (\d+) receives after (\d+) notifications\n"
    )

    def figures(self, outcome):
        """The answers by number, and the figures after them."""
        answers = dict(re.findall(r"^\[(\d+)\] (.*)$", outcome.out, re.M))
        match = self.report.search(outcome.out)
        self.assertIsNotNone(match, outcome)
        return answers, [int(group) for group in match.groups()]

    def test_one_receive_for_each_notification_misses_nothing(self):
        words = " ".join(str(number) for number in range(100))
        with FakeServer(echo) as server:
            outcome = run("notify", BASE_URL=server.base_url, REQUESTS="50", PROMPT=words)
        self.assertSucceeded(outcome)
        answers, (well, requests, events, receives, notifications) = self.figures(outcome)
        self.assertEqual(answers, {str(number): f"You said: {words}" for number in range(1, 51)})
        self.assertEqual((well, requests), (50, 50))
        self.assertEqual(events, 50 * (1 + 102 + 1 + 1))  # RESPONSE, tokens, the finish, DONE
        self.assertLessEqual(receives, notifications)

    def test_a_loop_that_sleeps_is_woken_for_each_answer(self):
        next_one = threading.Semaphore(1)

        def one_at_a_time(exchange):
            next_one.acquire(timeout=PATIENCE)
            echo(exchange)

        with FakeServer(one_at_a_time) as server:
            with running("notify", BASE_URL=server.base_url, REQUESTS="20", PROMPT="any") as process:
                numbers = set()
                for _ in range(20):
                    number, answer = process.stdout.readline().split(b" ", 1)
                    self.assertEqual(answer, b"You said: any\n")
                    numbers.add(number)
                    next_one.release()
                self.assertEqual(len(numbers), 20)
                self.assertEqual(process.wait(PATIENCE), 0)

    def test_failures_are_counted_and_stop_nobody_else(self):
        with FakeServer(every_other(echo, refuse)) as server:
            outcome = run("notify", BASE_URL=server.base_url, REQUESTS="10", PROMPT="any")
        self.assertFailed(outcome, "BAD_REQUEST")
        answers, (well, requests, *_) = self.figures(outcome)
        self.assertEqual((well, requests), (5, 10))
        self.assertEqual(list(answers.values()), ["You said: any"] * 5)


class Pull(CTest):
    def test_answers_stand_in_the_order_of_the_questions_not_of_their_ends(self):
        others = threading.Semaphore(0)

        def last(exchange):
            for _ in range(2):
                if not others.acquire(timeout=PATIENCE):
                    return exchange.cut()
            echo(exchange)

        def early(exchange):
            echo(exchange)
            others.release()

        with FakeServer(by_question({"one": last, "two": early, "three": early})) as server:
            outcome = run("pull", "one", "two", "three", BASE_URL=server.base_url)
        self.assertSucceeded(outcome)
        _, _, answers = outcome.out.partition("\n")
        blocks = [f"\n[{i}] {word}\nYou said: {word}\n" for i, word in enumerate(("one", "two", "three"), 1)]
        self.assertEqual(answers, "".join(blocks))

    def test_each_token_is_its_requests_own(self):
        questions = ["a", "b c", "d e f g h"]
        with FakeServer(echo) as server:
            outcome = run("pull", *questions, BASE_URL=server.base_url)
        self.assertSucceeded(outcome)
        marks = outcome.out.partition("\n")[0].split()
        for number, question in enumerate(questions, 1):
            self.assertEqual(marks.count(str(number)), len(tokens_of(f"You said: {question}")))
        self.assertEqual(len(marks), 3 + 4 + 7)

    def test_prompt_is_one_question_and_nothing_is_three(self):
        for settings, count in (({"PROMPT": "only this"}, 1), ({}, 3)):
            with FakeServer(echo) as server:
                self.assertSucceeded(run("pull", BASE_URL=server.base_url, **settings))
            self.assertEqual(len(server.requests), count)

    def test_a_failure_stops_nobody_else(self):
        with FakeServer(by_question({"one": break_off, "two": echo})) as server:
            outcome = run("pull", "one", "two", BASE_URL=server.base_url)
        self.assertFailed(outcome, "TRUNCATED")
        self.assertIn("[1] one\nhalf an ans\n", outcome.out)
        self.assertIn("[2] two\nYou said: two\n", outcome.out)

    def test_a_question_that_is_no_utf8_fails_alone(self):
        with FakeServer(echo) as server:
            with running("pull", os.fsdecode(b"no \xff UTF-8"), "fine", BASE_URL=server.base_url) as process:
                out, err = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 1)
        self.assertIn(b"(HELIO_ERR_INVALID_UTF8)", err)
        self.assertIn(b"[2] fine\nYou said: fine\n", out)


class Thread(CTest):
    def test_one_answer_is_stopped_and_the_others_are_whole(self):
        stopped = threading.Event()

        endless = begin_and_stay(*(f"<{number}>" for number in range(5)), left=stopped)

        def after_it(exchange):
            stopped.wait(PATIENCE)
            echo(exchange)

        with FakeServer(by_question({"one": endless, "two": after_it, "three": after_it})) as server:
            outcome = run("thread", "one", "two", "three", BASE_URL=server.base_url, STOP_AFTER="5")
        self.assertTrue(stopped.is_set(), outcome)
        self.assertSucceeded(outcome)
        self.assertEqual(outcome.err, "")
        self.assertIn("[1] one\n<0><1><2><3><4>\n(stopped here)\n", outcome.out)
        self.assertIn("[2] two\nYou said: two\n", outcome.out)
        self.assertIn("[3] three\nYou said: three\n", outcome.out)

    def test_a_short_answer_ends_by_itself(self):
        with FakeServer(echo) as server:
            outcome = run("thread", BASE_URL=server.base_url, PROMPT="one two", STOP_AFTER="100")
        self.assertSucceeded(outcome)
        self.assertEqual(outcome.out, "[1] one two\nYou said: one two\n\n")

    def test_many_threads_print_one_answer_at_a_time(self):
        questions = [f"question {number}" for number in range(1, 41)]
        with FakeServer(together(40, ["the", " same"])) as server:
            outcome = run("thread", *questions, BASE_URL=server.base_url)
        self.assertSucceeded(outcome)
        expected = {f"[{number}] {question}\nthe same" for number, question in enumerate(questions, 1)}
        self.assertEqual(set(outcome.out.strip().split("\n\n")), expected)

    def test_a_failure_stops_nobody_else(self):
        with FakeServer(by_question({"one": echo, "two": break_off})) as server:
            outcome = run("thread", "one", "two", BASE_URL=server.base_url)
        self.assertFailed(outcome, "TRUNCATED")
        self.assertIn("[1] one\nYou said: one\n", outcome.out)
        self.assertIn("[2] two\nhalf an ans\n", outcome.out)

    def test_valgrind_finds_nothing_in_a_cancel(self):
        with FakeServer(by_question({"one": begin_and_stay("one"), "two": echo})) as server:
            memcheck(self, "thread", "one", "two", BASE_URL=server.base_url, STOP_AFTER="1")


CASES = (EachExample, Poll, Epoll, Notify, Pull, Thread)
