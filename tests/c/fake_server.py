"""A chat-completions server of raw sockets for the C programs, on loopback.

What it answers is a function of one exchange, so each test writes down the server it needs:

    with FakeServer(echo) as server:
        run("./complete", BASE_URL=server.base_url)
    assert server.requests[0].json["model"] == "..."
"""

import json
import select
import socket
import threading

from harness import PATIENCE


class Request:
    """One request as it came in: its target, its header fields by lower-case name, its body."""

    def __init__(self, head, body):
        first, *fields = head.decode("latin-1").split("\r\n")
        self.method, self.target, _ = first.split(" ", 2)
        self.headers = {}
        for field in fields:
            name, _, value = field.partition(":")
            self.headers[name.strip().lower()] = value.strip()
        self.body = body
        self.json = json.loads(body)

    @property
    def last_message(self):
        return self.json["messages"][-1]["content"]


class Exchange:
    """One request and the socket its answer goes to."""

    def __init__(self, request, connection):
        self.request = request
        self.connection = connection
        self.keep_alive = True

    def send(self, data):
        self.connection.sendall(data)

    def answer(self, status, content_type, body, headers=()):
        head = (
            f"HTTP/1.1 {status} Whatever\r\nContent-Type: {content_type}\r\n"
            f"Content-Length: {len(body)}\r\n"
        )
        head += "".join(f"{name}: {value}\r\n" for name, value in dict(headers).items())
        self.send(head.encode() + b"\r\n" + body)

    def reply(self, message, finish_reason="stop", headers=(), usage=None, logprobs=None):
        """A whole answer with this message, which need not be a text."""
        whole = completion(self.request, None)
        choice = whole["choices"][0]
        choice["message"] = {"role": "assistant", "content": None, **message}
        choice.update(finish_reason=finish_reason, logprobs=logprobs)
        whole["usage"].update(usage or {})
        self.answer(200, "application/json", json.dumps(whole).encode(), headers)

    def refuse(self, status, message, kind="invalid_request_error", code=None):
        error = {"error": {"message": message, "type": kind, "param": None, "code": code}}
        self.answer(status, "application/json", json.dumps(error).encode())

    def complete(self, content):
        self.answer(200, "application/json", json.dumps(completion(self.request, content)).encode())

    def begin_stream(self):
        self.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")

    def event(self, data):
        payload = b"data: " + data + b"\n\n"
        self.send(b"%x\r\n%s\r\n" % (len(payload), payload))

    def token(self, content):
        self.event(chunk(self.request, {"content": content}))

    def delta(self, **delta):
        self.event(chunk(self.request, delta))

    def end_stream(self, finish_reason="stop"):
        self.event(chunk(self.request, {}, finish_reason))
        self.event(b"[DONE]")
        self.send(b"0\r\n\r\n")

    def stream(self, tokens):
        self.begin_stream()
        for token in tokens:
            self.token(token)
        self.end_stream()

    def cut(self):
        """Closes the connection in the middle of the answer."""
        self.keep_alive = False

    def client_leaves(self, seconds):
        """True if the other side closes or resets within that time."""
        readable, _, _ = select.select([self.connection], [], [], seconds)
        if not readable:
            return False
        try:
            return self.connection.recv(1) == b""
        except OSError:
            return True


def completion(request, content):
    return {
        "id": "chatcmpl-fake",
        "object": "chat.completion",
        "created": 1700000000,
        "model": request.json.get("model"),
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    }


def chunk(request, delta, finish_reason=None):
    return json.dumps(
        {
            "id": "chatcmpl-fake",
            "object": "chat.completion.chunk",
            "created": 1700000000,
            "model": request.json.get("model"),
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
        },
        ensure_ascii=False,
    ).encode()


def tokens_of(text):
    """Cuts text into pieces as a tokenizer would: words with the blank before them."""
    pieces = text.split(" ")
    return pieces[:1] + [" " + piece for piece in pieces[1:]]


def echo(exchange):
    """Says back what was said, as a stream if asked for one. Refuses the model "refuse"."""
    request = exchange.request
    if request.json.get("model") == "refuse":
        exchange.refuse(400, "this model is never served", code="model_refused")
        return
    content = f"You said: {request.last_message}"
    if request.json.get("stream"):
        exchange.stream(tokens_of(content))
    else:
        exchange.complete(content)


def stay(exchange, left=None):
    """Says no more for as long as the client is there; `left` is set when it has gone."""
    if exchange.client_leaves(PATIENCE) and left:
        left.set()
    exchange.cut()


def begin_and_stay(*tokens, left=None):
    """Streams these tokens, and nothing behind them for as long as the client is there."""

    def behaviour(exchange):
        exchange.begin_stream()
        for token in tokens:
            exchange.token(token)
        stay(exchange, left)

    return behaviour


def in_turn(*behaviours):
    """The first request gets the first behaviour, and so on; the last one stays."""
    left = list(behaviours)
    return lambda exchange: (left.pop(0) if len(left) > 1 else left[0])(exchange)


def by_question(behaviours):
    """Each request gets what its question is mapped to, in whatever order they come."""
    return lambda exchange: behaviours[exchange.request.last_message](exchange)


class FakeServer:
    def __init__(self, behaviour, port=0):
        self.behaviour = behaviour
        self.port = port
        self.requests = []
        self.connections = []

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self.listener.getsockname()[1]
        self.base_url = f"http://127.0.0.1:{self.port}/v1"
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.connections:
            connection.close()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections.append(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            with connection, connection.makefile("rb") as reader:
                while (request := self.read(reader)) is not None:
                    self.requests.append(request)
                    exchange = Exchange(request, connection)
                    self.behaviour(exchange)
                    if not exchange.keep_alive:
                        # makefile holds the socket open; the other side must see the end now.
                        connection.shutdown(socket.SHUT_RDWR)
                        return
        except OSError:
            pass  # the client has gone

    @staticmethod
    def read(reader):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = reader.readline()
            if not line:
                return None
            head += line
        length = 0
        for field in head.split(b"\r\n"):
            if field.lower().startswith(b"content-length:"):
                length = int(field.split(b":")[1])
        return Request(head[:-4], reader.read(length))
