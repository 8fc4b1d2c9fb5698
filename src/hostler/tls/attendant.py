"""The part of the supervisor's loop that looks after certificates and ticket keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from hostler.tls.keeper import INTERVAL, Keeper
from hostler.tls.tickets import TicketKeys


class Clock(Protocol):
    """A monotonic clock."""

    def now(self) -> float:
        """Return the time in seconds."""


class CertificateAttendant:
    """Implements `supervisor.shell.Attendant`."""

    def __init__(self, clock: Clock, keys: TicketKeys, keepers: Callable[[], Iterable[Keeper]]) -> None:
        """Look after what `keepers` returns, which changes with each reload."""
        self._clock = clock
        self._keys = keys
        self._keepers = keepers
        self._next_look = clock.now() + INTERVAL

    def attach(self, supervisor: object) -> None:
        """See `Attendant`."""

    def watched(self) -> Iterable[tuple[int, int]]:
        """See `Attendant`."""
        return ()

    def descriptors(self) -> Iterable[int]:
        """See `Attendant`."""
        return ()

    def deadline(self) -> float | None:
        """See `Attendant`."""
        return min(self._next_look, self._keys.due) if list(self._keepers()) else None

    def turn(self, ready: Mapping[int, int]) -> None:
        """See `Attendant`."""
        del ready
        now = self._clock.now()
        if self._keys.rotate(now):
            for keeper in self._keepers():
                keeper.hand_over_keys()
        if now >= self._next_look:
            self._next_look = now + INTERVAL
            for keeper in self._keepers():
                keeper.look()

    def reload_began(self) -> None:
        """See `Attendant`."""

    def concluded(self, conclusion: object) -> None:
        """See `Attendant`."""

    def child_reported(self, number: int) -> None:
        """See `Attendant`."""

    def child_ended(self, number: int) -> None:
        """See `Attendant`."""
