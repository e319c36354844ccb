"""The client for asyncio: the loop watches the library's descriptor, and no thread is needed."""

import asyncio
import collections
import weakref
from types import TracebackType
from typing import AsyncIterator, Deque, Optional, Type, Union

from ._answers import Chunk, Completion
from ._cancellation import Cancellation
from ._core import BaseClient, BaseStream, Core
from ._errors import HelioError
from ._events import End
from ._native import lib

AT_ONCE = 64  # events handed out before the loop has its turn again


class _LoopCore(Core):
    """A C client whose events come in one loop."""

    loop: Optional[asyncio.AbstractEventLoop] = None
    handle = -1

    def attach(self) -> None:
        loop = asyncio.get_running_loop()
        if self.loop is None:
            with self.lock:
                self.handle = lib.helio_wait_handle(self.alive())
            self.loop = loop
            loop.add_reader(self.handle, self.drain)
        elif self.loop is not loop:
            raise RuntimeError("an AsyncClient belongs to the event loop in which it was used first")

    def drain(self) -> None:
        for _ in range(AT_ONCE):
            if self.client is None or not self.receive(0):
                return

    def detach(self) -> None:
        """In the loop: it watches no more, and the C client goes."""
        if self.loop and self.client is not None:
            self.loop.remove_reader(self.handle)
        self.release()

    def forgotten(self) -> None:
        """Anywhere: the client was collected, or the program ends."""
        try:
            if self.loop:
                self.loop.call_soon_threadsafe(self.detach)
                return
        except RuntimeError:
            pass  # the loop is closed
        self.release()


class AsyncClient(BaseClient):
    """A client for one asyncio loop. Close it with aclose(), or use it in an `async with`. Needs a loop with add_reader, which
    Windows' default loop has not.

    `config` as for Client.
    """

    def __init__(self, config: object = None) -> None:
        self._core: _LoopCore = _LoopCore(config)
        weakref.finalize(self, self._core.forgotten)

    async def complete(
        self, request: object, *, overrides: object = None, cancellation: Optional[Cancellation] = None
    ) -> Completion:
        """Ask, and wait for the whole answer. Cancelling the task that waits cancels the request. Raises HelioError."""
        async with self.stream(request, overrides=overrides, cancellation=cancellation) as stream:
            return await stream.wait()

    def stream(
        self, request: object, *, overrides: object = None, cancellation: Optional[Cancellation] = None
    ) -> "AsyncStream":
        """Ask, and get the chunks one by one by `async for`; say "stream": True in the request. A stream that is left and
        forgotten is cancelled, and so is one whose task is cancelled while it waits. Raises HelioError, also while it is iterated.
        """
        self._core.attach()
        return AsyncStream(self, request, overrides, cancellation)

    async def aclose(self) -> None:
        """End all requests with ShutDown."""
        self._core.shutdown()
        while self._core.sinks and self._core.client is not None:
            self._core.drain()
            await asyncio.sleep(0.001)
        self._core.detach()

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        await self.aclose()


class _Told:
    """What a stream was told and has not been asked for yet."""

    def __init__(self) -> None:
        self.waiting: Deque[Union[Chunk, End]] = collections.deque()
        self.wanted: Optional["asyncio.Future[None]"] = None

    def put(self, told: Union[Chunk, End]) -> None:
        self.waiting.append(told)
        if self.wanted and not self.wanted.done():
            self.wanted.set_result(None)

    async def get(self) -> Union[Chunk, End]:
        while not self.waiting:
            self.wanted = asyncio.get_running_loop().create_future()
            await self.wanted
        return self.waiting.popleft()


class AsyncStream(BaseStream, AsyncIterator[Chunk]):
    """The chunks of one answer. One task iterates; cancel() is for any thread."""

    def __init__(
        self, client: AsyncClient, request: object, overrides: object, cancellation: Optional[Cancellation]
    ) -> None:
        self._client = client  # lives as long as its streams
        self._core = client._core
        self._told = _Told()
        self._request = self._core.submit(request, overrides, cancellation, self._told.put)
        self._watch()

    async def __anext__(self) -> Chunk:
        if self._end is None:
            try:
                told = await self._told.get()
            except asyncio.CancelledError:
                self.cancel()
                raise
            if isinstance(told, Chunk):
                return told
            self._end = told
            if told.error:
                raise told.error
        raise StopAsyncIteration

    async def wait(self) -> Completion:
        """Read to the end. The completion."""
        async for _ in self:
            pass
        end = self._end
        if end is None or end.completion is None:
            raise (end and end.error) or HelioError.of(-99)
        return end.completion

    async def aclose(self) -> None:
        """Cancel the request, unless it has ended."""
        if self._end is None:
            self.cancel()

    async def __aenter__(self) -> "AsyncStream":
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        await self.aclose()
