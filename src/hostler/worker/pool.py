"""Daemonic threads for calls that an event loop must not wait for.

`concurrent.futures` joins its threads when the interpreter ends, so that one call that never returns would keep a
worker which has finished.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

Call = Callable[[], None]


class Pool:
    """Runs calls in the order they came, in up to so many threads, each made when no other is idle."""

    def __init__(self, limit: int, name: str, note_error: Callable[[BaseException], object]) -> None:
        """Start nothing yet.

        Args:
            limit: the most threads.
            name: the beginning of their names.
            note_error: is told what a call raised, in its thread.
        """
        self._limit = limit
        self._name = name
        self._note_error = note_error
        self._calls: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._count = 0

    def submit(self, call: Call) -> None:
        """Have `call` run. One thread only submits."""
        self._calls.put(call)
        if not self._idle.acquire(blocking=False) and self._count < self._limit:
            self._count += 1
            threading.Thread(target=self._run, name=f"{self._name}-{self._count}", daemon=True).start()

    def close(self) -> None:
        """Forget calls that no thread has taken, and let threads end that are idle or become so."""
        while True:
            try:
                self._calls.get_nowait()
            except queue.Empty:
                break
        for _ in range(self._count):
            self._calls.put(None)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call()
            except BaseException as error:  # noqa: BLE001 - the outer edge of a thread
                self._note_error(error)
            # What the call holds must not live until the next one.
            del call
            self._idle.release()
