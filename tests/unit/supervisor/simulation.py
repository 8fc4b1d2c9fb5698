"""A queue whose workers are scaled, second by second, and load traces that were recorded to run it on."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from hostler.supervisor.scaling import INTERVAL, TARGET, Load, Scaler, Scaling

# Seconds from the decision until a new worker serves.
BOOT = 3.0
_TRACES = Path(__file__).parent / "traces"
# Above it a normal distribution is as good as Poisson's.
_MANY = 50.0


@dataclass
class Outcome:
    """What became of a trace.

    Attributes:
        counts: the wanted count at each reading.
        waits: at each reading, seconds that the last in the queue had to wait.
    """

    counts: list[int] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    @property
    def changes(self) -> int:
        return sum(one != two for one, two in zip(self.counts, self.counts[1:], strict=False))

    @property
    def reversals(self) -> int:
        """How often it went up after it had gone down, or the other way round."""
        steps = [two - one for one, two in zip(self.counts, self.counts[1:], strict=False) if one != two]
        return sum((one > 0) != (two > 0) for one, two in itertools.pairwise(steps))


def simulate(
    arrivals: Iterable[float],
    scaling: Scaling,
    *,
    speed: float,
    start: int = 1,
    memory: Callable[[float], float] = lambda _: 0,
    seen: float = 1.0,
) -> Outcome:
    """Run the queue.

    Args:
        arrivals: requests in each second.
        scaling: the bounds.
        speed: requests that one worker can serve in a second.
        start: workers to begin with.
        memory: bytes that each worker has when it is so busy.
        seen: the share of its busyness that a worker shows; where it is low, the queue has to tell.
    """
    scaler, outcome = Scaler(scaling), Outcome()
    count, queue, requests = start, 0.0, 0
    booting: list[float] = []
    serving = start
    for second, arrived in enumerate(arrivals):
        now = second * INTERVAL
        serving += sum(at <= now for at in booting)
        booting = [at for at in booting if at > now]
        requests += round(arrived)
        room = serving * speed * INTERVAL
        served = min(queue + arrived, room)
        queue += arrived - served
        # Whoever is waiting for a moment only is seen by few readings.
        busy = served / room if room else 0.0
        load = Load(seen * busy, math.floor(queue), requests)
        used = math.floor(memory(busy) * serving)
        wanted = scaler.decide(load, serving=serving, count=count, memory=used, now=now)
        if wanted > count:
            booting += [now + BOOT] * (wanted - serving - len(booting))
        elif wanted < count:
            booting, serving = [], min(serving, max(wanted, 0))
        count = wanted
        outcome.counts.append(count)
        outcome.waits.append(queue / (serving * speed) if serving else 0.0)
    return outcome


def need(rate: float, speed: float) -> int:
    """Return how many workers keep to the target at this rate."""
    return math.ceil(rate / speed / TARGET)


def foresee(arrivals: list[int], speed: float, scaling: Scaling) -> list[int]:
    """Return how many workers one would have in each second who knew the load of the minute around it."""
    sums = [0, *itertools.accumulate(arrivals)]
    spans = [(max(0, second - 30), min(len(arrivals), second + 31)) for second in range(len(arrivals))]
    rates = [(sums[end] - sums[begin]) / (end - begin) for begin, end in spans]
    return [scaling.clamp(need(rate, speed)) for rate in rates]


def load_trace(name: str) -> list[int]:
    """Read the counts of a recorded trace."""
    lines = (_TRACES / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [int(count) for line in lines if not line.startswith("#") for count in line.split()]


def draw_seconds(minutes: Iterable[int], *, share: float, seed: int) -> list[int]:
    """Return arrivals in each second, of a Poisson process whose rate is constant within each minute.

    Args:
        minutes: requests in each minute.
        share: which part of them comes to this server.
        seed: of the random numbers.
    """
    chance = random.Random(seed)
    return [_draw(chance, share * count / 60) for count in minutes for _ in range(60)]


def _draw(chance: random.Random, rate: float) -> int:
    if rate > _MANY:
        return max(0, round(chance.gauss(rate, math.sqrt(rate))))
    arrived, at = 0, chance.expovariate(1.0)
    while at < rate:
        arrived += 1
        at += chance.expovariate(1.0)
    return arrived
