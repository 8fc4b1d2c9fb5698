"""When a child has served enough: its age, its memory, and how much that has grown.

Each child has limits of its own, a little below the configured ones, so that children which started together are not
due together. Who is due asks for a successor and serves until that is ready, like one that has served enough requests.
"""

from __future__ import annotations

from dataclasses import dataclass

# By how much a child's own limits may be below the configured ones, at most (arbitrary).
JITTER = 0.1
# Between two looks at the memory, in seconds (arbitrary: leaks take longer, and a look costs a read per child).
INTERVAL = 2.0

_MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Wear:
    """What a child may come to before it is replaced; 0 is no limit.

    Attributes:
        age: seconds of service.
        memory: bytes that are resident.
        growth: bytes that have come since its service began.
    """

    age: float = 0.0
    memory: int = 0
    growth: int = 0

    @property
    def is_measured(self) -> bool:
        """Whether its memory has to be looked at."""
        return bool(self.memory or self.growth)


ENDLESS = Wear()


def draw_limits(wear: Wear, fraction: float) -> Wear:
    """Return the limits of one child; `fraction` is a random number from 0 to 1."""
    share = 1 - JITTER * fraction
    return Wear(wear.age * share, int(wear.memory * share), int(wear.growth * share))


def find_excess(limits: Wear, memory: int, first_memory: int) -> str:
    """Return what is too much, for people; "" when nothing is.

    A child that had too much from the beginning is left alone: its successor would have it, too.
    """
    if limits.memory and memory > limits.memory and first_memory <= limits.memory:
        return f"it has {format_memory(memory)} (workers.max_memory)"
    if limits.growth and memory - first_memory > limits.growth:
        return f"it has grown by {format_memory(memory - first_memory)} (workers.max_memory_growth)"
    return ""


def format_memory(size: int) -> str:
    """Return bytes as people read them."""
    return f"{size / _MEBIBYTE:.0f} MiB"
