"""Medians with their range, and ratios that are taken within one round."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """A median with the least and the greatest value it stands for."""

    median: float
    least: float
    greatest: float


def summarize(values: Sequence[float]) -> Spread:
    """Give the median and the range of at least one value."""
    return Spread(statistics.median(values), min(values), max(values))


def find_percentile(values: Sequence[float], percent: int) -> float:
    """Give the least of the values, in ascending order, that so many percent of them do not exceed; of none, 0."""
    return values[max(0, -(-len(values) * percent // 100) - 1)] if values else 0.0


def compare(values: Mapping[int, float], others: Mapping[int, float]) -> Spread | None:
    """Divide the values of one server by those of another, round by round.

    A ratio within a round compares measurements that lie seconds apart, so the drift of the machine falls out of it.

    Args:
        values: figures by round.
        others: figures to divide by, by round.

    Returns:
        The spread of the ratios, or None where no round has both or the divisor is nothing.
    """
    ratios = [values[number] / others[number] for number in values if others.get(number)]
    return summarize(ratios) if ratios else None
