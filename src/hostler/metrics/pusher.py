"""A thread that tells others at intervals; whoever does not listen costs nothing but a line in the log."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
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
    """Tells its targets of the server at each interval, and once more at the end."""

    def __init__(self, observe: Callable[[], Snapshot], targets: Sequence[Target], interval: float) -> None:
        """Tell `targets` what `observe` returns, every `interval` seconds."""
        self._observe = observe
        self._targets = targets
        self._interval = interval
        self._clock = SystemClock()
        self._end = threading.Event()
        self._failing: set[str] = set()
        self._log = logging.getLogger("hostler")
        self._thread = threading.Thread(target=self._run, name="metrics pusher", daemon=True)

    def start(self) -> None:
        """Begin; without targets there is nothing to do."""
        if self._targets:
            self._thread.start()

    def stop(self) -> None:
        """Push once more, and end."""
        self._end.set()
        if self._targets:
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
        snapshot = self._observe()
        for target in self._targets:
            self._tell(target, snapshot)

    def _tell(self, target: Target, snapshot: Snapshot) -> None:
        """Push to one target; the log hears of a failure and of its end, not of each."""
        trouble = target.push(snapshot)
        if trouble and target.name not in self._failing:
            self._failing.add(target.name)
            self._log.warning("metrics: cannot send to %s: %s; trying on", target.name, trouble)
        elif not trouble and target.name in self._failing:
            self._failing.discard(target.name)
            self._log.info("metrics: sending to %s again", target.name)
