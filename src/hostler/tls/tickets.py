"""Keys of session tickets: random, shared by all workers, and thrown away when their time is over."""

from __future__ import annotations

from collections.abc import Callable

# A name of 16 bytes and a key of 32, as the engine splits it.
KEY_LENGTH = 48
# As long as rustls lets its own keys seal, twice: a session can be resumed for 12 to 24 hours.
LIFETIME = 12 * 60 * 60.0


class TicketKeys:
    """The key that seals and the one before it, which still opens."""

    def __init__(self, random_bytes: Callable[[int], bytes], now: float) -> None:
        """Make the first key; `now` is a point in monotonic time, in seconds."""
        self._random_bytes = random_bytes
        self._keys: tuple[bytes, ...] = (random_bytes(KEY_LENGTH),)
        self.due = now + LIFETIME

    @property
    def keys(self) -> tuple[bytes, ...]:
        """The keys, the newest first."""
        return self._keys

    def rotate(self, now: float) -> bool:
        """Make a new key if the time has come, and forget the oldest. Returns whether it had."""
        if now < self.due:
            return False
        self._keys = (self._random_bytes(KEY_LENGTH), self._keys[0])
        self.due = now + LIFETIME
        return True
