"""The examples of the endpoint's best practices: tracking, caches, errors and back-off, rate limits, cost."""

import json
import time

from fake_server import FakeServer, echo, in_turn
from harness import CTest, build, memcheck, run


def refusal(status, body, headers=()):
    return lambda exchange: exchange.answer(status, "application/json", json.dumps(body).encode(), headers)


# The gateway's own words when the credits are used up: the status alone says something else.
NO_CREDITS = {
    "success": False,
    "error": {
        "code": "request_failed",
        "message": "Insufficient credits",
        "param": None,
        "details": [{"type": "insufficient_credit_limit", "message": "Insufficient credits", "statusCode": 429}],
    },
}
RATE_LIMITED = {"success": False, "error": {"code": "rate_limited", "message": "Rate limited", "details": []}}


class Metadata(CTest):
    def test_body_and_headers_say_whose_request_it_is(self):
        def named(exchange):
            exchange.reply({"content": "Lisbon."}, headers={"Helicone-Id": "h-1", "x-request-id": "p-1"})

        with FakeServer(named) as server:
            outcome = run("metadata", BASE_URL=server.base_url)
        self.assertSucceeded(outcome)
        ids = ["1b4e28ba-2fa1-41d2-883f-0016d3cca427", "6fa459ea-ee8a-4ca4-894e-db77e160355e"]
        for request, request_id, path in zip(server.requests, ids, ["/trip", "/trip/hotel"], strict=True):
            self.assertEqual(request.json["metadata"], {"feature": "trip", "experiment": "b"})
            self.assertEqual(request.json["user"], "ada")
            sent = {name: value for name, value in request.headers.items() if name.startswith("helicone-")}
            self.assertEqual(
                sent,
                {
                    "helicone-user-id": "ada",
                    "helicone-session-id": "trip-7",
                    "helicone-session-name": "Planning a trip",
                    "helicone-session-path": path,
                    "helicone-property-app": "metadata.c",
                    "helicone-property-build": "42",
                    "helicone-request-id": request_id,
                },
            )
            self.assertIn(f"client_request_id {request_id}, helicone-id h-1, server_request_id p-1\n", outcome.out)
        self.assertEqual(len(server.requests[1].json["messages"]), 3)


class Caching(CTest):
    def test_the_same_question_is_asked_with_the_same_bytes(self):
        kept = {}

        def cache(exchange):
            state = "HIT" if exchange.request.body in kept else "MISS"
            cached = {"prompt_tokens": 5000, "prompt_tokens_details": {"cached_tokens": 4900 if kept else 0}}
            kept[exchange.request.body] = True
            exchange.reply({"content": "400"}, headers={"Helicone-Cache": state}, usage=cached)

        with FakeServer(cache) as server:
            outcome = run("caching", BASE_URL=server.base_url)
        self.assertSucceeded(outcome)
        self.assertEqual(
            outcome.out.splitlines(),
            [
                "response cache: MISS; prompt cache: 0 of 5000 tokens",
                "response cache: HIT; prompt cache: 4900 of 5000 tokens",
                "response cache: MISS; prompt cache: 4900 of 5000 tokens",
            ],
        )
        first, second, third = server.requests
        self.assertEqual(first.body, second.body)
        self.assertEqual(first.json["messages"][0], third.json["messages"][0])
        self.assertEqual(first.json["messages"][0]["content"][0]["cache_control"], {"type": "ephemeral"})
        self.assertEqual(first.json["prompt_cache_key"], "handbook-1")
        self.assertEqual(first.headers["helicone-cache-enabled"], "true")
        self.assertEqual(first.headers["cache-control"], "max-age=3600")
        self.assertEqual(first.headers["helicone-cache-bucket-max-size"], "1")


class Errors(CTest):
    def test_what_passes_is_waited_for_as_the_server_wishes(self):
        refuse = refusal(429, RATE_LIMITED, {"Retry-After-Ms": "300"})
        with FakeServer(in_turn(refuse, refuse, echo)) as server:
            began = time.monotonic()
            outcome = run("errors", BASE_URL=server.base_url, PROMPT="Hi")
            self.assertGreaterEqual(time.monotonic() - began, 0.6)
        self.assertSucceeded(outcome)
        self.assertEqual((outcome.out, outcome.err), ("You said: Hi\n", ""))
        self.assertEqual(len(server.requests), 3)

    def test_after_the_librarys_tries_it_waits_once_more(self):
        busy = refusal(503, {"error": {"message": "overloaded"}})
        with FakeServer(in_turn(busy, busy, busy, echo)) as server:
            outcome = run("errors", BASE_URL=server.base_url, PROMPT="Hi")
        self.assertSucceeded(outcome)
        self.assertIn("(HELIO_ERR_OVERLOADED)", outcome.err)
        self.assertIn("tried 3 time(s): wait, then try again", outcome.err)
        self.assertIn("Once more in 0.", outcome.err)
        self.assertEqual(len(server.requests), 4)

    def test_what_does_not_pass_is_asked_once_and_explained(self):
        wrapped = {"error": {"code": "all_attempts_failed", "message": "x", "details": [{"statusCode": 400}]}}
        for status, body, name, advice in (
            (401, {"error": {"message": "bad key"}}, "AUTHENTICATION", "check the API key"),
            (429, NO_CREDITS, "QUOTA_EXCEEDED", "waiting does not help"),
            (500, wrapped, "BAD_REQUEST", "another try ends the same way"),
            (400, {"error": {"code": "context_length_exceeded", "message": "x"}}, "CONTEXT_LENGTH", "remove its oldest"),
            (404, {"error": {"message": "no such model"}}, "NOT_FOUND", "check the model's name"),
        ):
            with self.subTest(name), FakeServer(refusal(status, body)) as server:
                outcome = run("errors", BASE_URL=server.base_url)
                self.assertFailed(outcome, name)
                self.assertIn(f"HTTP {status}", outcome.err)
                self.assertIn("tried 1 time(s)", outcome.err)
                self.assertIn(advice, outcome.err)
                self.assertEqual(len(server.requests), 1)

    def test_half_an_answer_is_shown_as_half(self):
        def broken(exchange):
            exchange.answer(200, "application/json", b'{"choices":[')
            exchange.cut()

        def cut(exchange):
            exchange.begin_stream()
            exchange.token("Because")
            exchange.cut()

        with FakeServer(cut) as server:
            outcome = run("errors", BASE_URL=server.base_url)
        self.assertFailed(outcome, "TRUNCATED")
        self.assertEqual(outcome.out, "Because [not complete]\n")
        with FakeServer(broken) as server:
            self.assertFailed(run("errors", BASE_URL=server.base_url), "TRUNCATED")

    def test_valgrind_finds_nothing_in_errors(self):
        with FakeServer(refusal(429, NO_CREDITS)) as server:
            memcheck(self, "errors", exits=1, BASE_URL=server.base_url)


class RateLimits(CTest):
    def test_who_is_early_waits_and_nobody_fails(self):
        if build.under:
            self.skipTest(f"it measures a wait, and {build.under} makes all slow")

        def told(exchange):
            exchange.reply({"content": "Rhine"}, headers={"Helicone-RateLimit-Remaining": "7"})

        with FakeServer(told) as server:
            outcome = run("rate_limits", BASE_URL=server.base_url, RPM="60", QUESTIONS="62")
        self.assertSucceeded(outcome)
        waits = [float(line.split()[1]) for line in outcome.out.splitlines()]
        self.assertEqual((len(waits), waits[0]), (62, 0))
        self.assertGreater(waits[-1], 0)
        self.assertIn("requests left: 7", outcome.out)

    def test_both_kinds_of_429_are_told_apart(self):
        with FakeServer(refusal(429, RATE_LIMITED, {"Retry-After": "7"})) as server:
            outcome = run("rate_limits", BASE_URL=server.base_url)
        self.assertFailed(outcome, "RATE_LIMITED")
        self.assertIn("too many requests: wait 7.0 s", outcome.err)
        with FakeServer(refusal(429, NO_CREDITS)) as server:
            outcome = run("rate_limits", BASE_URL=server.base_url)
        self.assertFailed(outcome, "QUOTA_EXCEEDED")
        self.assertIn("waiting does not help", outcome.err)


class Cost(CTest):
    @staticmethod
    def story(finish_reason, **usage):
        def tell(exchange):
            exchange.begin_stream()
            exchange.token("Once")
            exchange.event(json.dumps({"choices": [], "usage": usage}).encode()) if usage else None
            exchange.end_stream(finish_reason)

        return tell

    def test_it_ends_when_the_budget_is_used_up(self):
        behaviour = self.story("length", prompt_tokens=10, completion_tokens=40, total_tokens=50, cost=0.0005)
        with FakeServer(behaviour) as server:
            outcome = run("cost", BASE_URL=server.base_url, BUDGET="90")
        self.assertSucceeded(outcome)
        self.assertEqual(outcome.out, "Once [cut at max_tokens]\n" * 2 + "The budget of 90 tokens is used up after 2 answers.\n")
        self.assertEqual(outcome.err, "50 tokens, 50 in all, $0.000500\n50 tokens, 100 in all, $0.001000\n")
        body = server.requests[0].json
        self.assertEqual((body["max_tokens"], body["stream_options"]), (40, {"include_usage": True}))

    def test_a_server_that_tells_no_usage_costs_nothing_that_is_known(self):
        with FakeServer(self.story("stop")) as server:
            outcome = run("cost", BASE_URL=server.base_url)
        self.assertSucceeded(outcome)
        self.assertEqual((outcome.out, len(server.requests)), ("Once\n" * 4, 4))
        self.assertNotIn("$", outcome.err)


CASES = (Metadata, Caching, Errors, RateLimits, Cost)
