"""A thread that tells others at intervals; whoever does not listen costs nothing but a line in the log."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from hostler.system.clock import SystemClock
from hostler.telemetry.snapshot import Snapshot

# Seconds that the last push may take when the server ends (arbitrary).
LAST_PUSH = 0.5


class Target(Protocol):
    """Somebody who is told."""

    @property
    def name(self) -> str:
        """What people call it."""

    def push(self, snapshot: Snapshot) -> str:
        """Tell of a snapshot, in bounded time; returns why that failed, or ""."""


class Pusher:
    """Tells one target of the server at each interval, and once more at the end."""

    def __init__(self, observe: Callable[[], Snapshot], target: Target, interval: float) -> None:
        """Tell `target` what `observe` returns, every `interval` seconds."""
        self._observe = observe
        self._target = target
        self._interval = interval
        self._clock = SystemClock()
        self._end = threading.Event()
        self._is_failing = False
        self._log = logging.getLogger("hostler")
        self._thread = threading.Thread(target=self._run, name="metrics pusher", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Push once more, and end."""
        self._end.set()
        self._thread.join(LAST_PUSH)

    def _run(self) -> None:
        # The first is what counters are compared with.
        self._push()
        due = self._clock.now() + self._interval
        while not self._end.wait(max(0.0, due - self._clock.now())):
            self._push()
            # Not counted from now, so that intervals stay as long as they are; those that were missed are left out.
            due = max(due + self._interval, self._clock.now())
        self._push()

    def _push(self) -> None:
        """Push; the log hears of a failure and of its end, not of each."""
        trouble = self._target.push(self._observe())
        if trouble and not self._is_failing:
            self._log.warning("metrics: cannot send to %s: %s; trying on", self._target.name, trouble)
        elif not trouble and self._is_failing:
            self._log.info("metrics: sending to %s again", self._target.name)
        self._is_failing = bool(trouble)
