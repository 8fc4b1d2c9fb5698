"""How many workers are wanted, on load traces of real sites: it neither flaps nor lags, in numbers.

The traces and where they are from: `traces/`. ClarkNet's has seconds. The others have minutes; within a minute,
requests come as in a Poisson process of constant rate, so that the rate jumps between minutes. Each runs at two sizes:
the smaller the site, the more does chance weigh.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from hostler.supervisor.scaling import Scaling
from tests.unit.supervisor.simulation import Outcome, draw_seconds, foresee, load_trace, need, simulate

BOUNDS = Scaling(1, 20)
# Who waits for longer has met too few workers, in seconds.
PATIENCE = 0.5


@dataclass(frozen=True)
class Site:
    """A trace at a size.

    Attributes:
        trace: the name of its file.
        speed: requests that one worker can serve in a second.
        share: which part of the trace's requests come; where it has seconds, all do.
    """

    trace: str
    speed: float
    share: float | None = None

    def arrivals(self, seed: int = 1) -> list[int]:
        counts = load_trace(self.trace)
        return counts if self.share is None else draw_seconds(counts, share=self.share, seed=seed)


@dataclass(frozen=True)
class Verdict:
    """What an outcome is judged by.

    Attributes:
        late: the share of seconds in which the last in the queue waits for longer than `PATIENCE`.
        reversals: changes of direction in an hour.
        extra: workers beyond those of one who knows the load, as a share of theirs.
    """

    late: float
    reversals: float
    extra: float

    @classmethod
    def of(cls, outcome: Outcome, arrivals: list[int], speed: float) -> Verdict:
        seconds = len(arrivals)
        return cls(
            late=sum(wait > PATIENCE for wait in outcome.waits) / seconds,
            reversals=outcome.reversals / seconds * 3600,
            extra=sum(outcome.counts) / sum(foresee(arrivals, speed, BOUNDS)) - 1,
        )

    def is_within(self, bound: Verdict) -> bool:
        return self.late <= bound.late and self.reversals <= bound.reversals and self.extra <= bound.extra


WORLD_CUP = Site("worldcup-1998-06-10", 250.0, 1.0)
WORLD_CUP_SMALL = Site("worldcup-1998-06-10", 2.5, 0.01)
AZURE = Site("azure-function-2019", 40.0, 1.0)
AZURE_SMALL = Site("azure-function-2019", 4.0, 0.1)
CLARKNET = Site("clarknet-1995-09-03", 1.0)
CLARKNET_QUICK = Site("clarknet-1995-09-03", 2.0)


def judge(site: Site, *, seen: float = 1.0) -> tuple[Outcome, Verdict]:
    arrivals = site.arrivals()
    start = need(sum(arrivals[:60]) / 60, site.speed)
    outcome = simulate(arrivals, BOUNDS, speed=site.speed, start=start, seen=seen)
    return outcome, Verdict.of(outcome, arrivals, site.speed)


@pytest.mark.parametrize(
    "site, bound",
    [
        (WORLD_CUP, Verdict(0.0, 3, 0.05)),
        (WORLD_CUP_SMALL, Verdict(0.0, 3, 0.45)),
        (AZURE, Verdict(0.0, 7, 0.15)),
        (AZURE_SMALL, Verdict(0.0, 5, 0.35)),
        (CLARKNET, Verdict(0.002, 10, 1.1)),
        (CLARKNET_QUICK, Verdict(0.002, 10, 0.9)),
    ],
    ids=str,
)
def test_busyness_is_followed(site: Site, bound: Verdict) -> None:
    _, verdict = judge(site)
    assert verdict.is_within(bound), verdict


@pytest.mark.parametrize("seen", [0.3, 0.1])
@pytest.mark.parametrize(
    "site, bound",
    [
        (WORLD_CUP, Verdict(0.003, 7, 0.0)),
        (WORLD_CUP_SMALL, Verdict(0.03, 7, 0.25)),
        (AZURE, Verdict(0.005, 9, 0.05)),
        (AZURE_SMALL, Verdict(0.02, 9, 0.2)),
        (CLARKNET, Verdict(0.06, 20, 0.9)),
        (CLARKNET_QUICK, Verdict(0.03, 20, 0.8)),
    ],
    ids=str,
)
def test_queue_tells_where_busyness_does_not(site: Site, bound: Verdict, seen: float) -> None:
    """A third or a tenth of the busyness is seen: workers are full at that, and a queue stands."""
    _, verdict = judge(site, seen=seen)
    assert verdict.is_within(bound), verdict


@pytest.mark.parametrize("site", [WORLD_CUP, AZURE, CLARKNET], ids=str)
@pytest.mark.parametrize("growth", [0.0, 0.2, 0.5])
def test_memory_bounds_without_flapping(site: Site, growth: float) -> None:
    """Workers have more memory the busier they are, and the load asks for twice as many as may be."""
    arrivals = site.arrivals()
    each = 200.0
    bounds = Scaling(1, 20, memory=1_000)
    outcome = simulate(arrivals, bounds, speed=site.speed / 2, memory=lambda busy: each * (1 + growth * busy))
    assert max(outcome.counts) <= 1_000 / each
    assert outcome.reversals / len(arrivals) * 3600 <= 7
    # What is started is not stopped again for its memory.
    wanted = [count for count in outcome.counts[60:] if count * each * (1 + growth) > 1_000]
    assert len(wanted) <= 0.01 * len(arrivals)


def test_judgement_sees_flapping_and_lag() -> None:
    """A policy that would do either does not pass: one that follows each second, and one that never moves."""
    arrivals = CLARKNET.arrivals()
    flapping = Outcome([max(1, arrived) for arrived in arrivals], [0.0] * len(arrivals))
    assert Verdict.of(flapping, arrivals, CLARKNET.speed).reversals > 100
    stuck = simulate(WORLD_CUP.arrivals(), Scaling(4, 4), speed=WORLD_CUP.speed, start=4)
    assert Verdict.of(stuck, WORLD_CUP.arrivals(), WORLD_CUP.speed).late > 0.5
