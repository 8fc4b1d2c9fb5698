"""A distribution of durations, as the engine counts them: buckets at most an eighth of their value wide."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from hostler.telemetry.layout import BUCKETS, bucket_bound

_SECOND = 1_000_000_000
# Upper bounds of the buckets, seconds. The last bucket has none; what is in it is taken to be this long.
BOUNDS = tuple(bucket_bound(index) / _SECOND for index in range(BUCKETS))


@dataclass(frozen=True, slots=True)
class Durations:
    """How long things took.

    Attributes:
        total: all of them together, seconds.
        buckets: how many fell into each bucket of the engine's.
    """

    total: float = 0.0
    buckets: tuple[int, ...] = (0,) * BUCKETS

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.buckets)

    @property
    def mean(self) -> float | None:
        """The mean in seconds, or None where there were none."""
        count = self.count
        return self.total / count if count else None

    def percentile(self, fraction: float) -> float | None:
        """Return the duration that this fraction of all did not exceed, seconds; None where there were none.

        Within a bucket durations are taken to be spread evenly, so that the answer is off by less than an eighth.

        Args:
            fraction: from 0 to 1, such as 0.99.
        """
        sums = list(accumulate(self.buckets))
        if sums[-1] == 0:
            return None
        wanted = min(max(fraction, 0.0), 1.0) * sums[-1]
        index = next(index for index, reached in enumerate(sums) if reached >= wanted and reached > 0)
        low = BOUNDS[index - 1] if index else 0.0
        below = sums[index - 1] if index else 0
        share = (wanted - below) / self.buckets[index] if self.buckets[index] else 0.0
        return low + (BOUNDS[index] - low) * max(share, 0.0)

    def cumulative(self, bounds: Sequence[float]) -> tuple[int, ...]:
        """Return how many were shorter than each bound, seconds. A bound within a bucket counts that bucket out."""
        sums = [0, *accumulate(self.buckets)]
        return tuple(sums[bisect_right(BOUNDS[:-1], bound)] for bound in bounds)

    def __add__(self, other: Durations) -> Durations:
        """Return both together."""
        pairs = zip(self.buckets, other.buckets, strict=True)
        return Durations(self.total + other.total, tuple(mine + theirs for mine, theirs in pairs))

    def __sub__(self, earlier: Durations) -> Durations:
        """Return what has come since `earlier`."""
        pairs = zip(self.buckets, earlier.buckets, strict=True)
        counts = tuple(max(0, mine - theirs) for mine, theirs in pairs)
        return Durations(max(0.0, self.total - earlier.total), counts)
