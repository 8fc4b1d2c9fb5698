"""The clock that deadlines are counted on."""

from __future__ import annotations

import time


class SystemClock:
    """The kernel's monotonic clock; a test puts its own in its place."""

    def now(self) -> float:
        """Return seconds since an arbitrary point; never goes backwards and is the same clock in every process."""
        return time.monotonic()


def monotonic_nanos() -> int:
    """Return the nanoseconds of the same clock, as the engine writes them into the scoreboard."""
    return time.monotonic_ns()


def unix_nanos() -> int:
    """Return the nanoseconds since 1970 on the wall clock."""
    return time.time_ns()


def unix_time() -> float:
    """Return the seconds since 1970 on the wall clock, which may be set."""
    return time.time()
