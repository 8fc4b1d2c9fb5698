"""Medians, ranges and ratios by round."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.statistic import Spread, compare, find_percentile, summarize

FIGURES = st.floats(min_value=0.01, max_value=1e6)


def test_spread_is_median_and_range() -> None:
    assert summarize([9.0, 1.0, 5.0]) == Spread(5.0, 1.0, 9.0)
    assert summarize([4.0, 2.0]) == Spread(3.0, 2.0, 4.0)


def test_ratio_is_taken_within_a_round_not_between_medians() -> None:
    # The machine is ten times slower in round 2; the ratio is 0.5 in every round all the same.
    assert compare({1: 1.0, 2: 10.0}, {1: 2.0, 2: 20.0}) == Spread(0.5, 0.5, 0.5)
    # By medians it would be 3 / 2.
    assert compare({1: 1.0, 2: 3.0, 3: 9.0}, {1: 2.0, 2: 1.0, 3: 9.0}) == Spread(1.0, 0.5, 3.0)


def test_rounds_that_only_one_of_them_has_do_not_count() -> None:
    assert compare({1: 1.0, 2: 6.0}, {2: 2.0, 3: 1.0}) == Spread(3.0, 3.0, 3.0)


def test_ratio_without_a_common_round_or_to_nothing_is_none() -> None:
    assert compare({1: 1.0}, {2: 2.0}) is None
    assert compare({1: 1.0}, {1: 0.0}) is None


@given(st.dictionaries(st.integers(1, 9), FIGURES, min_size=1))
def test_ratio_to_itself_is_one(values: dict[int, float]) -> None:
    assert compare(values, values) == Spread(1.0, 1.0, 1.0)


@given(st.lists(FIGURES, min_size=1))
def test_median_lies_within_the_range(values: list[float]) -> None:
    spread = summarize(values)
    assert spread.least <= spread.median <= spread.greatest


@pytest.mark.parametrize(
    "count, percent, value", [(1, 50, 1.0), (2, 50, 1.0), (3, 50, 2.0), (100, 99, 99.0), (101, 99, 100.0)]
)
def test_percentile_is_the_least_value_that_so_many_do_not_exceed(count: int, percent: int, value: float) -> None:
    assert find_percentile([float(number) for number in range(1, count + 1)], percent) == value


def test_percentile_of_nothing_is_nothing() -> None:
    assert find_percentile([], 99) == 0.0
