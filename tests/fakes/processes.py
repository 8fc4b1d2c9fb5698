"""An imaginary process table: children run when the test says so, in this very process."""

from __future__ import annotations

import signal
from collections.abc import Callable

from hostler.system.process import Exit


class FakeProcesses:
    """Keeps the contract of `hostler.system.process.ProcessTable`."""

    def __init__(self, *, first_pid: int = 100) -> None:
        self._next = first_pid
        self._alive: dict[int, Callable[[], int]] = {}
        self._ended: list[tuple[int, Exit]] = []
        self.signals: list[tuple[int, int]] = []

    def start(self, child_main: Callable[[], int]) -> int:
        self._next += 1
        self._alive[self._next] = child_main
        return self._next

    def send_signal(self, pid: int, number: int) -> None:
        if pid in self._alive:
            self.signals.append((pid, number))
            if number in (signal.SIGKILL, signal.SIGTERM):
                self._end(pid, Exit(None, number))

    def signal_main_thread(self, pid: int, number: int) -> None:
        self.send_signal(pid, number)

    def memory(self, pid: int) -> int:
        return 1 if pid in self._alive else 0

    def reap(self) -> list[tuple[int, Exit]]:
        ended, self._ended = self._ended, []
        return ended

    def finish(self, pid: int) -> None:
        """Let a child run to its end."""
        self._end(pid, Exit(self._alive[pid]()))

    def _end(self, pid: int, end: Exit) -> None:
        del self._alive[pid]
        self._ended.append((pid, end))
