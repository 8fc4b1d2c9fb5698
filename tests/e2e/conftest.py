"""Fixtures of the end-to-end tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.gate import Gate


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A place where calls of `tests.e2e.apps.robust` wait until the test lets them through."""
    with Gate() as opened:
        yield opened
