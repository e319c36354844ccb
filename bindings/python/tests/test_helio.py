"""What the table of scenarios does not have, because it is Python's own: `python3 -m unittest discover -s bindings/python/tests`."""

import asyncio
import gc
import http.server
import json
import os
import subprocess
import sys
import threading
import time
import unittest
from typing import Any, Callable

import helio

ASK = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
STREAM = {**ASK, "stream": True}
WORD = b'data: {"choices":[{"index":0,"delta":{"content":"word"}}]}\n\n'
END = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


class Handler(http.server.BaseHTTPRequestHandler):
    """Streams words until "go" is set, and then ends; or answers whole."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        if not asked.get("stream"):
            answer = {"choices": [{"index": 0, "message": {"content": "Hello"}, "finish_reason": "stop"}]}
            body = json.dumps(answer).encode()
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        server: Any = self.server
        try:
            self.wfile.write(WORD)
            while not server.go.wait(0.01):
                self.wfile.write(b": still here\n\n")
            self.wfile.write(END)
        except OSError:
            server.left.release()

    def log_message(self, *_: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.go, self.left = threading.Event(), threading.Semaphore(0)
        self.config = {"base_url": f"http://127.0.0.1:{self.server_address[1]}/v1", "api_key": "k"}
        threading.Thread(target=self.serve_forever, daemon=True).start()


class WithServer(unittest.TestCase):
    def setUp(self) -> None:
        self.server = Server()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.addCleanup(self.server.go.set)

    def assertLeft(self) -> None:
        self.assertTrue(self.server.left.acquire(timeout=30), "the request goes on")

    def eventually(self, holds: Callable[[], bool]) -> None:
        end = time.monotonic() + 30
        while not holds():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.005)


class Threads(WithServer):
    def test_one_thread_of_python_serves_many_streams(self) -> None:
        before = threading.active_count()
        with helio.Client(self.server.config) as client:
            streams = [client.stream(STREAM) for _ in range(20)]
            self.assertEqual([next(stream).text for stream in streams], ["word"] * 20)
            mine = [thread.name for thread in threading.enumerate() if thread.name == "helio"]
            self.assertEqual(mine, ["helio"])
            self.server.go.set()
            self.assertEqual([stream.wait().text for stream in streams], ["word"] * 20)
        self.eventually(lambda: threading.active_count() <= before + 20)

    def test_close_may_come_twice_and_calls_after_it_are_refused(self) -> None:
        client = helio.Client(self.server.config)
        client.complete(ASK)
        client.close()
        client.close()
        for call in (lambda: client.complete(ASK), client.prewarm, client.stats, lambda: client.set_api_key("x")):
            with self.assertRaises(helio.ShutDown):
                call()
        self.assertEqual(repr(client), "<helio.Client closed>")

    def test_a_stream_keeps_its_client_and_a_forgotten_client_ends(self) -> None:
        stream = helio.Client(self.server.config).stream(STREAM)
        gc.collect()
        self.assertEqual(next(stream).text, "word")
        del stream
        gc.collect()
        self.assertLeft()
        self.eventually(lambda: "helio" not in [thread.name for thread in threading.enumerate()])

    def test_a_stream_closed_by_with_is_cancelled_at_once(self) -> None:
        with helio.Client(self.server.config) as client:
            with client.stream(STREAM) as stream:
                next(stream)
            self.assertLeft()
            with self.assertRaises(helio.Cancelled) as raised:
                next(stream)
            partial = raised.exception.completion
            self.assertEqual(partial and partial.text, "word")

    def test_a_program_that_forgets_to_close_ends(self) -> None:
        program = "import helio, sys, json; c = helio.Client(json.loads(sys.argv[1])); s = c.stream(sys.argv[2]); print(next(s).text)"
        command = [sys.executable, "-c", program, json.dumps(self.server.config), json.dumps(STREAM)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "word\n", ""))

    def test_json_goes_out_as_it_is_written_and_numbers_keep_their_digits(self) -> None:
        with helio.Client(json.dumps(self.server.config)) as client:
            self.assertEqual(client.complete(json.dumps(ASK)).text, "Hello")
            with self.assertRaises(helio.InvalidJson):
                client.complete("[]")
        self.assertEqual(helio.json_get('{"a":[1.50]}', "/a/0"), "1.50")
        self.assertIsNone(helio.json_get("{}", "/a"))

    def test_a_chat_says_what_it_does_not_take(self) -> None:
        chat = helio.Chat()
        chat.add("user", "Hi ✓")
        with self.assertRaises(helio.InvalidArgument):
            chat.add("nobody", "x")
        chat.remove(0, 1)
        self.assertEqual(len(chat), 0)

    @unittest.skipUnless(hasattr(os, "fork"), "there is no fork")
    def test_a_forked_child_is_told(self) -> None:
        with helio.Client(self.server.config) as client:
            client.complete(ASK)
            child = os.fork()
            if child == 0:
                try:
                    client.complete(ASK)
                except helio.HelioError as error:
                    os._exit(0 if error.status_name in ("HELIO_ERR_FORKED", "HELIO_ERR_SHUT_DOWN") else 1)
                os._exit(2)
            self.assertEqual(os.waitpid(child, 0)[1], 0)
            self.assertEqual(client.complete(ASK).text, "Hello")


class Asyncio(WithServer):
    def test_cancelling_the_task_cancels_the_request(self) -> None:
        async def run() -> None:
            async with helio.AsyncClient(self.server.config) as client:
                task = asyncio.ensure_future(client.complete(STREAM))
                await asyncio.sleep(0.1)
                task.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await task
                await asyncio.to_thread(self.assertLeft)

        asyncio.run(run())

    def test_a_deadline_of_asyncio_cancels_too(self) -> None:
        async def run() -> None:
            async with helio.AsyncClient(self.server.config) as client:
                with self.assertRaises(asyncio.TimeoutError):
                    await asyncio.wait_for(client.complete(STREAM), 0.1)
                await asyncio.to_thread(self.assertLeft)

        asyncio.run(run())

    def test_it_needs_no_thread_of_python(self) -> None:
        async def run() -> None:
            before = set(threading.enumerate())
            async with helio.AsyncClient(self.server.config) as client:
                streams = [client.stream(STREAM) for _ in range(20)]
                for stream in streams:
                    self.assertEqual((await stream.__anext__()).text, "word")
                new = [one.name for one in set(threading.enumerate()) - before if "process_request" not in one.name]
                self.assertEqual(new, [])
                self.server.go.set()
                self.assertEqual([(await stream.wait()).text for stream in streams], ["word"] * 20)

        asyncio.run(run())

    def test_a_forgotten_client_lets_go(self) -> None:
        async def run() -> None:
            stream = helio.AsyncClient(self.server.config).stream(STREAM)
            self.assertEqual((await stream.__anext__()).text, "word")
            del stream
            gc.collect()
            await asyncio.to_thread(self.assertLeft)

        asyncio.run(run())

    def test_a_client_belongs_to_one_loop(self) -> None:
        client = helio.AsyncClient(self.server.config)
        self.assertEqual(asyncio.run(client.complete(ASK)).text, "Hello")

        async def elsewhere() -> None:
            with self.assertRaises(RuntimeError):
                client.stream(ASK)

        asyncio.run(elsewhere())


if __name__ == "__main__":
    unittest.main()
