"""What comes of a request, and how it is cancelled."""

import ctypes
import json
import threading
from dataclasses import dataclass, field
from typing import Any, Callable, Optional

from ._errors import HelioError
from ._native import CHUNK, DONE, OK, Event, text_at


@dataclass(frozen=True)
class Chunk:
    """One chunk of a stream."""

    text: str
    """What choice 0 says in it; often nothing."""
    reasoning: str
    """Likewise of its reasoning."""
    data: str
    """The chunk's JSON, as the server sent it."""

    def json(self) -> Any:
        """The chunk, parsed."""
        return json.loads(self.data)


@dataclass(frozen=True)
class Completion:
    """A chat.completion, whole or, on an error, as far as it had come."""

    text: str
    """All that choice 0 says; nothing where it only calls tools."""
    reasoning: str
    data: str
    """Its JSON: as the server sent it, or put together from the chunks."""
    report: str = field(repr=False)
    """The evidence, JSON: attempts, times, bytes, usage, what the gateway said."""

    def json(self) -> Any:
        """The completion, parsed."""
        return json.loads(self.data)


@dataclass(frozen=True)
class End:
    """How a request ended."""

    completion: Optional[Completion]
    error: Optional[HelioError]


class Cancellation:
    """Cancels requests: those that were made with it, and those that still will be. For any thread, any number of times."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cancels: dict[int, Callable[[], None]] = {}
        self._cancelled = False

    @property
    def cancelled(self) -> bool:
        """Whether cancel() was called."""
        return self._cancelled

    def cancel(self) -> None:
        """End them at once, with Cancelled. What has ended stays."""
        with self._lock:
            self._cancelled = True
            cancels = list(self._cancels.values())
        for cancel in cancels:
            cancel()

    def _add(self, request: int, cancel: Callable[[], None]) -> None:
        with self._lock:
            self._cancels[request] = cancel
            at_once = self._cancelled
        if at_once:
            cancel()

    def _remove(self, request: int) -> None:
        with self._lock:
            self._cancels.pop(request, None)


def read_event(event: Event) -> "Optional[Chunk | End]":
    """A copy of what an event says. None: it says nothing that is shown."""
    if event.kind not in (CHUNK, DONE):
        return None
    data = text_at(event.data, event.len)
    text, reasoning = text_at(event.text, event.text_len) or "", text_at(event.reasoning, event.reasoning_len) or ""
    if event.kind == CHUNK:
        return Chunk(text, reasoning, data or "")
    report = text_at(event.report, event.report_len) or ""
    completion = None if data is None else Completion(text, reasoning, data, report)
    failed = event.status != OK
    return End(completion, HelioError.of(event.status, event.error, completion) if failed else None)


EventPointer = ctypes.POINTER(Event)
