"""How many workers are wanted, on synthetic traces: it neither flaps nor lags, in numbers."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from hostler.supervisor.scaling import DOWN_AFTER, FORGETTING, INTERVAL, UP_AFTER, Load, Scaler, Scaling
from tests.unit.supervisor import simulation
from tests.unit.supervisor.simulation import Outcome
from tests.unit.supervisor.simulation import simulate as run

# Requests that one worker can serve in a second.
SPEED = 100.0
Rate = Callable[[float], float]


def simulate(rate: Rate, seconds: int, scaling: Scaling, *, start: int = 1, seed: int = 1, memory: int = 0) -> Outcome:
    """Run a queue whose workers are scaled; arrivals are random around `rate` (requests per second)."""
    chance = random.Random(seed)
    rates = (rate(second * INTERVAL) for second in range(seconds))
    arrivals = (max(0.0, chance.gauss(each, math.sqrt(each))) for each in rates)
    return run(arrivals, scaling, speed=SPEED, start=start, memory=lambda _: memory)


def need(rate: float) -> int:
    return simulation.need(rate, SPEED)


BOUNDS = Scaling(1, 12)


@pytest.mark.parametrize("seed", range(5))
def test_step_is_followed_within_seconds_and_without_a_swing(seed: int) -> None:
    # At 30 s from a third of a worker to five and a half.
    outcome = simulate(lambda now: 30.0 if now < 30 else 550.0, 400, BOUNDS, seed=seed)
    reached = next(second for second, count in enumerate(outcome.counts) if count >= need(550)) - 30
    assert reached <= 20
    assert max(outcome.counts) <= need(550) + 4
    assert max(outcome.waits[30 + 40 :]) == 0.0, "what has piled up in the meantime is gone after 40 s"
    # What was too much goes once; then nothing moves any more.
    assert outcome.reversals <= 1
    assert len(set(outcome.counts[200:])) <= 2


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("rate", [69.0, 139.0, 141.0, 350.0])
def test_steady_load_with_noise_does_not_flap(seed: int, rate: float) -> None:
    """Also where the need lies between two counts."""
    outcome = simulate(lambda _: rate, 1800, BOUNDS, start=need(rate), seed=seed)
    assert outcome.changes <= 2
    assert max(outcome.counts) <= need(rate) + 1


def test_bursts_keep_their_workers() -> None:
    # Ten seconds of four workers' work in each minute.
    outcome = simulate(lambda now: 400.0 if now % 60 < 10 else 20.0, 1800, BOUNDS)
    later = outcome.counts[120:]
    assert min(later) >= need(400)
    assert max(outcome.waits[120:]) == 0.0


def test_rare_bursts_let_go_in_between() -> None:
    outcome = simulate(lambda now: 400.0 if now % 600 < 10 else 20.0, 3600, BOUNDS)
    assert sum(count == 1 for count in outcome.counts) >= 0.8 * 3600
    assert outcome.changes <= 6 * 6


def test_day_is_followed() -> None:
    """A day in an hour: quicker than a real one by 24 times."""

    def rate(now: float) -> float:
        return 500.0 - 450.0 * math.cos(2 * math.pi * now / 3600)

    outcome = simulate(rate, 3600, Scaling(1, 20))
    missing = [second for second, count in enumerate(outcome.counts) if count * SPEED < rate(second)]
    assert missing == [], "at no time is there less than the load itself"
    assert sum(wait > 0 for wait in outcome.waits) <= 0.01 * 3600
    # Up once, down once.
    assert outcome.reversals <= 3
    spare = [count - need(rate(second)) for second, count in enumerate(outcome.counts)]
    assert max(spare) <= 4
    assert sum(spare) / len(spare) <= 1.5


def test_blip_of_one_reading_starts_nothing() -> None:
    outcome = simulate(lambda now: 69.0 if now == 100 else 20.0, 200, BOUNDS)
    assert outcome.changes == 0


def test_overload_goes_to_the_bound_and_no_further() -> None:
    outcome = simulate(lambda _: 5000.0, 120, BOUNDS)
    assert max(outcome.counts) == 12
    assert outcome.counts[30:] == [12] * 90


def test_one_step_at_most_doubles_those_who_serve() -> None:
    scaler = Scaler(BOUNDS)
    wanted = [scaler.decide(Load(1.0, 500), serving=4, count=4, memory=0, now=now) for now in (0.0, 1.0, 2.0)]
    assert wanted == [4, 4, 6]
    assert max(simulate(lambda _: 3000.0, 6, Scaling(1, 50)).counts) <= 4


class TestMemory:
    def test_growth_stops_where_one_more_would_not_fit(self) -> None:
        outcome = simulate(lambda _: 1000.0, 300, Scaling(1, 12, memory=1000), memory=200)
        # Five would fill it to the brim.
        assert outcome.counts[-1] == 4

    def test_workers_go_when_they_have_grown_too_large(self) -> None:
        scaler = Scaler(Scaling(1, 12, memory=1000))
        assert scaler.decide(Load(0.9), serving=4, count=4, memory=1200, now=0.0) == 3

    def test_last_one_stays(self) -> None:
        scaler = Scaler(Scaling(1, 12, memory=1000))
        assert scaler.decide(Load(0.9), serving=1, count=1, memory=5000, now=0.0) == 1


class TestFullness:
    """Workers that can take no more while they look a tenth busy, before a queue that tells."""

    QUEUE = Load(0.1, 100)

    def count(self, scaler: Scaler, loads: list[Load], *, begin: float, serving: int = 4) -> int:
        """Return how many are wanted after these readings, a second apart."""
        wanted = serving
        for second, load in enumerate(loads):
            wanted = scaler.decide(load, serving=serving, count=serving, memory=0, now=begin + second)
        return wanted

    def test_workers_that_the_queue_has_brought_stay_when_it_has_gone(self) -> None:
        scaler = Scaler(BOUNDS)
        self.count(scaler, [self.QUEUE] * 5, begin=0.0)
        # Six do the work of four; at the target it would be 4 / 0.7.
        assert self.count(scaler, [Load(0.1 * 4 / 6)] * 120, begin=10.0, serving=6) == 6

    def test_a_lower_load_lets_them_go(self) -> None:
        scaler = Scaler(BOUNDS)
        self.count(scaler, [self.QUEUE] * 5, begin=0.0)
        assert self.count(scaler, [Load(0.02)] * 120, begin=10.0, serving=6) == 2

    def test_more_come_before_there_is_a_queue_again(self) -> None:
        scaler = Scaler(BOUNDS)
        self.count(scaler, [self.QUEUE] * 5, begin=0.0)
        assert self.count(scaler, [Load(0.09)] * 5, begin=100.0, serving=6) == 8

    def test_blip_of_a_queue_teaches_nothing(self) -> None:
        scaler = Scaler(BOUNDS)
        self.count(scaler, [self.QUEUE, Load(0.1), self.QUEUE], begin=0.0)
        assert self.count(scaler, [Load(0.1)] * 120, begin=10.0) == 1

    def test_workers_that_have_just_come_do_not_make_the_others_look_full(self) -> None:
        scaler = Scaler(BOUNDS)
        for now, busy in enumerate([0.1, 0.9, 0.9]):
            scaler.decide(Load(busy, 100), serving=4, count=4, memory=0, now=float(now))
        assert self.count(scaler, [Load(0.5)] * 120, begin=10.0) == 4

    def test_busier_ones_without_a_queue_show_that_more_is_possible(self) -> None:
        scaler = Scaler(BOUNDS)
        self.count(scaler, [self.QUEUE] * 5, begin=0.0)
        self.count(scaler, [Load(0.8)], begin=10.0)
        assert self.count(scaler, [Load(0.1)] * 120, begin=20.0) == 1

    def test_it_is_forgotten_little_by_little(self) -> None:
        scaler = Scaler(BOUNDS)
        self.count(scaler, [self.QUEUE] * 5, begin=0.0)
        counts = [
            self.count(scaler, [Load(0.06)] * 120, begin=after, serving=6)
            for after in (10.0, FORGETTING, 2 * FORGETTING, 4 * FORGETTING)
        ]
        assert counts == [6, 3, 2, 1]


class TestIdle:
    SCALING = Scaling(0, 4, idle=30.0)

    def readings(self, scaler: Scaler, loads: list[Load], count: int = 1) -> list[int]:
        return [
            scaler.decide(load, serving=count, count=count, memory=0, now=float(second))
            for second, load in enumerate(loads)
        ]

    def test_last_worker_goes_after_a_time_without_requests(self) -> None:
        counts = self.readings(Scaler(self.SCALING), [Load(requests=7)] * 40)
        assert counts[:30] == [1] * 30
        assert counts[30] == 0

    @pytest.mark.parametrize(
        "load", [Load(requests=7, in_flight=1), Load(requests=7, waiting=1)], ids=["WebSocket", "queue"]
    )
    def test_who_is_there_keeps_it(self, load: Load) -> None:
        assert 0 not in self.readings(Scaler(self.SCALING), [load] * 60)

    def test_rare_requests_keep_it(self) -> None:
        assert 0 not in self.readings(Scaler(self.SCALING), [Load(requests=second // 20) for second in range(200)])

    def test_low_load_is_not_idleness(self) -> None:
        assert 0 not in self.readings(Scaler(self.SCALING), [Load(0.01, 0, second) for second in range(200)])

    def test_it_stays_where_one_is_the_least(self) -> None:
        assert 0 not in self.readings(Scaler(Scaling(1, 4, idle=30.0)), [Load(requests=7)] * 100)

    def test_knock_wants_one_and_begins_the_time_anew(self) -> None:
        scaler = Scaler(self.SCALING)
        self.readings(scaler, [Load(requests=7)] * 40)
        assert scaler.wake(100.0) == 1
        assert scaler.decide(Load(requests=7), serving=1, count=1, memory=0, now=120.0) == 1


def test_nothing_is_decided_while_nobody_serves() -> None:
    assert Scaler(BOUNDS).decide(Load(), serving=0, count=3, memory=0, now=0.0) == 3


def test_windows_are_as_documented() -> None:
    scaler = Scaler(BOUNDS)
    counts: list[int] = []
    for second in range(200):
        load = Load(0.9 if 10 <= second < 20 else 0.1)
        count = counts[-1] if counts else 2
        counts.append(scaler.decide(load, serving=count, count=count, memory=0, now=float(second)))
    assert counts.index(3) - 10 == UP_AFTER
    last = max(second for second, count in enumerate(counts) if count > 1)
    assert abs(last - 20 - DOWN_AFTER) <= 2 * INTERVAL
