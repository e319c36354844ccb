"""The client for threads: one receiver takes the events of all streams and hands them out."""

import queue
import threading
import weakref
from types import TracebackType
from typing import Iterator, Optional, Type, Union

from ._answers import Chunk, Completion
from ._cancellation import Cancellation
from ._core import BaseClient, BaseStream, Core
from ._errors import HelioError
from ._events import End
from ._native import WAIT_FOREVER


class Client(BaseClient):
    """A client for any number of threads. Close it, or use it in a `with`.

    `config` is JSON, or what json.dumps makes JSON of; None: the environment (HELIO_BASE_URL, HELIO_API_KEY). A config that is
    wrong is InvalidArgument and names the key to change.
    """

    def __init__(self, config: object = None) -> None:
        self._core = Core(config)
        self._receiver: Optional[threading.Thread] = None
        weakref.finalize(self, self._core.shutdown)  # also when the program ends

    def complete(
        self, request: object, *, overrides: object = None, cancellation: Optional[Cancellation] = None
    ) -> Completion:
        """Ask, and wait for the whole answer. Raises HelioError."""
        with self.stream(request, overrides=overrides, cancellation=cancellation) as stream:
            return stream.wait()

    def stream(
        self, request: object, *, overrides: object = None, cancellation: Optional[Cancellation] = None
    ) -> "Stream":
        """Ask, and get the chunks one by one; say "stream": True in the request. Leaving the loop cancels the request.

        `overrides` are config for this one request. Raises HelioError, also while it is iterated.
        """
        self._receive()
        return Stream(self, request, overrides, cancellation)

    def close(self) -> None:
        """End all requests with ShutDown, and wait for the client's threads. Any thread, any number of times."""
        self._core.shutdown()
        if self._receiver:
            self._receiver.join()
        self._core.destroy()

    def _receive(self) -> None:
        with self._core.lock:
            self._core.alive()
            if self._receiver is None:
                # A daemon: the end of the program shuts the client down, and waits for no thread.
                self._receiver = threading.Thread(target=_receive, args=(self._core,), name="helio", daemon=True)
                self._receiver.start()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()


def _receive(core: Core) -> None:
    while core.receive(WAIT_FOREVER) is not None:
        pass
    core.destroy()


class Stream(BaseStream, Iterator[Chunk]):
    """The chunks of one answer. One thread iterates; cancel() is for any."""

    def __init__(
        self, client: Client, request: object, overrides: object, cancellation: Optional[Cancellation]
    ) -> None:
        self._client = client  # lives as long as its streams
        self._core = client._core
        self._told: "queue.SimpleQueue[Union[Chunk, End]]" = queue.SimpleQueue()
        self._request = self._core.submit(request, overrides, cancellation, self._told.put)
        self._watch()

    def __next__(self) -> Chunk:
        if self._end is None:
            told = self._told.get()
            if isinstance(told, Chunk):
                return told
            self._end = told
            if told.error:
                raise told.error
        raise StopIteration

    def wait(self) -> Completion:
        """Read to the end. The completion."""
        for _ in self:
            pass
        return self._finished()

    def _finished(self) -> Completion:
        end = self._end
        if end is None or end.completion is None:
            raise (end and end.error) or HelioError.of(-99)
        return end.completion

    def close(self) -> None:
        """Cancel the request, unless it has ended."""
        if self._end is None:
            self.cancel()

    def __enter__(self) -> "Stream":
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()
