"""Cancelling from elsewhere."""

import threading
from typing import Callable


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
