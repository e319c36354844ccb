"""What comes of a request."""

import json
from dataclasses import dataclass, field
from typing import Any


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
