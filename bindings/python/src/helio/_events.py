"""What the library's events say."""

import ctypes
from dataclasses import dataclass
from typing import Optional, Union

from ._answers import Chunk, Completion
from ._errors import HelioError
from ._native import CHUNK, DONE, OK, Event, text_at

EventPointer = ctypes.POINTER(Event)


@dataclass(frozen=True)
class End:
    """How a request ended."""

    completion: Optional[Completion]
    error: Optional[HelioError]


def read_event(event: Event) -> Optional[Union[Chunk, End]]:
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
