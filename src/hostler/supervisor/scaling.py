"""How many workers are wanted: a pure function of what was measured lately.

Theory: each reading gives a *need*, the count at which workers would be busy for the share `TARGET` of their time; who
waits in a queue adds to it. More workers are started when every reading of a short while needs more, so that a blip
starts none; fewer are kept only when no reading of a long while has needed more, so that what comes and goes keeps its
workers. These two windows are the hysteresis. The need is computed from the workers that serve, and not from those that
still start, so that slow starts do not look like a lack of workers.

A worker may be full long before it looks busy: at a bound that is not seen, as the most connections, or a pool within
the application. A queue shows that, and the busyness at which it stands is what counts as full from then on, forgotten
little by little. Without this, workers would go a minute after the queue has gone, and come back with it.

Memory bounds the count: as soon as all workers together have more than they may, and before one more would not fit.

Idleness is something else than a low need: it is no request at all for a time, and only then may the count be zero.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

# Between readings, in seconds (arbitrary: a worker takes about as long to start).
INTERVAL = 1.0
# Above it queues grow quickly: at 0.7, one server of a queue has 2.3 requests in it on average; at 0.9, nine.
TARGET = 0.7
# How long more must be needed before more are started, and how long less before fewer are kept (arbitrary; Kubernetes
# waits five minutes for the latter, but starts machines, and uWSGI's algorithms ten readings or more).
UP_AFTER = 2.0
DOWN_AFTER = 60.0
# By how much the workers of one step may exceed those that serve: one that starts takes time from those that serve.
MOST_GROWTH = 2.0
# As many in a queue for each worker are no chance any more: at the target, so many are met in one of ten readings.
QUEUE = 4
# In this time without a queue, in seconds, the busyness that counts as full doubles (arbitrary: what was wrong by ten
# times is forgotten in 100 minutes, and what was right is tried again four times an hour).
FORGETTING = 1800.0
# The least busyness that counts as full: the processors' time is measured in hundredths of a second.
LEAST_FULL = 0.02
# A worker more must leave so much of the memory free (arbitrary), or it would have to go again as it grows.
MEMORY_MARGIN = 0.1


@dataclass(frozen=True, slots=True)
class Scaling:
    """The bounds.

    Attributes:
        minimum: the fewest workers; 0 lets the last one go when nothing has been asked for a while.
        maximum: the most.
        memory: bytes that all together may have; 0 for no bound.
        idle: seconds without a request after which the last worker goes, if the minimum is 0.
    """

    minimum: int
    maximum: int
    memory: int = 0
    idle: float = 300.0

    def clamp(self, count: int) -> int:
        """Return the nearest count within the bounds."""
        return min(max(count, self.minimum), self.maximum)


@dataclass(frozen=True, slots=True)
class Load:
    """What was measured at one point in time.

    Attributes:
        busy: the share of their time, or of their threads' time, that those who serve were busy since the last reading.
        waiting: connections and requests that wait for a worker.
        requests: all requests since the start; only its changes count.
        in_flight: requests and WebSockets that are at work.
    """

    busy: float = 0.0
    waiting: int = 0
    requests: int = 0
    in_flight: int = 0


class Scaler:
    """Remembers the readings that count, and decides."""

    def __init__(self, scaling: Scaling) -> None:
        """Begin without readings."""
        self.scaling = scaling
        self._needs: deque[tuple[float, int]] = deque()
        self._fullness = _Fullness()
        self._requests = -1
        self._active_at = 0.0

    def decide(self, load: Load, *, serving: int, count: int, memory: int, now: float) -> int:
        """Take one reading in, and return how many workers are wanted.

        Args:
            load: the reading.
            serving: workers that serve.
            count: workers that are wanted so far.
            memory: bytes that all workers have together.
            now: point in time, in seconds.
        """
        self._note_activity(load, now)
        if serving == 0:
            return count
        self._fullness.observe(load, serving, now)
        self._note_need(_need(load, serving, self._fullness.at(now)), now)
        if self._is_idle(now):
            return 0
        wanted = self._smooth(count, serving, now)
        return self._bound_by_memory(self.scaling.clamp(max(wanted, 1)), count, serving, memory)

    def wake(self, now: float) -> int:
        """Return how many workers are wanted when somebody has connected while there was none."""
        self._needs.clear()
        self._active_at = now
        return max(1, self.scaling.minimum)

    def _note_activity(self, load: Load, now: float) -> None:
        if load.requests != self._requests or load.in_flight or load.waiting:
            self._requests = load.requests
            self._active_at = now

    def _is_idle(self, now: float) -> bool:
        return self.scaling.minimum == 0 and now - self._active_at >= self.scaling.idle

    def _note_need(self, need: int, now: float) -> None:
        self._needs.append((now, need))
        while self._needs[0][0] < now - DOWN_AFTER:
            self._needs.popleft()

    def _smooth(self, count: int, serving: int, now: float) -> int:
        lately = [need for at, need in self._needs if at >= now - UP_AFTER]
        since = now - self._needs[0][0]
        more = min(*lately, math.ceil(serving * MOST_GROWTH))
        if more > count and since >= UP_AFTER:
            return more
        fewer = max(need for _, need in self._needs)
        # Readings are a little more than an interval apart.
        if fewer < count and since >= DOWN_AFTER - 2 * INTERVAL:
            return fewer
        return count

    def _bound_by_memory(self, wanted: int, count: int, serving: int, memory: int) -> int:
        most = self.scaling.memory
        if most == 0:
            return wanted
        each = memory / serving
        if memory > most:
            return max(1, min(wanted, math.floor(most / each)))
        fitting = math.floor(most * (1 - MEMORY_MARGIN) / each) if each else wanted
        return wanted if wanted <= count else max(count, min(wanted, fitting))


class _Fullness:
    """How busy workers look when they can take no more: wholly, until a queue stands while they look less busy."""

    def __init__(self) -> None:
        """Begin with what is so when all bounds are seen."""
        self._level, self._learned_at = 1.0, 0.0
        self._standing: tuple[float, int, float] | None = None

    def observe(self, load: Load, serving: int, now: float) -> None:
        """Learn from a reading: how busy those are before whom a queue stands, or that more is possible without one."""
        if not _has_queue(load, serving):
            self._standing = None
            if load.busy > self.at(now):
                self._learn(load.busy, now)
            return
        if self._standing is None or self._standing[1] != serving:
            # Those who have just started look less busy than they are.
            self._standing = now, serving, load.busy
            return
        since, _, busiest = self._standing
        self._standing = since, serving, max(busiest, load.busy)
        if now - since >= UP_AFTER:
            self._learn(self._standing[2], now)

    def at(self, now: float) -> float:
        """Return the busyness that counts as full."""
        return min(1.0, self._level * 2 ** ((now - self._learned_at) / FORGETTING))

    def _learn(self, level: float, now: float) -> None:
        self._level, self._learned_at = max(level, LEAST_FULL), now


def _has_queue(load: Load, serving: int) -> bool:
    return load.waiting > QUEUE * serving


def _need(load: Load, serving: int, full: float) -> int:
    """Return how many workers this reading asks for, if they are full at this busyness."""
    need = math.ceil(serving * load.busy / full / TARGET - 1e-9)
    if _has_queue(load, serving):
        # How much more cannot be seen from a queue; half as many again is tried, and looked at again.
        need = max(need, serving + math.ceil(serving / 2))
    return need
