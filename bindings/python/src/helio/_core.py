"""What both clients stand on: the C client, and who waits for which request."""

import ctypes
import threading
import weakref
from ctypes import byref, c_void_p
from typing import Callable, Optional, Union

from ._answers import Chunk, Completion
from ._cancellation import Cancellation
from ._errors import HelioError, body_of, check
from ._events import End, EventPointer, read_event
from ._native import DELIVERY_PULL, OK, SHUT_DOWN, WAIT_FOREVER, ClientOptions, RequestOptions, lib, taken

Sink = Callable[[Union[Chunk, End]], None]


class Core:
    """A C client. It knows neither the Client nor the streams of the host, so that these can be collected.

    `lock` is held while a C function runs that gets the client, but for helio_next_event: so none of them starts on a
    client that is gone. None of them blocks or calls back.
    """

    def __init__(self, config: object) -> None:
        options = ClientOptions()
        lib.helio_client_options_init(byref(options), ctypes.sizeof(options))
        text = None if config is None else body_of(config)
        if text is not None:
            options.config, options.config_len = text, len(text)
        client, error = c_void_p(), c_void_p()
        check(lib.helio_client_create(byref(options), byref(client), byref(error)), error)
        self.client: Optional[int] = client.value
        self.lock = threading.RLock()
        self.sinks: dict[int, tuple[Sink, Optional[Cancellation]]] = {}

    def alive(self) -> int:
        """The client, with the lock held."""
        if self.client is None:
            raise HelioError.of(SHUT_DOWN)
        return self.client

    def submit(self, request: object, overrides: object, cancellation: Optional[Cancellation], sink: Sink) -> int:
        """Begin a request; its events go to `sink`. Its id."""
        body = body_of(request)
        options = RequestOptions()
        lib.helio_request_options_init(byref(options), ctypes.sizeof(options))
        options.delivery = DELIVERY_PULL
        if overrides is not None:
            text = body_of(overrides)
            options.overrides, options.overrides_len = text, len(text)
        with self.lock:
            client = self.alive()
            number: int = lib.helio_reserve(client)
            if number == 0:
                raise HelioError.of(SHUT_DOWN)
            options.id = number
            self.sinks[number] = sink, cancellation
            if cancellation:
                cancellation._add(number, lambda: self.cancel(number))
            error = c_void_p()
            status = lib.helio_submit(client, body, len(body), byref(options), None, byref(error))
        if status != OK:
            self.forget(number)
            check(status, error)
        return number

    def cancel(self, number: int) -> None:
        with self.lock:
            if self.client is not None:
                lib.helio_cancel(self.client, number)

    def forget(self, number: int) -> Optional[Sink]:
        with self.lock:
            sink, cancellation = self.sinks.pop(number, (None, None))
        if cancellation:
            cancellation._remove(number)
        return sink

    def receive(self, timeout_ms: int) -> Optional[bool]:
        """Hand one event to who waits for it. False: there was none in time; None: none will come any more."""
        pointer = EventPointer()
        status = lib.helio_next_event(self.client, timeout_ms, byref(pointer))
        if status != OK:
            return None
        if not pointer:
            return False
        event = pointer.contents
        number, told = event.request, read_event(event)
        lib.helio_event_release(pointer)
        if isinstance(told, End):
            sink = self.forget(number)
        else:
            sink = self.sinks.get(number, (None, None))[0]
        if sink and told:
            sink(told)
        return True

    def shutdown(self) -> None:
        with self.lock:
            if self.client is not None:
                lib.helio_client_shutdown(self.client)

    def release(self) -> None:
        """The C client goes. Nobody receives any more."""
        with self.lock:
            client, self.client = self.client, None
        if client is not None:
            lib.helio_client_release(client)

    def destroy(self) -> None:
        """The same, and waits until its threads have gone."""
        with self.lock:
            client, self.client = self.client, None
        if client is not None:
            lib.helio_client_destroy(client, WAIT_FOREVER)


class BaseClient:
    """What both clients can do besides asking."""

    _core: Core

    def set_api_key(self, key: Optional[str]) -> None:
        """Use another key for requests that start later; None: none."""
        text = None if key is None else key.encode()
        with self._core.lock:
            check(lib.helio_client_set_api_key(self._core.alive(), text, len(text or b"")))

    def prewarm(self) -> None:
        """Open a connection ahead of the first request. Returns at once."""
        with self._core.lock:
            check(lib.helio_client_prewarm(self._core.alive()))

    def stats(self) -> str:
        """Figures of the client, JSON: requests, connections, threads."""
        buffer = c_void_p()
        with self._core.lock:
            check(lib.helio_client_stats(self._core.alive(), byref(buffer)))
        return taken(buffer) or ""

    def __repr__(self) -> str:
        state = "closed" if self._core.client is None else "open"
        return f"<helio.{type(self).__name__} {state}>"


class BaseStream:
    """What both streams can do besides giving chunks."""

    _core: Core
    _request: int
    _end: Optional[End] = None

    def cancel(self) -> None:
        """End the request at once: iterating raises Cancelled. From any thread, any number of times."""
        self._core.cancel(self._request)

    @property
    def completion(self) -> Optional[Completion]:
        """The whole completion, once the stream has ended; on an error what had come of it."""
        return self._end.completion if self._end else None

    def _watch(self) -> None:
        """A stream that nobody has any more is cancelled."""
        weakref.finalize(self, self._core.cancel, self._request).atexit = False
