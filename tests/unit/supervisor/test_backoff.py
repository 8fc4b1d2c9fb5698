"""Back-off: how long a slot stays empty after crashes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostler.supervisor.backoff import JITTER, MAX_DELAY, STABLE_AFTER, Backoff, delay


def test_first_crash_is_repaired_at_once() -> None:
    assert delay(1, 0.9) == 0


@pytest.mark.parametrize("crashes,seconds", [(2, 0.5), (3, 1), (4, 2), (5, 4), (6, 8), (7, 16), (8, 30), (99, 30)])
def test_delay_doubles_up_to_its_maximum(crashes: int, seconds: float) -> None:
    assert delay(crashes, 0.5) == pytest.approx(seconds)


@given(st.integers(2, 10_000), st.floats(0, 1))
def test_jitter_stays_within_a_quarter(crashes: int, fraction: float) -> None:
    middle = delay(crashes, 0.5)
    assert middle * (1 - JITTER) <= delay(crashes, fraction) <= middle * (1 + JITTER)
    assert delay(crashes, fraction) <= MAX_DELAY * (1 + JITTER)


def test_slot_stays_empty_until_the_delay_is_over() -> None:
    history = Backoff().after_crash(100, 0, 0.5).after_crash(100, 0, 0.5)
    assert history.not_before == pytest.approx(100.5)


def test_stable_run_forgets_former_crashes() -> None:
    history = Backoff(crashes=7).after_crash(100, STABLE_AFTER, 0.5)
    assert history == Backoff(crashes=1, not_before=100)


def test_run_that_is_too_short_counts_on() -> None:
    assert Backoff(crashes=2).after_crash(100, STABLE_AFTER - 0.1, 0.5).crashes == 3
