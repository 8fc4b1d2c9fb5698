"""Random numbers from the kernel, so that nothing has to be seeded anew after a fork."""

from __future__ import annotations

import os


def random_fraction() -> float:
    """Return a number from 0 up to but not including 1."""
    return int.from_bytes(os.urandom(6), "big") / (1 << 48)


def random_integer(limit: int) -> int:
    """Return a whole number from 0 to `limit`, both included."""
    return int(random_fraction() * (limit + 1))


def random_bytes(length: int) -> bytes:
    """Return so many bytes, fit for keys."""
    return os.urandom(length)
