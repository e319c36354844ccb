"""Asking through ask.c, in each delivery, and what the server behind everything says when it is asked directly."""

import base64
import contextlib
import functools
import http.client
import json
import pathlib
import signal
import subprocess
import tempfile
import urllib.parse

import real_model
from fake_server import FakeServer, echo
from harness import PATIENCE, CTest, build, notes, run, running
from rig import certificates, shared

DELIVERIES = ("complete", "poll", "pull", "thread")


# The server behind all -------------------------------------------------------------------------


class Model:
    """The server that the fronts lead to: the real model's, or the fake one where that cannot be had."""

    key = "sk-the-real-servers-key"
    name = real_model.MODEL_NAME

    def __init__(self, base_url):
        self.base_url = base_url
        self.port = urllib.parse.urlsplit(base_url).port
        self.direct = functools.cache(self.ask_directly)

    def request(self, stream):
        """The same question has the same answer."""
        body = {
            "model": self.name,
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Name a colour."},
            ],
            "max_tokens": 6,
            "temperature": 0,
            "cache_prompt": False,
            "stream": stream,
        }
        return {**body, "stream_options": {"include_usage": True}} if stream else body

    def ask_directly(self):
        """What the server answers without helio, and without anything between."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        connection.request("POST", "/v1/chat/completions", json.dumps(self.request(False)), headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        assert answer.status == 200, body
        return said(json.loads(body))


def said(completion):
    """What two answers to the same question have in common."""
    choice = completion["choices"][0]
    return choice["message"]["content"], choice["finish_reason"], completion["model"]


@functools.cache
def model():
    why = "--no-real-model" if build.no_real_model else None
    if not why:
        try:
            return Model(shared.enter_context(real_model.RealModel(api_key=Model.key)).base_url)
        except real_model.NotAvailable as reason:
            why = reason
    notes.append(f"WITHOUT THE REAL MODEL: behind the real servers and proxies stood the fake one, because: {why}")
    return Model(shared.enter_context(FakeServer(echo)).base_url)


# Asking ----------------------------------------------------------------------------------------


class Asked:
    """What one line of ask.c says."""

    def __init__(self, line):
        self.line = line
        self.status = line["status"].removeprefix("HELIO_").removeprefix("ERR_")
        self.error, self.data, self.report, self.stats = (
            line[name] for name in ("error", "data", "report", "stats")
        )
        self.http_status, self.chunks = line["http_status"], line["chunks"]

    def __repr__(self):
        return json.dumps(self.line, indent=1)

    @property
    def text(self):
        return self.data["choices"][0]["message"]["content"]

    @property
    def message(self):
        return self.error["message"]

    @property
    def attempts(self):
        return [attempt["status"] for attempt in self.report["attempts"]]


def secrets_of(*texts):
    """The passwords inside URLs, in each form in which they could be read."""
    for text in texts:
        parts = urllib.parse.urlsplit(text)
        if parts.password:
            password = urllib.parse.unquote(parts.password)
            yield from (
                password,
                parts.password,
                base64.b64encode(f"{parts.username}:{password}".encode()).decode(),
            )


class AskTest(CTest):
    """Tests that ask through ask.c."""

    def files(self, config, request):
        folder = tempfile.TemporaryDirectory(prefix="helio-")
        self.addCleanup(folder.cleanup)
        paths = []
        whole = {"retry": {"base_ms": 1}, "tls": {"ca_file": str(certificates() / "root.pem")}, **config}
        for name, content in (("config", whole), ("request", request)):
            path = pathlib.Path(folder.name) / name
            path.write_text(json.dumps(content))
            paths.append(str(path))
        return paths

    def ask(self, config, request, delivery, *more, stdin="", **settings):
        """What came of each request; no secret of the config is in anything that was said."""
        outcome = run("ask", *self.files(config, request), delivery, *more, stdin=stdin, **settings)
        self.assertSucceeded(outcome)
        for secret in [Model.key, *secrets_of(config.get("proxy", ""), *settings.values())]:
            self.assertNotIn(secret, outcome.out + outcome.err)
        return [Asked(json.loads(line)) for line in outcome.out.splitlines()]

    def ask_once(self, config, request, delivery, **settings):
        (asked,) = self.ask(config, request, delivery, **settings)
        return asked

    @contextlib.contextmanager
    def asking(self, config, request, delivery, *more):
        """Under way: `lines` gives what it says, one after the other, `answer` lets it ask again."""
        with running("ask", *self.files(config, request), delivery, *more, stdin=subprocess.PIPE) as process:
            yield Conversation(process)

    def assertEnded(self, asked, status, http_status=0, *words):
        """With this status, and a message that has these words."""
        self.assertEqual((asked.status, asked.http_status), (status, http_status), asked)
        for word in words:
            self.assertIn(word, asked.message)

    def assertEchoes(self, asked, text):
        self.assertEqual(asked.status, "OK", asked)
        self.assertEqual(asked.text, f"You said: {text}")

    def assertBreaksOff(self, config, kill):
        """Asked in all deliveries at once, the server is in the middle of its answers when something is killed."""
        with contextlib.ExitStack() as stack:
            conversations = []
            for delivery in DELIVERIES:
                asking = self.asking(config, question("any"), delivery, "1", "chunks")
                conversations.append(stack.enter_context(asking))
            for conversation in conversations:
                self.assertEqual(conversation.line(), {"chunk": "half an ans"})
            kill(signal.SIGKILL)
            for delivery, conversation in zip(DELIVERIES, conversations):
                with self.subTest(delivery=delivery):
                    asked = conversation.asked()
                    self.assertEnded(asked, "TRUNCATED", 200)
                    self.assertEqual(asked.text, "half an ans")
                    self.assertIsNone(asked.data["choices"][0]["finish_reason"])
                    self.assertEqual(asked.attempts, ["TRUNCATED"])

    def assertSaysTheSame(self, config, **settings):
        """Each delivery gets the answer that the model gives when it is asked directly, whole and streamed."""
        for delivery in DELIVERIES:
            for stream in (False, True):
                with self.subTest(delivery=delivery, stream=stream):
                    whole = {"api_key": Model.key, **config}
                    asked = self.ask_once(whole, model().request(stream), delivery, **settings)
                    self.assertEqual(asked.status, "OK", asked)
                    self.assertEqual(said(asked.data), model().direct())
                    self.assertEqual(asked.chunks > 1, stream)
                    self.assertEqual(asked.attempts, ["OK"])


class Conversation:
    def __init__(self, process):
        self.process = process

    def line(self):
        return json.loads(self.process.stdout.readline())

    def asked(self):
        return Asked(self.line())

    def go_on(self):
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()


def question(text, stream=True, **more):
    return {"model": "any", "messages": [{"role": "user", "content": text}], "stream": stream, **more}
